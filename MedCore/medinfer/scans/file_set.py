"""A DICOM file set by its DICOMDIR: the images it lists, wherever the disc was copied to.

DICOM PS3.3, annex F (basic directory); PS3.10, 8 (file IDs: at most eight parts, upper case).
"""

from __future__ import annotations

from pathlib import Path

from ..errors import ScanError
from .dicom_fields import unheard, words


def is_directory_file(path: Path) -> bool:
    """Whether the file is called as the directory of a file set is."""
    return path.stem.upper() == "DICOMDIR" and path.suffix.upper() in {"", ".DCM"}


def listed_files(path: Path) -> tuple[tuple[Path, ...], int]:
    """The files that the DICOMDIR `path` lists and that are there, in its order; and how many are missing.

    Names may have become lower case, or have got a suffix, on their way from the disc. Parts that lead out of the
    folder are passed over. Raises ScanError: damaged, nothing listed, nothing of it there.
    """
    import pydicom

    with unheard():
        try:
            data = pydicom.dcmread(path, force=True, specific_tags=["DirectoryRecordSequence"])
            records = [words(record, "ReferencedFileID") for record in data.get("DirectoryRecordSequence") or ()]
        except Exception as cause:  # pydicom meets a damaged file with exceptions of many kinds
            raise ScanError(f"{path} is truncated or damaged; give the folder that it lies in.") from cause
    listed = [parts for parts in records if parts]
    if not listed:
        raise ScanError(f"{path} lists no files; give the folder that it lies in.")
    there = [file for file in (_find(path.parent, parts) for parts in listed) if file is not None]
    if not there:
        raise ScanError(f"{path} lists {len(listed)} files, and none of them is there; copy the whole disc.")
    return tuple(dict.fromkeys(there)), len(listed) - len(there)


def _find(folder: Path, parts: tuple[str, ...]) -> Path | None:
    """The file of these parts below `folder`, whatever the case of its letters."""
    place = folder
    for part in parts:
        if part in {"", ".", ".."} or "/" in part or "\\" in part or ":" in part:
            return None
        exact = place / part
        place = exact if exact.exists() else next(
            (other for other in sorted(place.iterdir()) if other.name.split(".")[0].upper() == part.upper()), exact
        ) if place.is_dir() else exact
    return place if place.is_file() else None
