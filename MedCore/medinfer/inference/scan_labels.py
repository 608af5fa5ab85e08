"""From labels on a network's grid to labels on the scan's grid, and their measurements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ..decoders import IndexSegments
from ..decoders.border import OUTSIDE, agreeing
from ..label_map import LabelMap
from ..orientation import aligned, reorient
from ..preparation.resample import Index, resample
from ..volume import Floats, Grid, Volume

# Voxels of the scan that are decided at once (four bytes each while they are).
_SLAB = 1 << 23
# The foreground's border: a half, in the bytes that decoders keep.
_HALF = OUTSIDE + 0.5
# Of a segment with more voxels than these only some are looked at for its length, at most every fourth along each axis.
_ENOUGH, _SPARSEST = 20_000, 4


def on_scan(found: IndexSegments, grid: Grid, stride: int, orientation: str | None, volume: Volume) -> LabelMap:
    """`found` on the voxels of `volume`, in the box around it.

    The border lies where the foreground, interpolated linearly, falls below a half, so it is smooth also where the
    scan's voxels are smaller; which segment a voxel inside belongs to, the nearest voxel of the network's grid says,
    or, where that is of none, the nearest of a segment among the eight around.
    grid: of the prepared region, whose axes are those of the scan in `orientation`. stride: voxels per output voxel.
    """
    scan = reorient(volume, orientation).grid
    origin = scan.to_index(grid.to_ras(np.full(3, (stride - 1) / 2)))  # the scan's voxel of output voxel 0
    step = stride * np.array(grid.spacing) / np.array(scan.spacing)
    if np.allclose(step, 1, atol=1e-6) and np.allclose(origin, np.rint(origin), atol=1e-4):
        return aligned(_around(found.labels, grid), volume.grid)
    filled = np.argwhere(found.labels)
    low = np.maximum(np.floor(origin + step * (filled.min(axis=0) - 1)).astype(int), 0)
    high = np.minimum(np.ceil(origin + step * (filled.max(axis=0) + 1)).astype(int) + 1, scan.shape)
    voxels = np.zeros(np.maximum(high - low, 1), np.uint8)
    foreground = agreeing(found.foreground, found.labels > 0)
    for begin, end in _slabs(voxels.shape):
        start = (low + np.array([begin, 0, 0]) - origin) / step
        slab = voxels[begin:end]
        inside = _interpolated(foreground, 1 / step, start, slab.shape) > _HALF
        slab[...] = _nearest_labels(found.labels, 1 / step, start, inside)
    k, j, i = (int(n) for n in low)
    return aligned(LabelMap(voxels, scan.cropped((k, j, i), voxels.shape)), volume.grid)


def _around(labels: NDArray[np.uint8], grid: Grid) -> LabelMap:
    """The box around the labels of a whole grid."""
    from scipy import ndimage

    (box,) = ndimage.find_objects((labels > 0).astype(np.uint8)) or [tuple(slice(0, 1) for _ in labels.shape)]
    k, j, i = (side.start for side in box)
    voxels = labels[box]
    return LabelMap(voxels, grid.cropped((k, j, i), voxels.shape))


def _nearest_labels(
    labels: NDArray[np.uint8], step: Floats, start: Floats, inside: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """The label nearest to start + n · step for each n where `inside` is true, else 0. labels: [k, j, i]."""
    places = [
        np.clip(first + by * np.arange(size), 0, last - 1)
        for first, by, size, last in zip(start, step, inside.shape, labels.shape, strict=True)
    ]
    found: NDArray[np.uint8] = labels[np.ix_(*(np.rint(along).astype(int) for along in places))] * inside
    # Between a voxel of a segment and one of none the border may lie nearer to the latter.
    border = np.nonzero(inside & (found == 0))
    at = np.stack([along[index] for along, index in zip(places, border, strict=True)])
    last = np.array(labels.shape)[:, None] - 1
    best, label = np.full(at.shape[1], np.inf), np.zeros(at.shape[1], np.uint8)
    for corner in product((0, 1), repeat=3):
        voxel = np.minimum(np.floor(at).astype(int) + np.array(corner)[:, None], last)
        value, away = labels[tuple(voxel)], ((at - voxel) ** 2).sum(axis=0)
        better = (value > 0) & (away < best)
        best[better], label[better] = away[better], value[better]
    found[border] = label
    return found


def _slabs(shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    slices = max(1, _SLAB // max(1, shape[1] * shape[2]))
    for begin in range(0, shape[0], slices):
        yield begin, min(begin + slices, shape[0])


def _interpolated(values: NDArray[np.uint8], step: Floats, start: Floats, shape: Index) -> NDArray[np.float32]:
    """`values` at start + n · step, linearly; only what the slab needs is handed on."""
    stop = start + step * (np.array(shape) - 1)
    last = np.array(values.shape) - 1
    first = np.clip(np.floor(start).astype(int), 0, last)
    block = values[tuple(slice(a, b + 1) for a, b in zip(first, np.clip(np.ceil(stop).astype(int), first, last),
                                                         strict=True))]
    return resample(block, step, start - first, shape)


@dataclass(frozen=True)
class Measures:
    """center_ras: centre of mass, mm. length_mm: from the first to the last voxel along the longest axis, whole voxels
    included."""

    center_ras: Floats
    volume_mm3: float
    length_mm: float


def measured(labels: LabelMap) -> dict[int, Measures]:
    """Size and place of every value of the map but 0."""
    import cc3d

    voxel_mm3 = abs(float(np.linalg.det(labels.grid.ijk_to_ras[:3, :3])))
    found = cc3d.statistics(labels.voxels)
    result = {}
    for value, count in enumerate(found["voxel_counts"]):
        if value and count:
            center = labels.grid.to_ras(found["centroids"][value])
            some = _some_voxels(labels.voxels, value, found["bounding_boxes"][value], int(count))
            result[value] = Measures(center, int(count) * voxel_mm3, _length(labels.grid, some))
    return result


def _some_voxels(voxels: NDArray[np.uint8], value: int, box: tuple[slice, ...], count: int) -> NDArray[np.intp]:
    """The voxels [n, 3] of a value, or of many of them every second to fourth along each axis."""
    every = min(_SPARSEST, max(1, int((count / _ENOUGH) ** (1 / 3))))
    thinned = tuple(slice(side.start, side.stop, every) for side in box)
    where: NDArray[np.intp] = np.argwhere(voxels[thinned] == value) * every + [side.start for side in box]
    # A sheet of one voxel may lie between all that are looked at.
    return where if len(where) else np.argwhere(voxels[box] == value) + [side.start for side in box]


def _length(grid: Grid, where: NDArray[np.intp]) -> float:
    """Along the principal axis of the voxels `where` [n, 3]."""
    points = grid.to_ras(where)
    points -= points.mean(axis=0)
    axis = np.linalg.svd(points.T @ points)[0][:, 0]
    # The width of a voxel as seen along that axis.
    voxel = np.abs(axis @ grid.ijk_to_ras[:3, :3]).sum()
    along = points @ axis
    return float(along.max() - along.min() + voxel)
