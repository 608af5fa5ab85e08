"""A tapering rod with round ends: what bent tubes of all phantoms are made of."""

from __future__ import annotations

import numpy as np

from .lattice import Array, Floats, Lattice


def capsule_distance(lattice: Lattice, ends: Floats, radii: Floats, flat: Floats) -> Array:
    """Distance to its surface in stretched space, negative inside: `[k, j, i]` of the lattice.

    ends: `[2, 3]` (x, y, z), stretched already. radii: `[2]`. flat: factors along x, y, z by which space is stretched.
    """
    z, y, x = lattice.open()
    start, way = ends[0].astype(np.float32), (ends[1] - ends[0]).astype(np.float32)
    dx, dy, dz = (axis * np.float32(f) - s for axis, f, s in zip((x, y, z), flat, start, strict=True))
    square = np.float32(max(float(way @ way), 1e-6))
    t = np.clip((dx * way[0] + dy * way[1] + dz * way[2]) / square, 0, 1)
    away = np.sqrt((dx - t * way[0]) ** 2 + (dy - t * way[1]) ** 2 + (dz - t * way[2]) ** 2)
    result: Array = away - (np.float32(radii[0]) + t * np.float32(radii[1] - radii[0]))
    return result
