"""Ribs, spine, sternum, shoulder blades and collar bones, painted into an HU field."""

from __future__ import annotations

import numpy as np

from ..lattice import Array, Lattice
from ..shapes import paint, paint_ellipsoid, paint_tube
from .physique import Physique
from .thorax import rib_band, spine_y


def _bone(hu: Array, distance: Array, shell: float, cortex: float, marrow: float, edge: float) -> None:
    """Cortex of thickness `shell` around marrow."""
    paint(hu, distance, cortex, edge)
    paint(hu, distance + shell, marrow, edge)


def rib_distance(lattice: Lattice, physique: Physique, hull: Array) -> Array:
    """Twelve pairs at once: an oval in (depth in the wall, height along the rib's slope), repeated along z."""
    _, _, x = lattice.open()
    band = rib_band(lattice, physique)
    wall = hull - 6.5
    oval = np.sqrt((wall / 3.6) ** 2 + (band / 6.5) ** 2)
    gap = np.maximum(20 - np.abs(x) + 0 * oval, 0)  # neither through the sternum nor through the spine
    distance: Array = (oval - 1) * 4.0 + gap
    return distance


def paint_skeleton(
    hu: Array, lattice: Lattice, physique: Physique, hull: Array, rng: np.random.Generator, *, edge: float
) -> None:
    """Paint all bones, in place."""
    z, y, x = lattice.open()
    cortex, marrow = physique.bone_hu, rng.uniform(120, 260)
    s = physique.level(z)
    ribs = rib_distance(lattice, physique, hull)
    _bone(hu, ribs, 1.6, cortex, marrow * 0.8, edge)
    back = spine_y(physique, z)
    body = (np.sqrt((x / 17) ** 2 + ((y - back) / 14.5) ** 2) - 1) * 15 + 0 * z
    _bone(hu, body, 1.8, cortex * 0.8, marrow, edge)
    disc = np.abs(np.mod(z + rng.uniform(0, 20), 23.0) - 11.5) - 9.2
    paint(hu, np.maximum(body + 0.5, -disc), 85.0, edge)
    arch = np.abs(np.sqrt((x / 1.1) ** 2 + (y - back + 23) ** 2) - 12) - 3.2 + 0 * z
    _bone(hu, arch, 1.4, cortex, marrow, edge)
    paint(hu, np.sqrt((x / 1.1) ** 2 + (y - back + 23) ** 2) - 8.5 + 0 * z, 25.0, edge)
    process = np.maximum(np.abs(x) - 3.5, np.abs(y - back + 47) - 13) + 0.15 * np.abs(np.mod(z, 23) - 11.5)
    _bone(hu, process.astype(np.float32), 1.4, cortex, marrow, edge)
    wings = np.maximum(np.abs(np.abs(x) - 24) - 12, np.abs(y - back + 22 + 0.3 * np.abs(x)) - 4.5)
    wings = wings + 0.6 * np.maximum(np.abs(np.mod(z, 23) - 11.5) - 5, 0)
    _bone(hu, wings.astype(np.float32), 1.4, cortex, marrow, edge)
    sternum = np.maximum(np.abs(hull - 8) - 5.5, np.abs(x) - (14 + 9 * np.clip(s - 0.6, 0, 1)))
    sternum = np.maximum(sternum, np.maximum(-y + 0 * hull, np.abs(z - 0.5 * physique.height) - 0.42 * physique.height))
    _bone(hu, sternum, 1.5, cortex * 0.7, marrow * 0.6, edge)
    blade = np.abs(hull - 27 + 0.12 * np.clip(y + 40, -40, 40)) - 2.2
    rim = np.sqrt(((np.abs(x) - 0.82 * physique.half_width) / 48) ** 2 + ((y + 0.75 * physique.half_depth) / 50) ** 2)
    blade = np.maximum(blade, (rim - 1) * 30)
    blade = np.maximum(blade, np.abs(z - 0.78 * physique.height) - 0.34 * physique.height)
    _bone(hu, blade.astype(np.float32), 1.2, cortex, marrow, edge)
    top = 1.02 * physique.height
    for side in (-1.0, 1.0):
        collar = ((side * 16.0, 42.0, 0.93 * top), (side * 140.0, -8.0, 1.06 * top))
        paint_tube(hu, lattice, collar, 5.5, cortex, edge)
        paint_tube(hu, lattice, collar, 3.9, marrow, edge)
        paint_ellipsoid(hu, lattice, (side * 172, -18, top), (23, 23, 25), cortex * 0.8, edge)
        paint_ellipsoid(hu, lattice, (side * 172, -18, top), (21, 21, 23), marrow, edge)
