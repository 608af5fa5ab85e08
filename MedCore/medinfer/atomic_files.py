"""Files that are either complete or absent: written under a temporary name, flushed to disk, then renamed."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from .errors import OutputError

_PART = ".part."

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
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}


def output_error(path: Path | str, cause: OSError) -> OutputError:
    """The error `cause`, raised while `path` was being written, as one sentence for the user."""
    code = cause.errno or 0
    return OutputError(f"{path} cannot be written: {_ADVICE.get(code, cause.strerror or str(cause))}.")


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """A path beside `path`, with the same suffixes, to write to; it takes the place of `path` at the end.

    Missing folders are made. When the block raises, what was written is removed and `path` stays as it was.
    Raises OutputError (one sentence) for an OSError: a full or read-only disk, a forbidden folder.
    """
    target = Path(path)
    partial = target.with_name(f".{uuid4().hex[:8]}{_PART}{target.name}")
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
        for partial in [name for name in os.listdir(target.parent) if name.endswith(_PART + target.name)]:
            (target.parent / partial).unlink()


@contextmanager
def staging(path: Path) -> Iterator[Path]:
    """A hidden folder beside `path`, gone at the end. An OSError inside becomes an OutputError about `path`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=".medinfer-", dir=path.parent, ignore_cleanup_errors=True
        ) as folder:
            yield Path(folder)
    except OSError as error:
        raise output_error(path, error) from error


def take_place(fresh: Path, home: Path, aside: Path) -> None:
    """Rename the folder `fresh` to `home`. What stood there goes to `aside`, and back if that fails. Raises OSError."""
    if not home.exists():
        os.rename(fresh, home)
        return
    os.rename(home, aside)
    try:
        os.rename(fresh, home)
    except OSError:
        os.rename(aside, home)
        raise


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
