"""A study as it lies on a disc: several series, reports, stray files, links, a DICOMDIR, or all of it in a .zip."""

from __future__ import annotations

import gc
import os
import shutil
import stat
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from ct_slices import changed, check_values, save, stack
from pydicom.fileset import FileSet

from medinfer.errors import ScanError
from medinfer.scans.reading import find_scans, read_volume

HEIGHTS = 2.5 * np.arange(8)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary folder, empty, so that what stays in it is seen."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def study(folder: Path) -> Path:
    """A CT, and beside it colour captures, a report, text and empty files."""
    save(folder / "ct", stack(HEIGHTS))
    captures = changed(
        stack(HEIGHTS[:3]), SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0, BitsAllocated=8,
        BitsStored=8, HighBit=7, SeriesInstanceUID="1.2.9", Modality="OT",
    )
    for data in captures:
        del data.ImagePositionPatient
    save(folder / "other", captures, seed=2)
    changed(stack([0.0]), Modality="SR")[0].save_as(folder / "other" / "report", enforce_file_format=True)
    (folder / "readme.txt").write_text("see the CT")
    (folder / "ct" / "text.dcm").write_text("this is no DICOM at all, but a text as long as a header " * 9)
    (folder / "ct" / "empty.dcm").touch()
    (folder / "empty").touch()
    return folder


def test_what_is_no_scan_in_a_study_is_a_note(tmp_path: Path) -> None:
    volume = read_volume(study(tmp_path / "study"))
    check_values(volume)
    assert len(volume.notes) == 1
    for words in ("3 colour images", "1 structured report", "1 file that is not DICOM", "1 empty file"):
        assert words in volume.notes[0]


def test_such_files_given_alone_are_named(tmp_path: Path) -> None:
    folder = study(tmp_path / "study")
    for name, words in (("ct/empty.dcm", "is an empty file"), ("ct/text.dcm", "is a file that is not DICOM"),
                        ("other/report", "is a structured report")):
        with pytest.raises(ScanError, match=words) as caught:
            read_volume(folder / name)
        assert str(folder / name) in str(caught.value)


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    save(tmp_path / "elsewhere" / "ct", stack(HEIGHTS))
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "loop").symlink_to(root)
    (root / "twice").symlink_to(tmp_path / "elsewhere" / "ct")
    (root / "dead").symlink_to(tmp_path / "nothing")
    (root / "dead.nii.gz").symlink_to(tmp_path / "nothing")
    volume = read_volume(root)
    check_values(volume)
    assert volume.notes == ()
    assert find_scans(root)[0].name == "root-link-ct"


def file_set(folder: Path) -> Path:
    """A disc with a DICOMDIR, as pydicom writes it."""
    files = FileSet()
    for data in stack(HEIGHTS):
        data.PatientName, data.StudyDate, data.StudyTime, data.StudyID = "A", "20200101", "101010", "1"
        data.InstanceNumber, data.AccessionNumber = 1, ""
        files.add(data)
    files.write(folder)
    return folder / "DICOMDIR"


@pytest.mark.parametrize("lower", [False, True])
def test_a_dicomdir_stands_for_what_it_lists(tmp_path: Path, lower: bool) -> None:
    listing = file_set(tmp_path / "disc")
    if lower:  # a disc without Joliet names, copied by some systems
        for path in sorted((tmp_path / "disc").rglob("*"), reverse=True):
            path.rename(path.with_name(path.name.lower() + (".dcm" if path.is_file() and path != listing else "")))
        listing = tmp_path / "disc" / "dicomdir"
    save(tmp_path / "disc" / "unlisted", changed(stack(HEIGHTS), SeriesInstanceUID="1.2.9"))
    volume = read_volume(listing)
    check_values(volume)
    assert volume.name.startswith("disc-")
    assert volume.notes == ()
    gone = sorted((tmp_path / "disc").rglob("[iI][mM]0*"))[0]
    gone.unlink()
    assert any("1 of the 8 files that" in note for note in read_volume(listing).notes)


def test_a_dicomdir_alone_says_what_is_missing(tmp_path: Path) -> None:
    listing = file_set(tmp_path / "disc")
    alone = Path(shutil.copy(listing, tmp_path / "DICOMDIR"))
    with pytest.raises(ScanError, match="lists 8 files, and none of them is there"):
        read_volume(alone)
    alone.write_bytes(b"nonsense")
    with pytest.raises(ScanError, match="DICOMDIR"):
        read_volume(alone)


def packed(folder: Path, archive: Path, separator: str = "/") -> Path:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                info = zipfile.ZipInfo()
                info.filename = separator.join(path.relative_to(folder.parent).parts)
                target.writestr(info, path.read_bytes())
    return archive


@pytest.mark.parametrize("separator", ["/", "\\"])
def test_a_zip_is_read_as_the_folder_in_it_and_leaves_nothing(
    tmp_path: Path, temporary: Path, separator: str
) -> None:
    archive = packed(study(tmp_path / "study"), tmp_path / "Müller.zip", separator)
    sources = find_scans(archive)
    assert [source.name for source in sources] == ["Müller-ct"]
    assert list(temporary.iterdir())
    check_values(sources[0].read())
    del sources
    gc.collect()
    assert list(temporary.iterdir()) == []
    check_values(read_volume(archive))
    gc.collect()
    assert list(temporary.iterdir()) == []


def test_messages_about_a_zip_name_it_and_not_the_temporary_folder(tmp_path: Path, temporary: Path) -> None:
    folder = save(tmp_path / "study", stack(HEIGHTS))
    bad = sorted(folder.iterdir())[0]
    bad.write_bytes(bad.read_bytes()[:-100])
    archive = packed(folder, tmp_path / "study.zip")
    with pytest.raises(ScanError) as caught:
        read_volume(archive)
    assert str(archive) in str(caught.value)
    assert bad.name in str(caught.value)
    assert str(temporary) not in str(caught.value)


@pytest.mark.parametrize("name", ["../evil.dcm", "/etc/evil.dcm", "a/../../evil.dcm", "C:\\evil.dcm", "..\\evil.dcm"])
def test_a_zip_that_leads_out_of_its_folder_is_refused(tmp_path: Path, temporary: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as target:
        info = zipfile.ZipInfo()
        info.filename = name
        target.writestr(info, b"x")
    with pytest.raises(ScanError, match="would land outside its folder"):
        find_scans(tmp_path / "a.zip")
    gc.collect()
    assert list(temporary.iterdir()) == []
    assert not list(tmp_path.rglob("evil*"))


def test_links_in_a_zip_are_passed_over(tmp_path: Path, temporary: Path) -> None:
    archive = packed(save(tmp_path / "study", stack(HEIGHTS)), tmp_path / "study.zip")
    with zipfile.ZipFile(archive, "a") as target:
        link = zipfile.ZipInfo("study/link.dcm")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        target.writestr(link, os.fspath(tmp_path))
    check_values(read_volume(archive))


def test_a_zip_that_cannot_be_unpacked_is_one_sentence(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "no.zip").write_bytes(b"PK no archive")
    with pytest.raises(ScanError, match=r"is not a whole \.zip archive"):
        find_scans(tmp_path / "no.zip")
    archive = packed(save(tmp_path / "study", stack(HEIGHTS)), tmp_path / "study.zip")
    whole = archive.read_bytes()
    (tmp_path / "bad.zip").write_bytes(whole[:200] + bytes(60) + whole[260:])
    with pytest.raises(ScanError, match=r"bad\.zip"):
        find_scans(tmp_path / "bad.zip")
    monkeypatch.setattr("medinfer.scans.zipped._MAX_FILES", 3)
    with pytest.raises(ScanError, match="holds more than 3 files"):
        find_scans(archive)
    gc.collect()
    assert list(temporary.iterdir()) == []
