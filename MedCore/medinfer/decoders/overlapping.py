"""Labels that overlap, as a network with a sigmoid each gives them: each with all of its voxels, in layers.

What is kept of a label while the output comes is kept only around its voxels. In the end each label goes into the first
layer that has room for all of its voxels, as Slicer does it: labels that don't overlap share one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import Array, as_bytes, library_of, on_host
from ..manifest import Label, SegmentsDecoder
from ..tiles.tiling import Shape
from .activation import probability
from .border import OUTSIDE, agreeing, around_half
from .index_box import Point
from .index_segment import IndexSegment, IndexSegments
from .label_cleanup import Mask, boxes_of
from .segments import cleaned

Bytes = NDArray[np.uint8]

# What is fainter, of 255, and farther than a voxel from anything above, counts as nothing: a border, which lies at a
# half, moves by less than a tenth of a voxel where that is cut off.
_FAINT = 20


@dataclass(frozen=True, eq=False)
class _Piece:
    """A part of a label in one block. start: its first voxel. kept: its bytes, or, packed along i, its bits."""

    start: Shape
    shape: tuple[int, ...]
    kept: Bytes
    packed: bool

    @property
    def values(self) -> Bytes:
        if not self.packed:
            return self.kept
        return np.unpackbits(self.kept, axis=-1, count=self.shape[-1]) * np.uint8(255)


class OwnVoxels:
    """The voxels of one label, block by block: bytes, above 127 in it, by which its border can be found between voxels;
    or a mask, of which a bit is kept. Memory: a byte, or a bit, per voxel of the boxes around it in each block."""

    def __init__(self) -> None:
        self._pieces: list[_Piece] = []

    def add(self, start: Shape, values: Bytes | Mask) -> None:
        """The label in the block whose first voxel is `start` (k, j, i)."""
        packed = values.dtype == bool
        box = boxes_of((values if packed else values > _FAINT).view(np.uint8)).get(1)
        if box is None:
            return
        if not packed:
            k, j, i = (slice(max(0, side.start - 1), side.stop + 1) for side in box)
            box = k, j, i
        part = values[box]
        k, j, i = (first + side.start for first, side in zip(start, box, strict=True))
        kept = np.packbits(part, axis=-1) if packed else part.astype(np.uint8)
        self._pieces.append(_Piece((k, j, i), part.shape, kept, packed))

    def whole(self) -> tuple[Shape, Bytes] | None:
        """The first voxel of the box around all of it, and its bytes there (a mask's are 0 and 255)."""
        if not self._pieces:
            return None
        k, j, i = (int(n) for n in np.min([piece.start for piece in self._pieces], axis=0))
        end = np.max([np.add(piece.start, piece.shape) for piece in self._pieces], axis=0)
        values = np.zeros(end - (k, j, i), np.uint8)
        for piece in self._pieces:
            first = np.subtract(piece.start, (k, j, i))
            values[tuple(slice(a, a + n) for a, n in zip(first, piece.shape, strict=True))] = piece.values
        return (k, j, i), values


class OverlappingDecoding:
    """Decides on the network's grid. The arguments are those of `SegmentsDecoding`."""

    def __init__(
        self, decoder: SegmentsDecoder, labels: Sequence[Label], shape: Shape, stride: int, spacing: Point
    ) -> None:
        self._decoder, self._values, self._stride = decoder, [label.value for label in labels], stride
        self._voxel_mm3 = float(np.prod(spacing)) * stride**3
        k, j, i = (-(-n // stride) for n in shape)
        self._shape = k, j, i
        self._own = [OwnVoxels() for _ in labels]

    def feed(self, start: Shape, values: Array) -> None:
        """`values`: [labels, k, j, i]. Raises PackageError where they are declared as probabilities and are not."""
        threshold = self._decoder.threshold
        for channel, own in zip(values, self._own, strict=True):
            chance = library_of(channel).nan_to_num(probability(channel, self._decoder.activation))
            own.add(start, on_host(agreeing(as_bytes(around_half(chance, threshold)), chance > threshold)))

    def finish(self) -> IndexSegments:
        """One segment for each label that occurs, with the label's value, in the order of the labels."""
        return in_layers(self._own, self._values, self._shape, self._stride, self._decoder, self._voxel_mm3)


def in_layers(
    own: Sequence[OwnVoxels], values: Sequence[int], shape: Shape, stride: int, decoder: SegmentsDecoder,
    voxel_mm3: float, sure: Sequence[float] | None = None,
) -> IndexSegments:
    """The labels' voxels on a grid of `shape`, without what the decoder declares to be dropped, each in a layer.

    sure: how sure each label is; by default what its bytes say. Memory: two bytes per voxel and layer.
    """
    import cc3d

    layers: list[tuple[Bytes, Bytes]] = []
    segments = []
    for number, (voxels, value) in enumerate(zip(own, values, strict=True), start=1):
        found = voxels.whole()
        if found is None:
            continue
        start, levels = found
        kept = cleaned(np.where(levels > OUTSIDE, np.uint8(number), np.uint8(0)), decoder, voxel_mm3) > 0
        found_of = cc3d.statistics(kept.view(np.uint8))
        if len(found_of["voxel_counts"]) < 2:
            continue
        count, centre = int(found_of["voxel_counts"][1]), found_of["centroids"][1]
        confidence = float(levels[kept].mean()) / 255 if sure is None else sure[number - 1]
        # What was filled is foreground throughout.
        levels = agreeing(np.where(kept & (levels <= OUTSIDE), np.uint8(255), levels), kept)
        layer = _put(layers, start, kept, levels, value, shape)
        k, j, i = ((at + first) * stride + (stride - 1) / 2 for at, first in zip(centre, start, strict=True))
        segments.append(IndexSegment(value, confidence, (k, j, i), count, layer=layer))
    (labels, foreground), *above = layers or [(np.zeros(shape, np.uint8), np.zeros(shape, np.uint8))]
    return IndexSegments(labels, foreground, tuple(segments), overlapping=True, above=tuple(above))


def _put(
    layers: list[tuple[Bytes, Bytes]], start: Shape, inside: Mask, levels: Bytes, value: int, shape: Shape
) -> int:
    """Write a label into the first layer that is free where it is, or into a new one; returns which."""
    box = tuple(slice(first, first + n) for first, n in zip(start, inside.shape, strict=True))
    free = (number for number, (labels, _) in enumerate(layers) if not labels[box][inside].any())
    number = next(free, len(layers))
    if number == len(layers):
        layers.append((np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)))
    labels, foreground = layers[number]
    labels[box][inside] = value
    np.maximum(foreground[box], levels, out=foreground[box])
    return number
