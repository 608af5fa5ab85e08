"""The chest without its lungs, as HU on a coarse lattice: wall, mediastinum, heart, great vessels, upper abdomen."""

from __future__ import annotations

import numpy as np

from ..lattice import Array, Lattice
from ..shapes import clouds, ellipsoid, paint, paint_ellipsoid, paint_tube, smooth_min
from .physique import Physique
from .skeleton import paint_skeleton
from .thorax import Thorax, chest_wall, spine_y

AIR, FAT, MUSCLE = -1000.0, -102.0, 52.0


def paint_heart(hu: Array, lattice: Lattice, physique: Physique, edge: float) -> None:
    """Myocardium and the four chambers."""
    h, height = physique.heart, physique.height
    wall = ellipsoid(lattice, (-24 * h, 14, 0.10 * height), (56 * h, 44 * h, 50 * h))
    wall = smooth_min(wall, ellipsoid(lattice, (16 * h, 6, 0.2 * height), (28 * h, 32, 42)), 10)
    paint(hu, wall, 0.5 * (physique.organ_hu + MUSCLE), edge)
    for center, radii in (
        ((-40.0, 4.0, 0.09), (27.0, 24.0, 34.0)),  # left ventricle
        ((-8.0, 26.0, 0.10), (34.0, 20.0, 34.0)),  # right ventricle
        ((20.0, 6.0, 0.20), (20.0, 24.0, 32.0)),  # right atrium
        ((-8.0, -16.0, 0.27), (30.0, 16.0, 24.0)),  # left atrium
    ):
        middle = (center[0] * h, center[1], center[2] * height)
        paint_ellipsoid(hu, lattice, middle, (radii[0] * h, radii[1] * h, radii[2] * h), physique.blood_hu, edge)


def great_vessels(physique: Physique) -> list[tuple[tuple[float, float, float], tuple[float, float, float], float]]:
    """Aorta, pulmonary trunk and its branches, cavae, arch branches: (start, end, radius) in mm."""
    height = physique.height
    back = float(spine_y(physique, 0.5 * height)) + 20
    high = float(spine_y(physique, 0.66 * height)) + 22
    hilum = 0.27 * physique.half_width
    return [
        ((-2, 18, 0.30 * height), (8, 22, 0.56 * height), 15),
        ((8, 22, 0.56 * height), (-6, 4, 0.68 * height), 13.5),
        ((-6, 4, 0.68 * height), (-22, high, 0.64 * height), 12.5),
        ((-22, high, 0.64 * height), (-24, back, 0.40 * height), 12),
        ((-24, back, 0.40 * height), (-16, back - 2, -140.0), 11.5),
        ((-20, 24, 0.34 * height), (-18, 4, 0.53 * height), 13),
        ((-18, 4, 0.53 * height), (hilum, -8, 0.52 * height), 9.5),
        ((-18, 4, 0.53 * height), (-hilum, -10, 0.55 * height), 10),
        ((24, 10, 0.25 * height), (20, 12, 0.80 * height), 8.5),
        ((20, 12, 0.80 * height), (-20, 22, 0.88 * height), 6.5),
        ((4, 8, 0.70 * height), (26, 0, 1.05 * height), 5.5),
        ((-6, 0, 0.70 * height), (-18, -2, 1.1 * height), 4),
        ((-14, -8, 0.68 * height), (-40, -10, 1.05 * height), 4.5),
        ((hilum, -14, 0.38 * height), (-4, -18, 0.30 * height), 7),
        ((-hilum, -14, 0.40 * height), (-12, -18, 0.30 * height), 7),
    ]


def paint_abdomen(
    hu: Array, lattice: Lattice, physique: Physique, thorax: Thorax, rng: np.random.Generator, edge: float
) -> None:
    """Liver, stomach with its bubble, spleen and fat, all below the diaphragm."""
    z, y, x = lattice.open()
    below = np.maximum(thorax.diaphragm + 3.0, thorax.hull + 2.0)
    paint(hu, below, FAT + 5, edge)
    liver = np.maximum(below, (-x - 45 - 0.35 * y) * 0.9)
    paint(hu, liver, physique.organ_hu, edge)
    width = physique.half_width
    stomach = np.maximum(below, ellipsoid(lattice, (-0.45 * width, 20, physique.left_dome - 34), (46, 48, 34)))
    paint(hu, stomach, 40.0, edge)
    paint(hu, np.maximum(stomach + 3, 22 + rng.uniform(-10, 25) - y + 0 * x + 0 * z), AIR, edge)
    spleen = ellipsoid(lattice, (-0.72 * width, -45, physique.left_dome - 52), (34, 42, 44))
    paint(hu, np.maximum(below, spleen), physique.organ_hu, edge)


def body_without_lungs(lattice: Lattice, physique: Physique, thorax: Thorax, rng: np.random.Generator) -> Array:
    """HU `[k, j, i]` with the lungs' place filled by what surrounds it."""
    z, y, x = lattice.open()
    edge = abs(float(lattice.step[1]))
    muscle, skin = chest_wall(thorax.hull, lattice, physique, rng)
    hu = np.full(lattice.shape, AIR, np.float32)
    paint(hu, skin, 10.0, edge)
    marbling = clouds(rng, lattice, 14)
    paint(hu, skin + 2.2, FAT + 5 * marbling, edge)
    paint(hu, muscle, MUSCLE - 12 + 22 * clouds(rng, lattice, 9), edge)
    # muscle bundles lie in fat: sheets of fat between the layers
    seam = np.abs(thorax.hull - physique.muscle * 0.75 - 2.5 * marbling) - 1.2
    paint(hu, np.maximum(seam, muscle), FAT + 40, edge)
    inside = np.maximum(thorax.hull + 3.0, -thorax.diaphragm)
    paint(hu, inside, FAT + 6 * marbling, edge)
    paint(hu, thorax.lungs + 1.0, 35.0, edge)  # what presses into the lungs is soft tissue
    paint_abdomen(hu, lattice, physique, thorax, rng, edge)
    paint_heart(hu, lattice, physique, edge)
    for start, end, radius in great_vessels(physique):
        paint_tube(hu, lattice, (start, end), radius + 1.2, 45.0, edge)
    for start, end, radius in great_vessels(physique):
        paint_tube(hu, lattice, (start, end), radius, physique.blood_hu, edge)
    back = spine_y(physique, z)
    gullet = np.sqrt(((x + 6) / 1.4) ** 2 + (y - back - 25) ** 2) - 5.5
    paint(hu, np.maximum(gullet, -z - 40), 40.0, edge)
    for _ in range(rng.integers(3, 10)):  # lymph nodes
        spot = (rng.uniform(-30, 30), rng.uniform(-25, 20), rng.uniform(0.45, 0.8) * physique.height)
        paint_ellipsoid(hu, lattice, spot, tuple(rng.uniform(2.5, 6, 3)), 50.0, edge)
    paint_skeleton(hu, lattice, physique, thorax.hull, rng, edge=edge)
    return hu
