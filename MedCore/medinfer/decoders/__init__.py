"""From the network's joined output to boxes on the prepared grid.

A decoder is fed finished blocks as they come and keeps only what it needs of them,
so memory does not grow with the network's channels.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..manifest import Manifest
from .anchors import AnchorsDecoding
from .index_box import IndexBox
from .labels import LabelsDecoding

__all__ = ["Decoding", "IndexBox", "decoding_for"]


class Decoding(Protocol):
    """The life of one decoding: blocks in, boxes out."""

    def feed(self, start: tuple[int, int, int], values: NDArray[np.float32]) -> None:
        """Take the finished block `values` [c, k, j, i] whose first voxel is `start` on the output grid."""

    def finish(self) -> list[IndexBox]:
        """The findings, best first, on the prepared grid."""


def decoding_for(manifest: Manifest, shape: tuple[int, int, int], stride: int, threshold: float) -> Decoding:
    """The decoding that `manifest` declares, for a prepared volume of `shape` and a network of output `stride`.

    threshold: the score from which findings count, in place of the declared one.
    """
    decoder = manifest.decoder.model_copy(update={"threshold": threshold})
    if decoder.kind == "anchors":
        return AnchorsDecoding(decoder, manifest.labels[0], shape, stride)
    return LabelsDecoding(decoder, manifest.labels, shape, stride)
