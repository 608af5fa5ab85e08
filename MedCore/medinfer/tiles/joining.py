"""Joining the results of tiles, part by part.

A joiner takes one tile's result at a time and hands on the parts of the output that no later tile
will change. A decoder uses them at once; nothing holds the whole output with all its channels.

    joiner = open_joiner(plan)
    for tile in plan.tiles:
        for part in joiner.add(tile, network(cut_tile(voxels, tile))):
            decode(part.start, part.values)

Results are arrays, or tensors on a device, where they stay.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..arrays import Array
from ..errors import PackageError
from .tiling import Shape, Tile, TilePlan
from .weights import weights_of

# Voxels that stay in a core's second-level cache while they are worked on, with what they are compared to.
_CACHED = 1 << 16
# Blocks with shorter rows than this cost more than they save: numpy takes as long for 4 voxels as for 20.
_SHORTEST_ROW = 16


@dataclass(frozen=True, eq=False)
class Joined:
    """A finished part of the output.

    start: its first voxel (k, j, i) on the output grid. values: `[c, k, j, i]`, a view that is
    good until the joiner's next `add`; copy what must last longer.
    """

    start: Shape
    values: Array


class Joiner(Protocol):
    """The common interface of the two ways to join."""

    def add(self, tile: Tile, result: Array) -> list[Joined]:
        """Take one tile's result `[c, k, j, i]`, on the output grid; hand on the parts that it completes."""


def open_joiner(plan: TilePlan, device: Any = None) -> Joiner:
    """The joiner for the plan's way to join. device: of torch, where results are tensors on it."""
    if plan.join == "crop":
        return CropJoiner(plan)
    return BlendJoiner(plan) if device is None else TensorBlendJoiner(plan, device)


class CropJoiner:
    """Keeps each tile's core. It holds nothing: what it hands on is a view of the tile's own result."""

    def __init__(self, plan: TilePlan) -> None:
        self._plan = plan
        self._patch = _output_size(plan, plan.patch)
        core = tuple(size - a - b for size, a, b in zip(plan.patch, plan.before, plan.after, strict=True))
        self._core = _output_size(plan, core)

    def add(self, tile: Tile, result: Array) -> list[Joined]:
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

    Tiles come in columns: all that begin at one place of the plan's outer axis. In a column the borders of tiles along
    the two other axes cut the output into blocks, as thick as a tile. When a block is complete, what the columns before
    left there is added, what no later column covers is handed on, and the rest is kept for the next. With i as the
    outer axis the rows of a block lie one behind the other in memory, which is twice as fast.

    Memory for an output of n voxels along the outer axis o and of A × B along the others a and b, c channels, patches p
    and overlaps v (a patch less the step to the next, in output voxels): about
    4 (c + 1) (v_o · A · B + p_o · v_a · B + p_o · p_a · p_b) bytes, however large n is.
    """

    def __init__(self, plan: TilePlan) -> None:
        self._plan, self._patch = plan, _output_size(plan, plan.patch)
        self._along = _Along(plan.outer)
        self._weights: Array = self._along.last(weights_of(plan.weights, self._patch))
        fewest = {0: 1, 1: 1, 2: _SHORTEST_ROW} if plan.outer == 0 else {0: 1, 1: _SHORTEST_ROW}
        self._ranges = [_ranges(plan, axis, fewest[axis]) for axis in self._along.inner]
        self._thick, self._length = self._patch[plan.outer], plan.output_shape[plan.outer]
        starts = [span.start // plan.stride[plan.outer] for span in plan.axes[plan.outer]]
        self._ends = dict(zip(starts, [*starts[1:], self._length], strict=True))
        # By their first voxels: the blocks of this column, and what is left of those of the columns before.
        self._open: dict[tuple[int, int], Array] = {}
        self._left: dict[tuple[int, int], Array] = {}
        self._handed_on: list[Array] = []
        self._memory = _Memory(lambda size: np.empty(size, np.float32))
        self._weighted = np.empty(_CACHED + math.prod(self._patch) // self._patch[self._along.inner[0]], np.float32)

    def add(self, tile: Tile, result: Array) -> list[Joined]:
        """Take a tile's result, `[c, k, j, i]` over the whole patch, and hand on the blocks it completes.

        Tiles come in the plan's order, each once. Raises PackageError for a result of another shape.
        """
        if result.shape[1:] != self._patch:
            raise _wrong_shape(self._plan, result)
        while self._handed_on:
            self._memory.give_back(self._handed_on.pop())
        start = tile.at_stride(self._plan.stride).start
        a, b = (start[axis] for axis in self._along.inner)
        size = tuple(self._patch[axis] for axis in self._along.inner)
        moved, finished = self._along.last(result), []
        for ranges in product(self._ranges[0][a], self._ranges[1][b]):
            part = _Part((a, b), size, ranges)
            self._accumulate(moved, part, self._block(part, len(result)))
            if part.closes:
                finished.append(self._finish(part.start, start[self._plan.outer]))
        return finished

    def _accumulate(self, result: Array, part: _Part, block: Array) -> None:
        """Add the weighted part of the result to its block, and the weights to the block's last channel.

        A few planes at a time, so that they are still in the cache when they are added up.
        """
        a, b = part.inside
        sums = self._along.last(block)[:, :, : b.stop - b.start]
        step = max(1, _CACHED // ((b.stop - b.start) * self._thick))
        for low in range(a.start, a.stop, step):
            high = min(low + step, a.stop)
            here, there = slice(low, high), slice(low - a.start, high - a.start)
            weights = self._weights[here, b]
            weighted = self._along.last(self._weighted[: weights.size].reshape(self._along.in_order(*weights.shape)))
            for channel, values in enumerate(result[:, here, b]):
                if part.opens:
                    np.multiply(values, weights, out=sums[channel, there])
                else:
                    sums[channel, there] += np.multiply(values, weights, out=weighted)
            if part.opens:
                sums[-1, there] = weights
            else:
                sums[-1, there] += weights

    def _block(self, part: _Part, channels: int) -> Array:
        """The block's sums `[c + 1, k, j, i]`: the weighted channels and, last, the weights."""
        if part.first:
            shape = self._along.in_order(*part.shape, self._thick)
            block = self._open[part.start] = self._memory.take((channels + 1, *shape))
            if not part.opens:
                block[...] = 0
        return self._open[part.start]

    def _finish(self, start: tuple[int, int], column: int) -> Joined:
        """What no later column covers of a complete block; column: where its column begins along the outer axis."""
        whole, left = self._open.pop(start), self._left.pop(start, None)
        self._handed_on.append(whole)
        block = self._along.last(whole)
        if left is not None:
            earlier = self._along.last(left)
            block[..., : earlier.shape[-1]] += earlier
            self._memory.give_back(left)
        low, ready, end = max(-column, 0), self._ends[column] - column, min(self._thick, self._length - column)
        if ready < end:
            shape = self._along.in_order(block.shape[1], block.shape[2], end - ready)
            kept = self._left[start] = self._memory.take((len(block), *shape))
            self._along.last(kept)[...] = block[..., ready:end]
        sums = block[..., low:ready]
        sums[:-1] /= sums[-1]
        return Joined(self._along.in_order(*start, column + low), self._along.back(sums[:-1]))


class TensorBlendJoiner(BlendJoiner):
    """The same on a device of torch, with the same sums in the same order.

    What BlendJoiner states is on the device, and while a tile is added its weighted result: 4 c · patch bytes.
    """

    def __init__(self, plan: TilePlan, device: Any) -> None:
        import torch

        super().__init__(plan)
        self._weights = torch.as_tensor(np.ascontiguousarray(self._weights), device=device)
        self._memory = _Memory(lambda size: torch.empty(size, dtype=torch.float32, device=device))

    def _accumulate(self, result: Array, part: _Part, block: Array) -> None:
        """All planes and channels at once, so that the device is asked for few things."""
        a, b = part.inside
        sums = self._along.last(block)[:, : a.stop - a.start, : b.stop - b.start]
        weights = self._weights[a, b]
        if part.opens:
            sums[:-1], sums[-1] = result[:, a, b] * weights, weights
        else:
            sums[:-1] += result[:, a, b] * weights
            sums[-1] += weights


class _Along:
    """Axes in another order: the outer one, which is k (0) or i (2), last."""

    def __init__(self, outer: int) -> None:
        self._outer = outer
        self.inner = (1, 2) if outer == 0 else (0, 1)

    def in_order(self, a: int, b: int, outer: int) -> Shape:
        """Sizes along k, j, i."""
        return (outer, a, b) if self._outer == 0 else (a, b, outer)

    def last(self, values: Array) -> Array:
        """`[k, j, i]` or `[c, k, j, i]` with the outer axis last; a view."""
        return values if self._outer == 2 else values.swapaxes(-3, -2).swapaxes(-2, -1)

    def back(self, values: Array) -> Array:
        """`[c, …]` from `last` as `[c, k, j, i]` again; a view."""
        return values if self._outer == 2 else values.swapaxes(-2, -1).swapaxes(-3, -2)


class _Range(NamedTuple):
    """A stretch of one output axis; first and last: the starts of the first and the last tile that has some of it."""

    low: int
    high: int
    first: int
    last: int


class _Part:
    """What one tile adds to one block of its column: all of it, or what lies at its beginning.

    start, shape: of the block. inside: the part in the tile. first: whether no tile of the column was there before;
    opens: whether all of the block is new. All along the two inner axes.
    """

    def __init__(self, tile: tuple[int, int], size: tuple[int, ...], ranges: tuple[_Range, _Range]) -> None:
        a, b = ranges
        self.start, self.shape = (a.low, b.low), (a.high - a.low, b.high - b.low)
        ends = [min(r.high, start + n) for r, start, n in zip(ranges, tile, size, strict=True)]
        self.inside = tuple(slice(r.low - t, end - t) for r, t, end in zip(ranges, tile, ends, strict=True))
        self.first = tile == (a.first, b.first)
        self.opens = self.first and ends == [a.high, b.high]
        self.closes = tile == (a.last, b.last)


class _Memory:
    """Lends arrays and takes them back: memory that was touched before is several times faster than fresh memory.

    Holds no more than was ever lent at once: where nothing spare fits, it lets go of as much as it takes anew.
    empty: gives so many numbers of fresh memory.
    """

    def __init__(self, empty: Callable[[int], Array]) -> None:
        self._empty = empty
        self._lent: dict[int, Array] = {}
        self._spare: list[Array] = []

    def take(self, shape: tuple[int, ...]) -> Array:
        size = math.prod(shape)
        # Blocks of nearly one size share memory; what is never touched costs nothing.
        fits = (n for n, spare in enumerate(self._spare) if size <= len(spare) <= size * 5 // 4)
        at = next(fits, None)
        if at is None:
            anew = size * 9 // 8
            dropped = 0
            while self._spare and dropped < anew:
                dropped += len(self._spare.pop(0))
            whole = self._empty(anew)
        else:
            whole = self._spare.pop(at)
        lent = whole[:size].reshape(shape)
        self._lent[id(lent)] = whole
        return lent

    def give_back(self, lent: Array) -> None:
        self._spare.append(self._lent.pop(id(lent)))


def _ranges(plan: TilePlan, axis: int, shortest: int) -> dict[int, tuple[_Range, ...]]:
    """The ranges that each tile has some of along an axis, by the tile's start. All in output voxels.

    A range begins where a tile begins, and where one ends if that makes no ranges under `shortest` voxels.
    """
    patch, length = plan.patch[axis] // plan.stride[axis], plan.output_shape[axis]
    starts = [span.start // plan.stride[axis] for span in plan.axes[axis]]
    borders = {*(max(start, 0) for start in starts), length}
    for end in (start + patch for start in starts):
        if end < length and min(abs(end - border) for border in borders) >= shortest:
            borders.add(end)
    ranges = []
    for low, high in pairwise(sorted(borders)):
        having = [start for start in starts if start < high and low < start + patch]
        ranges.append(_Range(low, high, having[0], having[-1]))
    return {start: tuple(r for r in ranges if start < r.high and r.low < start + patch) for start in starts}


def _output_size(plan: TilePlan, size: tuple[int, ...]) -> Shape:
    k, j, i = (n // s for n, s in zip(size, plan.stride, strict=True))
    return k, j, i


def _wrong_shape(plan: TilePlan, result: Array) -> PackageError:
    return PackageError(
        f"The network returned {tuple(result.shape[1:])} voxels for a tile of {plan.patch}, but the declared output "
        f"stride {plan.stride} implies {_output_size(plan, plan.patch)}: correct the tiling in model.json."
    )
