"""Decoder `anchors`: grt123's grid of cubes (steps 5 and 6 of its recipe)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..manifest import AnchorsDecoder, Label
from .index_box import IndexBox
from .nms import nms_cubes


class AnchorsDecoding:
    """Keeps the cubes above the threshold of each block; suppresses and reports at the end."""

    def __init__(self, decoder: AnchorsDecoder, label: Label, shape: tuple[int, int, int], stride: int) -> None:
        self._decoder, self._label, self._shape, self._stride = decoder, label, shape, stride
        self._anchors = np.array(decoder.anchors, dtype=np.float32)
        self._cubes: list[NDArray[np.float64]] = []

    def feed(self, start: tuple[int, int, int], values: NDArray[np.float32]) -> None:
        """`values`: [anchors × 5, k, j, i], per anchor logit, offsets along k, j, i in anchors, log of the edge."""
        channels, *size = values.shape
        grid = values.reshape(len(self._anchors), channels // len(self._anchors), *size)
        logit = math.log(self._decoder.threshold / (1 - self._decoder.threshold))
        anchor, *cell = np.nonzero(grid[:, 0] > logit)
        if not len(anchor):
            return
        picked = grid[anchor, :, cell[0], cell[1], cell[2]].astype(np.float64)
        edge = self._anchors[anchor].astype(np.float64)
        # Cell n stands for the middle of its `stride` input voxels: (stride − 1) / 2 + stride · n.
        centers = (self._stride - 1) / 2 + self._stride * (np.stack(cell, axis=1) + np.array(start))
        centers = centers + picked[:, 1:4] * edge[:, None]
        # exp(10) anchors are larger than any scan: clipped so that a wild network gives no infinities.
        edges = np.exp(np.minimum(picked[:, 4], 10.0)) * edge
        # Cells of the padding behind the scan's end give no findings.
        inside = ((centers >= -0.5) & (centers <= np.array(self._shape) - 0.5)).all(axis=1) & np.isfinite(edges)
        self._cubes.append(np.column_stack([picked[:, 0], centers, edges])[inside])

    def finish(self) -> list[IndexBox]:
        """Cubes after non-maximum suppression, best first."""
        if not self._cubes:
            return []
        cubes = np.concatenate(self._cubes)
        kept = cubes[nms_cubes(cubes, self._decoder.nms_iou)][: self._decoder.max_findings]
        return [self._box(cube) for cube in kept]

    def _box(self, cube: NDArray[np.float64]) -> IndexBox:
        logit, k, j, i, edge = (float(value) for value in cube)
        return IndexBox(
            label=self._label.name,
            score=1 / (1 + math.exp(-logit)),
            low=(k - edge / 2 + 0.5, j - edge / 2 + 0.5, i - edge / 2 + 0.5),
            high=(k + edge / 2 + 0.5, j + edge / 2 + 0.5, i + edge / 2 + 0.5),
            diameter_voxels=edge * self._decoder.diameter_scale,
        )
