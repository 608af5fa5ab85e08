"""The mandibular canals: from the foramen in the ramus under the roots to the mental foramen."""

from __future__ import annotations

import cc3d
import numpy as np
from scipy import ndimage

from ..bending import bend
from ..lattice import Floats
from .canvas import Canvas, tube_distance
from .jaw_bones import SIDES, Pose, Skeleton, ramus_middle
from .person import Person
from .spec import Tissue

BONE = (Tissue.CANCELLOUS, Tissue.CORTICAL, Tissue.LAMINA_DURA, Tissue.FOLLICLE, Tissue.LIGAMENT)


def paint_canals(canvas: Canvas, rng: np.random.Generator, person: Person, skeleton: Skeleton, pose: Pose) -> None:
    """Both canals, after the teeth's distances are known; where a root is in the way the canal bends around it."""
    usual = rng.uniform(1.0, 1.7) * (0.75 + 0.25 * person.growth)
    for side in SIDES:
        radius = usual * rng.uniform(0.9, 1.1)
        path = pose.to_open(_course(rng, skeleton, side))
        path = _around_teeth(canvas, path, radius)
        radii = np.interp(np.linspace(0, 1, len(path)), [0, 0.12, 0.8, 1], [1.35, 1.0, 0.9, 0.95]) * radius
        box = canvas.box(path, 5)
        distance = tube_distance(canvas.lattice.part(box), path, radii)
        inside = (distance < 0) & (canvas.nearest[box] > 0.1) & np.isin(canvas.tissues[box], BONE)
        inside = cc3d.largest_k(inside.astype(np.uint8), k=1, connectivity=6) > 0
        if person.canal_wall:
            canvas.fill(box, (distance < rng.uniform(0.5, 0.9)) & ~inside, Tissue.CANAL_WALL, (Tissue.CANCELLOUS,))
        canvas.fill(box, inside, Tissue.CANAL)
        canvas.canal[box] |= inside


def _course(rng: np.random.Generator, skeleton: Skeleton, side: float) -> Floats:
    """The canal's axis in the closed mouth, `[n, 3]`."""
    g, (_, y8), base, lower = skeleton.growth, skeleton.back, skeleton.base, skeleton.lower
    points = []
    high = rng.uniform(0, 6) * g
    for back, z, inward in ((21, high, 3.6), (15, -5 * g, 1.2), (9, -12 * g, 0.4)):
        y = y8 - back * g
        x = ramus_middle(skeleton, y, z) - inward * g
        points.append(np.array([side * x, y, z]))
    deep, wave = base - rng.uniform(8.5, 11.5) * g, rng.uniform(0, 1.5)
    arcs = {place: lower.arcs[side > 0, place] for place in range(1, 9)}
    mental = (arcs[4] + arcs[5]) / 2 + rng.uniform(-2, 3) * side
    for arc, outward, rise in ((arcs[8], 4.5, 5.0), (arcs[7], 3.4, 1.5), (arcs[6], 2.4, 0.0), (mental, 2.0, 0.5)):
        near = np.abs(lower.ridge.arc - arc) < 11
        depth = max(deep - rise * g, float(lower.ridge.deepest[near].max()) + 3.2) + (
            wave if arc in (arcs[6], arcs[7]) else 0
        )
        points.append(
            np.array([*(lower.arch.at(arc) + outward * g * lower.arch.outward(arc)), -min(depth, base - 4.6)])
        )
    last = points[-1]
    forward = lower.arch.mesial(mental)
    out = lower.arch.outward(mental)
    loop = rng.uniform(0.5, 2.5)
    points.append(last + np.array([*(loop * forward + 2.0 * out), 0.8]))
    points.append(last + np.array([*(6.5 * g * out - 1.0 * forward), 2.6 * g]))
    points.append(last + np.array([*(12.0 * g * out - 3.0 * forward), 4.5 * g]))
    result: Floats = ndimage.gaussian_filter1d(bend(np.array(points), 90), 2.5, axis=0, mode="nearest")
    return result


def _around_teeth(canvas: Canvas, path: Floats, radius: float) -> Floats:
    """Push the points of a path off the teeth, sideways and down, smoothly."""
    lattice, path = canvas.lattice, path.copy()
    box = canvas.box(path, 12)
    near = canvas.nearest[box]
    part = lattice.part(box)
    for _ in range(15):
        at = part.index(path).T
        room = ndimage.map_coordinates(near, at, order=1, mode="nearest")
        lack = np.clip(radius + 0.9 - room, 0, 1.0)
        if not lack.any():
            break
        slope = []
        for axis, step in ((2, part.step[2]), (1, part.step[1]), (0, part.step[0])):
            move = np.zeros((3, 1))
            move[axis] = 1.0
            high, low = (ndimage.map_coordinates(near, at + s * move, order=1, mode="nearest") for s in (1, -1))
            slope.append((high - low) / (2 * step))
        away = np.stack(slope, axis=1)
        away[:, 2] = -np.abs(away[:, 2]) - 0.15  # never up into the teeth
        away /= np.linalg.norm(away, axis=1, keepdims=True) + 1e-6
        path += ndimage.gaussian_filter1d(lack[:, None] * away, 1.5, axis=0, mode="nearest") * 1.3
    return path
