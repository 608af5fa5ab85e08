"""The geometry of a file: refused if impossible, made orthogonal if sheared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ScanError
from ..volume import Floats, Grid, Volume
from .voxel_values import MAX_VOXELS, check_size

# Below this the axes differ from a right angle by the rounding of decimal header fields.
SHEAR_DEGREES = 0.1
_ROUNDING_DEGREES = 0.02


def scan_grid(path: Path | str, shape: tuple[int, int, int], ijk_to_ras: Floats) -> Grid:
    """`Grid(shape, ijk_to_ras)`; raises ScanError, naming the file, where spacing or directions make no sense."""
    spacing = np.linalg.norm(ijk_to_ras[:3, :3], axis=0)
    if not np.isfinite(ijk_to_ras).all():
        raise ScanError(f"{path} gives a position that is not a number; "
                        "correct its geometry, or export the scan again.")
    for axis, step in zip("ijk", spacing, strict=True):
        if step < 1e-6:
            raise ScanError(f"{path} gives a voxel spacing of {step:g} mm along {axis}; "
                            "correct the spacing in the file, or export the scan again.")
    if abs(np.linalg.det(ijk_to_ras[:3, :3] / spacing)) < 1e-6:
        raise ScanError(f"{path} has two parallel axes (its direction matrix has no inverse); "
                        "correct the directions in the file, or export the scan again.")
    return Grid(shape, ijk_to_ras)


def shear_degrees(grid: Grid) -> float:
    """How far, in degrees, the two axes that meet least squarely are from a right angle."""
    cosines = np.abs(np.triu(grid.directions.T @ grid.directions, 1))
    return float(np.degrees(np.arcsin(min(1.0, cosines.max()))))


def orthogonal(volume: Volume, why: str = "sheared axes", max_voxels: int = MAX_VOXELS) -> Volume:
    """The volume on a grid with right angles that holds all of it; as it is where its axes are square already.

    The i axis and the i–j plane stay; k becomes their normal (Gram–Schmidt, a QR decomposition), so a CT with
    gantry tilt keeps its slices and every slice is shifted within its plane. Values in between are linear, and
    voxels that the scan does not cover get its smallest value. `why` starts the note that is added.
    Raises ScanError when the larger grid exceeds `max_voxels`.
    """
    angle = shear_degrees(volume.grid)
    if angle < SHEAR_DEGREES:
        if angle < _ROUNDING_DEGREES:
            return volume
        note = f"its axes are {angle:.2f}° off the right angle, too little to matter; they were taken as they are"
        return replace(volume, notes=(*volume.notes, note))
    q, r = np.linalg.qr(volume.grid.ijk_to_ras[:3, :3])
    signs = np.sign(np.diag(r))
    q, r = q * signs, r * signs[:, None]
    steps = np.diag(r)
    old_from_new = np.round(np.linalg.inv(r) * steps, 12)

    size = np.array(volume.shape[::-1])
    corners = np.array(np.meshgrid(*([0.0, n - 1.0] for n in size), indexing="ij")).reshape(3, 8)
    reach = (r / steps[:, None]) @ corners
    start = np.floor(reach.min(axis=1) + 1e-6)
    i, j, k = (int(n) for n in np.ceil(reach.max(axis=1) - 1e-6) - start + 1)
    check_size(f"{volume.name}, made orthogonal,", (k, j, i), volume.voxels.dtype, max_voxels)

    matrix = np.eye(4)
    matrix[:3, :3] = q * steps
    matrix[:3, 3] = volume.grid.ijk_to_ras[:3, 3] + matrix[:3, :3] @ start
    voxels = _shifted(volume.voxels, old_from_new, start, (k, j, i))
    note = f"{why} ({angle:.1f}°): resampled to a grid with right angles"
    return replace(volume, voxels=voxels, grid=Grid((k, j, i), matrix), notes=(*volume.notes, note))


def _shifted(values: NDArray[Any], old_from_new: Floats, start: Floats, shape: tuple[int, int, int]) -> NDArray[Any]:
    """`values` on the square grid, slice by slice: with i, j in order and k their normal, every slice stays one.

    old_from_new: 3×3 upper triangular with ones on its diagonal, i, j, k. start: the first voxel of the new grid.
    """
    from scipy.ndimage import affine_transform

    # A gantry tilt only shifts; scipy is much faster when it is told so by a diagonal for a matrix.
    in_plane = old_from_new[1::-1, 1::-1]
    matrix = np.ones(2) if np.array_equal(in_plane, np.eye(2)) else in_plane
    lowest = values.min()
    out = np.empty(shape, values.dtype)
    for k, plane in enumerate(out):
        offset = np.round(old_from_new[1::-1] @ [start[0], start[1], k], 9)
        affine_transform(values[k], matrix, offset, output=plane, order=1, mode="constant", cval=lowest)
    return out
