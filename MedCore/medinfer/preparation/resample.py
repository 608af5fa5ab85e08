"""Linear resampling onto another spacing along the same axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..volume import Floats, Grid

Index = tuple[int, int, int]

_MONAI_ALIKE_MM = 1e-3


def respaced(grid: Grid, spacing: Sequence[float], *, nearest: bool = False) -> Grid:
    """The grid that starts at the same voxel centre and has `spacing` (mm along k, j, i) instead.

    Its last voxel centre lies inside or on the old grid's last one, or with `nearest` as near to it as there is one
    (MONAI's Spacing).
    """
    old, new = np.array(grid.spacing), np.array(spacing, dtype=float)
    steps = (np.array(grid.shape) - 1) * old / new
    # Halves go to the even number of voxels, not to the even last voxel, as MONAI rounds them.
    count = np.rint(steps + 1) if nearest else np.floor(steps + 1e-6) + 1
    k, j, i = (int(n) for n in count)
    matrix = grid.ijk_to_ras.copy()
    matrix[:3, :3] = grid.directions * new[::-1]
    return Grid((k, j, i), matrix)


def respaced_as_monai(grid: Grid, spacing: Sequence[float] | Floats) -> Grid:
    """The grid of MONAI's `Spacing`: as many voxels as are nearest to the old extent, from the first voxel's centre on.

    Where the axes are not at right angles to the last digit (oblique NIfTI files, whose matrix has float32) no corner
    is exactly the lowest along all axes, and MONAI lays the middle of the new grid on that of the old one instead. The
    same sums are made here (`zoom_affine`, `compute_shape_offset`), since its digits decide.
    """
    old = grid.ijk_to_ras[:3, :3]
    own, wanted = np.array(grid.spacing), np.array(spacing, dtype=float)
    # What is so near to it already, MONAI leaves alone.
    spacing = np.where(np.abs(own - wanted) <= _MONAI_ALIKE_MM, own, wanted)
    upper = np.linalg.cholesky(old.T @ old).T
    new = old @ np.linalg.inv(upper) @ np.diag(spacing[::-1])
    shape = np.array(grid.shape[::-1], dtype=float)
    corners = np.stack(np.meshgrid(*([0, n - 1] for n in shape), indexing="ij")).reshape(3, -1)
    reached = np.linalg.solve(new, old) @ corners
    count = np.round(np.ptp(reached, axis=1) + 1.0)
    lowest = [np.allclose((reached - reached[:, n : n + 1]).min(axis=1), 0) for n in range(corners.shape[1])]
    step = (spacing / own)[::-1]
    start = corners[:, lowest.index(True)] if any(lowest) else shape / 2 - step * count / 2
    i, j, k = (int(n) for n in count)
    matrix = grid.ijk_to_ras.copy()
    matrix[:3, :3] = old * step
    matrix[:3, 3] = grid.to_ras(start[::-1])
    return Grid((k, j, i), matrix)


def resample(
    voxels: NDArray[np.generic], step: Sequence[float] | Floats, start: Sequence[float] | Floats, shape: Index
) -> NDArray[np.float32]:
    """Sample `voxels` [k, j, i] linearly at index start + n · step for n in `shape` (all k, j, i, in source voxels).

    Positions outside take the value of the nearest voxel (ITK's extrapolation). Returns float32 of `shape`.
    """
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels))
    if image.GetPixelID() not in (sitk.sitkInt16, sitk.sitkFloat32, sitk.sitkUInt8, sitk.sitkUInt16, sitk.sitkInt32):
        image = sitk.Cast(image, sitk.sitkFloat32)
    resampler = sitk.ResampleImageFilter()
    resampler.SetInterpolator(sitk.sitkLinear)
    resampler.UseNearestNeighborExtrapolatorOn()
    resampler.SetOutputPixelType(sitk.sitkFloat32)
    resampler.SetOutputSpacing([float(value) for value in reversed(list(step))])
    resampler.SetOutputOrigin([float(value) for value in reversed(list(start))])
    resampler.SetSize([int(value) for value in reversed(shape)])
    sampled: NDArray[np.float32] = sitk.GetArrayFromImage(resampler.Execute(image))
    return sampled


def block_means(voxels: NDArray[np.generic], factors: Sequence[int]) -> NDArray[np.float32]:
    """Means of `voxels` [k, j, i] over blocks of `factors` voxels; at the far end the last voxel is repeated.

    Block n covers the voxels from n · factor on, so its middle lies at n · factor + (factor − 1) / 2.
    """
    result = voxels
    for axis, factor in enumerate(factors):
        if factor == 1:
            continue
        last = result.shape[axis] - 1
        blocks = -(-result.shape[axis] // factor)
        means = np.zeros((*result.shape[:axis], blocks, *result.shape[axis + 1 :]), np.float32)
        for offset in range(factor):
            # Whole strided slices at once, and the voxels behind the end one by one.
            part = result[(slice(None),) * axis + (slice(offset, None, factor),)]
            means[(slice(None),) * axis + (slice(0, part.shape[axis]),)] += part
            if part.shape[axis] < blocks:
                means[(slice(None),) * axis + (slice(blocks - 1, None),)] += result.take([last], axis)
        means /= factor
        result = means
    return result.astype(np.float32, copy=False)
