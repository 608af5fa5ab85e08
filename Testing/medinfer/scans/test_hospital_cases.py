"""The small inputs that hospitals and their programs made: each gives the plain scan's voxels, or one true sentence.

What each case is stands in `cases/README.md` of the test data.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from medinfer.scans.reading import find_scans, read_volume
from medinfer.volume import Volume

pytestmark = pytest.mark.real

Unpack = Callable[[str], Path]


@pytest.fixture(scope="module")
def plain(test_data: Path) -> Volume:
    return read_volume(test_data / "spine" / "example_ct.nii.gz")


@pytest.fixture
def case(test_data: Path, tmp_path: Path) -> Unpack:
    """A case's folder, unpacked."""

    def unpack(name: str) -> Path:
        with tarfile.open(test_data / "cases" / f"{name}.tar.gz") as archive:
            archive.extractall(tmp_path, filter="data")
        return tmp_path / name

    return unpack


def check(volume: Volume, plain: Volume, *notes: str) -> None:
    """The voxels of the plain scan at their places (stored with an offset of 1024, nothing below −1024 is kept)."""
    assert volume.shape == plain.shape
    np.testing.assert_allclose(volume.grid.ijk_to_ras, plain.grid.ijk_to_ras, atol=1e-3)
    air = plain.voxels < -1024
    np.testing.assert_array_equal(volume.voxels[~air], plain.voxels[~air])
    for note in notes:
        assert sum(note in one for one in volume.notes) == 1, volume.notes


@pytest.mark.parametrize(("name", "notes"), [
    ("same_sop", ["bear only 1 different SOPInstanceUIDs"]),
    ("series_uid_per_slice", ["each of its slices has a SeriesInstanceUID of its own"]),
    ("no_iop", ["its 112 slices have no ImageOrientationPatient and were taken as axial with rows to the right"]),
    ("mf_ct_nogroups", ["its 112 slices are spaced by SliceThickness (3 mm)"]),
])
def test_the_case_is_read_as_the_plain_scan(case: Unpack, plain: Volume, name: str, notes: Sequence[str]) -> None:
    check(read_volume(case(name)), plain, *notes)


def test_two_kernels_are_two_scans(case: Unpack, plain: Volume) -> None:
    sources = find_scans(case("two_kernels"))
    soft, sharp = (source.read() for source in sources)
    check(soft, plain, "cut by ConvolutionKernel; this one has B30f")
    assert (sharp.voxels != soft.voxels).mean() > 0.5
    np.testing.assert_array_equal(sharp.grid.ijk_to_ras, soft.grid.ijk_to_ras)


def test_padding_around_raw_values_becomes_the_lowest_of_them(test_data: Path, plain: Volume) -> None:
    """HU + 1024 with −2000 outside the circle: the offset is for the HU check to find, the padding is not."""
    raw = read_volume(test_data / "cases" / "raw_pad.nii.gz")
    np.testing.assert_array_equal(raw.grid.ijk_to_ras, plain.grid.ijk_to_ras)
    inside = raw.voxels == plain.voxels + 1024
    assert 0.6 < inside.mean() < 0.7
    assert set(np.unique(raw.voxels[~inside])) == {raw.voxels[inside].min()}
    assert "35 % of its voxels lie outside the field of view (-2000)" in raw.notes[0]


def test_a_study_gives_its_ct_and_its_pt_and_tells_the_rest(case: Unpack, plain: Volume) -> None:
    sources = find_scans(case("study"))
    assert [source.series.modality for source in sources if source.series] == ["CT", "PT"]
    check(sources[0].read(), plain, "6 colour images and 1 structured report were not read")


def test_a_dicomdir_is_read_as_the_plain_scan(case: Unpack, plain: Volume) -> None:
    check(read_volume(next(case("dicomdir").rglob("DICOMDIR"))), plain)


def test_an_nrrd_without_a_space_is_read_as_slicer_does_and_says_so(test_data: Path, plain: Volume) -> None:
    """Its axes run as the plain scan's do; where it lies, the file does not know."""
    volume = read_volume(test_data / "cases" / "nospace.nrrd")
    np.testing.assert_array_equal(volume.voxels, plain.voxels)
    np.testing.assert_allclose(volume.grid.ijk_to_ras[:3, :3], plain.grid.ijk_to_ras[:3, :3])
    assert len(volume.notes) == 1
    assert "does not say in which space it lies" in volume.notes[0]
