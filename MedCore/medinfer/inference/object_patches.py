"""An object around each point of an earlier pass: the network's foreground in the patch around the point."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..backends import Session
from ..decoders import IndexSegment, IndexSegments
from ..decoders.border import around_half
from ..findings import Landmark
from ..manifest import Pass
from ..preparation.prepare import Prepared
from .found import Earlier, Named
from .patches import patch_answers
from .watch import Watch

# One byte per voxel says which object it is of.
_MOST = 255


def objects_in_patches(
    prepared: Prepared, one: Pass, session: Session, threshold: float, points: Sequence[Landmark],
    earlier: Earlier, watch: Watch,
) -> tuple[IndexSegments, tuple[Named, ...]]:
    """The objects, in the order of the points, and their names, which are the points'.

    The largest component of each patch's foreground is the object; a shared voxel goes to the more confident one.
    Beyond 255 points, the least confident are left out. Memory: two bytes per voxel of the prepared region.
    """
    import cc3d

    assert one.decoder.kind == "segments"
    there = sorted((point for point in points if point.position_ras is not None), key=lambda point: -point.confidence)
    kept = {id(point) for point in there[:_MOST]}
    there = [point for point in points if id(point) in kept]
    shape = prepared.voxels.shape
    labels, foreground = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    places = [point.position_ras for point in there if point.position_ras is not None]
    for value, (tile, values) in enumerate(patch_answers(prepared, one, session, places, earlier, watch), start=1):
        low = np.maximum(tile.start, 0)
        high = np.minimum(np.add(tile.start, tile.shape), shape)
        here = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        part = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, tile.start, strict=True))
        sure = np.nan_to_num(values[0][part])
        inside = sure > np.float32(threshold)
        if inside.any():
            inside = cc3d.largest_k(np.ascontiguousarray(inside), k=1) > 0
        level = np.rint(np.clip(around_half(sure, threshold), 0, 1) * 255).astype(np.uint8)
        mine = inside & ((labels[here] == 0) | (level > foreground[here]))
        around = (labels[here] == 0) & ~inside
        labels[here][mine] = value
        foreground[here][mine] = level[mine]
        foreground[here][around] = np.maximum(foreground[here][around], np.minimum(level[around], 127))
    least = one.decoder.min_volume_mm3 / float(np.prod(prepared.grid.spacing))
    return _described(labels, foreground, there, least)


def _described(
    labels: NDArray[np.uint8], foreground: NDArray[np.uint8], points: Sequence[Landmark], least_voxels: float
) -> tuple[IndexSegments, tuple[Named, ...]]:
    segments, names = [], []
    for value, point in enumerate(points, start=1):
        where = np.argwhere(labels == value)
        mine = tuple(where.T)
        if len(where) < max(1, least_voxels):
            labels[mine] = 0
            foreground[mine] = 0
            continue
        k, j, i = (float(at) for at in where.mean(axis=0))
        sure = min(point.confidence, float(foreground[mine].mean()) / 255)
        segments.append(IndexSegment(value, sure, (k, j, i), len(where), point.flags))
        names.append(Named(point.label, sure, point.flags))
    return IndexSegments(labels, foreground, tuple(segments)), tuple(names)
