"""Decoder `segments` on the scan's own voxels: the output is interpolated to them before labels are decided.

That is what nnU-Net (logits) and MONAI (probabilities) do. Labels that are decided on the network's grid and brought to
the scan by the nearest voxel differ from theirs in 1.5–1.8 % of the voxels; a model that was made so declares it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..arrays import Array, compact, copied, empty_beside, is_tensor, library_of, on_host
from ..errors import PackageError
from ..manifest import Label, SegmentsDecoder
from ..preparation.zoom import nearest_slices
from ..volume import Grid
from .activation import channels_in_order, decided, probabilities, probability
from .at_once import highest_of, last_above
from .index_segment import IndexSegments
from .overlapping import OwnVoxels, in_layers
from .segments import cleaned, index_segments
from .separable import Between, along_axis, plane_between

Floats32 = NDArray[np.float32]
Shape = tuple[int, int, int]

# Voxels of the scan that are decided at once.
_AT_ONCE = 1 << 23
# How sure a label is, the voxels of the network's grid tell: of a larger one than this every second along each axis.
_ENOUGH = 1 << 22


class ScanSegmentsDecoding:
    """Takes finished blocks of the output and decides the scan's voxels as soon as their neighbours are there.

    grid: the prepared one. scan: the voxels to decide, whose axes are parallel to it. thick: an axis (0, 1, 2) along
    which the nearest slice counts, and nothing is interpolated. along: the axis along which blocks are finished; those
    with one start on it are equally thick, and together fill their planes.

    Memory: one byte per voxel of `scan` (of labels that overlap a bit around each, and in the end two bytes a layer);
    of the output four bytes per channel and voxel for the planes across `along` that are not finished: those of one row
    of blocks, and one before; nine bytes per voxel of `scan` decided at once. Of tensors, all of that but the labels
    is on their device, and more is in use while voxels are decided: see `at_once`.
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
        self._own = [OwnVoxels() for _ in labels] if decoder.overlap else []
        self._open: dict[int, _Rows] = {}
        self._before: Array | None = None
        # Planes of the output that are finished, of all; planes of the scan that are decided.
        self._planes, self._last, self._decided = 0, grid.shape[along], 0
        self._sums, self._counts = np.zeros(256), np.zeros(256, np.int64)
        self._every = 1 if np.prod(grid.shape) <= _ENOUGH else 2

    def feed(self, start: Shape, values: Array) -> None:
        """`values`: channels [c, k, j, i] as `SegmentsDecoding` takes them; blocks of one row along k are equally
        thick. Raises PackageError where they are declared as probabilities and are not."""
        first = start[self._along]
        rows = self._open.get(first)
        if rows is None:
            shape = _with(self._grid.shape, self._along, values.shape[1 + self._along])
            rows = self._open[first] = _Rows(values, shape, self._along)
        rows.put(_with(start, self._along, 0), values)
        while (ready := self._open.get(self._planes)) is not None and not ready.missing:
            del self._open[self._planes]
            self._decide(ready)

    def _decide(self, rows: _Rows) -> None:
        """Take the next planes of the output, and label those of the scan that they and the earlier ones surround."""
        self._count_confidence(rows.values)
        if self._decoder.decide == "probabilities":
            rows.values[...] = probabilities(rows.values, self._decoder.activation)
        first, axis = self._planes, 1 + self._along
        self._planes += rows.values.shape[axis]
        last = copied(rows.values[_cut(axis, -1, None)])
        values = rows.values
        if self._before is not None:
            values, first = rows.behind(self._before), first - 1
        self._before = last
        end = int(np.searchsorted(self._sampling.needed, self._planes))
        step = max(1, _AT_ONCE * self._scan.shape[self._along] // math.prod(self._scan.shape))
        for low in range(self._decided, end, step):
            high = min(low + step, end)
            if self._own:
                self._keep_each(values, first, low, high)
                continue
            classes = self._classes_at_once if is_tensor(values) else self._classes
            self._labels[_cut(self._along, low, high)] = classes(values, first, low, high)
        self._decided = end

    def _classes(self, values: Floats32, first: int, low: int, high: int) -> NDArray[np.uint8]:
        """The numbers of the labels in the scan's planes [low, high); values: planes of the output from `first` on.

        One plane across k at a time is brought to the scan and compared, so that it stays in the processor's cache.
        """
        alone, level = self._alone(values), self._level()
        labels = np.zeros(_with(self._scan.shape, self._along, high - low), np.uint8)
        best = np.empty(labels.shape if not alone else (0,), np.float32)
        buffer, above = np.empty(labels.shape[1:], np.float32), np.empty(labels.shape[1:], bool)
        for channel in self._order or range(len(values)):
            planes, place = self._sampling.in_plane(values[channel], first, low, high)
            for k in range(len(labels)):
                here = plane_between(planes, place, k, buffer)
                if alone:
                    # NaN compares false: a broken network finds nothing rather than everything.
                    labels[k][np.greater(here, level, out=above)] = channel + 1
                elif channel == 0:
                    best[k] = here
                else:
                    np.greater(here, best[k], out=above)
                    np.maximum(here, best[k], out=best[k])
                    # Channels come in rising order: the highest number that ever took the lead is the label.
                    np.maximum(labels[k], np.multiply(above, np.uint8(channel), dtype=np.uint8), out=labels[k])
        return labels

    def _alone(self, values: Array) -> bool:
        """Whether each channel is compared with the threshold, and not with the others."""
        return len(values) == 1 or self._decoder.activation == "sigmoid"

    def _classes_at_once(self, values: Array, first: int, low: int, high: int) -> NDArray[np.uint8]:
        """As `_classes`, of tensors: all planes of a channel together."""
        channels = ((n, self._channel(values[n], first, low, high)) for n in self._order or range(len(values)))
        found: NDArray[np.uint8] = on_host(
            last_above(channels, self._level()) if self._alone(values) else highest_of(channels)
        )
        return found

    def _channel(self, values: Array, first: int, low: int, high: int) -> Array:
        """One channel `values` [k, j, i] in the scan's planes [low, high)."""
        planes, place = self._sampling.in_plane(values, first, low, high)
        return along_axis(planes, place, 0)

    def _keep_each(self, values: Array, first: int, low: int, high: int) -> None:
        """As `_classes`, of labels that overlap: the voxels of each."""
        if is_tensor(values):
            for channel, own in zip(values, self._own, strict=True):
                here = self._channel(channel, first, low, high) > self._level()
                own.add(_with((0, 0, 0), self._along, low), on_host(here))
            return
        level, inside = self._level(), np.empty(_with(self._scan.shape, self._along, high - low), bool)
        buffer = np.empty(inside.shape[1:], np.float32)
        for channel, own in zip(values, self._own, strict=True):
            planes, place = self._sampling.in_plane(channel, first, low, high)
            for k in range(len(inside)):
                np.greater(plane_between(planes, place, k, buffer), level, out=inside[k])
            own.add(_with((0, 0, 0), self._along, low), inside)

    def _level(self) -> float:
        """The threshold as a value of what is interpolated."""
        threshold = self._decoder.threshold
        logits = self._decoder.activation == "sigmoid" and self._decoder.decide != "probabilities"
        return float(np.log(threshold / (1 - threshold))) if logits else threshold

    def _count_confidence(self, values: Array) -> None:
        every = self._every
        # Every second plane of all, however the rows are cut.
        begins = _with((0, 0, 0), self._along, -self._planes % every)
        some = compact(values[(slice(None), *(slice(begin, None, every) for begin in begins))])
        if self._own:
            for number, channel in enumerate(some, start=1):
                chance = probability(channel, self._decoder.activation)
                above = chance[chance > self._decoder.threshold]
                self._sums[number] += float(above.sum())
                self._counts[number] += len(above)
            return
        library = library_of(some)
        found = decided(some, self._decoder.activation, self._decoder.threshold, self._order)
        labels, score = found.labels.ravel(), library.nan_to_num(found.score).ravel()
        self._sums += on_host(library.bincount(labels, library.asarray(score, dtype=library.float64), 256))
        self._counts += on_host(library.bincount(labels, None, 256))

    def finish(self) -> IndexSegments:
        """One segment for each label that occurs, on `scan`, in the order of the labels."""
        if self._planes != self._last:
            raise PackageError("The tiles do not cover the scan: correct the tiling in model.json.")
        # A label that no looked-at voxel has is as unsure as a voxel can be.
        sure = np.divide(self._sums, self._counts, out=np.full(256, self._decoder.threshold), where=self._counts > 0)
        voxel_mm3 = float(np.prod(self._scan.spacing))
        if self._own:
            each = [float(chance) for chance in sure[1:]]
            return in_layers(self._own, self._values, self._scan.shape, 1, self._decoder, voxel_mm3, each)
        kept = cleaned(self._labels, self._decoder, voxel_mm3)
        labels, segments = index_segments(kept, self._values, 1, lambda number, box: float(sure[number]))
        return IndexSegments(labels, np.multiply(labels > 0, np.uint8(255), dtype=np.uint8), segments)


def _with(sizes: Shape, axis: int, size: int) -> Shape:
    """The sizes (k, j, i) with another one along an axis."""
    k, j, i = (size if own == axis else n for own, n in enumerate(sizes))
    return k, j, i


def _cut(axis: int, low: int, high: int | None) -> tuple[slice, ...]:
    """An index of [low, high) along an axis."""
    return (*(slice(None),) * axis, slice(low, high))


class _Rows:
    """The planes of one row of blocks, while blocks are missing, with room for one before them. missing: voxels."""

    def __init__(self, block: Array, shape: Shape, along: int) -> None:
        self._whole = empty_beside(block, (len(block), *_with(shape, along, shape[along] + 1)))
        self._axis = 1 + along
        self.values = self._whole[_cut(self._axis, 1, None)]
        self.missing = math.prod(shape)

    def behind(self, before: Array) -> Array:
        """The planes, with the one before them."""
        self._whole[_cut(self._axis, 0, 1)] = before
        return self._whole

    def put(self, start: Shape, values: Array) -> None:
        where = (slice(first, first + size) for first, size in zip(start, values.shape[1:], strict=True))
        self.values[(slice(None), *where)] = values
        self.missing -= math.prod(values.shape[1:])


class _Sampling:
    """Where the scan's voxels lie on the prepared grid, whose axes are parallel.

    thick: an axis along which the nearest slice counts. nearest: the nearest voxel counts along all. needed: the last
    plane across `along` of the output that each of the scan's planes is made of.
    """

    def __init__(self, grid: Grid, scan: Grid, thick: int | None, along: int, *, nearest: bool = False) -> None:
        start = grid.to_index(scan.to_ras((0, 0, 0)))
        step = np.array(scan.spacing) / np.array(grid.spacing)
        self._along, self._places = along, []
        for axis, (size, count) in enumerate(zip(grid.shape, scan.shape, strict=True)):
            places = start[axis] + step[axis] * np.arange(count)
            if nearest:
                # Halfway between two voxels, which is half of all places at twice the spacing, noise must not decide.
                self._places.append(Between.on(np.clip(np.rint(np.round(places, 6)), 0, size - 1).astype(np.intp)))
            elif axis == thick:
                self._places.append(Between.on(nearest_slices(size, count)))
            else:
                self._places.append(Between.at(places, size))
        self.needed = self._places[along].high

    def in_plane(self, values: Array, first: int, low: int, high: int) -> tuple[Array, Between]:
        """One channel `values` [k, j, i], from plane `first` of the output on, at the scan's planes [low, high) across
        `along`: brought to the scan along j and i, and where the scan's planes lie along k."""
        places = list(self._places)
        places[self._along] = places[self._along].part(low, high, first)
        return along_axis(along_axis(values, places[2], 2), places[1], 1), places[0]
