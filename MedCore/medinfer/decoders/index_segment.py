"""Objects as voxels on the network's grid, before the conversion to world coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .index_box import Point


@dataclass(frozen=True)
class IndexSegment:
    """One object.

    value: its voxels' in the label map. confidence: 0…1. centroid: centre of mass, voxels along k, j, i of the prepared
    grid (fractional). voxels: how many of the output grid. flags: one clear phrase each.
    """

    value: int
    confidence: float
    centroid: Point
    voxels: int
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class IndexSegments:
    """What the decoders `instances` and `segments` finish with, on the output grid.

    labels: [k, j, i], 0 or an IndexSegment's value. foreground: [k, j, i], 0…255 for 0…1, by which borders can be found
    between the voxels on a finer grid; below a half where an object was dropped, 255 in a filled hole.
    segments: their values are 1, 2, … in this order (instances), or those of the labels (segments).
    """

    labels: NDArray[np.uint8]
    foreground: NDArray[np.uint8]
    segments: tuple[IndexSegment, ...]
