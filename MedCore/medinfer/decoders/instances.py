"""Decoder `instances`: voxels vote for their object's centroid; a cluster of votes is an object.

After the centroid-and-offset methods of ToothNet's successors (Cui et al., "A fully automatic AI system for tooth and
alveolar bone segmentation from cone-beam CT images", Nature Communications 13, 2022), without their clustering: votes
are counted on a grid.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..errors import PackageError
from ..manifest import InstancesDecoder
from ..tiles.tiling import Shape
from .activation import probability
from .border import around_half
from .index_box import Point
from .index_segment import IndexSegment, IndexSegments
from .label_cleanup import fill_holes, keep_largest_components
from .object_voxels import ObjectVoxels
from .vote_peaks import VoteCells

# Voxels looked at together, so that they stay in the processor's cache.
_CACHED = 1 << 16
# Objects told apart while at work; those with the fewest votes beyond are all the last value, and dropped.
_MOST, _BEYOND = 254, 255
# No object of its own is what has more than this share of its surface on larger ones: if its voxels lie elsewhere than
# they vote for, and anyhow.
_FRAGMENT, _ENCLOSED = 0.15, 0.5
# Millimetres at which a vote counts for nothing, as an offset that is not finite does.
_FAR = 1e6
_CUT = "reaches the edge of the searched region"

Indices = NDArray[np.int64]


class InstancesDecoding:
    """Keeps one byte per voxel, and 20 of the foreground's: index and vote. While it works, `finish` takes two more
    bytes per voxel and about 100 per foreground voxel.

    shape: the prepared grid's voxels (k, j, i). stride: its voxels per output voxel; output voxel o stands for the
    voxels from `o · stride` on, so that its middle lies at `o · stride + (stride − 1) / 2`. spacing: mm of the prepared
    grid's voxels along k, j, i. seeds: `[n, 3]` points of the prepared grid where objects are supposed (of a coarse
    stage); a seed without a cluster of votes is not an object.
    """

    def __init__(
        self, decoder: InstancesDecoder, shape: Shape, stride: int, spacing: Point,
        seeds: NDArray[np.floating] | None = None,
    ) -> None:
        self._decoder, self._stride = decoder, stride
        self._shape: Shape = (-(-shape[0] // stride), -(-shape[1] // stride), -(-shape[2] // stride))
        self._cell = np.array(spacing, np.float64) * stride
        self._seeds = None
        if seeds is not None and len(seeds):
            self._seeds = (np.asarray(seeds, np.float64) - (stride - 1) / 2) / stride * self._cell
        self._foreground = np.zeros(self._shape, np.uint8)
        self._indices: list[Indices] = []
        self._votes: list[NDArray[np.float32]] = []

    def feed(self, start: Shape, values: NDArray[np.float32]) -> None:
        """`values`: [4, k, j, i], the foreground and the offsets along k, j, i, in output voxels, from each
        voxel to its object's centroid. A NaN foreground is background; an offset that is not finite gives no vote.

        Raises PackageError for another number of channels.
        """
        if len(values) != 4:
            raise PackageError(
                f"The network returns {len(values)} channels, but the decoder instances needs 4 (the foreground, and "
                "the offsets along k, j and i): correct network.output or the decoder in model.json."
            )
        slices = max(1, _CACHED // max(1, math.prod(values.shape[2:])))
        for first in range(0, values.shape[1], slices):
            self._take((start[0] + first, start[1], start[2]), values[:, first : first + slices])

    def _take(self, start: Shape, values: NDArray[np.float32]) -> None:
        shape = values.shape[1:]
        inner = probability(values[0], self._decoder.activation)
        # fmax takes the number where the other is NaN.
        levels = np.fmax(inner, np.float32(0))
        np.minimum(levels, np.float32(1), out=levels)
        levels = around_half(levels, self._decoder.foreground)
        levels *= np.float32(255)
        levels += np.float32(0.5)
        self._foreground[tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))] = levels
        inside = np.flatnonzero(inner > np.float32(self._decoder.foreground))
        if len(inside) == 0:
            return
        k, j, i = np.unravel_index(inside, shape)
        places = (k + start[0], j + start[1], i + start[2])
        self._indices.append(np.ravel_multi_index(places, self._shape))
        votes = (np.stack(places).astype(np.float32) + values[1:, k, j, i]) * self._cell.astype(np.float32)[:, None]
        np.clip(votes, -_FAR, _FAR, out=votes)
        self._votes.append(np.nan_to_num(votes, copy=False, nan=_FAR))

    def finish(self) -> IndexSegments:
        """The objects, largest first (of equal ones the first in memory), at most `max_findings`."""
        if not self._indices:
            return IndexSegments(np.zeros(self._shape, np.uint8), self._foreground, ())
        indices, votes = self._collected()
        cells = VoteCells(votes, self._cell, self._decoder.separation_mm, self._shape)
        peaks = cells.peaks(max(1.0, self._least_voxels / 2), self._seeds)
        nearest = cells.nearest(peaks, 2 * self._decoder.separation_mm)
        voxels = ObjectVoxels(self._shape, indices, np.minimum(nearest + 1, _BEYOND).astype(np.uint8), votes)
        if len(peaks) > _MOST:
            # One place a value; theirs is far from all votes.
            peaks = np.concatenate([peaks[:_MOST], np.full((1, 3), np.inf)])
        layers = math.ceil(2 * self._decoder.separation_mm / float(self._cell.min()))
        # Crumbs are no one's, until the objects grow.
        keep_largest_components(voxels.labels, voxels.boxes())
        self._drop_small(voxels)
        voxels.grow(peaks, layers)
        while self._free_fragments(voxels, peaks):
            voxels.grow(peaks, layers)
        kept = self._by_size(voxels)
        return self._described(voxels, indices, votes, peaks[np.array(kept, np.int64) - 1])

    def _collected(self) -> tuple[Indices, NDArray[np.float32]]:
        """All foreground voxels, however cut the blocks were: flat indices, rising, and votes `[3, n]` in mm."""
        indices, votes = np.concatenate(self._indices), np.concatenate(self._votes, axis=1)
        self._indices, self._votes = [], []
        order = np.argsort(indices)
        return indices[order], votes[:, order]

    @property
    def _least_voxels(self) -> float:
        return self._decoder.min_volume_mm3 / float(self._cell.prod())

    def _free_fragments(self, voxels: ObjectVoxels, peaks: NDArray[np.float64]) -> bool:
        """What is not an object of its own but a part of larger ones it touches becomes theirs: no one's, until they
        grow. Whether there was any."""
        centres, counts = self._centres(voxels)
        # No two of one size: of two that touch only one is freed.
        rank = np.empty(256, np.int64)
        rank[np.argsort(counts, kind="stable")] = np.arange(256)
        boxes, separation = voxels.boxes(), self._decoder.separation_mm
        boxes.pop(_BEYOND, None)
        values = np.arange(256, dtype=np.uint8)
        for value in sorted(boxes, key=lambda value: rank[value]):
            larger = (rank > rank[value]) & (np.arange(256) > 0)
            contact = voxels.contact(value, boxes[value])[larger].sum()
            same = (np.linalg.norm(centres[larger] - centres[value], axis=1) < separation).any()
            astray = np.linalg.norm(centres[value] - peaks[value - 1]) > separation
            if contact > (0 if same else _FRAGMENT if astray else _ENCLOSED):
                values[value] = 0
        voxels.relabel(values)
        return bool((values != np.arange(256)).any())

    def _centres(self, voxels: ObjectVoxels) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """By value `[256]`: centres of mass in mm (NaN for none) `[256, 3]`, and numbers of voxels."""
        objects = voxels.objects
        counts = np.bincount(objects, minlength=256)
        sums = [np.bincount(objects, weights=along, minlength=256) for along in voxels.places]
        with np.errstate(invalid="ignore"):
            return np.stack(sums, axis=1) / counts[:, None] * self._cell, counts

    def _drop_small(self, voxels: ObjectVoxels) -> None:
        counts = np.bincount(voxels.objects, minlength=256)
        values = np.arange(256, dtype=np.uint8)
        values[(counts > 0) & (counts < self._least_voxels)] = 0
        voxels.relabel(values)

    def _by_size(self, voxels: ObjectVoxels) -> list[int]:
        """The values of the largest objects, largest first; they become 1, 2, … in this order, the others 0."""
        values, first, counts = np.unique(voxels.objects, return_index=True, return_counts=True)
        order = np.lexsort((first, -counts))
        kept = [int(value) for value in values[order] if value not in (0, _BEYOND)][: self._decoder.max_findings]
        renamed = np.zeros(256, np.uint8)
        renamed[kept] = np.arange(1, len(kept) + 1)
        voxels.relabel(renamed)
        return kept

    def _described(
        self, voxels: ObjectVoxels, indices: Indices, votes: NDArray[np.float32], peaks: NDArray[np.float64]
    ) -> IndexSegments:
        """Holes filled and the foreground made to agree; each object's confidence and place.

        peaks: `[n, 3]` mm of the objects 1…n.
        """
        objects, flat = voxels.objects, self._foreground.reshape(-1)
        # Mean foreground × share of the voxels that vote within the separation of the peak.
        counts = np.bincount(objects, minlength=256)
        sure = np.bincount(objects, weights=flat[indices], minlength=256) / 255
        targets = np.concatenate([np.full((1, 3), np.inf), peaks]).astype(np.float32)
        away = sum((along - target[objects]) ** 2 for along, target in zip(votes, targets.T, strict=True))
        near = away <= self._decoder.separation_mm**2
        agreed = np.bincount(objects, weights=near, minlength=256)
        flat[indices[objects == 0]] = 0
        boxes, segments = voxels.boxes(), []
        if self._decoder.fill_holes:
            for box, holes in fill_holes(voxels.labels, boxes):
                self._foreground[box][holes] = 255
        for value, box in boxes.items():
            places = np.argwhere(voxels.labels[box] == value) + [side.start for side in box]
            k, j, i = (float(x) * self._stride + (self._stride - 1) / 2 for x in places.mean(axis=0))
            cut = any(side.start == 0 or side.stop == n for side, n in zip(box, self._shape, strict=True))
            confidence = float(sure[value] * agreed[value]) / float(counts[value]) ** 2
            segments.append(IndexSegment(value, confidence, (k, j, i), len(places), (_CUT,) if cut else ()))
        found = IndexSegments(np.ascontiguousarray(voxels.labels), self._foreground, tuple(segments))
        return _surer_than(found, self._decoder.threshold)


def _surer_than(found: IndexSegments, threshold: float) -> IndexSegments:
    """Without the objects below `threshold`; the others are renumbered, their foreground is unchanged."""
    kept = [segment for segment in found.segments if segment.confidence >= threshold]
    if len(kept) == len(found.segments):
        return found
    renamed = np.zeros(256, np.uint8)
    for value, segment in enumerate(kept, start=1):
        renamed[segment.value] = value
    labels = renamed[found.labels]
    found.foreground[(labels == 0) & (found.labels > 0)] = 0
    return IndexSegments(
        labels, found.foreground, tuple(replace(segment, value=n) for n, segment in enumerate(kept, start=1))
    )


def _renamed(value: int, other: int) -> NDArray[np.uint8]:
    values = np.arange(256, dtype=np.uint8)
    values[value] = other
    return values
