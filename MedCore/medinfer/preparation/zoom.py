"""Resampling that keeps the outer edges of a block of voxels: `skimage.transform.resize` as nnU-Net calls it.

What scikit-image does there is `scipy.ndimage.zoom` with `grid_mode`, whose spline is a product of one along each axis.
So each axis is one matrix, which scipy itself gives, and a product with it is far quicker than the three-dimensional
spline, whose 64 weights per voxel it never forms.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..volume import Grid

Floats32 = NDArray[np.float32]
Shape = tuple[int, int, int]
Interpolation = Literal["linear", "cubic", "nearest"]

# An axis this many times coarser than the finest is thick (nnU-Net's ANISO_THRESHOLD).
_THICK = 3.0
_ORDERS = {"linear": 1, "cubic": 3}


def rounded_shape(shape: Sequence[int], spacing: Sequence[float], wanted: Sequence[float]) -> Shape:
    """How many voxels of the spacing `wanted` a block of `shape` voxels gets: rounded, at least one (k, j, i)."""
    k, j, i = (max(1, round(n * old / new)) for n, old, new in zip(shape, spacing, wanted, strict=True))
    return k, j, i


def grid_of(block: Grid, shape: Shape) -> Grid:
    """The grid of `shape` voxels whose outer edges are those of `block`."""
    ratio = np.array(block.shape) / np.array(shape)
    matrix = block.ijk_to_ras.copy()
    matrix[:3, :3] *= ratio[::-1]
    matrix[:3, 3] = block.to_ras((ratio - 1) / 2)
    return Grid(shape, matrix)


def thick_axis(first: Sequence[float], then: Sequence[float]) -> int | None:
    """The one axis (0, 1 or 2) that is more than 3 times as coarse as the finest, by the spacing `first`, or else by
    `then`; None where there is none, or two are the coarsest."""
    for spacing in (first, then):
        if max(spacing) / min(spacing) > _THICK:
            coarsest = np.flatnonzero(max(spacing) / np.array(spacing) == 1)
            return int(coarsest[0]) if len(coarsest) == 1 else None
    return None


def nearest_slices(size: int, wanted: int) -> NDArray[np.intp]:
    """Which of `size` slices is nearest to each of `wanted` that share their outer edges."""
    places = np.floor(size / wanted * (np.arange(wanted) + 0.5)).astype(np.intp)
    inside: NDArray[np.intp] = np.clip(places, 0, size - 1)
    return inside


def resized(
    voxels: NDArray[np.generic], shape: Shape, interpolation: Interpolation, thick: int | None = None
) -> Floats32:
    """`voxels` [k, j, i] sampled at `shape` voxels between the same outer edges, as float32; edges are repeated.

    thick: an axis that is sampled by nearest slice, each slice for itself. No value lies outside of those before (of
    the slice's own, with `thick`). Memory: three times the larger of both in float32.
    """
    values: Floats32 = voxels.astype(np.float32, copy=False)
    if values.shape == shape:
        return values if values is not voxels else values.copy()
    if interpolation == "nearest":
        nearest = [nearest_slices(size, wanted) for size, wanted in zip(values.shape, shape, strict=True)]
        return np.ascontiguousarray(values[np.ix_(*nearest)])
    within = tuple(axis for axis in range(3) if axis != thick)
    low, high = (extreme(axis=within, keepdims=True) for extreme in (values.min, values.max))
    for axis in within:
        if values.shape[axis] != shape[axis]:
            matrix = _zoom(values.shape[axis], shape[axis], _ORDERS[interpolation])
            values = np.moveaxis(np.tensordot(matrix, values, axes=(1, axis)), 0, axis)
    values = np.clip(values, low, high)
    if thick is not None and values.shape[thick] != shape[thick]:
        values = values.take(nearest_slices(values.shape[thick], shape[thick]), thick)
    return np.ascontiguousarray(values, np.float32)


@lru_cache(maxsize=16)
def _zoom(size: int, wanted: int, order: int) -> Floats32:
    """[wanted, size]: what each of `wanted` samples takes from `size` voxels."""
    from scipy import ndimage

    spline: Literal[1, 3] = 3 if order == 3 else 1
    columns = [
        ndimage.zoom(unit, wanted / size, order=spline, mode="nearest", grid_mode=True) for unit in np.eye(size)
    ]
    return np.stack(columns, axis=1).astype(np.float32)
