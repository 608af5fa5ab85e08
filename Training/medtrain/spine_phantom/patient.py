"""One patient, drawn from the outside in."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from medinfer.volume import Grid

from ..chest_phantom.lattice import Floats, Lattice, regular
from .ageing import paint_chalk, paint_lesions, paint_osteophytes, paint_screws
from .canvas import Canvas, bend
from .contour import Contour, draw_contour, paint_limb, paint_lungs, paint_trunk
from .measures import Physique, draw_physique
from .organs import paint_belly_organs, paint_chest_organs, paint_pelvic_organs
from .pelvis import paint_hips, paint_sacrum
from .ribcage import Cage, draw_cage, paint_ribs, paint_shoulders
from .skull import head_scale, paint_head
from .spec import LEVELS, Patient, PatientSpec, Tissue, Vector
from .spine_curve import Spine, draw_spine
from .vertebra import paint_disc, paint_vertebra


def draw_patient(seed: int, spec: PatientSpec = PatientSpec(), spacing: float = 2.0) -> Patient:
    """A patient from the vertex to the middle of the thighs.

    seed: the same seed and spec give the same patient. spacing: mm between voxels, along all axes.
    """
    rng = np.random.default_rng([seed, 3])
    physique = draw_physique(rng, spec)
    spine = draw_spine(rng, physique)
    cage = draw_cage(rng, physique, spine)
    contour = draw_contour(rng, physique, spine, cage)
    canvas = _canvas(physique, spine, cage, contour, spacing)
    _paint_table(canvas, rng, physique, spine)
    heads = _paint_arms(canvas, rng, physique, spine, float(cage.width.max()))
    _paint_legs(canvas, physique)
    _paint_breasts(canvas, rng, physique, spine, contour)
    paint_trunk(canvas, physique, contour, cage)
    paint_lungs(canvas, rng, physique, spine, cage)
    paint_belly_organs(canvas, rng, physique, spine, cage)
    paint_pelvic_organs(canvas, rng, physique)
    paint_chest_organs(canvas, rng, physique, spine)
    paint_chalk(canvas, rng, physique)
    paint_head(canvas, rng, physique, spine)
    paint_shoulders(canvas, rng, physique, spine, cage, heads)
    for side, head in heads.items():
        canvas.bone(np.stack([head, head + (side * 0.5, 0, 0)]), 23 * physique.size, shell=1.6)
    paint_ribs(canvas, rng, physique, spine, cage)
    paint_hips(canvas, rng, physique, spine)
    paint_sacrum(canvas, rng, physique, spine)
    _paint_spine(canvas, rng, physique, spine)
    return _patient(canvas, physique)


def _canvas(physique: Physique, spine: Spine, cage: Cage, contour: Contour, spacing: float) -> Canvas:
    """An empty lattice around the whole patient."""
    s = physique.size
    top = spine.of("C1").center
    head = 170 * head_scale(physique)
    back, front = float((contour.back - contour.fat_back).min()), float((contour.front + contour.fat_front).max())
    half = max(float(cage.width.max()) + (70 if physique.arms_up else 150) * s, 178 * s + physique.fat) + 20
    low_y = min(back, float(top[1]) - 105 * s) - 30
    high_y = max(front, float(top[1]) + 125 * s) + 15
    z = regular(-290 * s, float(top[2]) + head, spacing)
    y, x = regular(low_y, high_y, spacing)[::-1], regular(-half, half, spacing)[::-1]
    shape = len(z), len(y), len(x)
    return Canvas(Lattice(z, y, x), np.zeros(shape, np.uint8), np.zeros(shape, np.uint8))


def _paint_table(canvas: Canvas, rng: np.random.Generator, physique: Physique, spine: Spine) -> None:
    """The table's shell under the back, and often a pillow under the head."""
    if not physique.table:
        return
    lattice = canvas.lattice
    bottom = float(lattice.y[-1])
    for k in range(len(lattice.z)):
        curve = bottom + 4 + (lattice.x[None, :] / 220) ** 2 * 18 + 0 * lattice.y[:, None]
        near = (np.abs(lattice.y[:, None] - curve) < 2.0) & (np.abs(lattice.x[None, :]) < 215)
        canvas.tissues[k][near] = Tissue.TABLE
    if rng.random() < 0.6:
        pillow = spine.of("C1").center + np.array([0, -105, 50]) * physique.size
        canvas.ellipsoid(pillow, np.array([140, 45, 90]) * physique.size, Tissue.CLOTH, (Tissue.AIR,))


def _paint_arms(canvas: Canvas, rng: np.random.Generator, physique: Physique, spine: Spine, cage: float) -> dict[float, Floats]:
    """Upper arms up beside the head or down beside the trunk; returns the humeral heads."""
    s = physique.size
    girth = (34 + 10 * physique.muscle) * s + 0.35 * physique.fat
    heads: dict[float, Floats] = {}
    for side in (1.0, -1.0):
        head = spine.level(8.4 if not physique.arms_up else 7.3) + np.array([side * (cage + 26 * s), 6 * s, 0])
        heads[side] = head
        if physique.arms_up:
            way = [head, head + np.array([side * 20, 20, 120]) * s, head + np.array([side * 10, 40, 300]) * s]
        else:
            way = [head, head + np.array([side * 42, -14, -120]) * s, head + np.array([side * 58, 0, -290]) * s, head + np.array([side * 56, 30, -520]) * s]
        points = bend(way, 16)
        paint_limb(canvas, points, np.linspace(1.15, 0.75, 16) * girth, 0.3 * physique.fat + 3, 11 * s)
        shoulder = np.stack([head, head + (-side * 60 * s, 0, 0)])
        canvas.tube(shoulder, 46 * s + 0.4 * physique.fat, Tissue.FAT, (Tissue.AIR, Tissue.SKIN))
        canvas.tube(shoulder, 44 * s, Tissue.MUSCLE, (Tissue.AIR, Tissue.SKIN, Tissue.FAT))
    return heads


def _paint_breasts(canvas: Canvas, rng: np.random.Generator, physique: Physique, spine: Spine, contour: Contour) -> None:
    """Fat and gland in front of the ribs of grown women; the trunk is drawn over them."""
    if not physique.female or physique.age < 14:
        return
    s, size = physique.size, rng.uniform(0.6, 1.3)
    middle = spine.level(13.2 + rng.uniform(-0.8, 1.2))
    front = float(np.interp(middle[2], contour.z, contour.front + contour.fat_front))
    for side in (1.0, -1.0):
        center = np.array([middle[0] + side * 78 * s, front - 14 * s, middle[2]])
        radii = np.array([62, 44, 58]) * s * size
        canvas.ellipsoid(center, radii + 2, Tissue.SKIN, (Tissue.AIR,))
        canvas.ellipsoid(center, radii, Tissue.FAT)
        canvas.ellipsoid(center + (0, 0.3 * radii[1], 0), 0.55 * radii, Tissue.CONNECTIVE, (Tissue.FAT,))


def _paint_legs(canvas: Canvas, physique: Physique) -> None:
    s = physique.size
    for side in (1.0, -1.0):
        points = np.array([[side * 88, 0, -130], [side * 92, 4, -200], [side * 88, 6, -300]]) * s
        thick = np.array([86, 84, 76]) * s * (0.85 + 0.15 * physique.muscle) + 0.6 * physique.fat
        paint_limb(canvas, points, thick, 0.9 * physique.fat, 14 * s)


def _paint_spine(canvas: Canvas, rng: np.random.Generator, physique: Physique, spine: Spine) -> None:
    """Discs, canal and cord, then the vertebrae from the head down."""
    bone = float(np.clip(rng.normal(1.0, 0.15) - 0.004 * max(0.0, physique.age - 50), 0.6, 1.4))
    canal = np.array([v.at(0, -(v.depth + v.canal_depth) / 2, 0) for v in spine.vertebrae])
    for v in spine.vertebrae:
        paint_disc(canvas, v)
    radii = np.array([v.canal_depth for v in spine.vertebrae]) / 2 * 1.02
    canvas.tube(bend(canal, 100), np.interp(np.linspace(0, 1, 100), np.linspace(0, 1, len(radii)), radii), Tissue.CANAL, flat=(0.75, 1, 1))
    cord = [c for c, v in zip(canal, spine.vertebrae, strict=True) if v.place < 19.5]
    if rng.random() < 0.05:  # the last lumbar vertebra joined to the sacrum's wings
        last, sacrum = spine.vertebrae[-2:]
        for side in (1.0, -1.0)[: int(rng.integers(1, 3))]:
            wing = np.stack([last.at(side * 0.8 * last.transverse, -12, 3), sacrum.at(side * 42 * physique.size, -12, 8)])
            canvas.bone(wing, 11 * physique.size, shell=1.5)
    stout = float(np.clip(rng.normal(0.15, 0.4), -0.5, 1.1))
    for v in spine.vertebrae:
        paint_vertebra(canvas, v, bone, stout * physique.size)
    canvas.tube(bend(cord, 80), 4.6 * physique.size, Tissue.CORD, (Tissue.CANAL,), flat=(0.8, 1, 1))
    paint_osteophytes(canvas, rng, physique, spine)
    paint_lesions(canvas, rng, spine)
    paint_screws(canvas, rng, physique, spine)


def _patient(canvas: Canvas, physique: Physique) -> Patient:
    lattice = canvas.lattice
    z, y, x = lattice.step
    matrix = np.array([[x, 0, 0, lattice.x[0]], [0, y, 0, lattice.y[0]], [0, 0, z, lattice.z[0]], [0, 0, 0, 1.0]])
    grid = Grid(lattice.shape, matrix)
    centroids: dict[str, Vector] = {}
    boxes = ndimage.find_objects(canvas.vertebrae, max_label=len(LEVELS))
    for label, box in enumerate(boxes, start=1):
        if box is not None:
            inside = np.argwhere(canvas.vertebrae[box] == label).mean(axis=0) + [part.start for part in box]
            right, front, up = grid.to_ras(inside)
            centroids[LEVELS[label - 1]] = (float(right), float(front), float(up))
    return Patient(canvas.tissues, canvas.vertebrae, grid, centroids, physique.variant)
