"""Axis-aligned sampling points in chest coordinates, and the passage from one lattice to another.

Chest coordinates are RAS mm: x to the patient's right, y to the front, z to the head; x = 0 is the midline,
y = 0 the middle of the thorax, z = 0 the top of the right diaphragm. Arrays are `[k, j, i]`: as in DICOM,
i runs to the patient's left (x falls) and j to the back (y falls).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.floating[Any]]  # fields over a lattice; float32
Floats = NDArray[np.floating[Any]]  # coordinates and measures; float64
Ints = NDArray[np.integer[Any]]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Lattice:
    """Evenly spaced coordinates (mm) of voxel centres: z rising, y falling, x falling."""

    z: Floats
    y: Floats
    x: Floats

    @property
    def shape(self) -> tuple[int, int, int]:
        return len(self.z), len(self.y), len(self.x)

    @property
    def step(self) -> Floats:
        """Signed distance of neighbouring voxels along k, j, i."""
        return np.array([self.z[1] - self.z[0], self.y[1] - self.y[0], self.x[1] - self.x[0]])

    @property
    def start(self) -> Floats:
        """(z, y, x) of voxel (0, 0, 0)."""
        return np.array([self.z[0], self.y[0], self.x[0]])

    @property
    def voxel_mm3(self) -> float:
        return float(abs(np.prod(self.step)))

    def open(self) -> tuple[Array, Array, Array]:
        """z, y, x shaped to broadcast against `[k, j, i]`."""
        z, y, x = (np.asarray(axis, dtype=np.float32) for axis in (self.z, self.y, self.x))
        return z[:, None, None], y[None, :, None], x[None, None, :]

    def index(self, xyz: ArrayLike) -> Floats:
        """Points `[..., 3]` (x, y, z mm) to fractional `(k, j, i)`."""
        return (np.asarray(xyz, dtype=np.float64)[..., ::-1] - self.start) / self.step

    def box(self, low: ArrayLike, high: ArrayLike) -> tuple[slice, slice, slice]:
        """The voxels whose centres lie in the box between two points (x, y, z mm), clipped to the lattice."""
        ends = np.sort(np.stack([self.index(low), self.index(high)]), axis=0)
        first = np.clip(np.ceil(ends[0]), 0, self.shape).astype(int)
        last = np.clip(np.floor(ends[1]) + 1, first, self.shape).astype(int)
        k, j, i = (slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
        return k, j, i

    def part(self, box: tuple[slice, slice, slice]) -> Lattice:
        return Lattice(self.z[box[0]], self.y[box[1]], self.x[box[2]])


def regular(low: float, high: float, step: float) -> Floats:
    """Coordinates from `low` upward until `high` is covered."""
    return low + step * np.arange(int(np.ceil((high - low) / step)) + 1)


def _weights(source: Floats, target: Floats, cubic: bool) -> list[tuple[NDArray[np.int64], Array]]:
    """For each target coordinate its 2 (linear) or 4 (Catmull-Rom) neighbours and their weights; the ends are held."""
    place = np.clip((target - source[0]) / (source[1] - source[0]), 0, len(source) - 1)
    base = np.minimum(place.astype(np.int64), len(source) - 2)
    t = place - base
    if cubic:
        terms = {
            -1: -0.5 * t + t**2 - 0.5 * t**3,
            0: 1 - 2.5 * t**2 + 1.5 * t**3,
            1: 0.5 * t + 2 * t**2 - 1.5 * t**3,
            2: -0.5 * t**2 + 0.5 * t**3,
        }
    else:
        terms = {0: 1 - t, 1: t}
    return [(np.clip(base + offset, 0, len(source) - 1), weight.astype(np.float32)) for offset, weight in terms.items()]


def _needed(source: Floats, target: Floats) -> slice:
    """The part of a source axis that interpolation at the target looks at."""
    ends = (np.array([target[0], target[-1]]) - source[0]) / (source[1] - source[0])
    first = int(np.clip(np.floor(ends[0]) - 1, 0, len(source) - 2))
    return slice(first, int(np.clip(np.ceil(ends[1]) + 2, first + 2, len(source))))


def transfer(values: Array, source: Lattice, target: Lattice, *, cubic: bool = False) -> Array:
    """Values on `source` interpolated at `target`, axis by axis: i first, while the array is small.

    Sums of neighbours rather than matrix products: the same voxels whatever the number of BLAS threads.
    """
    box = tuple(_needed(getattr(source, axis), getattr(target, axis)) for axis in "zyx")
    z, y, x = source.z[box[0]], source.y[box[1]], source.x[box[2]]
    small = np.ascontiguousarray(values[box], dtype=np.float32)
    along_i, along_j, along_k = (_weights(a, b, cubic) for a, b in ((x, target.x), (y, target.y), (z, target.z)))
    wide = _mix([np.take(small, at, axis=2) * weight for at, weight in along_i])
    rows = [_mix([slab[at] * weight[:, None] for at, weight in along_j]) for slab in wide]
    result = np.empty(target.shape, np.float32)
    for k in range(len(target.z)):
        at, weight = along_k[0]
        np.multiply(rows[at[k]], weight[k], out=result[k])
        for at, weight in along_k[1:]:
            if weight[k]:
                result[k] += rows[at[k]] * weight[k]
    return result


def _mix(terms: list[Array]) -> Array:
    """Their sum, in the first one's place."""
    for term in terms[1:]:
        terms[0] += term
    return terms[0]
