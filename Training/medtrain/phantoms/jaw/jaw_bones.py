"""Mandible and maxilla: implicit shapes around the teeth, computed on a coarse lattice and drawn on the fine one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..bending import bend, moved
from ..lattice import Array, Floats, Lattice, regular
from ..shapes import clouds, smooth_max, smooth_min
from .canvas import Canvas, tube_distance
from .dentition import Jaw, Ridge
from .person import Person
from .spec import Tissue

COARSE = 1.25  # mm; bones are smooth
SIDES = (1.0, -1.0)  # the patient's right, left
SOFT = (Tissue.AIR, Tissue.SKIN, Tissue.FAT, Tissue.SOFT, Tissue.MUSCLE, Tissue.TONGUE, Tissue.AIRWAY)


@dataclass(frozen=True, eq=False)
class Pose:
    """How the mandible is turned and shifted from the closed mouth (mm): opened about the condyles, pushed forward."""

    turn: Floats
    about: Floats
    shift: Floats

    def to_open(self, points: Floats) -> Floats:
        result: Floats = (points - self.about) @ self.turn.T + self.about + self.shift
        return result


@dataclass(frozen=True, eq=False)
class Skeleton:
    """Measures that bones, canals and soft tissue share (closed mouth, jaw coordinates, mm).

    back: (x, y) of the lower arch behind the third molar's place. base: depth of the mandible's lower border.
    vault: height of the palate over the occlusal plane.
    """

    growth: float
    back: Floats
    base: float
    vault: float
    upper: Jaw
    lower: Jaw


def draw_skeleton(rng: np.random.Generator, person: Person, upper: Jaw, lower: Jaw) -> Skeleton:
    g = person.growth
    ends = [np.abs(lower.arch.at(lower.arcs[right, 8])) * np.array([1, -1]) for right in (True, False)]
    deepest = float(lower.ridge.deepest.max())
    base = max(31.5 * g * rng.uniform(0.94, 1.08), deepest + 9.0)
    vault = max(21.0 * g * rng.uniform(0.88, 1.12), float(upper.ridge.crest.max()) + 5)
    return Skeleton(g, np.mean(ends, axis=0), base, vault, upper, lower)


def _ridge_field(lattice: Lattice, jaw: Jaw, below: float) -> Array:
    """The alveolar process, until `below` mm deeper than the roots."""
    x, y = lattice.x[None, :], lattice.y[:, None]
    out, arc = jaw.arch.offsets(x, y)
    r = jaw.ridge
    crest, half, lean, deepest = (_at(r, arc, values) for values in (r.crest, r.half, r.lean, r.deepest))
    depth = (lattice.z if jaw.upper else -lattice.z).astype(np.float32)[:, None, None]
    under = np.clip(depth - crest, 0, 18)
    contact = np.float32(4.0)  # depth of the arch the crowns stand on
    side = np.abs(out - lean * (np.clip(depth, crest, crest + 18) - contact)) - half - 0.04 * under
    ends = np.maximum(np.abs(arc) - float(np.abs(r.arc).max()) - 5.0, -50)
    result: Array = smooth_max(smooth_max(side, np.maximum(crest - depth, depth - deepest - below), 2.5), ends, 3.0)
    return result


def _at(ridge: Ridge, arc: Array, values: Floats) -> Array:
    return np.interp(arc, ridge.arc, values).astype(np.float32)


def ramus_middle(skeleton: Skeleton, y: float, z: float) -> float:
    """|x| of the middle of the ramus' plate, mm."""
    return float(_ramus_middle(skeleton, np.array([y], np.float32), np.array([z], np.float32))[0])


def _ramus_middle(skeleton: Skeleton, y: Array, z: Array) -> Array:
    g, (x8, y8) = skeleton.growth, skeleton.back
    result: Array = x8 + 8 * g + 0.12 * (y8 - y) + 0.09 * (z + 10)
    return result


def mandible_field(lattice: Lattice, rng: np.random.Generator, skeleton: Skeleton) -> Array:
    """Signed distance (about) to the closed mandible."""
    g, (x8, y8), base = skeleton.growth, skeleton.back, skeleton.base
    lower = skeleton.lower
    field = _ridge_field(lattice, lower, 5.0)
    half = []
    for side in SIDES:
        arcs = np.array([0, 8, 18, 28, 38, 48]) * g * side
        outs = np.array([-3.0, -2.8, -1.0, 2.0, 5.0, 8.0]) * g
        path = [
            np.array([*(lower.arch.at(a) + o * lower.arch.outward(a)), -base + 9.5 * g])
            for a, o in zip(arcs, outs, strict=True)
        ]
        path = [p for p in path if p[1] > y8 - 8 * g]
        path.append(np.array([side * (x8 + 10.5 * g), y8 - 24 * g, -base + 13 * g]))
        half.append(tube_distance(lattice, bend(np.array(path), 14), 6.0 * g, (1, 1, 0.62)))
    field = smooth_min(field, np.minimum(half[0], half[1]), 5.0)
    chin = np.array([0.0, lower.arch.at(0)[1] + 3.0 * g * rng.uniform(-1.0, 1.0), -base + 6 * g])
    mental = np.stack([moved(chin, -8 * g, -1.5, 0), moved(chin, 8 * g, -1.5, 0)])
    field = smooth_min(field, tube_distance(lattice, mental, 5.0 * g), 5.0)
    return smooth_min(field, _ramus(lattice, skeleton), 4.0)


def _ramus(lattice: Lattice, skeleton: Skeleton) -> Array:
    """Plates with coronoid and condylar process, on both sides."""
    g, (_, y8), base = skeleton.growth, skeleton.back, skeleton.base
    corners = (
        np.array([(-2, -14), (-9, 33), (-14, 34), (-40, 39), (-36, 0), (-31, -base / g + 5), (-8, -base / g + 2)]) * g
    )
    z, y, x = lattice.open()
    flat_y, flat_z = y - np.float32(y8), z
    outline = np.full((z.shape[0], y.shape[1], 1), -1e3, np.float32)
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        way = (b - a) / np.linalg.norm(b - a)
        np.maximum(
            outline, (flat_z - a[1]) * np.float32(way[0]) * -1 + (flat_y - a[0]) * np.float32(way[1]), out=outline
        )
    notch = 10.5 * g - np.sqrt((flat_y + 25 * g) ** 2 + (flat_z - 42 * g) ** 2)
    outline = np.maximum(outline, notch)
    thick = 3.6 * g + 1.2 * g * np.clip((flat_y + 14 * g) / (14 * g), 0, 1)
    plate = np.abs(np.abs(x) - _ramus_middle(skeleton, y, z)) - thick
    field = smooth_max(plate, outline, 4.0)
    for side in SIDES:
        at = ramus_middle(skeleton, y8 - 38 * g, 38 * g)
        ends = np.array([[side * (at - 7 * g), y8 - 38 * g, 41 * g], [side * (at + 7 * g), y8 - 38 * g, 40 * g]])
        field = np.minimum(field, tube_distance(lattice, ends, 4.6 * g))
    return field


def paint_mandible(canvas: Canvas, rng: np.random.Generator, person: Person, skeleton: Skeleton, pose: Pose) -> None:
    """The mandible in its pose; cortex thicker at the lower border than around the teeth."""
    g, (x8, y8) = skeleton.growth, skeleton.back
    lattice = _coarse((-x8 - 32, y8 - 48 * g, -skeleton.base - 6), (x8 + 32, 20, 48 * g))
    field = mandible_field(lattice, rng, skeleton) + np.float32(0.45) * clouds(rng, lattice, 14.0)
    shell = person.cortex * np.interp(-lattice.z, [5, 18, skeleton.base], [1.0, 1.5, 2.8]).astype(np.float32)
    field /= shell[:, None, None]
    corners = np.array([[x, y, z] for x in lattice.x[[0, -1]] for y in lattice.y[[0, -1]] for z in lattice.z[[0, -1]]])
    box = canvas.box(pose.to_open(corners), 0)
    fine = canvas.lattice.part(box)
    flip = np.eye(3)[::-1]
    matrix = flip @ pose.turn.T @ flip * fine.step[None, :] / lattice.step[:, None]
    start = (fine.start[::-1] - pose.shift - pose.about) @ pose.turn + pose.about
    offset = (start[::-1] - lattice.start) / lattice.step
    there = ndimage.affine_transform(field, matrix, offset, fine.shape, order=1, cval=9.0, prefilter=False)
    _shell(canvas, box, there)


def _coarse(low: tuple[float, float, float], high: tuple[float, float, float]) -> Lattice:
    x, y, z = (regular(a, b, COARSE) for a, b in zip(low, high, strict=True))
    return Lattice(z, y[::-1], x[::-1])


def _shell(canvas: Canvas, box: tuple[slice, slice, slice], field: Array) -> None:
    canvas.fill(box, field < 0, Tissue.CORTICAL)
    canvas.fill(box, field < -1, Tissue.CANCELLOUS, (Tissue.CORTICAL,))


def maxilla_field(lattice: Lattice, skeleton: Skeleton) -> Array:
    """Signed distance (about) to the maxillae with palate, zygomatic and pterygoid processes; sinuses not yet empty."""
    g, upper, vault = skeleton.growth, skeleton.upper, skeleton.vault
    x8, y8 = np.abs(upper.arch.at(upper.arcs[True, 8])) * (1, -1)
    field = _ridge_field(lattice, upper, 6.0)
    z, y, _x = lattice.open()
    out, arc = upper.arch.offsets(lattice.x[None, :], lattice.y[:, None])
    crest, half = (_at(upper.ridge, arc, values) for values in (upper.ridge.crest, upper.ridge.half))
    over = np.clip(z - crest, 0, None)
    behind = np.float32(y8 - 9 * g) - y
    # the body above the roots: outer wall hollow over the canine, open toward the middle
    outer = (
        out
        - half
        - 0.5
        - 0.10 * np.clip(np.abs(arc) - 18, 0, 25) * np.clip(over / 25, 0, 1)
        + 0.12 * over * (np.abs(arc) < 14)
    )
    body = smooth_max(np.maximum(outer, -out - half - 12 * g), np.maximum(crest + 9 - z, behind), 4.0)
    field = smooth_min(field, body, 4.0)
    # the palate: low at the teeth, high in the middle
    inward = np.clip((-out - half) / (11 * g), 0, 1)
    under = crest + 2 + (vault - crest - 2) * inward * (2 - inward)
    plate = np.abs(z - under - 1.6 * g) - 1.6 * g - 2.0 * (1 - inward)
    plate = np.maximum(np.maximum(plate, out - half), behind - 2)
    field = smooth_min(field, plate, 2.0)
    for side in SIDES:
        root = np.array([side * (x8 + 3 * g), y8 + 18 * g, vault + 2 * g])
        cheek = np.array([side * (x8 + 22 * g), y8 + 10 * g, vault + 13 * g])
        temple = np.array([side * (x8 + 31 * g), y8 - 24 * g, vault + 15 * g])
        field = smooth_min(field, tube_distance(lattice, np.stack([root, cheek]), [8.5 * g, 6.0 * g]), 4.0)
        field = np.minimum(field, tube_distance(lattice, np.stack([cheek, temple]), [4.5 * g, 2.8 * g], (1.4, 1, 0.8)))
        wing = np.array([[side * 17 * g, y8 - 13 * g, vault - 8 * g], [side * 16 * g, y8 - 13 * g, vault + 26 * g]])
        field = np.minimum(field, tube_distance(lattice, wing, 2.2 * g, (1, 0.45, 1)))
    return field


def paint_maxilla(canvas: Canvas, rng: np.random.Generator, person: Person, skeleton: Skeleton) -> None:
    """Bone, then the nose and the sinuses in it."""
    g, upper, vault = skeleton.growth, skeleton.upper, skeleton.vault
    x8, y8 = np.abs(upper.arch.at(upper.arcs[True, 8])) * (1, -1)
    top = vault + 30 * g
    lattice = _coarse((-x8 - 40, y8 - 30, -2), (x8 + 40, 24, top))
    field = maxilla_field(lattice, skeleton) + np.float32(0.35) * clouds(rng, lattice, 12.0)
    field /= np.float32(1.1 * person.cortex)
    box = canvas.box(
        np.array([[lattice.x[0], lattice.y[0], lattice.z[0]], [lattice.x[-1], lattice.y[-1], lattice.z[-1]]]), 0
    )
    fine = canvas.lattice.part(box)
    offset = (fine.start - lattice.start) / lattice.step
    there = ndimage.affine_transform(
        field, fine.step / lattice.step, offset, fine.shape, order=1, cval=9.0, prefilter=False
    )
    _shell(canvas, box, there)
    _nose(canvas, rng, skeleton, y8)
    _sinuses(canvas, rng, person, skeleton)


def _nose(canvas: Canvas, rng: np.random.Generator, skeleton: Skeleton, y8: float) -> None:
    """The cavity over the palate with septum and conchae, open to the pharynx."""
    g, vault = skeleton.growth, skeleton.vault
    front, floor = skeleton.upper.arch.at(0)[1] + 8, vault + 3.6 * g
    box = canvas.box(np.array([[-17 * g, y8 - 26 * g, floor - 2], [17 * g, front, floor + 60]]), 0)
    z, y, x = canvas.lattice.part(box).open()
    rise = np.clip(z - floor, 0, None)
    wide = (14.0 - 0.18 * rise) * g + np.float32(2 * g) * np.clip((y8 - 6 * g - y) / 8, 0, 1)
    side = smooth_max(np.abs(x) - wide, floor - z, 5.0) + 0 * y
    canvas.fill(box, side < 1.0, Tissue.CORTICAL, (Tissue.CANCELLOUS,))
    canvas.fill(box, side < 0, Tissue.SOFT)
    canvas.fill(box, side < -rng.uniform(0.8, 2.0), Tissue.AIRWAY)
    bent = rng.normal(0, 1.5) * np.sin((z - floor) / 9.0)
    septum = (np.abs(x - bent) < 1.6) & (y > y8 - 10 * g)
    canvas.fill(box, septum & (side < 0), Tissue.SOFT)
    canvas.fill(box, (np.abs(x - bent) < 0.6) & (y > y8 - 10 * g) & (side < 0), Tissue.CARTILAGE)
    for part in SIDES:
        for up, usual in ((7.5, 1.0), (17.0, 0.8)):
            size = usual * rng.uniform(0.7, 1.25)
            shell = [
                [part * 9.5 * g, front - 16 * g, floor + up * g],
                [part * 9.0 * g, y8 - 2 * g, floor + (up + 1) * g],
            ]
            canvas.tube(shell, 3.8 * g * size, Tissue.SOFT, (Tissue.AIRWAY,), (1.25, 1, 0.8))
            canvas.tube(shell, 0.9 * g * size, Tissue.CARTILAGE, (Tissue.SOFT,), (1, 1, 0.4))


def _sinuses(canvas: Canvas, rng: np.random.Generator, person: Person, skeleton: Skeleton) -> None:
    """Air in the maxillae over the molars' roots, with a lobed floor; in some with swollen mucosa."""
    g, upper, vault = skeleton.growth, skeleton.upper, skeleton.vault
    grown = float(np.interp(person.age, [3, 8, 16], [0.55, 0.75, 1.0]))
    for side in SIDES:
        arc = float(np.mean([upper.arcs[side > 0, place] for place in (5, 6, 7)]))
        x, y = upper.arch.at(arc)
        floor = vault + rng.uniform(-3, 4) * g
        radii = np.array([12.5, 17, 19]) * g * grown * rng.uniform(0.9, 1.1, 3)
        center = np.array([x - side * 1.0, y - 2 * g, floor + radii[2]])
        box = canvas.box(np.stack([center - radii, center + radii]), 2)
        z, yy, xx = canvas.lattice.part(box).open()
        a, b, c = (
            np.abs(v - np.float32(m)) / np.float32(r) for v, m, r in zip((xx, yy, z), center, radii, strict=True)
        )
        q = (a**3 + b**3 + c**3) ** np.float32(1 / 3) + 0.05 * np.sin(xx / 3.1 + side) * np.sin(yy / 4.3)
        wall = (q - 1) * np.float32(radii.min())
        canvas.fill(box, wall < 0, Tissue.SINUS, (Tissue.CANCELLOUS,))  # never through the walls
        canvas.fill(box, (wall >= 0) & (wall < 1.1), Tissue.CORTICAL, (Tissue.CANCELLOUS,))
        if rng.random() < 0.3:
            thick, level = rng.uniform(0.8, 4), floor + rng.uniform(0, 14) * (rng.random() < 0.3)
            canvas.fill(box, (wall > -thick) | (z < level), Tissue.MUCOSA, (Tissue.SINUS,))
