"""What cannot be opened in a folder is reported, and never passed over."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ct_slices import check_values, save, stack

from medinfer.errors import ScanError
from medinfer.scans.reading import find_scans, read_volume

HEIGHTS = 2.5 * np.arange(8)
Closed = Callable[[Path], None]


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> Closed:
    """Nobody may look into a file or folder. (A superuser may, whatever its mode.)"""
    paths: set[Path] = set()
    opened, listed = Path.open, os.scandir

    def check(path: Any) -> None:
        # A number is an open folder, as pytest has it when it removes the folders of a test.
        if not isinstance(path, int) and Path(path) in paths:
            raise PermissionError(13, "Permission denied", str(path))

    def open_one(path: Path, *options: Any, **more: Any) -> Any:
        check(path)
        return opened(path, *options, **more)

    def list_one(path: Any = ".") -> Any:
        check(path)
        return listed(path)

    monkeypatch.setattr(Path, "open", open_one)
    monkeypatch.setattr(os, "scandir", list_one)
    return paths.add


def test_a_folder_that_cannot_be_opened_is_in_a_note(tmp_path: Path, closed: Closed) -> None:
    save(tmp_path / "study" / "ct", stack(HEIGHTS))
    save(tmp_path / "study" / "other", stack(HEIGHTS))
    closed(tmp_path / "study" / "other")
    volume = read_volume(tmp_path / "study")
    check_values(volume)
    assert volume.notes == ("beside it, 1 folder that cannot be opened was not read",)


@pytest.mark.parametrize("given", [".", "IM00041"])
def test_a_file_that_cannot_be_opened_is_in_a_note(tmp_path: Path, closed: Closed, given: str) -> None:
    folder = save(tmp_path / "ct", stack(HEIGHTS))
    (folder / "report").write_text("see the CT")
    closed(folder / "report")
    assert "beside it, 1 file that cannot be opened was not read" in read_volume(folder / given).notes


def test_nothing_but_what_cannot_be_opened_is_no_empty_folder(tmp_path: Path, closed: Closed) -> None:
    folder = save(tmp_path / "ct", stack(HEIGHTS))
    for path in folder.iterdir():
        closed(path)
    with pytest.raises(ScanError, match="ct contains no scan, only 8 files that cannot be opened"):
        find_scans(folder)
    closed(folder)
    with pytest.raises(ScanError, match=r"ct cannot be read: Permission denied\.$"):
        find_scans(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
def test_a_fifo_is_no_empty_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.nii.gz")
    with pytest.raises(ScanError, match=r"pipe\.nii\.gz is neither a file nor a folder; give the file"):
        read_volume(tmp_path / "pipe.nii.gz")
