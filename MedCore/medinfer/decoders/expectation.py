"""Expectation of a heatmap: the mean place of a distribution and its deviation (DSNT).

Nibali et al., Numerical Coordinate Regression with Convolutional Neural Networks, arXiv:1801.07372. Places are
voxels here. The two conventions for the same places as −1…1 (n voxels: `(2 x + 1) / n − 1`, the voxels' borders at ±1;
or `2 x / (n − 1) − 1`, the outer voxels' centres at ±1) are linear in x, so that both mean the same expectation.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..manifest import HeatmapDecoder
from ..tiles.tiling import Shape
from .bright_voxels import plane_maxima
from .index_box import Point
from .peaks import Peak, beyond

Floats = NDArray[np.float64]

# Voxels worked on at once, so that they stay in a core's cache.
_CACHED = 1 << 16
# What is this much below the highest value adds nothing to a softmax: e⁻⁶⁰ · 10⁹ voxels < 10⁻¹⁶.
_NEGLIGIBLE = 60.0


@dataclass
class _Distribution:
    """Sums of one channel along its axes, so far; of a softmax as multiples of e to the `highest`."""

    marginals: tuple[Floats, Floats, Floats]
    highest: float = field(default=-np.inf)

    def rise(self, highest: float) -> None:
        """Make `highest` the reference of the softmax's sums."""
        shrink = np.exp(self.highest - highest)
        for marginal in self.marginals:
            np.multiply(marginal, shrink, out=marginal)
        self.highest = highest


class ExpectationReading:
    """Adds up the distributions of every channel of an output grid of `shape`.

    Each channel keeps its three marginals in float64: 8 bytes per voxel of the grid's edges. The deviation is taken
    about the mean from them, so that it loses no digits far from the origin. Softmax runs along: the sums are rescaled
    whenever a higher value comes.
    """

    def __init__(self, decoder: HeatmapDecoder, channels: int, shape: Shape) -> None:
        self._softmax = decoder.activation == "softmax"
        self._channels = [
            _Distribution((np.zeros(shape[0]), np.zeros(shape[1]), np.zeros(shape[2]))) for _ in range(channels)
        ]

    def feed(self, start: Shape, values: NDArray[np.float32]) -> None:
        """Take the finished block `values` `[c, k, j, i]` whose first voxel is `start`.

        Values that are not finite are ignored, as are negative values without a softmax.
        """
        for distribution, block, maxima in zip(self._channels, values, plane_maxima(values), strict=True):
            broken = not np.isfinite(maxima).all()
            if broken:
                block = np.where(np.isfinite(block), block, -np.float32(np.inf))  # noqa: PLW2901
                maxima = block.max(axis=(1, 2))  # noqa: PLW2901
            highest = float(maxima.max())
            if highest > distribution.highest:
                if self._softmax and np.isfinite(distribution.highest):
                    distribution.rise(highest)
                distribution.highest = highest
            floor = distribution.highest - _NEGLIGIBLE if self._softmax else 0.0
            self._add(distribution, start, block, maxima > floor)

    def _add(
        self, distribution: _Distribution, start: Shape, block: NDArray[np.float32], counts: NDArray[np.bool_]
    ) -> None:
        """Add the slices of `block` that count."""
        slices, rows, columns = block.shape
        step = max(1, _CACHED // (rows * columns))
        buffer = np.empty((step, rows, columns))
        k, j, i = distribution.marginals
        for first in range(0, slices, step):
            some = slice(first, min(first + step, slices))
            if not counts[some].any():
                continue
            weights = buffer[: some.stop - first]
            if self._softmax:
                weights[...] = np.exp(block[some] - np.float32(distribution.highest))
            else:
                np.maximum(block[some], 0, out=weights)
            lines = weights.reshape(-1, columns)
            # As products with ones, which is twice as fast as sums.
            along_rows = (lines @ np.ones(columns)).reshape(-1, rows)
            k[start[0] + some.start : start[0] + some.stop] += along_rows.sum(axis=1)
            j[start[1] : start[1] + rows] += along_rows.sum(axis=0)
            i[start[2] : start[2] + columns] += np.ones(len(lines)) @ lines

    def highest(self, channel: int) -> float:
        """The highest value of a channel (after the softmax, if any); −∞ if it has none."""
        distribution = self._channels[channel]
        total = float(distribution.marginals[0].sum())
        return 1 / total if self._softmax and total > 0 else distribution.highest

    def peaks(self, channel: int) -> list[Peak]:
        """The channel's expectation; empty if all values are 0 or the peak lies outside the grid."""
        marginals = self._channels[channel].marginals
        total = float(marginals[0].sum())
        if total <= 0 or any(_leaves(marginal) for marginal in marginals):
            return []
        mean, deviation = np.empty(3), np.empty(3)
        for axis, marginal in enumerate(marginals):
            place = np.arange(len(marginal))
            mean[axis] = marginal @ place / marginal.sum()
            deviation[axis] = np.sqrt(marginal @ (place - mean[axis]) ** 2 / marginal.sum())
        return [Peak(_point(mean), self.highest(channel), _point(deviation))]


def _leaves(marginal: Floats) -> bool:
    """Whether the distribution still rises where it meets the border, its peak more than half a voxel outside."""
    if len(marginal) < 3:
        return False
    at = int(marginal.argmax())
    if at not in (0, len(marginal) - 1):
        return False
    return beyond(*(marginal[:3] if at == 0 else marginal[:-4:-1])) > 0.5


def _point(values: Floats) -> Point:
    k, j, i = values.tolist()
    return k, j, i
