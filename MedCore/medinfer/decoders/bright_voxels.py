"""The bright voxels of a heatmap, collected while its blocks pass.

A landmark is a bright spot of some hundred voxels in a volume of millions. The voxels that can matter to it are kept
with their places, so that a spot that lies in several blocks is whole again at the end, in whatever order they came.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..tiles.tiling import Shape

Indices = NDArray[np.int64]
Floats32 = NDArray[np.float32]

# Of a spot, voxels of at least this share of its height are kept: of a Gaussian what lies within 2.1 sigma, 140 voxels
# where sigma is 1.5 voxels (2 KB), 2,700 where it is 4 (32 KB).
KEPT_SHARE = 0.1
# Most voxels kept of a channel (12 bytes each); a heatmap that is bright all over keeps its brightest.
_MOST = 1 << 16


def plane_maxima(values: NDArray[np.float32]) -> Floats32:
    """The highest value of each channel and slice, `[c, k, j, i]` to `[c, k]`; NaN where a slice holds one."""
    channels_last = values.strides[0] < values.strides[3]
    # Channels last: whole rows with all their channels are compared, so that memory is read once, not once a channel.
    maxima: Floats32 = values.max(axis=2).max(axis=2) if channels_last else values.max(axis=(2, 3))
    return maxima


class BrightVoxels:
    """The voxels of one channel at or above a level, by their place in the whole output grid.

    shape: the output grid's. lowest: the lowest height of a spot that will be asked for. only_best: only the
    highest spot will be, so that the level follows it.
    """

    def __init__(self, shape: Shape, lowest: float, *, only_best: bool) -> None:
        self._shape, self._only_best = shape, only_best
        self.level = np.float32(lowest * KEPT_SHARE)
        # The highest value seen, kept or not; −∞ before there was any.
        self.highest = -np.inf
        self._indices: list[Indices] = []
        self._heights: list[Floats32] = []
        self._count = 0

    def saw(self, maximum: np.float32) -> None:
        """Remember the highest value."""
        self.highest = max(self.highest, float(maximum))

    def add(self, start: Shape, plane: Floats32, maximum: np.float32) -> None:
        """Take a slice `[j, i]` whose first voxel is `start` on the output grid and whose highest value is `maximum`
        (NaN where it holds one). Values that are not finite are ignored."""
        if not np.isfinite(maximum):
            plane = np.where(np.isfinite(plane), plane, -np.float32(np.inf))
            maximum = plane.max()
        self.saw(maximum)
        if maximum < self.level:
            return
        if self._only_best:
            self.level = max(self.level, np.float32(maximum * KEPT_SHARE))
        within = np.flatnonzero(plane >= self.level)
        row, column = np.divmod(within, plane.shape[1])
        k, j, i = start
        self._indices.append((k * self._shape[1] + j + row) * self._shape[2] + i + column)
        self._heights.append(plane[row, column])
        self._count += len(within)
        if self._count > 2 * _MOST:
            self._thin()

    def collected(self) -> tuple[Indices, Floats32]:
        """The kept voxels: flat indices on the output grid, rising, and their heights."""
        self._thin()
        if not self._indices:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        order = np.argsort(self._indices[0])
        return self._indices[0][order], self._heights[0][order]

    def _thin(self) -> None:
        """Put the pieces together and let go of what has fallen below the level, or is too much."""
        if not self._indices:
            return
        index, height = np.concatenate(self._indices), np.concatenate(self._heights)
        if self._only_best:
            high = height >= np.float32(self.highest * KEPT_SHARE)
            index, height = index[high], height[high]
        if len(index) > _MOST:
            # In order, so that of equal ones the first stay.
            order = np.argsort(-height, kind="stable")[:_MOST]
            index, height = index[order], height[order]
            # Above, not at, the least that is kept: a saturated heatmap stops here.
            self.level = np.nextafter(height[-1], np.float32(np.inf))
        self._indices, self._heights, self._count = [index], [height], len(index)
