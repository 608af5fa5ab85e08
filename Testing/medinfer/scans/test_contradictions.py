"""Headers that contradict what follows them: refused, or read with a note that says so."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from ct_slices import ROWS, changed, save, stack

from medinfer.errors import ScanError
from medinfer.scans.reading import find_scans, read_volume
from medinfer.scans.writing import write_volume
from medinfer.volume import Grid, Volume

HEIGHTS = 2.5 * np.arange(8)


@pytest.mark.parametrize("fields", [
    {"Rows": ROWS // 2}, {"Rows": ROWS - 1}, {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7},
])
def test_more_pixels_than_the_header_says_are_not_cut_off(tmp_path: Path, fields: dict[str, Any]) -> None:
    save(tmp_path / "ct", changed(stack(HEIGHTS), **fields))
    with pytest.raises(ScanError, match=r"\(its pixel data do not match the size in its header\); copy or export it"):
        read_volume(tmp_path / "ct")


def test_bytes_of_padding_behind_the_pixels_are_no_contradiction(tmp_path: Path) -> None:
    slices = stack(HEIGHTS)
    for data in slices:
        data.PixelData += bytes(8)
    assert read_volume(save(tmp_path / "ct", slices)).notes == ()

def test_a_series_of_two_sizes_says_that_it_was_parted(tmp_path: Path) -> None:
    slices = stack(2.5 * np.arange(12))
    for data in slices[7:]:
        data.Rows, data.PixelData = ROWS // 2, data.PixelData[: len(data.PixelData) // 2]
    scans = [source.read() for source in find_scans(save(tmp_path / "ct", slices))]
    words = "its series holds 2 scans that differ in size, orientation or pixel spacing; this one has {} of 12 images"
    assert sorted(volume.notes for volume in scans) == [(words.format(5),), (words.format(7),)]


def test_one_image_of_another_size_is_set_aside_and_told_once(tmp_path: Path) -> None:
    slices = stack(2.5 * np.arange(8))
    slices[-1].Rows, slices[-1].PixelData = ROWS // 2, slices[-1].PixelData[: len(slices[-1].PixelData) // 2]
    volume = read_volume(save(tmp_path / "ct", slices))
    assert volume.notes == ("series 2 (Lung 1.0) with 1 image was not read (a localizer, or too short)",)


def test_an_infinite_slope_is_told_and_the_stored_values_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    write_volume(Volume(np.arange(8, dtype=np.int16).reshape(2, 2, 2), Grid((2, 2, 2), np.eye(4))), path)
    data = bytearray(path.read_bytes())
    struct.pack_into("<f", data, 112, np.inf)  # scl_slope
    path.write_bytes(data)
    volume = read_volume(path)
    assert volume.voxels.ravel().tolist() == list(range(8))
    assert volume.notes == ("the file gives a scl_slope of inf and a scl_inter of 0; its values were taken as they are "
                            "stored",)


def test_a_negative_spacing_of_a_metaimage_turns_its_axis_as_in_slicer_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.mha"
    path.write_bytes(
        b"ObjectType = Image\nNDims = 3\nDimSize = 2 2 2\nElementType = MET_SHORT\nElementSpacing = 2 -3 4\n"
        b"TransformMatrix = 1 0 0 0 1 0 0 0 1\nElementDataFile = LOCAL\n" + bytes(16)
    )
    volume = read_volume(path)
    image = sitk.ReadImage(str(path))
    np.testing.assert_allclose(
        volume.grid.to_ras((1, 1, 1)) * [-1, -1, 1], image.TransformIndexToPhysicalPoint((1, 1, 1))
    )
    assert volume.notes == ("the file gives a negative spacing; that axis was taken as turned round, as in 3D Slicer",)


def test_files_that_are_damaged_alike_are_one_problem(tmp_path: Path) -> None:
    slices = stack(HEIGHTS)
    for data in slices:
        del data.Rows
    save(tmp_path / "ct", slices[:5])
    (source,) = find_scans(tmp_path / "ct")
    assert source.problem.count("is truncated or damaged (its header ends before the size of the image)") == 1
    assert source.problem.endswith("; copy or export it again. The same is true of 4 more of the files beside it.")
