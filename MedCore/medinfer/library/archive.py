"""Unpacking a package's .zip without trusting it."""

from __future__ import annotations

import lzma
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from ..errors import PackageError

_MAX_FILES = 1000
_MAX_BYTES = 8 << 30


def unpack(archive: Path, folder: Path) -> None:
    """Unpack `archive` (.zip) into the existing `folder`.

    Refused with PackageError: entries that would land outside the folder, links, encrypted entries,
    more than 1000 files or 8 GiB, a damaged archive.
    """
    try:
        with zipfile.ZipFile(archive) as source:
            entries = source.infolist()
            if len(entries) > _MAX_FILES or sum(entry.file_size for entry in entries) > _MAX_BYTES:
                raise PackageError(
                    f"{archive} contains more than {_MAX_FILES} files or 8 GiB; it is not a model package."
                )
            for entry in entries:
                _unpack_entry(source, entry, archive, folder)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, zlib.error, lzma.LZMAError) as error:
        raise PackageError(f"{archive} is not a complete .zip archive ({error}); download it again.") from None


def _unpack_entry(source: zipfile.ZipFile, entry: zipfile.ZipInfo, archive: Path, folder: Path) -> None:
    # Back slashes and drive letters are separators on Windows: no name with them is unpacked anywhere.
    name = PurePosixPath(entry.filename)
    if name.is_absolute() or ".." in name.parts or "\\" in entry.filename or ":" in entry.filename:
        raise PackageError(f"{archive} was refused: it contains {entry.filename!r}, which points outside the package.")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise PackageError(f"{archive} contains the link {entry.filename!r}; a package may contain only plain files.")
    if entry.flag_bits & 0x1:
        raise PackageError(f"{archive} is encrypted; unpack it yourself and add the folder.")
    target = folder.joinpath(*name.parts)
    if entry.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open(entry) as packed, target.open("wb") as stream:
        shutil.copyfileobj(packed, stream, 1 << 20)
