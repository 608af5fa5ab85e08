"""From the network's joined output to boxes, points and segments on the prepared grid.

A decoder is fed finished blocks as they come and keeps only what it needs of them,
so memory does not grow with the network's channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..manifest import Label, Pass
from ..preparation.zoom import thick_axis
from ..volume import Floats, Grid
from .anchors import AnchorsDecoding
from .heatmap import HeatmapDecoding, points_along_chain
from .index_box import IndexBox
from .index_point import IndexPoint
from .index_segment import IndexSegment, IndexSegments
from .instances import InstancesDecoding
from .labels import LabelsDecoding
from .overlapping import OverlappingDecoding
from .scan_segments import ScanSegmentsDecoding
from .segments import SegmentsDecoding

__all__ = [
    "Decoding", "IndexBox", "IndexPoint", "IndexSegment", "IndexSegments", "decoding_for", "points_along_chain",
]


class Decoding(Protocol):
    """The life of one decoding: blocks in, boxes, points or segments out."""

    def feed(self, start: tuple[int, int, int], values: NDArray[np.float32]) -> None:
        """Take the finished block `values` [c, k, j, i] whose first voxel is `start` on the output grid."""

    def finish(self) -> Sequence[IndexBox | IndexPoint] | IndexSegments:
        """The findings on the prepared grid: boxes best first, points in the order of the labels; or segments."""


def decoding_for(
    one: Pass, labels: Sequence[Label], grid: Grid, threshold: float, seeds: Floats | None = None,
    scan: Grid | None = None, along: int = 0,
) -> Decoding:
    """The decoding that a pass declares, for a prepared volume (or patch) on `grid`.

    threshold: the score from which findings count, in place of the declared one.
    seeds: `[n, 3]` points of `grid` (k, j, i) at which an earlier pass supposes objects. scan: the scan's voxels in the
    same place, for segments that are decided there. along: the axis along which blocks are finished.
    """
    decoder = one.decoder.model_copy(update={"threshold": threshold})
    stride = one.stride
    if decoder.kind == "anchors":
        return AnchorsDecoding(decoder, labels[0], grid.shape, stride)
    if decoder.kind == "heatmap":
        return HeatmapDecoding(decoder, labels, grid.shape, stride, grid.spacing)
    if decoder.kind == "segments" and decoder.decide != "network":
        assert scan is not None
        apart = one.prepare.resampling.thick == "nearest"
        # nnU-Net asks the network's spacing first here, and the scan's first where it prepares.
        thick = thick_axis(one.prepare.spacing_on(scan.spacing), scan.spacing) if apart else None
        return ScanSegmentsDecoding(decoder, labels, grid, scan, thick, along)
    if decoder.kind == "segments":
        kept = OverlappingDecoding if decoder.overlap else SegmentsDecoding
        return kept(decoder, labels, grid.shape, stride, grid.spacing)
    if decoder.kind == "instances":
        return InstancesDecoding(decoder, grid.shape, stride, grid.spacing, seeds)
    if decoder.kind == "classes":
        raise ValueError("class scores belong to patches and cannot be joined")
    if one.network.channels == len(labels) == 1:
        # A mask: it is of the one label, whatever value that has in a label map.
        labels = [labels[0].model_copy(update={"value": 1})]
    return LabelsDecoding(decoder, labels, grid.shape, stride)
