"""Decoder `segments` on the scan's own voxels: the output is interpolated to them before labels are decided.

That is what nnU-Net (logits) and MONAI (probabilities) do. Labels that are decided on the network's grid and brought to
the scan by the nearest voxel differ from theirs in 1.5–1.8 % of the voxels; a model that was made so declares it.
"""

from __future__ import annotations

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
    which the nearest slice counts, and nothing is interpolated.

    Memory: one byte per voxel of `scan`; of the output four bytes per channel and voxel for the planes (along k) that
    are not finished: those of one row of blocks, and one before; and nine bytes per voxel of `scan` decided at once.
    """

    def __init__(
        self, decoder: SegmentsDecoder, labels: Sequence[Label], grid: Grid, scan: Grid, thick: int | None = None
    ) -> None:
        self._decoder, self._values = decoder, [label.value for label in labels]
        self._order = channels_in_order(decoder.order, labels)
        self._scan, self._plane = scan, grid.shape[1:]
        self._sampling = _Sampling(grid, scan, thick, nearest=decoder.decide == "nearest")
        self._labels = np.zeros(scan.shape, np.uint8)
        self._open: dict[int, _Rows] = {}
        self._before: Floats32 | None = None
        # Planes of the output that are finished, of all; planes of the scan that are decided.
        self._planes, self._last, self._decided = 0, grid.shape[0], 0
        self._sums, self._counts = np.zeros(256), np.zeros(256, np.int64)
        self._every = 1 if np.prod(grid.shape) <= _ENOUGH else 2

    def feed(self, start: Shape, values: Floats32) -> None:
        """`values`: channels [c, k, j, i] as `SegmentsDecoding` takes them; blocks of one row along k are equally
        thick. Raises PackageError where they are declared as probabilities and are not."""
        rows = self._open.get(start[0])
        if rows is None:
            shape = (len(values), values.shape[1], *self._plane)
            rows = self._open[start[0]] = _Rows(np.empty(shape, np.float32), self._plane[0] * self._plane[1])
        rows.put(start, values)
        while (ready := self._open.get(self._planes)) is not None and not ready.missing:
            del self._open[self._planes]
            self._decide(ready.values)

    def _decide(self, values: Floats32) -> None:
        """Take the next planes of the output, and label those of the scan that they and the earlier ones surround."""
        self._count_confidence(values)
        if self._decoder.decide == "probabilities":
            values = probabilities(values, self._decoder.activation)
        first = self._planes
        self._planes += values.shape[1]
        if self._before is not None:
            values, first = np.concatenate([self._before, values], axis=1), first - 1
        self._before = values[:, -1:].copy()
        end = int(np.searchsorted(self._sampling.needed, self._planes))
        step = max(1, _AT_ONCE // (self._scan.shape[1] * self._scan.shape[2]))
        for low in range(self._decided, end, step):
            high = min(low + step, end)
            self._labels[low:high] = self._classes(values, first, low, high)
        self._decided = end

    def _classes(self, values: Floats32, first: int, low: int, high: int) -> NDArray[np.uint8]:
        """The numbers of the labels in the scan's planes [low, high); values: planes of the output from `first` on."""
        one_each = len(values) == 1 or self._decoder.activation == "sigmoid"
        if one_each:
            level, labels = self._level(), np.zeros((high - low, *self._scan.shape[1:]), np.uint8)
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
        some = np.ascontiguousarray(values[:, -self._planes % every :: every, ::every, ::every])
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


class _Rows:
    """The planes of one row of blocks, while blocks are missing. missing: voxels of the plane."""

    def __init__(self, values: Floats32, plane: int) -> None:
        self.values, self.missing = values, plane

    def put(self, start: Shape, values: Floats32) -> None:
        _, _, rows, columns = values.shape
        self.values[:, :, start[1] : start[1] + rows, start[2] : start[2] + columns] = values
        self.missing -= rows * columns


class _Sampling:
    """Where the scan's voxels lie on the prepared grid, whose axes are parallel.

    thick: an axis along which the nearest slice counts. nearest: the nearest voxel counts along all. needed: `[k]`, the
    last plane of the output that each of the scan's planes is made of.
    """

    def __init__(self, grid: Grid, scan: Grid, thick: int | None, *, nearest: bool = False) -> None:
        self._start = grid.to_index(scan.to_ras((0, 0, 0)))
        self._step = np.array(scan.spacing) / np.array(grid.spacing)
        self._shape, self._thick = scan.shape, thick
        places = np.clip(self._start[0] + self._step[0] * np.arange(scan.shape[0]), 0, grid.shape[0] - 1)
        self.needed = np.ceil(places - 1e-6).astype(np.intp)
        self._voxels: list[NDArray[np.intp]] | None = None
        if nearest:
            # Halfway between two voxels, which is half of all places at twice the spacing, noise must not decide.
            self._voxels = [
                np.clip(np.rint(np.round(start + step * np.arange(count), 6)), 0, size - 1).astype(np.intp)
                for start, step, count, size in zip(self._start, self._step, scan.shape, grid.shape, strict=True)
            ]
            self.needed = self._voxels[0]
        if thick is not None:
            self._nearest = nearest_slices(grid.shape[thick], scan.shape[thick])
            self._start[thick], self._step[thick] = 0, 1
        if thick == 0:
            self.needed = self._nearest

    def sampled(self, values: Floats32, first: int, low: int, high: int) -> Floats32:
        """One channel `values` [k, j, i], from plane `first` of the output on, at the scan's planes [low, high)."""
        if self._voxels is not None:
            k, j, i = self._voxels
            return values[np.ix_(k[low:high] - first, j, i)]
        start = self._start.copy()
        if self._thick == 0:
            values = values.take(self._nearest[low:high] - first, 0)
        else:
            start[0] += low * self._step[0] - first
            if self._thick is not None:
                values = values.take(self._nearest, self._thick)
        return resample(values, self._step, start, (high - low, self._shape[1], self._shape[2]))
