"""Decoder `segments`: threshold or arg-max, one segment per label."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..arrays import Array, as_bytes, on_host
from ..manifest import Label, SegmentsDecoder
from ..tiles.tiling import Shape
from .activation import channels_in_order, decided
from .index_box import Point
from .index_segment import IndexSegment, IndexSegments
from .label_cleanup import Box, fill_holes, keep_largest_components


class SegmentsDecoding:
    """Keeps one byte per voxel for the label and one for the foreground.

    shape: the prepared grid's voxels (k, j, i); stride: its voxels per output voxel; spacing: its mm along k, j, i.
    """

    def __init__(
        self, decoder: SegmentsDecoder, labels: Sequence[Label], shape: Shape, stride: int, spacing: Point
    ) -> None:
        self._decoder, self._values, self._stride = decoder, [label.value for label in labels], stride
        self._order = channels_in_order(decoder.order, labels)
        self._voxel_mm3 = float(np.prod(spacing)) * stride**3
        output = [-(-n // stride) for n in shape]
        self._labels, self._foreground = np.zeros(output, np.uint8), np.zeros(output, np.uint8)

    def feed(self, start: Shape, values: Array) -> None:
        """`values`: [1, k, j, i], or [1 + labels, k, j, i] of which 0 is background, or [labels, k, j, i] with a
        sigmoid each. Raises PackageError where they are declared as probabilities and are not."""
        where = tuple(slice(a, a + n) for a, n in zip(start, values.shape[1:], strict=True))
        found = decided(values, self._decoder.activation, self._decoder.threshold, self._order)
        self._labels[where] = on_host(found.labels)
        self._foreground[where] = on_host(as_bytes(found.inside))

    def finish(self) -> IndexSegments:
        """One segment for each label that occurs, with the label's value, in the order of the labels."""
        kept = cleaned(self._labels, self._decoder, self._voxel_mm3)
        labels, segments = index_segments(
            kept, self._values, self._stride,
            lambda number, box: float(self._foreground[box][kept[box] == number].mean()) / 255,
        )
        # What was dropped is no foreground, and what was filled is.
        outside, filled = labels == 0, (labels > 0) & (self._labels == 0)
        self._foreground[outside] = np.minimum(self._foreground[outside], 127)
        self._foreground[filled] = 255
        return IndexSegments(labels, self._foreground, segments)


def cleaned(labels: NDArray[np.uint8], decoder: SegmentsDecoder, voxel_mm3: float) -> NDArray[np.uint8]:
    """The numbers of labels `[k, j, i]` without what the decoder declares to be dropped; perhaps changed in place."""
    import cc3d

    least = decoder.min_volume_mm3 / voxel_mm3
    if least > 1:
        labels = cc3d.dust(labels, threshold=int(np.ceil(least)), connectivity=26)
    if decoder.largest_component:
        keep_largest_components(labels)
    if decoder.fill_holes:
        fill_holes(labels)
    return labels


def index_segments(
    numbers: NDArray[np.uint8], values: Sequence[int], stride: int, sure: Callable[[int, Box], float]
) -> tuple[NDArray[np.uint8], tuple[IndexSegment, ...]]:
    """A label map of `values` in place of 1, 2, …, and a segment for each that occurs.

    sure(number, box): how sure the label is that has this number, and all whose voxels lie in this box.
    """
    import cc3d

    table = np.zeros(256, np.uint8)
    table[1 : len(values) + 1] = values
    found = cc3d.statistics(numbers)
    segments = []
    for number, count in enumerate(found["voxel_counts"]):
        if number and count:
            k, j, i = (float(place) * stride + (stride - 1) / 2 for place in found["centroids"][number])
            confidence = sure(number, found["bounding_boxes"][number])
            segments.append(IndexSegment(values[number - 1], confidence, (k, j, i), int(count)))
    return table[numbers], tuple(segments)
