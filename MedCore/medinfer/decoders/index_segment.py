"""Objects as voxels on the network's grid, before the conversion to world coordinates."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .index_box import Point


@dataclass(frozen=True)
class IndexSegment:
    """One object.

    value: its voxels' in the label map, layer: in which of them. confidence: 0…1. centroid: centre of mass, voxels
    along k, j, i of the prepared grid (fractional). voxels: how many of the output grid. flags: one clear phrase each.
    """

    value: int
    confidence: float
    centroid: Point
    voxels: int
    flags: tuple[str, ...] = ()
    layer: int = 0


@dataclass(frozen=True, eq=False)
class IndexSegments:
    """What the decoders `instances` and `segments` finish with, on the output grid.

    labels: [k, j, i], 0 or an IndexSegment's value. foreground: [k, j, i], 0…255 for 0…1, by which borders can be found
    between the voxels on a finer grid; below a half where an object was dropped, 255 in a filled hole.
    segments: their values are 1, 2, … in this order (instances), or those of the labels (segments).
    overlapping: whether each is kept whole beside what else has its voxels. above: the labels and the foreground of
    further layers, for those of them that overlap.
    """

    labels: NDArray[np.uint8]
    foreground: NDArray[np.uint8]
    segments: tuple[IndexSegment, ...]
    overlapping: bool = False
    above: tuple[tuple[NDArray[np.uint8], NDArray[np.uint8]], ...] = ()

    @property
    def layers(self) -> tuple[IndexSegments, ...]:
        """Each layer by itself, with the segments in it."""
        if not self.above:
            return (self,)
        return tuple(
            replace(self, labels=labels, foreground=foreground, above=(), segments=tuple(
                entry for entry in self.segments if entry.layer == number
            ))
            for number, (labels, foreground) in enumerate([(self.labels, self.foreground), *self.above])
        )

    def relabelled(self, table: NDArray[np.uint8]) -> IndexSegments:
        """The value at its own in `table` `[256]` in place of each; `segments` stay."""
        above = tuple((table[labels], foreground) for labels, foreground in self.above)
        return replace(self, labels=table[self.labels], above=above)
