"""Decoder `segments` on the scan's own voxels: the output is interpolated to them before labels are decided.

That is what nnU-Net (logits) and MONAI (probabilities) do. Labels that are decided on the network's grid and brought to
the scan by the nearest voxel differ from theirs in 1.5–1.8 % of the voxels; a model that was made so declares it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import PackageError
from ..manifest import Label, SegmentsDecoder
from ..preparation.resample import resample
from ..preparation.zoom import nearest_slices
from ..volume import Grid
from .activation import channels_in_order, decided, probabilities
from .index_segment import IndexSegments
from .segments import cleaned, index_segments

Floats32 = NDArray[np.float32]
Shape = tuple[int, int, int]

# Voxels of the scan that are decided at once.
_AT_ONCE = 1 << 23
# How sure a label is, the voxels of the network's grid tell: of a larger one than this every second along each axis.
_ENOUGH = 1 << 24


class ScanSegmentsDecoding:
    """Takes finished blocks of the output and decides the scan's voxels as soon as their neighbours are there.

    grid: the prepared one. scan: the voxels to decide, whose axes are parallel to it. thick: an axis (0, 1, 2) along
    which the nearest slice counts, and nothing is interpolated. along: the axis along which blocks are finished; those
    with one start on it are equally thick, and together fill their planes.

    Memory: one byte per voxel of `scan`; of the output four bytes per channel and voxel for the planes across `along`
    that are not finished: those of one row of blocks, and one before; nine bytes per voxel of `scan` decided at once.
    """

    def __init__(
        self, decoder: SegmentsDecoder, labels: Sequence[Label], grid: Grid, scan: Grid, thick: int | None = None,
        along: int = 0,
    ) -> None:
        self._decoder, self._values = decoder, [label.value for label in labels]
        self._order = channels_in_order(decoder.order, labels)
        self._grid, self._scan, self._along = grid, scan, along
        self._sampling = _Sampling(grid, scan, thick, along, nearest=decoder.decide == "nearest")
        self._labels = np.zeros(scan.shape, np.uint8)
        self._open: dict[int, _Rows] = {}
        self._before: Floats32 | None = None
        # Planes of the output that are finished, of all; planes of the scan that are decided.
        self._planes, self._last, self._decided = 0, grid.shape[along], 0
        self._sums, self._counts = np.zeros(256), np.zeros(256, np.int64)
        self._every = 1 if np.prod(grid.shape) <= _ENOUGH else 2

    def feed(self, start: Shape, values: Floats32) -> None:
        """`values`: channels [c, k, j, i] as `SegmentsDecoding` takes them; blocks of one row along k are equally
        thick. Raises PackageError where they are declared as probabilities and are not."""
        first = start[self._along]
        rows = self._open.get(first)
        if rows is None:
            shape = _with(self._grid.shape, self._along, values.shape[1 + self._along])
            rows = self._open[first] = _Rows(np.empty((len(values), *shape), np.float32))
        rows.put(_with(start, self._along, 0), values)
        while (ready := self._open.get(self._planes)) is not None and not ready.missing:
            del self._open[self._planes]
            self._decide(ready.values)

    def _decide(self, values: Floats32) -> None:
        """Take the next planes of the output, and label those of the scan that they and the earlier ones surround."""
        self._count_confidence(values)
        if self._decoder.decide == "probabilities":
            values = probabilities(values, self._decoder.activation)
        first, axis = self._planes, 1 + self._along
        self._planes += values.shape[axis]
        if self._before is not None:
            values, first = np.concatenate([self._before, values], axis=axis), first - 1
        self._before = values[_cut(axis, -1, None)].copy()
        end = int(np.searchsorted(self._sampling.needed, self._planes))
        step = max(1, _AT_ONCE * self._scan.shape[self._along] // math.prod(self._scan.shape))
        for low in range(self._decided, end, step):
            high = min(low + step, end)
            self._labels[_cut(self._along, low, high)] = self._classes(values, first, low, high)
        self._decided = end

    def _classes(self, values: Floats32, first: int, low: int, high: int) -> NDArray[np.uint8]:
        """The numbers of the labels in the scan's planes [low, high); values: planes of the output from `first` on."""
        one_each = len(values) == 1 or self._decoder.activation == "sigmoid"
        if one_each:
            level, labels = self._level(), np.zeros(_with(self._scan.shape, self._along, high - low), np.uint8)
            for channel in self._order or range(len(values)):
                # NaN compares false: a broken network finds nothing rather than everything.
                labels[self._sampling.sampled(values[channel], first, low, high) > level] = channel + 1
            return labels
        best = self._sampling.sampled(values[0], first, low, high)
        labels = np.zeros(best.shape, np.uint8)
        for channel in range(1, len(values)):
            rival = self._sampling.sampled(values[channel], first, low, high)
            labels[rival > best] = channel
            np.maximum(best, rival, out=best)
        return labels

    def _level(self) -> float:
        """The threshold as a value of what is interpolated."""
        threshold = self._decoder.threshold
        logits = self._decoder.activation == "sigmoid" and self._decoder.decide != "probabilities"
        return float(np.log(threshold / (1 - threshold))) if logits else threshold

    def _count_confidence(self, values: Floats32) -> None:
        every = self._every
        # Every second plane of all, however the rows are cut.
        begins = _with((0, 0, 0), self._along, -self._planes % every)
        some = np.ascontiguousarray(values[(slice(None), *(slice(begin, None, every) for begin in begins))])
        found = decided(some, self._decoder.activation, self._decoder.threshold, self._order)
        self._sums += np.bincount(found.labels.ravel(), np.nan_to_num(found.score).ravel(), minlength=256)
        self._counts += np.bincount(found.labels.ravel(), minlength=256)

    def finish(self) -> IndexSegments:
        """One segment for each label that occurs, on `scan`, in the order of the labels."""
        if self._planes != self._last:
            raise PackageError("The tiles do not cover the scan: correct the tiling in model.json.")
        kept = cleaned(self._labels, self._decoder, float(np.prod(self._scan.spacing)))
        # A label that no looked-at voxel has is as unsure as a voxel can be.
        sure = np.divide(self._sums, self._counts, out=np.full(256, self._decoder.threshold), where=self._counts > 0)
        labels, segments = index_segments(kept, self._values, 1, lambda index, where: float(sure[index]))
        return IndexSegments(labels, np.where(labels > 0, 255, 0).astype(np.uint8), segments)


def _with(sizes: Shape, axis: int, size: int) -> Shape:
    """The sizes (k, j, i) with another one along an axis."""
    k, j, i = (size if own == axis else n for own, n in enumerate(sizes))
    return k, j, i


def _cut(axis: int, low: int, high: int | None) -> tuple[slice, ...]:
    """An index of [low, high) along an axis."""
    return (*(slice(None),) * axis, slice(low, high))


class _Rows:
    """The planes of one row of blocks, while blocks are missing. missing: voxels."""

    def __init__(self, values: Floats32) -> None:
        self.values, self.missing = values, values[0].size

    def put(self, start: Shape, values: Floats32) -> None:
        where = (slice(first, first + size) for first, size in zip(start, values.shape[1:], strict=True))
        self.values[(slice(None), *where)] = values
        self.missing -= values[0].size


class _Sampling:
    """Where the scan's voxels lie on the prepared grid, whose axes are parallel.

    thick: an axis along which the nearest slice counts. nearest: the nearest voxel counts along all. needed: the last
    plane across `along` of the output that each of the scan's planes is made of.
    """

    def __init__(self, grid: Grid, scan: Grid, thick: int | None, along: int, *, nearest: bool = False) -> None:
        self._along = along
        self._start = grid.to_index(scan.to_ras((0, 0, 0)))
        self._step = np.array(scan.spacing) / np.array(grid.spacing)
        self._shape, self._thick = scan.shape, thick
        places = self._start[along] + self._step[along] * np.arange(scan.shape[along])
        places = np.clip(places, 0, grid.shape[along] - 1)
        self.needed = np.ceil(places - 1e-6).astype(np.intp)
        self._voxels: list[NDArray[np.intp]] | None = None
        if nearest:
            # Halfway between two voxels, which is half of all places at twice the spacing, noise must not decide.
            self._voxels = [
                np.clip(np.rint(np.round(start + step * np.arange(count), 6)), 0, size - 1).astype(np.intp)
                for start, step, count, size in zip(self._start, self._step, scan.shape, grid.shape, strict=True)
            ]
            self.needed = self._voxels[along]
        if thick is not None:
            self._nearest = nearest_slices(grid.shape[thick], scan.shape[thick])
            self._start[thick], self._step[thick] = 0, 1
        if thick == along:
            self.needed = self._nearest

    def sampled(self, values: Floats32, first: int, low: int, high: int) -> Floats32:
        """One channel `values` [k, j, i], from plane `first` of the output on, at the scan's planes [low, high)."""
        along = self._along
        if self._voxels is not None:
            voxels = list(self._voxels)
            voxels[along] = voxels[along][low:high] - first
            return values[np.ix_(*voxels)]
        start = self._start.copy()
        if self._thick == along:
            values = values.take(self._nearest[low:high] - first, along)
        else:
            start[along] += low * self._step[along] - first
            if self._thick is not None:
                values = values.take(self._nearest, self._thick)
        return resample(values, self._step, start, _with(self._shape, along, high - low))
