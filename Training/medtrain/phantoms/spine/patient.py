"""One patient, drawn from the outside in."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from medinfer.volume import Grid

from ..bending import bend
from ..lattice import Floats, Lattice, regular
from .ageing import paint_chalk, paint_lesions, paint_osteophytes, paint_screws
from .belly_organs import paint_belly_organs, paint_pelvic_organs
from .canvas import Canvas
from .chest_organs import paint_chest_organs
from .contour import Contour, draw_contour
from .measures import Physique, draw_physique
from .pelvis import paint_hips, paint_sacrum
from .ribcage import Cage, draw_cage, paint_ribs, paint_shoulders
from .skull import head_scale, paint_head
from .spec import LEVELS, Patient, PatientSpec, Tissue, Vector
from .spine_curve import Spine, draw_spine
from .trunk import paint_arms, paint_breasts, paint_legs, paint_lungs, paint_trunk
from .vertebra import paint_disc, paint_vertebra

ANYONE = PatientSpec()


def draw_patient(seed: int, spec: PatientSpec = ANYONE, spacing: float = 2.0) -> Patient:
    """A patient from the vertex to the middle of the thighs.

    seed: the same seed and spec give the same patient. spacing: mm between voxels, along all axes.
    """
    rng = np.random.default_rng([seed, 3])
    physique = draw_physique(rng, spec)
    spine = draw_spine(rng, physique)
    cage = draw_cage(rng, physique, spine)
    contour = draw_contour(physique, spine, cage)
    canvas = _canvas(physique, spine, cage, contour, spacing)
    _paint_table(canvas, rng, physique, spine)
    heads = _humeral_heads(physique, spine, cage)
    paint_arms(canvas, physique, heads)
    paint_legs(canvas, physique)
    paint_breasts(canvas, rng, physique, spine, contour)
    paint_trunk(canvas, physique, contour, cage)
    paint_lungs(canvas, rng, physique, spine, cage)
    paint_belly_organs(canvas, rng, physique, spine, cage)
    paint_pelvic_organs(canvas, rng, physique)
    paint_chest_organs(canvas, rng, physique, spine)
    paint_chalk(canvas, rng, physique)
    paint_head(canvas, rng, physique, spine)
    paint_shoulders(canvas, physique, spine, cage, heads)
    rng.random(44)  # once the shoulder blades' variation; skipped so that a seed stays the patient it was
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


def _humeral_heads(physique: Physique, spine: Spine, cage: Cage) -> dict[float, Floats]:
    """Their middles by side (1 right, -1 left), RAS mm; raised with the arms."""
    out = float(cage.width.max()) + 26 * physique.size
    place = 7.3 if physique.arms_up else 8.4
    return {side: spine.level(place) + np.array([side * out, 6 * physique.size, 0]) for side in (1.0, -1.0)}


def _paint_spine(canvas: Canvas, rng: np.random.Generator, physique: Physique, spine: Spine) -> None:
    """Discs, canal and cord, then the vertebrae from the head down."""
    bone = float(np.clip(rng.normal(1.0, 0.15) - 0.004 * max(0.0, physique.age - 50), 0.6, 1.4))
    canal = np.array([v.at(0, -(v.depth + v.canal_depth) / 2, 0) for v in spine.vertebrae])
    cord = canal[[v.place < 19.5 for v in spine.vertebrae]]
    radii = np.array([v.canal_depth for v in spine.vertebrae]) / 2 * 1.02
    along = np.linspace(0, 1, 100)
    for v in spine.vertebrae:
        paint_disc(canvas, v)
    wide = np.interp(along, np.linspace(0, 1, len(radii)), radii)
    canvas.tube(bend(canal, 100), wide, Tissue.CANAL, flat=(0.75, 1, 1))
    if rng.random() < 0.05:  # the last lumbar vertebra joined to the sacrum's wings
        last, sacrum = spine.vertebrae[-2:]
        for side in (1.0, -1.0)[: int(rng.integers(1, 3))]:
            process = last.at(side * 0.8 * last.transverse, -12, 3)
            wing = sacrum.at(side * 42 * physique.size, -12, 8)
            canvas.bone(np.stack([process, wing]), 11 * physique.size, shell=1.5)
    stout = float(np.clip(rng.normal(0.15, 0.4), -0.5, 1.1))
    for v in spine.vertebrae:
        paint_vertebra(canvas, v, bone, stout * physique.size)
    canvas.tube(bend(cord, 80), 4.6 * physique.size, Tissue.CORD, (Tissue.CANAL,), flat=(0.8, 1, 1))
    paint_osteophytes(canvas, rng, physique, spine)
    paint_lesions(canvas, rng, spine)
    paint_screws(canvas, rng, physique, spine)


def _patient(canvas: Canvas, physique: Physique) -> Patient:
    """The maps with their grid and the vertebrae's centres of mass."""
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
