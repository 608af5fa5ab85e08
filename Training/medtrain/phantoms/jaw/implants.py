"""Dental implants where teeth are lost: a titanium screw in the bone, mostly with an abutment and a crown."""

from __future__ import annotations

import numpy as np

from .canvas import Canvas
from .dentition import LEAN, TIP, Jaw
from .jaw_bones import Pose, Skeleton
from .paint_teeth import FREE
from .person import Person
from .spec import Tissue
from .tooth import corners, tooth_shape
from .tooth_plan import Frame, ToothPlan, axes_at
from .tooth_sizes import PERMANENT, kind_of


def paint_implants(canvas: Canvas, rng: np.random.Generator, person: Person, skeleton: Skeleton, pose: Pose) -> None:
    """Up to `person.implants` of them, in gaps wide enough; nothing of a tooth is overwritten."""
    gaps = [(jaw, gap) for jaw in (skeleton.upper, skeleton.lower) for gap in jaw.gaps if gap[1] < 8]
    if person.age < 18:
        return
    for n in rng.permutation(len(gaps))[: person.implants]:
        jaw, (right, place) = gaps[int(n)]
        frame, crest = _frame(jaw, right, place)
        frame = frame if jaw.upper else frame.turned(pose.turn, pose.about).shifted(pose.shift)
        _screw(canvas, rng, frame, length=rng.uniform(8, 13), sunk=crest)
        if rng.random() < 0.75:
            _crown(canvas, jaw, place, frame, crest)


def _frame(jaw: Jaw, right: bool, place: int) -> tuple[Frame, float]:
    """Where the lost tooth's neck was, and how far below it the bone begins."""
    arc, up = jaw.arcs[right, place], -1.0 if jaw.upper else 1.0
    axes = axes_at(
        jaw.arch.mesial(arc), jaw.arch.outward(arc), up, LEAN[jaw.upper][place - 1], TIP[jaw.upper][place - 1], 0
    )
    neck = PERMANENT[jaw.upper, place].crown
    x, y = jaw.arch.at(arc)
    origin = np.array([x, y, 0.0]) - axes[2] * neck
    crest = float(np.interp(arc, jaw.ridge.arc, jaw.ridge.crest))
    return Frame(origin, axes), crest - neck


def _screw(canvas: Canvas, rng: np.random.Generator, frame: Frame, length: float, sunk: float) -> None:
    """A threaded cylinder below the bone's edge."""
    radius = rng.uniform(1.7, 2.4)
    ends = frame.to_jaw(np.array([[0, 0, -sunk - length], [0, 0, 1.0]]))
    box = canvas.box(ends, 4)
    z, y, x = canvas.lattice.part(box).open()
    u, v, w = (axis.astype(np.float32) for axis in frame.axes)
    x, y, z = x - np.float32(frame.origin[0]), y - np.float32(frame.origin[1]), z - np.float32(frame.origin[2])
    up = x * w[0] + y * w[1] + z * w[2]
    away = np.hypot(x * u[0] + y * u[1] + z * u[2], x * v[0] + y * v[1] + z * v[2])
    thread = 0.15 * np.sin(up * np.float32(2 * np.pi / 0.9)) * (up < -sunk)
    slim = radius * np.clip(
        1 - 0.35 * (-sunk - up) / length, 0.6, np.where(up > -sunk, np.float32(0.75), np.float32(1))
    )
    inside = (away < slim + thread) & (up > -sunk - length) & (up < 1.0) & (canvas.teeth[box] == 0)
    canvas.fill(box, inside & ~canvas.canal[box], Tissue.IMPLANT)


def _crown(canvas: Canvas, jaw: Jaw, place: int, frame: Frame, crest: float) -> None:
    """A crown shaped as the tooth's, of metal and porcelain."""
    number = 10 + place
    plan = ToothPlan(
        number,
        jaw.upper,
        kind_of(number),
        place,
        False,
        PERMANENT[jaw.upper, place].scaled(0.93, 1.0),
        frame,
        root_formed=0.0,
    )
    box = canvas.box(corners(plan), 1)
    part = canvas.lattice.part(box)
    if min(part.shape) < 2:
        return
    inside = (tooth_shape(part, plan).distance < 0) & (canvas.teeth[box] == 0)
    canvas.fill(box, inside, Tissue.CROWN, (*FREE, Tissue.IMPLANT))
