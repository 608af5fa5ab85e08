"""Implicit shapes: fields that are negative inside, in about millimetres from the surface."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .lattice import Array, Lattice, transfer


def smooth_max(a: Array, b: Array, width: float) -> Array:
    """Intersection of two shapes with an edge rounded over `width` mm (polynomial, Quilez)."""
    h = np.maximum(width - np.abs(a - b), 0) / width
    result: Array = np.maximum(a, b) + h * h * (width / 4)
    return result


def smooth_min(a: Array, b: Array, width: float) -> Array:
    """Union of two shapes with a rounded seam."""
    return -smooth_max(-a, -b, width)


def ellipsoid(lattice: Lattice, center: tuple[float, float, float], radii: tuple[float, float, float]) -> Array:
    """About the distance to an ellipsoid with axes along x, y, z."""
    z, y, x = lattice.open()
    (cx, cy, cz), (a, b, c) = center, radii
    r2 = ((x - cx) / a) ** 2 + ((y - cy) / b) ** 2 + ((z - cz) / c) ** 2
    g2 = ((x - cx) / a**2) ** 2 + ((y - cy) / b**2) ** 2 + ((z - cz) / c**2) ** 2
    r = np.sqrt(r2)
    result: Array = r * (r - 1) / np.sqrt(g2 + 1e-9)
    return result


def tube(lattice: Lattice, start: tuple[float, float, float], end: tuple[float, float, float], radius: float) -> Array:
    """Distance to a capsule."""
    z, y, x = lattice.open()
    d = np.subtract(end, start)
    t = ((x - start[0]) * d[0] + (y - start[1]) * d[1] + (z - start[2]) * d[2]) / max(float(d @ d), 1e-6)
    t = np.clip(t, 0, 1).astype(np.float32)
    r2 = (x - start[0] - t * d[0]) ** 2 + (y - start[1] - t * d[1]) ** 2 + (z - start[2] - t * d[2]) ** 2
    result: Array = np.sqrt(r2, dtype=np.float32) - np.float32(radius)
    return result


def as_distance(field: Array, step: float, *, floor: float = 0.25) -> Array:
    """A field divided by the length of its gradient: about a distance near its zero surface."""
    slopes = np.gradient(field, step)
    length = np.sqrt(slopes[0] ** 2 + slopes[1] ** 2 + slopes[2] ** 2)
    result: Array = field / np.maximum(length, floor)
    return result


def paint(hu: Array, distance: Array, value: float | Array, edge: float) -> None:
    """Fill the inside of a shape with `value`, in place, with a linear edge `edge` mm wide."""
    hu += np.clip(0.5 - distance / edge, 0, 1) * (value - hu)


def paint_tube(
    hu: Array,
    lattice: Lattice,
    ends: tuple[tuple[float, float, float], tuple[float, float, float]],
    radius: float,
    value: float,
    edge: float,
) -> None:
    """Fill a capsule, in place, looking only at the voxels around it."""
    reach = radius + edge
    box = lattice.box(np.minimum(*ends) - reach, np.maximum(*ends) + reach)
    if hu[box].size:
        paint(hu[box], tube(lattice.part(box), *ends, radius), value, edge)


def paint_ellipsoid(
    hu: Array,
    lattice: Lattice,
    center: tuple[float, float, float],
    radii: tuple[float, float, float],
    value: float,
    edge: float,
) -> None:
    """Fill an ellipsoid, in place, looking only at the voxels around it."""
    reach = np.array(radii) + edge
    box = lattice.box(np.array(center) - reach, np.array(center) + reach)
    if hu[box].size:
        paint(hu[box], ellipsoid(lattice.part(box), center, radii), value, edge)


def clouds(rng: np.random.Generator, lattice: Lattice, scale_mm: float) -> Array:
    """Smooth random field of unit variance whose lumps are about `scale_mm` wide."""
    axes = []
    for axis in (lattice.z, lattice.y, lattice.x):
        step = np.sign(axis[1] - axis[0]) * scale_mm / 2
        axes.append(axis[0] - 2 * step + step * np.arange(int(abs((axis[-1] - axis[0]) / step)) + 6))
    coarse = Lattice(*axes)
    values = ndimage.gaussian_filter(rng.standard_normal(coarse.shape, dtype=np.float32), 1.0, mode="wrap")
    values /= values.std() + 1e-9
    return transfer(values, coarse, lattice, cubic=True)
