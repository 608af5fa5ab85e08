"""What `add` copies: nothing but files that can be read, and the right one is to blame where that fails."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from full_disk import files_no_larger_than

from medinfer.errors import OutputError, PackageError
from medinfer.importers.adding import add
from medinfer.library.places import user_folder

Make = Callable[..., Path]


def left() -> list[Path]:
    return list(user_folder().iterdir())


def test_what_is_no_file_is_named(blob_package: Make) -> None:
    package = blob_package()
    os.mkfifo(package / "pipe")
    with pytest.raises(PackageError, match=r"pipe is neither a file nor a folder; remove it from the package\.$"):
        add(package)
    assert left() == []


def test_a_file_that_cannot_be_read_is_to_blame_and_not_the_library(
    blob_package: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, opened = blob_package(), Path.open

    def refused(path: Path, *options: Any, **more: Any) -> Any:
        if path == package / "network.onnx":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *options, **more)

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(PackageError, match=r"network\.onnx cannot be read: Permission denied; copy the package again"):
        add(package)
    assert left() == []


def test_a_full_disk_is_one_sentence_without_a_list_of_files(blob_package: Make) -> None:
    package = blob_package()
    with files_no_larger_than(100), pytest.raises(OutputError) as caught:
        add(package)
    assert "cannot be written: the file exceeds the size limit there; choose another folder." in str(caught.value)
    assert "[" not in str(caught.value)
    assert left() == []


def test_folders_and_links_come_along(blob_package: Make) -> None:
    package = blob_package()
    (package / "figures").mkdir()
    (package / "figures" / "roc.svg").write_text("<svg/>")
    (package / "latest").symlink_to("network.onnx")
    installed = add(package).folder
    assert (installed / "figures" / "roc.svg").read_text() == "<svg/>"
    assert os.readlink(installed / "latest") == "network.onnx"


def test_a_zip_with_other_bytes_in_its_middle_is_not_complete(blob_package: Make, tmp_path: Path) -> None:
    archive = tmp_path / "model.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as stream:
        for path in blob_package().iterdir():
            stream.write(path, path.name)
    whole = archive.read_bytes()
    archive.write_bytes(whole[:80] + b"\xff" * 60 + whole[140:])
    with pytest.raises(PackageError, match=r"model\.zip is not a complete \.zip archive \(.*\); download it again"):
        add(archive)
    assert left() == []
