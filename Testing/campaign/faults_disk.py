"""Disks that are full, read-only or forbidden, and scans that go away while they are needed."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from blobs import write_blobs
from full_disk import files_no_larger_than

from medinfer.library.places import user_folder

from .bad_dicom import save, slices_of
from .faults import Fault, Site, as_nobody, check_refused, check_whole, stamps
from .kinds import small_scan
from .trying import Told, run_command

# The calls by which files and folders come to be.
_WRITES = ((os, "mkdir"), (os, "rename"), (os, "replace"), (os, "fsync"), (os, "symlink"))
_MOST = 60


@contextmanager
def failing_at(number: int) -> Iterator[Callable[[], int]]:
    """The call `number` of those that change the disk fails, as on a full one; gives how many there were."""
    count = 0

    def counted(does: Any) -> Any:
        def call(*words: Any, **more: Any) -> Any:
            nonlocal count
            count += 1
            if count == number:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return does(*words, **more)

        return call

    patches = [patch.object(module, name, counted(getattr(module, name))) for module, name in _WRITES]
    for one in patches:
        one.start()
    try:
        yield lambda: count
    finally:
        for one in patches:
            one.stop()


def at_each_call(run: Callable[[], Told], after: Callable[[Told], None]) -> str:
    """Let each change of the disk fail in turn, until a run meets none; `after` checks what is there then."""
    for number in range(1, _MOST):
        with failing_at(number) as calls:
            told = run()
        if calls() < number:
            assert told.code == 0, told.output
            return f"{number - 1} steps failed in turn, each with one sentence"
        if told.code:
            check_refused(told, 1, 2)
        after(told)
    raise AssertionError(f"more than {_MOST} steps")


def at_each_size(run: Callable[[], Told], after: Callable[[Told], None]) -> str:
    """Let files end at more and more bytes, until a run needs no more."""
    sizes = [0, 1, *range(300, 64_000, 500)]
    for size in sizes:
        with files_no_larger_than(size):
            told = run()
        if told.code == 0:
            return f"it needs {size} bytes a file; with less, one sentence"
        assert "cannot be written" in check_refused(told, 1, 2)
        after(told)
    raise AssertionError("no size is enough")


def _full(folder: Path) -> str:
    site = Site(folder)
    scan = site.scan()
    words = site.words(scan)
    said = at_each_size(lambda: run_command(words), lambda told: check_whole(site.out))
    check_whole(site.out, "chest")
    return said


def _full_at_each_step(folder: Path) -> str:
    site = Site(folder)
    scan = site.scan()
    words = site.words(scan)

    def after(told: Told) -> None:
        check_whole(site.out, *(["chest"] if told.code == 0 else []))
        shutil.rmtree(site.out, ignore_errors=True)

    return at_each_call(lambda: run_command(words), after)


def _full_over_earlier(folder: Path) -> str:
    """With --overwrite, and results of another scan beside."""
    site = Site(folder)
    scan, other = site.scan(), site.scan("other.nii.gz", 1)
    assert site.run(scan, other).code == 0
    before = stamps(site.out)

    def after(told: Told) -> None:
        check_whole(site.out, "chest", "other")
        if told.code:
            assert stamps(site.out) == before

    return at_each_size(lambda: site.run(scan, "--overwrite"), after)


def _full_while_adding(folder: Path) -> str:
    package = write_blobs(folder / "blobs")
    said = [
        run(lambda: run_command(["add", str(package)]), lambda told: _installed(told.code == 0))
        for run in (at_each_size, at_each_call)
    ]
    return "; ".join(said)


def _installed(there: bool) -> None:
    """The library holds the model whole, or nothing; then it is empty again."""
    found = {path.name for path in user_folder().iterdir()} if user_folder().is_dir() else set()
    assert found == ({"blobs"} if there else set()), found
    if there:
        assert run_command(["remove", "blobs"]).code == 0


def _full_temporary(folder: Path) -> str:
    site = Site(folder)
    archive = shutil.make_archive(str(folder / "study"), "zip", save(folder / "ct", slices_of(small_scan())))
    words = site.words(archive)
    with files_no_larger_than(100):
        sentence = check_refused(run_command(words), 1)
    check_whole(site.out)
    closed = folder / "closed"
    closed.mkdir(mode=0o555)
    with _open_to_all() as home, patch.object(tempfile, "tempdir", str(closed)):
        other = Site(home)
        others = other.words(shutil.copy(archive, home))
        with as_nobody(home):
            sentence = check_refused(run_command(others), 1)
        assert "study.zip cannot be unpacked: Permission denied" in sentence
        check_whole(other.out)
    assert run_command(words).code == 0
    check_whole(site.out, "study")
    return sentence.replace(str(folder), "")


@contextmanager
def _open_to_all() -> Iterator[Path]:
    """A folder that a user without rights can come to."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder


def _read_only_output(folder: Path) -> str:
    with _open_to_all() as home:
        site = Site(home)
        words = site.words(site.scan())
        site.out.mkdir(mode=0o555)
        with as_nobody():
            sentence = check_refused(run_command(words), 2)
        assert "out cannot be written: you do not have permission to write there; choose another folder" in sentence
        check_whole(site.out)
        return sentence.replace(str(home), "")


def _read_only_library(folder: Path) -> str:
    with _open_to_all() as home:
        package, library = write_blobs(home / "blobs"), home / "library"
        with patch.dict(os.environ, MEDINFER_LIBRARY=str(library)):
            assert run_command(["add", str(package)]).code == 0
            before = stamps(library)
            library.chmod(0o555)
            with as_nobody():
                commands = (["add", str(package)], ["remove", "blobs"])
                sentences = [check_refused(run_command(words), 2) for words in commands]
            library.chmod(0o755)
        assert stamps(library) == before
        assert all("you do not have permission to write there" in sentence for sentence in sentences), sentences
        return sentences[1].replace(str(home), "")


def _forbidden_scan(folder: Path) -> str:
    with _open_to_all() as home:
        site = Site(home)
        forbidden, scan = site.scan("forbidden.nii.gz", 1), site.scan()
        shutil.copytree(scan.parent, scan.parent / "closed")
        forbidden.chmod(0)
        (scan.parent / "closed").chmod(0)
        words = site.words(scan.parent)
        with as_nobody(home):
            told = run_command(words)
        (scan.parent / "closed").chmod(0o755)
        sentence = check_refused(told, 1)
        assert "forbidden.nii.gz cannot be read: Permission denied" in sentence
        assert "beside it, 1 folder that cannot be opened was not read" in told.notes
        check_whole(site.out, "scans-chest")
        return sentence.replace(str(home), "")


def _lost(spoil: Callable[[Path], object], words: str) -> Callable[[Path], str]:
    """The second scan is spoilt after both were found, while the results of the first are written."""

    def strike(folder: Path) -> str:
        site = Site(folder)
        first, second = site.scan("a.nii.gz"), site.scan("b.nii.gz", 1)

        def meanwhile(*unused: Any) -> list[Path]:
            spoil(second)
            return []

        told = site.run(first, second, outputs={"meanwhile": meanwhile})
        sentence = check_refused(told, 1)
        assert words in sentence, sentence
        check_whole(site.out, "a")
        second.unlink(missing_ok=True)
        site.scan("b.nii.gz", 1)
        assert site.run(first, second).code == 0
        check_whole(site.out, "a", "b")
        return sentence.replace(str(folder), "")

    return strike


def _lost_slices(folder: Path) -> str:
    """A share with a series goes away after its headers were read."""
    site = Site(folder)
    first, series = site.scan("a.nii.gz", 1), save(folder / "share" / "ct", slices_of(small_scan()))

    def meanwhile(*unused: Any) -> list[Path]:
        shutil.rmtree(series, ignore_errors=True)
        return []

    told = site.run(first, series, outputs={"meanwhile": meanwhile})
    sentence = check_refused(told, 1)
    assert "cannot be read: No such file or directory." in sentence, sentence
    check_whole(site.out, "a")
    return sentence.replace(str(folder), "")


def _lost_output(folder: Path) -> str:
    """The output folder goes away while results are written."""
    site = Site(folder)
    scan = site.scan()

    def meanwhile(*unused: Any) -> list[Path]:
        shutil.rmtree(site.out, ignore_errors=True)
        return []

    sentence = check_refused(site.run(scan, outputs={"meanwhile": meanwhile}), 1)
    assert "cannot be written" in sentence, sentence
    check_whole(site.out)
    assert site.run(scan).code == 0
    check_whole(site.out, "chest")
    return sentence.replace(str(folder), "")


_CUT = "is truncated or damaged: some of its voxels are missing"
FAULTS = (
    Fault("a disk that is full at any size of a file", "one sentence, no result; then whole results", _full),
    Fault("a disk that is full at any step of writing", "one sentence, no half of a result", _full_at_each_step),
    Fault("a full disk, over earlier results", "they stay as they are", _full_over_earlier),
    Fault("a full disk while a model is added", "one sentence, no half of a model", _full_while_adding),
    Fault("a temporary folder that is full or closed", "one sentence; then the next run completes", _full_temporary),
    Fault("an output folder that is read-only", "one sentence before the run", _read_only_output),
    Fault("a library that is read-only", "one sentence, the library as it was", _read_only_library),
    Fault("no permission on a scan and on a folder", "both are told, the rest is done", _forbidden_scan),
    Fault("a share lost between finding and reading", "one sentence, the other scan is done",
          _lost(Path.unlink, "b.nii.gz cannot be read: No such file or directory.")),
    Fault("a file cut short between finding and reading", "one sentence, the other scan is done",
          _lost(lambda path: path.write_bytes(path.read_bytes()[:500]), _CUT)),
    Fault("a series lost between finding and reading", "one sentence, the other scan is done", _lost_slices),
    Fault("an output folder lost while it is written", "one sentence; then the next run completes", _lost_output),
)
