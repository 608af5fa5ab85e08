"""Joining the results of tiles, part by part.

A joiner takes one tile's result at a time and hands on the parts of the output that no later tile
will change. A decoder uses them at once; nothing holds the whole output with all its channels.

    joiner = open_joiner(plan)
    for tile in plan.tiles:
        for part in joiner.add(tile, network(cut_tile(voxels, tile))):
            decode(part.start, part.values)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import PackageError
from .tiling import Shape, Tile, TilePlan, Weights

Floats32 = NDArray[np.float32]

# Voxels that stay in a core's second-level cache while they are worked on, with what they are compared to.
_CACHED = 1 << 16


@dataclass(frozen=True, eq=False)
class Joined:
    """A finished part of the output.

    start: its first voxel (k, j, i) on the output grid. values: `[c, k, j, i]`, a view that is
    good until the joiner's next `add`; copy what must last longer.
    """

    start: Shape
    values: NDArray[Any]


class Joiner(Protocol):
    """The common interface of the two ways to join."""

    def add(self, tile: Tile, result: NDArray[Any]) -> list[Joined]:
        """Take one tile's result `[c, k, j, i]`, on the output grid; hand on the parts that it completes."""


def open_joiner(plan: TilePlan) -> Joiner:
    """The joiner for the plan's way to join."""
    return CropJoiner(plan) if plan.join == "crop" else BlendJoiner(plan)


class CropJoiner:
    """Keeps each tile's core. It holds nothing: what it hands on is a view of the tile's own result."""

    def __init__(self, plan: TilePlan) -> None:
        self._plan = plan
        self._patch = _output_size(plan, plan.patch)
        core = tuple(size - a - b for size, a, b in zip(plan.patch, plan.before, plan.after, strict=True))
        self._core = _output_size(plan, core)

    def add(self, tile: Tile, result: NDArray[Any]) -> list[Joined]:
        """Take a tile's result, `[c, k, j, i]` on the output grid, and hand on its core at once.

        The result covers the patch, or (padded borders only) the patch less its margins: a network
        of valid convolutions, or one that returns the core alone.
        Raises PackageError for a result of another shape.
        """
        out = tile.at_stride(self._plan.stride)
        if result.shape[1:] == self._patch:
            skip = [core - start for core, start in zip(out.core_start, out.start, strict=True)]
        elif result.shape[1:] == self._core and self._plan.border == "padded":
            skip = [0, 0, 0]
        else:
            raise _wrong_shape(self._plan, result)
        k, j, i = (slice(first, first + size) for first, size in zip(skip, out.core_shape, strict=True))
        return [Joined(out.core_start, result[:, k, j, i])]


class BlendJoiner:
    """Averages overlapping results with Gaussian weights, in float32.

    The borders of all tiles cut the output into blocks that lie wholly inside or wholly outside of
    each tile. A block is opened by the first tile that covers it and handed on with the last.

    Memory for an output of J × I in-plane, c channels, patches p and overlaps v (a patch less the step to the next,
    in output voxels): about 4 (c + 1) (v_k · J · I + p_k · v_j · I + p_k · p_j · p_i) bytes, however long the scan.
    """

    def __init__(self, plan: TilePlan) -> None:
        self._plan = plan
        self._patch = _output_size(plan, plan.patch)
        self._weights = _WEIGHTS[plan.weights](self._patch)
        # A few planes at a time, so that they are still in the cache when they are added up.
        self._planes = max(1, _CACHED // (self._patch[1] * self._patch[2]))
        self._weighted = np.empty((self._planes, *self._patch[1:]), dtype=np.float32)
        self._ranges = [_ranges(plan, axis) for axis in range(3)]
        self._open: dict[Shape, Floats32] = {}
        self._handed_on: list[Floats32] = []
        self._memory = _Memory()

    def add(self, tile: Tile, result: NDArray[Any]) -> list[Joined]:
        """Take a tile's result, `[c, k, j, i]` over the whole patch, and hand on the blocks it completes.

        Tiles come in the plan's order, each once. Raises PackageError for a result of another shape.
        """
        if result.shape[1:] != self._patch:
            raise _wrong_shape(self._plan, result)
        while self._handed_on:
            self._memory.give_back(self._handed_on.pop())
        start = tile.at_stride(self._plan.stride).start
        k, j, i = (self._ranges[axis][start[axis]] for axis in range(3))
        parts = [_Part(start, ranges) for ranges in product(k, j, i)]
        shared = [(part, self._block(part, len(result))) for part in parts if not part.alone]
        if shared:
            for first in range(0, self._patch[0], self._planes):
                self._accumulate(result, shared, first)
        alone = [Joined(part.start, result[(slice(None), *part.inside)]) for part in parts if part.alone]
        return alone + [self._finish(part.start) for part, _ in shared if part.closes]

    def _accumulate(self, result: NDArray[Any], shared: list[tuple[_Part, Floats32]], first: int) -> None:
        """Add the result's planes from `first` on, weighted, to the blocks; and the weights to their last channel."""
        planes = slice(first, min(first + self._planes, self._patch[0]))
        weights, weighted = self._weights[planes], self._weighted[: planes.stop - first]
        touched = [(part, block, *part.within(planes)) for part, block in shared if part.meets(planes)]
        for channel in range(len(result) + 1):
            last = channel == len(result)
            values = weights if last else np.multiply(result[channel, planes], weights, out=weighted)
            for part, block, here, there in touched:
                if part.opens:
                    block[channel, there] = values[here]
                else:
                    block[channel, there] += values[here]

    def _block(self, part: _Part, channels: int) -> Floats32:
        """The block's sums `[c + 1, k, j, i]`: the weighted channels and, last, the weights."""
        if part.opens:
            sides = (side.stop - side.start for side in part.inside)
            self._open[part.start] = self._memory.take((channels + 1, *sides))
        return self._open[part.start]

    def _finish(self, start: Shape) -> Joined:
        block = self._open.pop(start)
        self._handed_on.append(block)
        block[:-1] /= block[-1]
        return Joined(start, block[:-1])


def gaussian_weights(patch: Shape, sigma_scale: float = 0.125) -> Floats32:
    """How much a tile's voxels count, `[k, j, i]`, highest in the middle: sigma is `sigma_scale` of each side.

    At least 1e-3, so that no voxel goes without: the importance map of MONAI (`compute_importance_map`,
    "gaussian"), which is nnU-Net's but for that floor.
    """
    sides = [np.arange(size, dtype=np.float64) - (size - 1) / 2 for size in patch]
    k, j, i = (np.exp(-0.5 * (x / (sigma_scale * len(x))) ** 2) for x in sides)
    weights: Floats32 = np.einsum("k,j,i->kji", k, j, i).astype(np.float32)
    return np.maximum(weights, np.float32(1e-3), out=weights)


def nnunet_weights(patch: Shape) -> Floats32:
    """nnU-Net's Gaussian (`compute_gaussian`): in the middle voxel size // 2, cut off at four sigma, in half precision;
    where that is 0, the smallest value that is not."""
    from scipy.ndimage import gaussian_filter1d

    sides = []
    for size in patch:
        middle = np.zeros(size)
        middle[size // 2] = 1
        sides.append(gaussian_filter1d(middle, size / 8, mode="constant"))
    weights = np.einsum("k,j,i->kji", *sides)
    halves: Floats32 = (10 * weights / weights.max()).astype(np.float16).astype(np.float32)
    halves[halves == 0] = halves[halves > 0].min()
    return halves


def constant_weights(patch: Shape) -> Floats32:
    """All voxels count alike."""
    return np.ones(patch, np.float32)


_WEIGHTS: dict[Weights, Callable[[Shape], Floats32]] = {
    "gaussian": gaussian_weights, "nnunet": nnunet_weights, "constant": constant_weights,
}


class _Range(NamedTuple):
    """A stretch of one output axis between two borders of tiles; first and last: the starts of the tiles on it."""

    low: int
    high: int
    first: int
    last: int


class _Part:
    """What one tile adds to one block."""

    def __init__(self, tile_start: Shape, ranges: tuple[_Range, _Range, _Range]) -> None:
        k, j, i = ranges
        self.start = (k.low, j.low, i.low)
        self.inside = tuple(slice(r.low - a, r.high - a) for r, a in zip(ranges, tile_start, strict=True))
        self.opens = tile_start == (k.first, j.first, i.first)
        self.closes = tile_start == (k.last, j.last, i.last)
        self.alone = self.opens and self.closes

    def meets(self, planes: slice) -> bool:
        """Whether the part has some of the tile's `planes`."""
        return bool(self.inside[0].start < planes.stop and planes.start < self.inside[0].stop)

    def within(self, planes: slice) -> tuple[tuple[slice, ...], slice]:
        """The part in an array of the tile's `planes` alone, and these planes in the block."""
        k, j, i = self.inside
        low, high = max(k.start, planes.start), min(k.stop, planes.stop)
        return (slice(low - planes.start, high - planes.start), j, i), slice(low - k.start, high - k.start)


class _Memory:
    """Lends arrays and takes them back: memory that was touched before is several times faster than fresh memory.

    Holds no more than was ever lent at once: where nothing spare fits, it lets go of as much as it takes anew.
    """

    def __init__(self) -> None:
        self._lent: dict[int, Floats32] = {}
        self._spare: list[Floats32] = []

    def take(self, shape: tuple[int, ...]) -> Floats32:
        size = math.prod(shape)
        # Blocks of nearly one size share memory; what is never touched costs nothing.
        fits = (n for n, spare in enumerate(self._spare) if size <= len(spare) <= size * 5 // 4)
        at = next(fits, None)
        if at is None:
            anew = size * 9 // 8
            dropped = 0
            while self._spare and dropped < anew:
                dropped += len(self._spare.pop(0))
            whole: Floats32 = np.empty(anew, dtype=np.float32)
        else:
            whole = self._spare.pop(at)
        lent = whole[:size].reshape(shape)
        self._lent[id(lent)] = whole
        return lent

    def give_back(self, lent: Floats32) -> None:
        self._spare.append(self._lent.pop(id(lent)))


def _ranges(plan: TilePlan, axis: int) -> dict[int, tuple[_Range, ...]]:
    """The ranges that each tile covers along an axis, by the tile's start. All in output voxels."""
    patch, length = plan.patch[axis] // plan.stride[axis], plan.output_shape[axis]
    starts = [span.start // plan.stride[axis] for span in plan.axes[axis]]
    borders = sorted({min(max(border, 0), length) for start in starts for border in (start, start + patch)})
    ranges = []
    for low, high in pairwise(borders):
        covering = [start for start in starts if start <= low and high <= start + patch]
        ranges.append(_Range(low, high, covering[0], covering[-1]))
    return {start: tuple(r for r in ranges if start <= r.low and r.high <= start + patch) for start in starts}


def _output_size(plan: TilePlan, size: tuple[int, ...]) -> Shape:
    k, j, i = (n // s for n, s in zip(size, plan.stride, strict=True))
    return k, j, i


def _wrong_shape(plan: TilePlan, result: NDArray[Any]) -> PackageError:
    return PackageError(
        f"The network returned {result.shape[1:]} voxels for a tile of {plan.patch}, but the declared output stride "
        f"{plan.stride} implies {_output_size(plan, plan.patch)}: correct the tiling in model.json."
    )


def labels_of(values: NDArray[Any]) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """The channel with the highest value, `[c, k, j, i]` to `[k, j, i]`; the first of equal ones, as numpy.argmax.

    A running maximum over a few slices at a time, which stay in the processor's cache.
    """
    channels, slices, rows, columns = values.shape
    kind = np.uint8 if channels <= 256 else np.uint16
    labels = np.zeros((slices, rows, columns), dtype=kind)
    step = max(1, _CACHED // (rows * columns))
    shape = (step, rows, columns)
    highest, rival = np.empty(shape, dtype=values.dtype), np.empty(shape, dtype=values.dtype)
    higher, number = np.empty(shape, dtype=bool), np.empty(shape, dtype=kind)
    for first in range(0, slices, step):
        band = labels[first : first + step]
        top, other, above, named = (buffer[: len(band)] for buffer in (highest, rival, higher, number))
        top[...] = values[0, first : first + step]
        for channel in range(1, channels):
            # Copied, because `values` is often a view with short rows and the three steps below like long ones.
            other[...] = values[channel, first : first + step]
            np.greater(other, top, out=above)
            np.maximum(other, top, out=top)
            # Channels come in rising order: the highest number that ever took the lead is the label.
            np.maximum(band, np.multiply(above, kind(channel), out=named), out=band)
    return labels


def mask_of(values: NDArray[Any], threshold: float) -> NDArray[np.uint8]:
    """1 where the only channel of `[1, k, j, i]` is above the threshold, `[k, j, i]`."""
    (only,) = values
    mask: NDArray[np.uint8] = (only > threshold).view(np.uint8)
    return mask
