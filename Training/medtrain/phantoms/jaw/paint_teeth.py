"""Teeth on the canvas: sockets, ligaments, and the teeth themselves, each one piece, none over another."""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import numpy as np

from ..lattice import Mask
from ..tissue_canvas import Box
from .canvas import Canvas
from .spec import Tissue
from .tooth import ToothShape, corners, tooth_shape
from .tooth_plan import ToothPlan

MARGIN = 2.6  # mm around a tooth in which its distance is known
FREE = (Tissue.AIR, Tissue.SKIN, Tissue.FAT, Tissue.SOFT, Tissue.MUSCLE, Tissue.TONGUE, Tissue.AIRWAY)
BONE = (Tissue.CORTICAL, Tissue.CANCELLOUS)


@dataclass(frozen=True, eq=False)
class Standing:
    """A tooth that has its place on the canvas."""

    plan: ToothPlan
    box: Box
    shape: ToothShape


def place_teeth(canvas: Canvas, plans: list[ToothPlan]) -> list[Standing]:
    """The teeth's shapes, their distances kept in `canvas.nearest`; optional ones only where there is room."""
    result: list[Standing] = []
    for plan in sorted(plans, key=lambda one: (one.optional, one.deciduous)):
        box = canvas.box(corners(plan), MARGIN)
        part = canvas.lattice.part(box)
        if min(part.shape) < 2:
            continue
        shape = tooth_shape(part, plan)
        near = canvas.nearest[box]
        inside = shape.distance < 0
        if plan.optional and np.count_nonzero(inside & (near < 0)) > 0.12 * np.count_nonzero(inside):
            continue
        if plan.deciduous:  # what comes from below has eaten its root away
            shape.distance[:] = np.maximum(shape.distance, 0.7 - near)
        np.minimum(near, shape.distance, out=near)
        result.append(Standing(plan, box, shape))
    return result


def paint_teeth(canvas: Canvas, teeth: list[Standing], dura: float) -> None:
    """Draw sockets, ligaments and teeth; dura: mm of dense bone around the roots."""
    for one in teeth:
        _socket(canvas, one, dura)
    for one in teeth:
        _tooth(canvas, one)


def _socket(canvas: Canvas, one: Standing, dura: float) -> None:
    """Bone around the root below its edge, a dense lining in it, a ligament; around an unerupted crown a follicle."""
    plan, shape, box = one.plan, one.shape, one.box
    own = shape.distance <= canvas.nearest[box]
    below = shape.local.up < -plan.crest
    follicle = 0.9 if not plan.erupted and plan.root_formed < 0.9 else 0.3
    gap = np.where(shape.local.up > -0.5, np.float32(follicle), np.float32(0.25))
    canvas.fill(box, own & below & (shape.distance < 1.1 + gap), Tissue.CORTICAL, (*FREE, Tissue.SINUS, Tissue.MUCOSA))
    canvas.fill(box, own & below & (shape.distance < gap + dura), Tissue.LAMINA_DURA, BONE)
    around = own & (shape.distance < gap)
    canvas.fill(box, around & (shape.local.up <= -0.5), Tissue.LIGAMENT, (*BONE, Tissue.LAMINA_DURA))
    canvas.fill(
        box,
        around & (shape.local.up > -0.5),
        Tissue.SOFT if plan.erupted else Tissue.FOLLICLE,
        (*BONE, Tissue.LAMINA_DURA),
    )


def _tooth(canvas: Canvas, one: Standing) -> None:
    """The voxels nearest to this tooth's inside, in one piece: dentin, enamel, pulp, and what a dentist put there."""
    plan, shape, box = one.plan, one.shape, one.box
    mine = (shape.distance < 0) & (shape.distance <= canvas.nearest[box]) & (canvas.teeth[box] == 0)
    if not mine.any():
        return
    mine = cc3d.largest_k(mine.astype(np.uint8), k=1, connectivity=6) > 0
    canvas.teeth[box][mine] = plan.number
    canvas.fill(box, mine, Tissue.DENTIN)
    canvas.fill(box, mine & shape.enamel, Tissue.ENAMEL)
    canvas.fill(box, mine & shape.pulp, Tissue.PULP)
    _work(canvas, one, mine)


def _work(canvas: Canvas, one: Standing, mine: Mask) -> None:
    """Filled root canals, a crown over all that stands out of the gum, a filling in its cavity."""
    plan, shape, box = one.plan, one.shape, one.box
    work, high, up = plan.work, plan.size.crown, shape.local.up
    if work.root_filling:
        canvas.fill(box, mine & shape.pulp & (up < 0.2 * high), Tissue.ROOT_FILLING)
        canvas.fill(box, mine & shape.pulp & (up >= 0.2 * high), Tissue.COMPOSITE)
    if work.crown:
        canvas.fill(box, mine & (up > 0.5), Tissue.DENTIN, (Tissue.ENAMEL,))
        canvas.fill(box, mine & (up > 0.5) & (shape.crown > -1.0), Tissue.CROWN)
    if work.amalgam or work.composite:
        low, high_m, wide, deep = work.cavity
        along, across = shape.local.mesial / (plan.size.width / 2), shape.local.outward / (plan.size.depth / 2)
        hollow = (along > low) & (along < high_m) & (np.abs(across) < wide) & (up > (1 - deep) * high - 0.5)
        canvas.fill(box, mine & hollow, Tissue.AMALGAM if work.amalgam else Tissue.COMPOSITE)
