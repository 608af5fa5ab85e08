"""Headers that place the scan where no scan can lie, or in two places, or leave its place open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from medinfer.scans.writing import write_volume
from medinfer.volume import Grid, Volume

from .bad_files import PIXDIM, detached, patched
from .kinds import BOTH, ELSEWHERE, OK, Kind, Place, detect, grid, of_scan, saved, small_scan

QFORM, SFORM, UNITS, QUATERN, SROW = 252, 254, 123, 256, 280
_TWO_PARALLEL = r"has two parallel axes \(its direction matrix has no inverse\); correct the directions"
_NO_FORM = ((QFORM, "h", 0), (SFORM, "h", 0))


def stated(old: str, new: str) -> Callable[[Path], Path]:
    """An .mhd with a field of its geometry changed."""
    return detached(lambda header, _: header.write_text(header.read_text().replace(old, new)))


def _sheared(folder: Path) -> Path:
    """The grid tilted by 10°, with the voxels moved along, so that the balls stay where they are."""
    matrix = grid().ijk_to_ras.copy()
    matrix[1, 2] = 2 * np.tan(np.radians(10))
    tilted = Grid(grid().shape, matrix)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in tilted.shape), indexing="ij"), axis=-1)
    whole = small_scan()
    nearest = np.rint(whole.grid.to_index(tilted.to_ras(index))).astype(int)
    inside = ((nearest >= 0) & (nearest < whole.shape)).all(axis=-1)
    k, j, i = np.clip(nearest, 0, np.array(whole.shape) - 1).transpose(3, 0, 1, 2)
    voxels = np.where(inside, whole.voxels[k, j, i], -1000).astype(np.int16)
    return saved(folder, "a.nii", Volume(voxels, tilted, "a"))


def _left_handed(folder: Path) -> Path:
    """Slices from head to feet."""
    whole = small_scan()
    matrix = whole.grid.ijk_to_ras @ np.diag([1, 1, -1, 1.0])
    matrix[:3, 3] = whole.grid.to_ras((whole.shape[0] - 1, 0, 0))
    return saved(folder, "a.nii.gz", Volume(whole.voxels[::-1].copy(), Grid(whole.shape, matrix), "a"))


def _one_slice(folder: Path) -> Path:
    whole = small_scan()
    grid_of_one = whole.grid.cropped((6, 0, 0), (1, *whole.shape[1:]))
    return saved(folder, "a.nii.gz", Volume(whole.voxels[6:7], grid_of_one, "a"))


def _two_of_one_name(place: Place) -> list[object]:
    """The same file name in two folders, of two patients."""
    saved(place.folder / "one", "a.nii.gz")
    other = small_scan().voxels.copy()
    other[:10] = -1000
    saved(place.folder / "two", "a.nii.gz", small_scan().with_voxels(other))
    return detect(place, place.folder / "one" / "a.nii.gz", place.folder / "two" / "a.nii.gz")


def _voxel_of(size: float) -> Callable[[Path], Path]:
    """The scan with voxels of that size (mm)."""

    def make(folder: Path) -> Path:
        matrix = grid().ijk_to_ras.copy()
        matrix[:3, :3] *= size / 2
        path = folder / "a.nii.gz"
        write_volume(Volume(small_scan().voxels, Grid(grid().shape, matrix), "a"), path)
        return path

    return make


KINDS = (
    Kind("a spacing of 0", of_scan(patched("a.nii", *_NO_FORM, (PIXDIM + 4, "f", 0.0))),
         says=(r"a\.nii gives a voxel spacing of 0 mm along i; correct the spacing",)),
    Kind("a spacing that is not a number", of_scan(patched("a.nii", *_NO_FORM, (PIXDIM + 8, "f", np.nan))),
         says=(r"a\.nii gives a (voxel spacing|position) .* correct",)),
    Kind("a negative spacing without a placement", of_scan(patched("a.nii", *_NO_FORM, (PIXDIM + 4, "f", -2.0))), OK,
         notes=(r"the file gives no orientation or position, so left, right and position are assumed",),
         found={"a": ELSEWHERE}),
    Kind("no placement at all", of_scan(patched("a.nii", *_NO_FORM)), OK,
         notes=(r"the file gives no orientation or position",), found={"a": ELSEWHERE}),
    Kind("a placement that is not a number", of_scan(patched("a.nii", (QFORM, "h", 0), (SROW, "f", np.nan))),
         says=(r"a\.nii gives a position that is not a number; correct its geometry",)),
    Kind("a quaternion that is not a number", of_scan(patched("a.nii", (SFORM, "h", 0), (QUATERN, "f", np.nan))),
         says=(r"a\.nii gives a position that is not a number; correct its geometry",)),
    Kind("two axes that are parallel",
         of_scan(patched("a.nii", (QFORM, "h", 0), (SROW, "8f", (-2.0, -2.0, 0, 30, 0, 0, 0, 40)))),
         says=(rf"a\.nii {_TWO_PARALLEL}",)),
    Kind("an axis of length 0", of_scan(patched("a.nii", (QFORM, "h", 0), (SROW, "f", 0.0))),
         says=(r"a\.nii gives a voxel spacing of 0 mm along i; correct the spacing",)),
    Kind("two placements that contradict each other", of_scan(patched("a.nii", (SROW + 12, "f", 90.0))), OK,
         notes=(r"gives two different positions for the scan; its (s|q)form is used, as in 3D Slicer",),
         found={"a": ELSEWHERE}),
    Kind("sheared axes", of_scan(_sheared), OK, notes=(r"sheared axes \(10\.0°\): resampled",), found={"a": BOTH}),
    Kind("slices from head to feet", of_scan(_left_handed), OK, found={"a": BOTH}),
    Kind("lengths in metres", of_scan(patched(
        "a.nii", (UNITS, "B", 1), (QFORM, "h", 0),
        (SROW, "12f", (-0.002, 0, 0, 0.03, 0, -0.002, 0, 0.04, 0, 0, 0.002, -0.02)))), OK, found={"a": BOTH}),
    Kind("a single slice", of_scan(_one_slice),
         says=(r"a covers only 48 × 44 × 2 mm .*: choose a complete scan",)),
    Kind("voxels of a metre", of_scan(_voxel_of(1000.0)),
         says=(r"a covers 24 × 22 × 20 m, more than any patient: correct its spacing",)),
    Kind("voxels of a micrometre", of_scan(_voxel_of(0.001)),
         says=(r"a covers only 0 × 0 × 0 mm .*: choose a complete scan",)),
    Kind("an .mhd with a spacing of 0", of_scan(stated("ElementSpacing = 2 2 2", "ElementSpacing = 2 0 2")),
         says=(r"chest\.mhd gives a voxel spacing of 0 mm along j; correct the spacing",)),
    Kind("an .mhd with a spacing that is not a number", of_scan(stated("ElementSpacing = 2 2 2",
                                                                      "ElementSpacing = 2 nan 2")),
         says=(r"chest\.mhd gives a (voxel spacing|position) .*; correct",)),
    Kind("an .mhd with a negative spacing", of_scan(stated("ElementSpacing = 2 2 2", "ElementSpacing = 2 -2 2")), OK,
         notes=(r"gives a negative spacing; that axis was taken as turned round",), found={"chest": ELSEWHERE}),
    Kind("an .mhd with parallel axes", of_scan(stated("= 1 0 0 0 1 0 0 0 1", "= 1 0 0 1 0 0 0 0 1")),
         says=(rf"chest\.mhd {_TWO_PARALLEL}",)),
    Kind("an .mhd that says nothing of its axes",
         of_scan(stated("TransformMatrix = 1 0 0 0 1 0 0 0 1\n", "")), OK,
         notes=(r"does not say how it is oriented; its axes were taken as left, posterior and superior",),
         found={"chest": BOTH}),
    Kind("two patients under one file name", _two_of_one_name, OK, found={"a": BOTH, "a-2": (1,)}),
)
