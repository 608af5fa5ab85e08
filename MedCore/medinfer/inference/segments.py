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
from ..volume import Volume
from .found import Named, Objects
from .layers import in_layers, with_layers
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
    earlier one, unless a pass declares that its objects overlap others: then there are layers of voxels.

    Memory: on the scan's grid, one byte per voxel and layer of the box around all segments, and four while a slab is
    computed.
    """
    values = _Values(labels)
    apart: list[LabelMap] = []
    overlapping: list[LabelMap] = []
    names: dict[int, Named] = {}
    for name, entry in objects.items():
        if not entry.voxels.segments:
            continue
        with watch.within(name), watch.stage("borders"):
            known, voxels = values.given(entry)
            names = {**known, **names}
            (overlapping if voxels.overlapping else apart).extend(
                on_scan(layer, entry.grid, entry.stride, entry.orientation, volume) for layer in voxels.layers
            )
    if not names:
        return Segments()
    with watch.stage("measures"):
        whole = in_layers(apart, overlapping, volume.grid)
        if refine is not None:
            seen = _values(volume, whole)
            first, *above = (refine(seen, layer.voxels, layer.grid.spacing) for layer in whole.layers)
            whole = replace(whole, voxels=first, above=tuple(above))
        segments, whole = segments_in_focus(volume, _measured(whole, names, labels), whole)
        segments, kept = with_layers(segments, whole)
        return Segments(segments, kept, values.left_out)


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
        return known, objects.voxels.relabelled(table)


def _values(volume: Volume, labels: LabelMap) -> NDArray[np.float32]:
    """The scan's values in the label map's box."""
    begin = labels.start_in(volume.grid)
    box = tuple(slice(a, a + n) for a, n in zip(begin, labels.voxels.shape, strict=True))
    return volume.voxels[box].astype(np.float32)


def _measured(whole: LabelMap, names: Mapping[int, Named], labels: Sequence[Label]) -> tuple[Segment, ...]:
    order = {label.name: index for index, label in enumerate(labels)}
    sizes = {value: found for layer in whole.layers for value, found in measured(layer).items()}
    segments = [
        Segment(entry.label, value, entry.confidence, vector(sizes[value].center_ras), sizes[value].volume_mm3,
                sizes[value].length_mm, entry.flags)
        for value, entry in names.items() if value in sizes
    ]
    return tuple(sorted(segments, key=lambda segment: (order.get(segment.label, len(order)), segment.value)))
