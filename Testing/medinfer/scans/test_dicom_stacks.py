"""Reconstructions, echoes and acquisitions under one SeriesInstanceUID are told apart, or refused: never mixed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ct_slices import changed, check_values, save, stack
from pydicom.dataset import Dataset

from medinfer.errors import ScanError
from medinfer.scans.interleaving import check_neighbours
from medinfer.scans.reading import find_scans, read_volume

HEIGHTS = 2.5 * np.arange(12)


def shifted(slices: list[Dataset], by: int) -> list[Dataset]:
    """The slices with every value raised: a stack that must not meet the other one."""
    for data in slices:
        data.PixelData = (np.frombuffer(data.PixelData, "<u2") + by).astype("<u2").tobytes()
    return slices


def write(folder: Path, *stacks: list[Dataset], numbered: bool = False) -> Path:
    for seed, slices in enumerate(stacks):
        save(folder, slices, seed)
        if numbered:
            continue
        for number, data in enumerate(slices):
            data.InstanceNumber = 7  # tells nothing
            data.save_as(sorted(folder.glob(f"*{seed}"))[number], enforce_file_format=True)
    return folder


def offsets(folder: Path) -> list[int]:
    """How much each scan of the folder is raised over the plain one; every voxel of it must be by the same."""
    found = []
    for source in find_scans(folder):
        volume = source.read()
        places = volume.grid.to_ras(np.stack(np.indices(volume.shape), axis=-1)) * [-1, -1, 1]
        difference = volume.voxels - (places @ [13.0, -9.0, 7.0] - 700)
        assert np.ptp(difference) < 1.5, source.name
        found.append(round(float(difference.mean())))
    return found


@pytest.mark.parametrize(("field", "one", "other"), [
    ("ConvolutionKernel", "B30f", "B70f"), ("FilterType", "A", "B"), ("ImageType", ["O", "P", "A"], ["D", "P", "A"]),
    ("EchoTime", 2.4, 4.8), ("EchoNumbers", 1, 2), ("TriggerTime", 100, 500), ("AcquisitionTime", "101010", "101020"),
    ("SeriesNumber", 2, 3), ("KVP", 80, 140), ("SliceThickness", 1, 5), ("SeriesDescription", "a", "b"),
])
def test_whatever_tag_tells_two_stacks_apart_separates_them(tmp_path: Path, field: str, one: Any, other: Any) -> None:
    first = changed(stack(HEIGHTS), **{field: one})
    second = changed(shifted(stack(HEIGHTS), 300), **{field: other})
    folder = write(tmp_path / "ct", first, second)
    assert sorted(offsets(folder)) == [0, 300]
    for source in find_scans(folder):
        assert field in " ".join(source.read().notes)


def test_two_kernels_at_places_of_their_own_are_two_scans(tmp_path: Path) -> None:
    first = changed(stack(HEIGHTS), ConvolutionKernel="B30f")
    second = changed(shifted(stack(HEIGHTS + 1.25), 300), ConvolutionKernel="B70f")
    folder = write(tmp_path / "ct", first, second)
    assert sorted(offsets(folder)) == [0, 300]
    assert {source.name for source in find_scans(folder)} == {"ct-2-Lung-1.0-B30f", "ct-2-Lung-1.0-B70f"}


def test_a_tag_that_some_slices_lack_does_not_part_them(tmp_path: Path) -> None:
    """Anonymisers and converters lose tags; a value that is missing is no other value."""
    slices = stack(2.5 * np.arange(9))
    for number, data in enumerate(slices):
        data.ConvolutionKernel = "B30f"
        for name in ("SliceThickness", "ConvolutionKernel") if number in {0, 2, 5, 8} else ():
            delattr(data, name)
    volume = read_volume(save(tmp_path / "ct", slices))
    check_values(volume)
    assert (volume.shape[0], volume.notes) == (9, ())


def test_several_tags_together_separate_what_one_alone_does_not(tmp_path: Path) -> None:
    """Two kernels of two echoes, at one place: four scans."""
    stacks = [
        changed(shifted(stack(HEIGHTS), 100 * number), ConvolutionKernel=kernel, AcquisitionNumber=acquisition)
        for number, (kernel, acquisition) in enumerate([("a", 1), ("a", 2), ("b", 1), ("b", 2)])
    ]
    assert sorted(offsets(write(tmp_path / "ct", *stacks))) == [0, 100, 200, 300]


@pytest.mark.parametrize("numbers", ["windows", "turns"])
def test_the_order_of_instance_numbers_separates_where_no_tag_does(tmp_path: Path, numbers: str) -> None:
    folder = tmp_path / "ct"
    folder.mkdir()
    for part, slices in enumerate((stack(HEIGHTS), shifted(stack(HEIGHTS), 300))):
        for place, data in enumerate(slices):
            data.InstanceNumber = 2 * place + part if numbers == "turns" else 200 * part + place
            data.save_as(folder / f"{hash((part, place)) % 10**9}.dcm", enforce_file_format=True)
    assert sorted(offsets(folder)) == [0, 300]


def test_where_nothing_tells_two_stacks_apart_they_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "ct", stack(HEIGHTS), shifted(stack(HEIGHTS), 300))
    with pytest.raises(ScanError, match=r"holds 24 images at 12 positions, and nothing in their headers") as caught:
        read_volume(folder)
    assert str(folder) in str(caught.value)


def test_a_folder_copied_into_itself_is_one_scan(tmp_path: Path) -> None:
    folder = save(tmp_path / "ct", stack(HEIGHTS))
    for path in sorted(folder.iterdir()):
        (folder / f"copy-of-{path.name}").write_bytes(path.read_bytes())
    volume = read_volume(folder)
    assert volume.notes == ("12 files are copies of others and were left out",)
    check_values(volume)


def test_two_acquisitions_that_overlap_are_cut_and_it_is_said(tmp_path: Path) -> None:
    first = changed(stack(HEIGHTS), AcquisitionNumber=1)
    second = changed(shifted(stack(HEIGHTS + 20.0), 300), AcquisitionNumber=2)
    folder = write(tmp_path / "ct", first, second)
    assert sorted(offsets(folder)) == [0, 300]
    assert "was cut by AcquisitionNumber; this one has 2" in find_scans(folder)[1].read().notes[0]


def test_slices_acquired_in_turns_stay_one_scan(tmp_path: Path) -> None:
    """MR excites every other slice in a second acquisition: one volume all the same."""
    slices = stack(HEIGHTS)
    for number, data in enumerate(slices):
        data.Modality, data.AcquisitionNumber, data.AcquisitionTime = "MR", 1 + number % 2, f"1010{10 + number % 2}"
    volume = read_volume(save(tmp_path / "mr", slices))
    assert volume.shape[0] == 12
    check_values(volume)


def noisy(alternating: Callable[[int, np.ndarray[Any, Any]], np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
    """Forty slices of a smooth body with noise, each changed as told."""
    random = np.random.default_rng(0)
    y, x = np.indices((60, 60))
    planes = []
    for k in range(40):
        body = np.where((x - 30) ** 2 + (y - 30) ** 2 < (15 + k / 4) ** 2, 40.0, -1000.0) + 30 * np.sin(x / 6 + k / 5)
        planes.append(alternating(k, body + random.normal(0, 10, body.shape)))
    return planes


@pytest.mark.parametrize(("alternating", "words"), [
    (lambda k, plane: plane + np.random.default_rng(k).normal(0, 60, plane.shape) * (k % 2), "sharpness"),
    (lambda k, plane: plane + 1024 * (k % 2), "brightness"),
    (lambda k, plane: plane * (1 + 0.3 * (k % 2)), "contrast"),
])
def test_neighbours_that_jump_to_and_fro_are_refused(
    alternating: Callable[[int, np.ndarray[Any, Any]], np.ndarray[Any, Any]], words: str
) -> None:
    with pytest.raises(ScanError, match=f"neighbouring slices alternate in .*{words}"):
        check_neighbours("ct", noisy(alternating), "CT")


@pytest.mark.parametrize("alternating", [
    lambda k, plane: plane,
    lambda k, plane: plane + 40 * (k % 2) * (k > 20),  # in one half alone
    lambda k, plane: plane + 400 * (k // 20),  # a step
])
def test_slices_of_one_scan_do_not_alternate(
    alternating: Callable[[int, np.ndarray[Any, Any]], np.ndarray[Any, Any]]
) -> None:
    check_neighbours("ct", noisy(alternating), "CT")
    check_neighbours("mr", noisy(lambda k, plane: alternating(k, plane) * (1 + 0.3 * (k % 2))), "MR")
