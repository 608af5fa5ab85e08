"""A study as one .zip: unpacked, without trust, into a temporary folder that goes when its scans are done with."""

from __future__ import annotations

import errno
import lzma
import shutil
import stat
import tempfile
import weakref
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from ..errors import ScanError

_MAX_FILES = 200_000
_MAX_BYTES = 64 << 30
# Of a scan nothing shrinks to less than a hundredth; more is a trap, or empty images.
_MAX_RATIO = 200
_RATIO_FROM = 1 << 30


class Unpacked:
    """The folder of an unpacked archive; removed when nothing refers to it any more, or when the program ends."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="medinfer-zip-"))
        self._remove = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    def remove(self) -> None:
        self._remove()


def is_zip(path: Path) -> bool:
    return path.suffix.lower() == ".zip"


def unpack_study(archive: Path) -> Unpacked:
    """Unpack `archive` (.zip). Links and hidden entries are passed over.

    Raises ScanError, one sentence: not a whole archive, encrypted, entries that would land outside the folder, more
    than 200 000 files or 64 GiB, far larger unpacked than packed, no room in the temporary folder.
    """
    try:
        unpacked = Unpacked()
    except OSError as cause:
        raise _no_room(archive, cause) from cause
    try:
        with zipfile.ZipFile(archive) as source:
            entries = [entry for entry in source.infolist() if not stat.S_ISLNK(entry.external_attr >> 16)]
            _check_size(archive, entries, unpacked.folder)
            for entry in entries:
                _unpack_entry(source, entry, archive, unpacked.folder)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, zlib.error, lzma.LZMAError) as cause:
        unpacked.remove()
        raise ScanError(f"{archive} is not a whole .zip archive ({cause}); copy it again.") from cause
    except OSError as cause:
        unpacked.remove()
        raise _no_room(archive, cause) from cause
    except BaseException:
        unpacked.remove()
        raise
    return unpacked


def _check_size(archive: Path, entries: list[zipfile.ZipInfo], folder: Path) -> None:
    size = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    if len(entries) > _MAX_FILES or size > _MAX_BYTES:
        raise ScanError(f"{archive} holds more than {_MAX_FILES} files or {_MAX_BYTES >> 30} GiB; "
                        "unpack it yourself and give the folder.")
    if size > _RATIO_FROM and size > _MAX_RATIO * max(1, packed):
        raise ScanError(f"{archive} would become {size / max(1, packed):.0f} times as large unpacked, which no scan "
                        "does; unpack it yourself and give the folder.")
    if size > shutil.disk_usage(folder).free:
        raise ScanError(f"{archive} needs {size / 2**30:.1f} GiB unpacked, and {folder.parent} has less; make room "
                        "there, or unpack it yourself and give the folder.")


def _unpack_entry(source: zipfile.ZipFile, entry: zipfile.ZipInfo, archive: Path, folder: Path) -> None:
    name = PurePosixPath(entry.filename.replace("\\", "/"))  # some programs on Windows write these
    if name.is_absolute() or ".." in name.parts or any(":" in part or "\0" in part for part in name.parts):
        raise ScanError(f"{archive} holds {entry.filename!r}, which would land outside its folder; it was refused.")
    if entry.flag_bits & 0x1:
        raise ScanError(f"{archive} is encrypted; unpack it yourself and give the folder.")
    if entry.is_dir() or entry.filename.endswith("\\") or any(part.startswith(".") for part in name.parts):
        return
    target = folder.joinpath(*name.parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open(entry) as packed, target.open("wb") as stream:
        shutil.copyfileobj(packed, stream, 1 << 20)


def _no_room(archive: Path, cause: OSError) -> ScanError:
    if cause.errno in {errno.ENOSPC, errno.EDQUOT}:
        return ScanError(f"{archive} cannot be unpacked: the temporary folder {tempfile.gettempdir()} is full; make "
                         "room there, or unpack it yourself and give the folder.")
    return ScanError(f"{archive} cannot be unpacked: {cause.strerror or cause}.")
