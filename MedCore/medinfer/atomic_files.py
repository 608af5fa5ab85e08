"""Files that are either complete or absent: written under a temporary name, flushed to disk, then renamed."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from .errors import OutputError
from .living_lock import held

_PART = ".part."
_MOST_BYTES = 200
# Hidden folders of runs, and the locks beside them.
_HIDDEN, _LOCK = ".medinfer-", ".lock"
ASIDE = ".older"
"""The folder, in that of `staging`, for what `take_place` replaces. A killed run's comes back from there."""
_DAY_S = 86_400
# How often two processes may meet in renaming, and what each says then.
_TRIES, _MET = 20, (errno.EEXIST, errno.ENOTEMPTY, errno.ENOENT)

_ADVICE = {
    errno.ENOSPC: "the disk is full; free some space or choose another folder",
    errno.EDQUOT: "the disk quota is used up; free some space or choose another folder",
    errno.EFBIG: "the file exceeds the size limit there; choose another folder",
    errno.EROFS: "the disk is read-only; choose another folder",
    errno.EACCES: "you do not have permission to write there; choose another folder",
    errno.EPERM: "you do not have permission to write there; choose another folder",
    errno.EISDIR: "a folder with that name exists; remove it or choose another name",
    errno.ENOTDIR: "part of that path is a file, not a folder; choose another folder",
    errno.EEXIST: "part of that path is a file, not a folder; choose another folder",
    errno.ENOENT: "its folder does not exist and cannot be made; choose another folder",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}


def output_error(path: Path | str, cause: OSError) -> OutputError:
    """The error `cause`, raised while `path` was being written, as one sentence for the user."""
    advice = _ADVICE.get(cause.errno or 0, cause.strerror or str(cause))
    above = (Path(path), *Path(path).parents) if cause.errno in (errno.EEXIST, errno.ENOENT) else ()
    dead = next((one for one in above if os.path.islink(one) and not os.path.exists(one)), None)
    if dead is not None:
        advice = f"{dead} is a link to nothing; remove it or choose another folder"
    return OutputError(f"{path} cannot be written: {advice}.")


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """A path beside `path`, with the same suffixes, to write to; it takes the place of `path` at the end.

    Missing folders are made. When the block raises, what was written is removed and `path` stays as it was.
    Raises OutputError (one sentence) for an OSError: a full or read-only disk, a forbidden folder.
    """
    target = Path(path)
    partial = target.with_name(f".{uuid4().hex[:8]}{_end_of_partials(target)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        _flush(partial)
        os.replace(partial, target)
    except OSError as cause:
        raise output_error(target, cause) from cause
    finally:
        with suppress(OSError):
            partial.unlink()


def remove_partials(path: Path | str) -> None:
    """Remove what an `atomic_path` that was cut off left beside `path`."""
    target = Path(path)
    with suppress(OSError):
        for partial in [name for name in os.listdir(target.parent) if name.endswith(_end_of_partials(target))]:
            (target.parent / partial).unlink()


def _end_of_partials(target: Path) -> str:
    """With the file's suffixes; of a long name the end alone, as file systems allow 255 bytes."""
    return _PART + target.name.encode("utf-8", "surrogateescape")[-_MOST_BYTES:].decode("utf-8", "ignore")


@contextmanager
def staging(path: Path) -> Iterator[Path]:
    """A hidden folder beside `path`, gone at the end; those that killed runs left there are removed.

    An OSError inside becomes an OutputError about `path`.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(path.parent)
        folder = path.parent / f"{_HIDDEN}{uuid4().hex[:12]}"
        # A disk without locks: the folder is then left to its age.
        with held(_lock_of(folder)) as mine:
            folder.mkdir(mode=0o700)
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
                if not mine:
                    _lock_of(folder).unlink(missing_ok=True)
    except OSError as error:
        raise output_error(path, error) from error


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for what is needed for a moment, gone at the end.

    Raises OutputError, which names the temporary folder, where it is full or cannot be written.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="medinfer-", ignore_cleanup_errors=True) as folder:
            yield Path(folder)
    except OSError as cause:
        where = tempfile.tempdir or "of this computer"
        what = _ADVICE.get(cause.errno or 0, f"{cause.strerror or cause};").partition(";")[0]
        advice = "free some space there, or set TMPDIR to another one"
        raise OutputError(f"The temporary folder {where} cannot be written: {what}; {advice}.") from cause


def remove_abandoned(folder: Path) -> None:
    """Remove what runs that were killed left in `folder`; never what belongs to one that is alive.

    A run holds a lock beside its hidden folder. Without one (an older version's, or on a disk that knows none) a folder
    is abandoned when it is a day old.
    """
    with suppress(OSError):
        for entry in [entry for entry in os.scandir(folder) if entry.name.startswith(_HIDDEN)]:
            path = folder / entry.name
            with suppress(OSError):
                if entry.name.endswith(_LOCK):
                    _remove_if_dead(path.with_name(entry.name.removesuffix(_LOCK)))
                elif not _lock_of(path).exists() and time.time() - entry.stat().st_mtime > _DAY_S:
                    _remove(path)


def _remove_if_dead(folder: Path) -> None:
    with held(_lock_of(folder)) as mine:
        if mine:
            _remove(folder)


def _remove(abandoned: Path) -> None:
    """Remove the folder, but what it put aside and had not replaced yet goes back to its place."""
    for kept in abandoned.glob(f"{ASIDE}*/*"):
        if not os.path.lexists(abandoned.with_name(kept.name)):
            os.rename(kept, abandoned.with_name(kept.name))
    shutil.rmtree(abandoned, ignore_errors=True)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(folder.name + _LOCK)


def take_place(fresh: Path, home: Path, aside: Path | None) -> bool:
    """Rename the folder `fresh` to `home`. What stood there goes into `aside`, and back if that fails; without `aside`
    it stays, and nothing is done. Whether `fresh` is in its place. Raises OSError.

    Another process may do the same at the same time: the last one's folder stays, whole.
    """
    for _ in range(_TRIES):
        try:
            if os.path.lexists(home):
                if aside is None:
                    return False
                return _exchange(fresh, home, aside)
            os.rename(fresh, home)
            return True
        except OSError as error:
            # It came, or went, between the look and the renaming.
            if error.errno not in _MET or not os.path.lexists(fresh):
                raise
            aside = aside and aside.with_name(f"{aside.name}-")
    raise OSError(errno.EEXIST, "", str(home))


def _exchange(fresh: Path, home: Path, aside: Path) -> bool:
    aside.mkdir(exist_ok=True)
    kept = aside / home.name
    os.rename(home, kept)
    try:
        os.rename(fresh, home)
    except OSError:
        if not os.path.lexists(home):
            os.rename(kept, home)
        raise
    return True


def write_text(path: Path | str, text: str) -> None:
    """Write `text` as UTF-8, with its line ends as they are. Raises OutputError."""
    with atomic_path(path) as partial:
        partial.write_bytes(text.encode("utf-8"))


def _flush(path: Path) -> None:
    """Wait until the file's bytes are on the disk, so that a full disk is met before the rename."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
