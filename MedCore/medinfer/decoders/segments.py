"""Decoder `segments`: threshold or arg-max, one segment per label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..manifest import Label, SegmentsDecoder
from ..tiles.tiling import Shape
from .activation import channels_in_order, decided
from .index_box import Point
from .index_segment import IndexSegment, IndexSegments


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

    def feed(self, start: Shape, values: NDArray[np.float32]) -> None:
        """`values`: [1, k, j, i], or [1 + labels, k, j, i] of which 0 is background, or [labels, k, j, i] with a
        sigmoid each. Raises PackageError where they are declared as probabilities and are none."""
        where = tuple(slice(a, a + n) for a, n in zip(start, values.shape[1:], strict=True))
        found = decided(values, self._decoder.activation, self._decoder.threshold, self._order)
        self._labels[where] = found.labels
        self._foreground[where] = np.rint(np.clip(np.nan_to_num(found.inside), 0, 1) * 255)

    def finish(self) -> IndexSegments:
        """One segment for each label that occurs, with the label's value, in the order of the labels."""
        import cc3d

        kept = self._labels
        least = self._decoder.min_volume_mm3 / self._voxel_mm3
        if least > 1:
            kept = cc3d.dust(kept, threshold=int(np.ceil(least)), connectivity=26)
        segments, labels = [], np.zeros_like(kept)
        for index, value in enumerate(self._values, start=1):
            where = np.argwhere(kept == index)
            if not len(where):
                continue
            mine = tuple(where.T)
            labels[mine] = value
            k, j, i = (float(at) for at in where.mean(axis=0) * self._stride + (self._stride - 1) / 2)
            sure = float(self._foreground[mine].mean()) / 255
            segments.append(IndexSegment(value, sure, (k, j, i), len(where)))
        # What was dropped is no foreground.
        self._foreground[labels == 0] = np.minimum(self._foreground[labels == 0], 127)
        return IndexSegments(labels, self._foreground, tuple(segments))
