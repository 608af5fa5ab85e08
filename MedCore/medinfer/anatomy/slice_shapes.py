"""Shapes in one axial slice: components that are large and round enough, holes, and the convex hull.

Moments come from `bincount` and hulls from qhull, so that the engine needs no scikit-image inside Slicer.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def labelled(mask: Mask, connectivity: Literal[4, 6, 8, 18, 26]) -> tuple[NDArray[np.integer], int]:
    """Components of `mask` (2-D: 4 or 8 neighbours; 3-D: 6, 18, 26), 1…n in the array's order, and n."""
    import cc3d

    rows, columns = mask.shape[-2:]
    if connectivity == 8 and (rows == 1 or columns % 2):
        # cc3d 4.1 labels background then: it goes through the slice in blocks of 2 × 2.
        labels, count = cc3d.connected_components(
            np.pad(mask, [(0, rows % 2), (0, columns % 2)]), connectivity=8, return_N=True
        )
        return labels[:rows, :columns], int(count)
    labels, count = cc3d.connected_components(mask, connectivity=connectivity, return_N=True)
    return labels, int(count)


def runs(mask: Mask) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """The runs of True along the rows of `mask` [j, i]: their row, first column and length.

    A run lies in one component, so sums over components need one number per run, not one per voxel.
    """
    padded = np.pad(mask, [(0, 0), (1, 1)])
    turns = np.flatnonzero(padded[:, 1:] != padded[:, :-1])
    row, first = np.divmod(turns[::2], mask.shape[1] + 1)
    return row, first, turns[1::2] - turns[::2]


def slice_counts(labels: NDArray[np.integer], mask: Mask, count: int) -> NDArray[np.int64]:
    """Voxels `[k, count + 1]` of each label in each slice of `labels` [k, j, i]: 1…count where `mask`, else 0.

    The background is not counted.
    """
    counts = np.empty((len(mask), count + 1), dtype=np.int64)
    for k, plane in enumerate(mask):
        row, first, length = runs(plane)
        counts[k] = np.bincount(labels[k][row, first], length, minlength=count + 1)
    return counts


def keep_round(mask: Mask, least_area: float, most_eccentricity: float) -> Mask:
    """The 8-connected components of `mask` [j, i] with area > `least_area` (voxels) and eccentricity below the bound.

    Eccentricity is √(1 − λ₂/λ₁), with λ the eigenvalues of the matrix of the component's second moments.
    """
    labels, count = labelled(mask, 8)
    row, first, n = runs(mask)
    of = labels[row, first]

    def total(values: NDArray[np.number]) -> NDArray[np.float64]:
        return np.bincount(of, values, minlength=count + 1).astype(np.float64, copy=False)

    # From the middle of the slice, so that squares stay small. Σx² over a run of n about its mean is n (n² − 1) / 12.
    y, x = row - mask.shape[0] / 2, first + (n - 1) / 2 - mask.shape[1] / 2
    area = total(n)
    at_least_one = np.maximum(area, 1)
    mean_y, mean_x = total(n * y) / at_least_one, total(n * x) / at_least_one
    yy = total(n * y * y) / at_least_one - mean_y**2
    xx = total(n * x * x + n * (n * n - 1) / 12) / at_least_one - mean_x**2
    xy = total(n * y * x) / at_least_one - mean_y * mean_x
    middle, spread = (yy + xx) / 2, np.hypot((yy - xx) / 2, xy)
    # λ₂ > (1 − e²) λ₁, without a division by zero.
    chosen = (area > least_area) & (middle - spread > (1 - most_eccentricity**2) * (middle + spread))
    kept: Mask = chosen[labels]
    return kept


def fill_slice(mask: Mask) -> Mask:
    """`mask` [j, i] with its holes filled: background (8-connected) that does not reach the slice's border."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    filled = mask.copy()
    if len(rows):
        box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        labels, count = labelled(np.pad(~mask[box], 1, constant_values=True), 8)
        if count > 1:
            filled[box] = (labels != labels[0, 0])[1:-1, 1:-1]
    return filled


def hull(mask: Mask) -> Mask:
    """The pixels of the convex hull of `mask` [j, i], pixels taken as diamonds of half a pixel.

    Diamonds (the four edge midpoints of each pixel) are what grt123's hull (scikit-image) takes.
    """
    from scipy.spatial import ConvexHull

    covered = np.zeros_like(mask)
    rows = np.flatnonzero(mask.any(1))
    if not len(rows):
        return covered
    block = mask[rows]
    first, last = block.argmax(1), mask.shape[1] - 1 - block[:, ::-1].argmax(1)
    corners = np.concatenate([
        np.stack([np.tile(rows + shift, 2), np.concatenate([first - outward, last + outward])], axis=1)
        for shift, outward in ((0.0, 0.5), (-0.5, 0.0), (0.5, 0.0))
    ])
    polygon = corners[ConvexHull(corners).vertices]
    polygon = np.roll(polygon, -int(polygon[:, 0].argmin()), axis=0)
    turn = int(polygon[:, 0].argmax())
    one, other = polygon[: turn + 1], np.concatenate([polygon[turn:], polygon[:1]])[::-1]
    span = np.arange(rows[0], rows[-1] + 1)
    sides = np.stack([np.interp(span, chain[:, 0], chain[:, 1]) for chain in (one, other)])
    columns = np.arange(mask.shape[1])
    low, high = sides.min(0)[:, None] - 1e-9, sides.max(0)[:, None] + 1e-9
    covered[span] = (columns >= low) & (columns <= high)
    return covered
