"""Linear interpolation of a block onto another grid with parallel axes, one axis after the other.

Along each axis a voxel of the new grid lies between two of the old one: `Between` says which, and how far.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import Array, beside, taken

Floats32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Between:
    """Where the voxels of the new grid lie along one axis.

    low: the voxel of the old grid before each; share: how far it is on the way to the next, 0 … < 1. Outside of the old
    grid the nearest voxel counts.
    """

    low: NDArray[np.intp]
    share: Floats32

    @classmethod
    def at(cls, places: NDArray[np.float64], size: int) -> Between:
        """At these places, in voxels of the old grid, which has `size`."""
        places = np.clip(places, 0, size - 1)
        low = np.floor(places + 1e-6).astype(np.intp)
        share = (places - low).clip(0).astype(np.float32)
        return cls(low, np.where(share < 1e-5, np.float32(0), share).astype(np.float32))

    @classmethod
    def on(cls, voxels: NDArray[np.intp]) -> Between:
        """On these voxels: nothing is interpolated."""
        return cls(voxels, np.zeros(len(voxels), np.float32))

    @property
    def high(self) -> NDArray[np.intp]:
        """The last voxel of the old grid that each needs."""
        return self.low + (self.share > 0)

    def part(self, begin: int, end: int, first: int = 0) -> Between:
        """Of the voxels [begin, end) alone; first: the old grid's voxel that is the first of the block at hand."""
        return Between(self.low[begin:end] - first, self.share[begin:end])


def along_axis(values: Array, place: Between, axis: int) -> Array:
    """`values` `[k, j, i]` on the new grid along one axis."""
    lower = taken(values, place.low, axis)
    if not place.share.any():
        return lower
    upper = taken(values, place.high, axis)
    upper -= lower
    upper *= beside(values, place.share.reshape([-1 if n == axis else 1 for n in range(values.ndim)]))
    upper += lower
    return upper


def plane_between(values: Floats32, place: Between, at: int, out: Floats32) -> Floats32:
    """Plane `at` of the new grid along k, from planes `values` `[k, j, i]` of the old one; in `out`, or a view."""
    low, share = int(place.low[at]), place.share[at]
    if share == 0:
        here: Floats32 = values[low]
        return here
    np.subtract(values[low + 1], values[low], out=out)
    out *= share
    out += values[low]
    return out
