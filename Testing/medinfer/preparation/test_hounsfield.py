"""What a scan's values are: Hounsfield units, the same with an offset, in doubt, or no CT."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from medinfer.errors import ScanError
from medinfer.manifest import Prepare
from medinfer.preparation.hounsfield import in_hounsfield
from medinfer.scans.reading import read_volume
from medinfer.volume import Grid, Volume

CT = [Prepare()]


def volume_of(voxels: np.ndarray, name: str = "scan", modality: str | None = None) -> Volume:
    return Volume(voxels, Grid(voxels.shape, np.eye(4)), name, modality)


@pytest.fixture(scope="module")
def body() -> np.ndarray:
    """HU of a trunk with noise: air around, lungs, fat around muscle, and a spine."""
    k, j, i = np.meshgrid(np.arange(30), np.arange(60) - 30, np.arange(80) - 40, indexing="ij")
    round_ = np.hypot(j / 26, i / 36)
    hu = np.full(k.shape, -1000.0)
    hu[round_ < 1] = -105
    hu[round_ < 0.85] = 45
    hu[(np.hypot(j / 14, (np.abs(i) - 14) / 9) < 1) & (k > 12)] = -840
    hu[np.hypot(j - 16, i) < 5] = 350
    return np.rint(hu + np.random.default_rng(0).normal(0, 15, hu.shape)).astype(np.int16)


def padded(values: np.ndarray, padding: int) -> np.ndarray:
    """With `padding` outside a round field of view."""
    j, i = np.meshgrid(np.arange(60) - 30, np.arange(80) - 40, indexing="ij")
    return np.where(np.hypot(j / 30, i / 40) < 1, values, padding).astype(values.dtype)


@pytest.mark.parametrize("padding", [None, -1000, -1024, -2000, -2048, -3024, 0])
@pytest.mark.parametrize("offset", [0, 1024, 1000, -1024, -1000])
def test_an_offset_is_known_by_the_tissues_whatever_the_padding(
    body: np.ndarray, offset: int, padding: int | None
) -> None:
    values = (body + offset).astype(np.int16)
    given = volume_of(values if padding is None else padded(values, padding))
    found = in_hounsfield(given, CT)
    if offset == 0:
        assert found is given
        return
    inside = padded(np.ones_like(body), 0) == 1
    np.testing.assert_array_equal(found.voxels[inside], np.maximum(body, -1024)[inside])
    assert found.notes == (
        f"its values are Hounsfield units {'+' if offset > 0 else '−'} {abs(offset)}, as air, fat and soft tissue "
        "show; that was corrected",
    )
    assert in_hounsfield(found, CT) is found


def test_a_little_padding_with_the_value_of_air_hides_no_offset(body: np.ndarray) -> None:
    """Air itself is cut off at the lowest value that was stored."""
    values = np.maximum(body, -1000) + 1000
    values[:, :3] = -1000
    found = in_hounsfield(volume_of(values), CT)
    np.testing.assert_array_equal(found.voxels[:, 3:], np.maximum(body, -1000)[:, 3:])


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_an_offset_is_taken_off_whatever_the_type_is(body: np.ndarray, kind: type) -> None:
    found = in_hounsfield(volume_of((np.maximum(body, -1024) + 1024).astype(kind)), CT)
    np.testing.assert_array_equal(found.voxels, np.maximum(body, -1024))


def test_a_crop_without_air_is_a_ct(body: np.ndarray) -> None:
    crop = volume_of(body[:12, 7:53, 30:50])
    assert crop.voxels.min() > -200
    assert in_hounsfield(crop, CT) is crop


def test_what_is_in_doubt_is_run_with_a_note(body: np.ndarray) -> None:
    """Muscle and bone alone: neither air nor fat says that these are HU."""
    crop = volume_of(np.maximum(body[:12, 20:52, 25:55], 0) + np.arange(12, dtype=np.int16)[:, None, None])
    found = in_hounsfield(crop, CT)
    assert found.voxels is crop.voxels
    assert found.notes == ("its values are taken for Hounsfield units, but show neither air nor fat: check that",)
    assert in_hounsfield(found, CT) is found
    assert in_hounsfield(crop, CT, assume_hu=True) is crop


def greys(body: np.ndarray) -> np.ndarray:
    return np.clip((body + 1000) / 15, 0, 255).astype(np.uint8)


def magnetic(body: np.ndarray) -> np.ndarray:
    """Rician noise in air, and tissues as an MR shows them: fat bright."""
    signal = np.select([body < -500, body < -50, body < 200], [0, 620, 300], 40.0)
    return np.hypot(signal + np.random.default_rng(1).normal(0, 8, body.shape), 8).astype(np.float32)


@pytest.mark.parametrize("change", [greys, magnetic, lambda body: body / 1000, lambda body: body * 0])
def test_what_is_no_ct_is_refused_in_a_sentence(body: np.ndarray, change: object) -> None:
    assert callable(change)
    given = volume_of(change(body), "grey")
    with pytest.raises(ScanError) as caught:
        in_hounsfield(given, CT)
    assert str(caught.value).startswith("grey does not look like a CT in Hounsfield units (its values lie between ")
    assert "use --assume-hu if they are HU all the same." in str(caught.value)
    assert in_hounsfield(given, CT, assume_hu=True) is given


def test_other_modalities_and_models_without_hounsfield_units_are_left_alone(body: np.ndarray) -> None:
    given = volume_of(greys(body))
    assert in_hounsfield(given, [Prepare(hounsfield=False)]) is given
    assert in_hounsfield(given, [Prepare(modality=("CT", "MR"))]) is given
    other = volume_of(greys(body), modality="MR")
    assert in_hounsfield(other, CT) is other


@pytest.mark.real
@pytest.mark.parametrize("name", ["sub-verse005_ct.nii.gz", "sub-verse006_ct.nii.gz", "ts_thorax/ct_cropped.nii.gz"])
@pytest.mark.parametrize("offset", [0, 1024])
def test_real_crops_are_ct_with_an_offset_or_without(test_data: Path, name: str, offset: int) -> None:
    volume = read_volume(test_data / "real_spine" / name)
    found = in_hounsfield(volume.with_voxels(volume.voxels + volume.voxels.dtype.type(offset)), CT)
    np.testing.assert_allclose(found.voxels, np.maximum(volume.voxels, -1024) if offset else volume.voxels, atol=1e-3)


@pytest.mark.real
def test_the_raw_case_gets_its_hounsfield_units_back(test_data: Path) -> None:
    raw, plain = (read_volume(test_data / name) for name in ("cases/raw_pad.nii.gz", "spine/example_ct.nii.gz"))
    found = in_hounsfield(raw, CT)
    stored = sitk.GetArrayFromImage(sitk.ReadImage(str(test_data / "cases" / "raw_pad.nii.gz")))
    inside = stored > -1000
    # Outside the field of view is air.
    assert (found.voxels[~inside] <= -1000).all()
    np.testing.assert_array_equal(found.voxels[inside], np.maximum(plain.voxels, -1024)[inside])
