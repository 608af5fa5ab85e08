"""Cutting a volume into tiles of a size that a network accepts.

A plan is made before anything runs. It says which tiles there are, in an order in which results
finish from one end to the other, and which part of each tile's result is to be believed:

- *crop* (`plan_crop`): tiles overlap by a margin and each keeps only its core. With a margin of at
  least the network's receptive radius the joined result is that of the whole volume at once.
- *blend* (`plan_blend`): tiles overlap by a fraction and are averaged with Gaussian weights, for
  networks that must keep the patch they were trained on.

`split_comb` and `plan_slabs` are crop plans with the numbers of two families of detectors.

Tiles are placed in voxels of the network's input. A network may answer on a coarser grid: output
voxel `o` then stands for the input voxels from `o · stride` on, and the output of a volume of `n`
voxels has `ceil(n / stride)`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..arrays import Array, empty_beside, taken
from ..errors import PackageError

Shape = tuple[int, int, int]
Border = Literal["inside", "padded"]
Weights = Literal["gaussian", "nnunet", "constant"]
Spread = Literal["even", "last"]
PadMode = Literal["constant", "edge", "reflect"]
PerAxis = int | Sequence[int]
Margin = int | Sequence[int] | Sequence[tuple[int, int]]


# Blended results finish along i, which is fastest; of a scan so many times as long along k, along k: what waits for
# later tiles is as large as a plane across that axis.
_LONG = 1.5


class Span(NamedTuple):
    """One tile along one axis: where its patch starts, and the core [core_start, core_stop) it answers for."""

    start: int
    core_start: int
    core_stop: int


@dataclass(frozen=True)
class Tile:
    """One input patch and the part of the volume that it answers for. All in voxels, (k, j, i).

    index: its place in the plan. start, shape: the patch; it may begin before the volume or end
    after it, and is padded there. core_start, core_shape: the part it answers for, inside the volume.
    """

    index: int
    start: Shape
    shape: Shape
    core_start: Shape
    core_shape: Shape

    def at_stride(self, stride: Shape) -> Tile:
        """The same tile in voxels of a grid `stride` times coarser (of the output, or of its coordinates)."""
        low = _floor_div(self.core_start, stride)
        high = [-(-(a + n) // s) for a, n, s in zip(self.core_start, self.core_shape, stride, strict=True)]
        size = (high[0] - low[0], high[1] - low[1], high[2] - low[2])
        return Tile(self.index, _floor_div(self.start, stride), _floor_div(self.shape, stride), low, size)


@dataclass(frozen=True)
class TilePlan:
    """All tiles of one volume: every combination of the spans of its axes.

    join: how `joining` puts the results together. volume_shape: the volume's voxels (k, j, i).
    patch: the tiles' shape, the same for all. before, after: the margins of a crop plan (0 for
    blend). stride: input voxels per output voxel. axes: the spans along k, j and i. border: as in `plan_crop`. weights:
    how much a tile's voxels count (blend; see `joining`). outer: the axis (k or i) along which results finish.
    """

    join: Literal["crop", "blend"]
    volume_shape: Shape
    patch: Shape
    before: Shape
    after: Shape
    stride: Shape
    axes: tuple[tuple[Span, ...], tuple[Span, ...], tuple[Span, ...]]
    border: Border = "inside"
    weights: Weights = "gaussian"
    outer: Literal[0, 2] = 0

    @cached_property
    def tiles(self) -> tuple[Tile, ...]:
        """The outer axis outermost; of the others, the later one innermost."""
        order = (0, 1, 2) if self.outer == 0 else (2, 0, 1)
        tiles = []
        for index, chosen in enumerate(product(*(self.axes[axis] for axis in order))):
            k, j, i = (chosen[order.index(axis)] for axis in range(3))
            size = (k.core_stop - k.core_start, j.core_stop - j.core_start, i.core_stop - i.core_start)
            start, core = (k.start, j.start, i.start), (k.core_start, j.core_start, i.core_start)
            tiles.append(Tile(index, start, self.patch, core, size))
        return tuple(tiles)

    @property
    def counts(self) -> Shape:
        """Tiles along k, j, i ("nzhw")."""
        k, j, i = self.axes
        return len(k), len(j), len(i)

    @property
    def output_shape(self) -> Shape:
        """Voxels (k, j, i) of the joined result."""
        k, j, i = (-(-n // s) for n, s in zip(self.volume_shape, self.stride, strict=True))
        return k, j, i


def plan_crop(
    shape: Shape, *, patch: PerAxis, margin: Margin = 0, stride: PerAxis = 1, multiple: PerAxis = 1,
    border: Border = "inside", fit: bool = True,
) -> TilePlan:
    """Tiles that keep their core: every voxel of the volume lies in exactly one core.

    shape: the volume's voxels (k, j, i).
    patch: the tile's voxels with its margins, or the most of them where `fit`.
    margin: voxels of a tile's result that are discarded: one number, one per axis, or a pair
        (before, after) an axis. Multiples of `stride`.
    multiple: the network's own down-sampling: tiles start this many voxels apart, so that its
        pooling falls on the same voxels as on the whole volume, and patches shrink by this much.
    border: "inside" moves the outer tiles into the volume and believes them up to its border, as
        the network run on the whole volume would be; only a volume that is smaller than the patch
        or no multiple of `multiple` is padded, at its end. "padded" surrounds the volume with
        margins: what the seeds' SplitComb does, and what networks need that return the core alone.
    fit: shrink the patch to the smallest that needs no more tiles (networks that take any size).
        False keeps the trained patch.

    Raises PackageError if the numbers leave no core, or do not fall on the output's voxels.
    """
    befores, afters = _margins(margin)
    sizes, strides, multiples = _triple("patch", patch), _triple("stride", stride), _triple("multiple", multiple)
    k, j, i = (
        _Axis(shape[a], sizes[a], befores[a], afters[a], strides[a], multiples[a], border, fit) for a in range(3)
    )
    return TilePlan(
        "crop", shape, patch=(k.patch(), j.patch(), i.patch()), before=befores, after=afters, stride=strides,
        axes=(k.spans(), j.spans(), i.spans()), border=border,
    )


def plan_blend(
    shape: Shape, *, patch: PerAxis, overlap: float = 0.5, stride: PerAxis = 1, weights: Weights = "gaussian",
    spread: Spread = "even",
) -> TilePlan:
    """Overlapping tiles, to be averaged by `weights`.

    overlap: the least part of a patch, 0 … < 1, that it shares with its neighbour along an axis.
    spread: "even", as nnU-Net does; "last": every tile but the last overlaps the one before by just that part, and the
        last ends with the volume (MONAI's `dense_patch_slices`).
    A volume smaller than the patch lies in the middle of one padded tile (as in nnU-Net and MONAI).
    Raises PackageError if the patch is not a multiple of the stride or the overlap is out of range.
    """
    if not 0 <= overlap < 1:
        raise PackageError(f"A tile overlap must be at least 0 and less than 1, not {overlap}.")
    sizes, strides = _triple("patch", patch), _triple("stride", stride)
    k, j, i = (_blend_spans(shape[a], sizes[a], strides[a], overlap, spread) for a in range(3))
    return TilePlan(
        "blend", shape, patch=sizes, before=(0, 0, 0), after=(0, 0, 0), stride=strides, axes=(k, j, i),
        weights=weights, outer=0 if shape[0] > _LONG * shape[2] else 2,
    )


def plan_slabs(shape: Shape, *, window: int = 8, position: int = 4, depth: int = 1, multiple: int = 4) -> TilePlan:
    """For a network that looks at `window` slices, whole in-plane, and answers for slice `position` of them.

    depth: slices that one tile answers for; more than 1 for a network that slides over
    `window − 1 + depth` slices. multiple: the plane is padded, at its end, to a multiple of this.
    A crop plan whose margins are `position` slices before and the others of the window after.
    """
    if not 0 <= position < window:
        raise PackageError(f"A slab of {window} slices has no slice {position}; count from 0.")
    plane = [-(-n // multiple) * multiple for n in shape[1:]]
    margins = ((position, window - 1 - position), (0, 0), (0, 0))
    return plan_crop(shape, patch=(window - 1 + depth, *plane), margin=margins, border="padded", fit=False)


def split_comb(shape: Shape, *, side: int = 144, max_stride: int = 16, stride: int = 4, margin: int = 32) -> TilePlan:
    """The split / combine of the grt123 detector (github.com/lfz/DSB2017, MIT): 208³ tiles with 144³ cores.

    Pad tiles with the value 170 (its recipe's air) or with "edge". Its coordinate channels live on the
    output grid: cut them with `cut_tile(coordinates, tile.at_stride(plan.stride), pad_mode="edge")`.
    """
    return plan_crop(
        shape, patch=side + 2 * margin, margin=margin, stride=stride, multiple=max_stride, border="padded", fit=False,
    )


def cut_tile(
    voxels: Array, tile: Tile, *, pad_mode: PadMode = "constant", pad_value: float = 0.0, out: Array | None = None,
) -> Array:
    """The tile's patch of an array or tensor, `[k, j, i]` or `[c, k, j, i]`, padded where it leaves the volume.

    pad_mode: "constant" with `pad_value`, "edge" (nearest voxel) or "reflect" (border not repeated), as numpy.pad.
    out: an array `tile.shape` (after `c`) to fill and return; its dtype may differ. Reuse one for all
    tiles: touching fresh memory costs more than the copy.
    """
    if out is None:
        out = empty_beside(voxels, (*voxels.shape[:-3], *tile.shape))
    starts, lengths = tile.start, voxels.shape[-3:]
    stops = [start + size for start, size in zip(starts, tile.shape, strict=True)]
    low = [max(start, 0) for start in starts]
    high = [min(stop, length) for stop, length in zip(stops, lengths, strict=True)]
    inside = [slice(*bounds) for bounds in zip(low, high, strict=True)]
    if pad_mode == "constant":
        if low != list(starts) or high != stops:
            out[...] = pad_value
        k, j, i = (slice(a - start, b - start) for a, b, start in zip(low, high, starts, strict=True))
        out[..., k, j, i] = voxels[..., inside[0], inside[1], inside[2]]
        return out
    padded = [low[a] != starts[a] or high[a] != stops[a] for a in range(3)]
    k, j, i = (slice(None) if padded[a] else inside[a] for a in range(3))
    part = voxels[..., k, j, i]
    for axis in (a for a in range(3) if padded[a]):
        index = _padding_source(np.arange(starts[axis], stops[axis]), lengths[axis], pad_mode)
        part = taken(part, index, axis - 3)
    out[...] = part
    return out


@dataclass(frozen=True)
class _Axis:
    """How one axis is cut for cropping; the fields are `plan_crop`'s."""

    length: int
    largest: int
    before: int
    after: int
    stride: int
    multiple: int
    border: Border
    fit: bool

    def __post_init__(self) -> None:
        for name, value in (("patch", self.largest), ("margin", self.before), ("margin", self.after)):
            if value % self.stride:
                raise PackageError(
                    f"The tile's {name} of {value} voxels is not a multiple of the stride {self.stride}."
                )
        if self._advance(self.largest) <= 0:
            raise PackageError(
                f"A patch of {self.largest} voxels with margins {self.before} and {self.after} leaves no core of "
                f"{self._step} voxels or more; use a larger patch or smaller margins."
            )

    @property
    def _step(self) -> int:
        return math.lcm(self.stride, self.multiple)

    def _advance(self, patch: int) -> int:
        return (patch - self.before - self.after) // self._step * self._step

    def _count(self, patch: int) -> float:
        """Tiles needed; infinite where the patch has no core."""
        rest = self.length - (patch if self.border == "inside" else patch - self.before - self.after)
        if rest <= 0:
            return 1
        return 1 + math.ceil(rest / self._advance(patch)) if self._advance(patch) > 0 else math.inf

    def patch(self) -> int:
        if not self.fit:
            return self.largest
        sizes = range(self.largest % self._step or self._step, self.largest, self._step)
        return next((size for size in sizes if self._count(size) <= self._count(self.largest)), self.largest)

    def spans(self) -> tuple[Span, ...]:
        patch = self.patch()
        count = int(self._count(patch))
        if self.border == "padded":
            edges = [index * self._advance(patch) for index in range(count)]
            starts = [edge - self.before for edge in edges]
        else:
            starts = _spread(max(0, self.length - patch), count, self._step)
            edges = [0, *(self._edge(left + patch, right) for left, right in pairwise(starts))]
        return tuple(Span(*span) for span in zip(starts, edges, [*edges[1:], self.length], strict=True))

    def _edge(self, left_stop: int, right_start: int) -> int:
        """Where one core ends and the next begins: in the middle of what lies within both margins."""
        low, high = right_start + self.before, left_stop - self.after
        return low + (high - low) // 2 // self.stride * self.stride


def _blend_spans(length: int, patch: int, stride: int, overlap: float, spread: Spread) -> tuple[Span, ...]:
    if patch % stride:
        raise PackageError(f"The tile's patch of {patch} voxels is not a multiple of the stride {stride}.")
    if length <= patch:
        return (Span(-((patch - length) // 2 // stride * stride), 0, length),)
    if spread == "last":
        # MONAI truncates 80 · (1 − 0.9) = 7.999… to 7.
        starts = _moved_back(length - patch, max(stride, int(patch * (1 - overlap)) // stride * stride), stride)
        return tuple(Span(start, start, min(start + patch, length)) for start in starts)
    # 80 · (1 − 0.9) is 7.999…: rounded first, or the tiles would come twice as close.
    advance = max(stride, int(patch * (1 - overlap) + 1e-6) // stride * stride)
    starts = _spread(length - patch, 1 + math.ceil((length - patch) / advance), stride)
    return tuple(Span(start, start, min(start + patch, length)) for start in starts)


def _spread(last: int, count: int, step: int) -> list[int]:
    """`count` even starts from 0 to `last`, on multiples of `step` (so the last may be a little later)."""
    steps = math.ceil(last / step)
    return [round(index * steps / max(count - 1, 1)) * step for index in range(count)]


def _moved_back(last: int, advance: int, step: int) -> list[int]:
    """Starts `advance` apart from 0 on, the last one at `last`, or at the next multiple of `step`."""
    return [*range(0, last, advance), math.ceil(last / step) * step]


def _padding_source(index: NDArray[np.intp], length: int, mode: PadMode) -> NDArray[np.intp]:
    """Which voxel of an axis stands at positions outside of it."""
    if mode == "edge" or length == 1:
        return np.clip(index, 0, length - 1)
    period = 2 * (length - 1)
    folded = np.abs(index) % period
    mirrored: NDArray[np.intp] = np.minimum(folded, period - folded)
    return mirrored


def _triple(name: str, value: PerAxis) -> Shape:
    values = (value, value, value) if isinstance(value, int) else tuple(value)
    if len(values) != 3 or min(values) < 1:
        raise PackageError(f"A tile's {name} must be one positive number or three (k, j, i), not {value}.")
    return int(values[0]), int(values[1]), int(values[2])


def _margins(value: Margin) -> tuple[Shape, Shape]:
    each: Sequence[Any] = (value, value, value) if isinstance(value, int) else value
    pairs = [(one, one) if isinstance(one, int) else tuple(one) for one in each]
    if len(pairs) != 3 or any(len(pair) != 2 or min(pair) < 0 for pair in pairs):
        raise PackageError(f"A tile's margin must be one number, three, or three pairs (before, after), not {value}.")
    (k0, k1), (j0, j1), (i0, i1) = pairs
    return (k0, j0, i0), (k1, j1, i1)


def _floor_div(value: Shape, stride: Shape) -> Shape:
    return value[0] // stride[0], value[1] // stride[1], value[2] // stride[2]
