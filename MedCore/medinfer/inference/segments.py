"""Objects of passes as the answer's segments: brought to the scan's own grid, joined, and measured there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..decoders import IndexSegments
from ..findings import Segment, vector
from ..label_map import LabelMap
from ..manifest import Label
from ..preparation.focus import segments_in_focus
from ..volume import Grid, Volume
from .found import Named, Objects
from .scan_labels import measured, on_scan
from .watch import Watch

# Changes a label map's borders: (scan's values, labels, both [k, j, i], spacing in mm) -> labels.
Refine = Callable[[NDArray[np.float32], NDArray[np.uint8], tuple[float, float, float]], NDArray[np.uint8]]

# A label map has one byte per voxel.
_HIGHEST_VALUE = 255


@dataclass(frozen=True)
class Segments:
    """segments: in the order of the model's labels. left_out: how many there was no value for in the label map."""

    segments: tuple[Segment, ...] = ()
    label_map: LabelMap | None = None
    left_out: int = 0


def segments_of(
    volume: Volume, objects: Mapping[str, Objects], labels: Sequence[Label], watch: Watch, refine: Refine | None = None
) -> Segments:
    """The segments made from the objects of these passes, and their voxels; a voxel in two passes goes to the
    earlier one.

    Memory: on the scan's grid, one byte per voxel of the box around all segments, and four while a slab is computed.
    """
    values = _Values(labels)
    maps: list[tuple[LabelMap, dict[int, Named]]] = []
    for name, entry in objects.items():
        if not entry.voxels.segments:
            continue
        with watch.within(name), watch.stage("borders"):
            known, voxels = values.given(entry)
            maps.append((on_scan(voxels, entry.grid, entry.stride, entry.orientation, volume), known))
    if not maps:
        return Segments()
    with watch.stage("measures"):
        whole = _joined([entry for entry, _ in maps], volume.grid)
        if refine is not None:
            whole = replace(whole, voxels=refine(_values(volume, whole), whole.voxels, whole.grid.spacing))
        names = {value: name for _, known in reversed(maps) for value, name in known.items()}
        segments, whole = segments_in_focus(volume, _measured(whole, names, labels), whole)
        return Segments(segments, whole if segments else None, values.left_out)


class _Values:
    """The values of a label map as they are given to objects: their label's, or the first free one behind all labels'
    for what has no label or is a further object of one."""

    def __init__(self, labels: Sequence[Label]) -> None:
        self._of_labels = {label.name: label.value for label in labels}
        self._taken: set[int] = set()
        highest = max(label.value for label in labels)
        self._free: Iterator[int] = iter([*range(highest + 1, _HIGHEST_VALUE + 1)])
        self.left_out = 0

    def given(self, objects: Objects) -> tuple[dict[int, Named], IndexSegments]:
        """What each value is, and the voxels under the values."""
        known: dict[int, Named] = {}
        table = np.zeros(256, np.uint8)
        for entry, name in zip(objects.voxels.segments, objects.names, strict=True):
            value = self._of_labels.get(name.label, 0)
            if not value or value in self._taken:
                value = next(self._free, 0)
            if not value:
                self.left_out += 1
                continue
            self._taken.add(value)
            table[entry.value], known[value] = value, name
        return known, replace(objects.voxels, labels=table[objects.voxels.labels])


def _joined(maps: Sequence[LabelMap], grid: Grid) -> LabelMap:
    """One map of the box around all of them; where two claim a voxel, the first keeps it."""
    if len(maps) == 1:
        return maps[0]
    starts = np.array([entry.start_in(grid) for entry in maps])
    low = starts.min(axis=0)
    high = (starts + [entry.voxels.shape for entry in maps]).max(axis=0)
    voxels = np.zeros(high - low, np.uint8)
    for entry, start in zip(reversed(maps), reversed(starts - low), strict=True):
        inside = voxels[tuple(slice(a, a + n) for a, n in zip(start, entry.voxels.shape, strict=True))]
        np.copyto(inside, entry.voxels, where=entry.voxels > 0)
    k, j, i = (int(n) for n in low)
    return LabelMap(voxels, grid.cropped((k, j, i), voxels.shape))


def _values(volume: Volume, labels: LabelMap) -> NDArray[np.float32]:
    """The scan's values in the label map's box."""
    begin = labels.start_in(volume.grid)
    box = tuple(slice(a, a + n) for a, n in zip(begin, labels.voxels.shape, strict=True))
    return volume.voxels[box].astype(np.float32)


def _measured(whole: LabelMap, names: Mapping[int, Named], labels: Sequence[Label]) -> tuple[Segment, ...]:
    order = {label.name: index for index, label in enumerate(labels)}
    sizes = measured(whole)
    segments = [
        Segment(entry.label, value, entry.confidence, vector(sizes[value].center_ras), sizes[value].volume_mm3,
                sizes[value].length_mm, entry.flags)
        for value, entry in names.items() if value in sizes
    ]
    return tuple(sorted(segments, key=lambda segment: (order.get(segment.label, len(order)), segment.value)))
