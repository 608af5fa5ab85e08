"""Decoder `heatmap`: one heatmap per landmark, its peak the landmark's place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..anatomy.chain import Candidate, place_along_chain
from ..errors import PackageError
from ..manifest import Chain, HeatmapDecoder, Label
from ..tiles.tiling import Shape
from .activation import probability
from .expectation import ExpectationReading
from .index_box import Point
from .index_point import IndexPoint
from .peaks import Peak, PeakReading

# Peaks of a channel among which a chain may choose.
_CANDIDATES = 4


class HeatmapDecoding:
    """Keeps the bright voxels of each channel (arg-max), or its sums along the axes (expectation): some KB a landmark.

    labels: one per channel. shape: the prepared grid's voxels (k, j, i). stride: its voxels per output voxel; output
    voxel o stands for the voxels from `o · stride` on, so that its middle lies at `o · stride + (stride − 1) / 2`, as
    for the other decoders. spacing: mm of the prepared grid's voxels along k, j, i.
    """

    def __init__(
        self, decoder: HeatmapDecoder, labels: Sequence[Label], shape: Shape, stride: int, spacing: Point
    ) -> None:
        self._decoder, self._labels, self._shape = decoder, [label.name for label in labels], shape
        self._stride, self._spacing = stride, spacing
        output = (-(-shape[0] // stride), -(-shape[1] // stride), -(-shape[2] // stride))
        cell = (spacing[0] * stride, spacing[1] * stride, spacing[2] * stride)
        most = max(decoder.peaks, 1 if decoder.chain is None else _CANDIDATES)
        self._reading: PeakReading | ExpectationReading = (
            ExpectationReading(decoder, len(labels), output) if decoder.position == "expectation"
            else PeakReading(decoder, len(labels), output, cell, most)
        )

    def feed(self, start: Shape, values: NDArray[np.float32]) -> None:
        """`values`: [labels, k, j, i], one heatmap per label; NaN and infinite values are ignored.

        Raises PackageError if the numbers of heatmaps and labels differ.
        """
        if len(values) != len(self._labels):
            raise PackageError(
                f"The network returns {len(values)} heatmaps for {len(self._labels)} labels, but needs one per label: "
                "correct labels or network.channels in model.json."
            )
        self._reading.feed(start, probability(values, "sigmoid") if self._decoder.activation == "sigmoid" else values)

    def finish(self) -> list[IndexPoint]:
        """One point per label, in the labels' order; with `peaks` above 1 all points found, each label's best first."""
        found = [self._points(channel) for channel in range(len(self._labels))]
        highest = [self._confidence(self._reading.highest(channel)) for channel in range(len(self._labels))]
        if self._decoder.chain is not None:
            return points_along_chain(self._labels, found, highest, self._decoder.chain, self._spacing)
        if self._decoder.peaks > 1:
            return [point for points in found for point in points]
        return [
            points[0] if points else IndexPoint(label, best, None)
            for label, points, best in zip(self._labels, found, highest, strict=True)
        ]

    def _points(self, channel: int) -> list[IndexPoint]:
        """What is found in a channel, best first, on the prepared grid."""
        peaks = [peak for peak in self._reading.peaks(channel) if peak.height >= self._least]
        points = (self._on_prepared_grid(self._labels[channel], peak) for peak in peaks)
        return [point for point in points if point is not None]

    def _on_prepared_grid(self, label: str, peak: Peak) -> IndexPoint | None:
        """The peak as a point; None where it lies in the padding behind the prepared grid."""
        k, j, i = (place * self._stride + (self._stride - 1) / 2 for place in peak.position)
        if any(place > size - 0.5 for place, size in zip((k, j, i), self._shape, strict=True)):
            return None
        deviation = peak.deviation
        if deviation is not None:
            deviation = (deviation[0] * self._stride, deviation[1] * self._stride, deviation[2] * self._stride)
        return IndexPoint(label, self._confidence(peak.height), (k, j, i), deviation)

    @property
    def _least(self) -> float:
        """The height from which a peak is a landmark, as float32 like the heights."""
        return float(np.float32(self._decoder.threshold * self._decoder.peak))

    def _confidence(self, height: float) -> float:
        return float(np.clip(height / self._decoder.peak, 0, 1))


def points_along_chain(
    labels: Sequence[str], found: Sequence[Sequence[IndexPoint]], highest: Sequence[float], chain: Chain, spacing: Point
) -> list[IndexPoint]:
    """One point per label: of those `found` for each label, the one consistent with the others; flagged if none is.

    highest: confidence of a missing one (the best that was seen). spacing: mm of the points' grid along k, j, i.
    """
    candidates = [
        [Candidate(tuple(np.multiply(point.position, spacing).tolist()), point.confidence)
         for point in points if point.position is not None]
        for points in found
    ]
    choices = place_along_chain(labels, candidates, chain.spacing_mm, chain.regularity)
    chosen = []
    for label, points, best, choice in zip(labels, found, highest, choices, strict=True):
        if choice.candidate is None:
            chosen.append(IndexPoint(label, best, None))
        else:
            point = points[choice.candidate]
            chosen.append(IndexPoint(label, point.confidence, point.position, point.deviation, choice.flags))
    return chosen
