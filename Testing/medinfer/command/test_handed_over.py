"""Volumes and label maps handed from process to process as .npy files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medinfer.command.handed_over import read_handed_over, read_label_map, write_label_map
from medinfer.errors import OutputError, ScanError
from medinfer.label_map import LabelMap

IDENTITY = np.eye(4).tolist()


def saved(folder: Path, voxels: Any) -> Path:
    np.save(folder / "scan.npy", voxels)
    return folder / "scan.npy"


def test_a_volume_arrives_as_it_left(tmp_path: Path, blob_scan: Any) -> None:
    volume, _ = blob_scan
    path = saved(tmp_path, volume.voxels)
    arrived = read_handed_over(path, volume.grid.ijk_to_ras.tolist(), "CHEST 1", "CT")
    np.testing.assert_array_equal(arrived.voxels, volume.voxels)
    assert arrived.voxels.dtype == volume.voxels.dtype
    assert type(arrived.voxels) is np.ndarray
    np.testing.assert_array_equal(arrived.grid.ijk_to_ras, volume.grid.ijk_to_ras)
    assert (arrived.name, arrived.modality, arrived.notes) == ("CHEST 1", "CT", ())


@pytest.mark.parametrize("kept", [0, 5, 100, -1])
def test_a_file_cut_short_is_one_sentence(tmp_path: Path, kept: int) -> None:
    path = saved(tmp_path, np.zeros((4, 5, 6), np.int16))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ScanError, match=r"^The voxels of CHEST 1 arrived incomplete .*run it again"):
        read_handed_over(path, IDENTITY, "CHEST 1")


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    path = saved(tmp_path, np.array([{"a": 1}], dtype=object))
    with pytest.raises(ScanError, match="arrived incomplete"):
        read_handed_over(path, IDENTITY, "CHEST 1")


@pytest.mark.parametrize(
    ("voxels", "words"),
    [
        (np.zeros((4, 5)), "2 axes"),
        (np.zeros((4, 5, 6, 3)), "4 axes"),
        (np.zeros((4, 5, 6), np.complex64), "complex64"),
        (np.zeros((4, 0, 6)), "no voxels"),
        (np.full((4, 5, 6), np.nan), "not numbers"),
    ],
)
def test_what_is_no_scan_is_refused(tmp_path: Path, voxels: Any, words: str) -> None:
    with pytest.raises(ScanError, match=words):
        read_handed_over(saved(tmp_path, voxels), IDENTITY, "CHEST 1")


@pytest.mark.parametrize(
    "matrix", [[[1, 0, 0], [0, 1, 0]], "here", np.zeros((4, 4)).tolist(), np.full((4, 4), np.nan).tolist()]
)
def test_an_impossible_place_is_refused(tmp_path: Path, matrix: Any) -> None:
    with pytest.raises(ScanError, match="CHEST 1"):
        read_handed_over(saved(tmp_path, np.zeros((4, 5, 6))), matrix, "CHEST 1")


def test_a_few_voxels_that_are_no_numbers_are_filled_with_a_note(tmp_path: Path) -> None:
    voxels = np.zeros((4, 5, 6), np.float32)
    voxels[0, 0, 0] = np.nan
    arrived = read_handed_over(saved(tmp_path, voxels), IDENTITY, "CHEST 1")
    assert np.isfinite(arrived.voxels).all()
    assert "1 of 120 voxels" in arrived.notes[0]


def test_a_focus_that_is_no_block_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, np.zeros((4, 5, 6)))
    assert read_handed_over(path, IDENTITY, "CHEST 1", focus=[[0, 0, 0], [2, 3, 4]]).focus is not None
    with pytest.raises(ScanError, match="not a block of voxels"):
        read_handed_over(path, IDENTITY, "CHEST 1", focus=[[0, 0, 0]])


def test_a_label_map_arrives_as_it_left(tmp_path: Path, blob_scan: Any) -> None:
    grid = blob_scan[0].grid.cropped((3, 4, 5), (6, 7, 8))
    labels = LabelMap(np.random.default_rng(0).integers(0, 9, (6, 7, 8)).astype(np.uint8), grid)
    write_label_map(labels, tmp_path / "labels.npy")
    arrived = read_label_map(tmp_path / "labels.npy", grid.ijk_to_ras.tolist())
    np.testing.assert_array_equal(arrived.voxels, labels.voxels)
    np.testing.assert_array_equal(arrived.grid.ijk_to_ras, grid.ijk_to_ras)
    assert [path.name for path in tmp_path.iterdir()] == ["labels.npy"]


def test_a_label_map_that_cannot_be_written_is_one_sentence(tmp_path: Path, blob_scan: Any) -> None:
    (tmp_path / "file").write_text("in the way")
    labels = LabelMap(np.zeros((2, 2, 2), np.uint8), blob_scan[0].grid.cropped((0, 0, 0), (2, 2, 2)))
    with pytest.raises(OutputError, match="cannot be written"):
        write_label_map(labels, tmp_path / "file" / "labels.npy")
