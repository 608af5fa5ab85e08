"""Outside the field of view there is air, with or without a tag that says so; real values stay as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from ct_slices import COLUMNS, ROWS, save, stack
from numpy.typing import NDArray

from medinfer.scans.padding import aired, padding_mask
from medinfer.scans.reading import read_volume
from medinfer.volume import Grid, Volume

CIRCLE = np.hypot(*(np.indices((ROWS, COLUMNS)) - np.reshape([(ROWS - 1) / 2, (COLUMNS - 1) / 2], (2, 1, 1)))) < 10


def scan(folder: Path, pad: int, *, signed: bool = False, tags: tuple[int, ...] = (), inside: bool = False) -> Path:
    """Eight slices with the stored value `pad` outside a circle (or in its middle), and maybe the tags of it."""
    slices = stack(2.5 * np.arange(8))
    for data in slices:
        values = np.frombuffer(data.PixelData, "<u2").reshape(ROWS, COLUMNS).astype(int)
        values[11:13, 9:11] = pad if inside else values[11:13, 9:11]
        values = values if inside else np.where(CIRCLE, values, pad)
        data.PixelRepresentation = int(signed)
        data.PixelData = (values % 65536).astype("<u2").tobytes()
        for name, tag in zip(("PixelPaddingValue", "PixelPaddingRangeLimit"), tags, strict=False):
            setattr(data, name, tag)
    return save(folder, slices)


def plain(tmp_path: Path) -> NDArray[np.generic]:
    return read_volume(save(tmp_path / "plain", stack(2.5 * np.arange(8)))).voxels


@pytest.mark.parametrize(("pad", "signed", "tags"), [
    (-2000, True, ()), (-3024, True, ()), (63536, False, ()), (65535, False, ()), (62512, False, ()),
    (-2000, True, (-2000,)), (63536, False, (63536,)), (65535, False, (65535,)), (2000, False, (2000,)),
    (-1500, True, (-2000, -1100)), (-1500, True, (-1100, -2000)), (3, False, (0, 10)),
])
def test_padding_becomes_air_and_it_is_said(tmp_path: Path, pad: int, signed: bool, tags: tuple[int, ...]) -> None:
    volume = read_volume(scan(tmp_path / "ct", pad, signed=signed, tags=tags))
    expected = np.where(CIRCLE, plain(tmp_path), -1000)
    if tags == (0, 10):
        expected = np.where(CIRCLE, plain(tmp_path), 3 - 1024)  # air already: nothing to change or to say
        assert volume.notes == ()
    else:
        assert len(volume.notes) == 1
        assert "lie outside the field of view" in volume.notes[0]
        assert volume.notes[0].endswith("they were set to -1000, as air")
    np.testing.assert_array_equal(volume.voxels, expected)


def test_a_tag_that_marks_the_middle_of_the_body_is_no_padding(tmp_path: Path) -> None:
    volume = read_volume(scan(tmp_path / "ct", 1024, tags=(1024,), inside=True))
    assert (volume.voxels[:, 11:13, 9:11] == 0).all()
    assert "was not taken as padding" in volume.notes[0]


def test_padding_bounds_of_the_other_sign_are_the_same_bits() -> None:
    unsigned = np.array([[63536, 5, 65535]], "u2")
    assert padding_mask(unsigned, (-2000, -2000)).tolist() == [[True, False, False]]
    assert padding_mask(unsigned.view("i2"), (63536, 63536)).tolist() == [[True, False, False]]


def test_values_that_are_not_hounsfield_get_the_lowest_real_one(tmp_path: Path) -> None:
    slices = stack(2.5 * np.arange(8))
    for data in slices:
        values = np.frombuffer(data.PixelData, "<u2").reshape(ROWS, COLUMNS)
        data.PixelData = np.where(CIRCLE, values, 65535).astype("<u2").tobytes()
        data.Modality, data.RescaleIntercept, data.PixelPaddingValue = "MR", 0, 65535
    volume = read_volume(save(tmp_path / "mr", slices))
    assert (volume.voxels[:, ~CIRCLE] == volume.voxels[:, CIRCLE].min()).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(("dtype", "pad"), [("i2", -2000), ("i2", -3024), ("f4", -3024), ("u2", 65535), ("u2", 63536)])
def test_files_without_tags_are_read_the_same(tmp_path: Path, dtype: str, pad: int, axis: int) -> None:
    values = np.random.default_rng(0).integers(0, 3000, (30, 40, 40))
    values = values - 1024 if dtype != "u2" else values
    y, x = np.indices((40, 40)) - 19.5
    values[:, np.hypot(x, y) >= 20] = pad
    voxels = np.moveaxis(values, 0, axis).astype(dtype)
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(tmp_path / "a.nii.gz"))
    volume = read_volume(tmp_path / "a.nii.gz")
    real = voxels != pad
    np.testing.assert_array_equal(volume.voxels[real], voxels[real])
    assert set(volume.voxels[~real]) == {-1000 if dtype != "u2" else voxels[real].min()}
    assert any("outside the field of view" in note for note in volume.notes)


@pytest.mark.parametrize("values", [
    np.where(np.random.default_rng(0).random((8, 9, 10)) < 0.5, 0, 20),  # a label map
    np.full((8, 9, 10), -1024), np.full((8, 9, 10), -2000),
    np.random.default_rng(0).integers(-1024, 3000, (8, 9, 10)),
    np.pad(np.random.default_rng(0).integers(-1000, 900, (8, 9, 10)), 2, constant_values=-1024),
    np.pad(np.random.default_rng(0).integers(0, 900, (8, 9, 10)), 2, constant_values=0),
])
def test_what_is_no_padding_is_left_alone(values: NDArray[np.int_]) -> None:
    volume = Volume(values.astype("i2"), Grid(values.shape, np.eye(4)))
    assert aired(volume) is volume
