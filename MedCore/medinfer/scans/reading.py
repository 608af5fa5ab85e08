"""Scans from disk: finding those at a path, and reading each as a Volume in RAS mm."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..errors import ScanError
from ..volume import Volume
from .dicom import is_dicom
from .file_set import is_directory_file, listed_files
from .folders import scans_in, scans_of, series_of
from .source import KNOWN, ScanSource, is_image, safe_name, stem
from .voxel_values import MAX_VOXELS
from .zipped import is_zip, unpack_study

__all__ = ["ScanSource", "find_scans", "read_volume"]


def read_volume(path: Path | str, max_voxels: int = MAX_VOXELS) -> Volume:
    """Read one scan: a NIfTI, NRRD or MetaImage file, a folder, .zip or DICOMDIR of one DICOM series, or a file of it.

    The voxels keep their stored integer type where no rescaling forbids it; the world is RAS mm. A sheared grid
    (gantry tilt) becomes orthogonal, missing slices and voxels that are not numbers are filled, each with a note.
    Raises ScanError, one sentence: nothing there, several scans, not an image, cut short, not 3-D, colour, complex,
    impossible geometry, more than `max_voxels` voxels (checked before memory is taken).
    """
    sources = find_scans(path)
    damaged = next((source for source in sources if source.problem), None)
    if damaged is not None:
        raise ScanError(damaged.problem)
    if len(sources) > 1:
        names = ", ".join(source.name for source in sources[:6]) + (", …" if len(sources) > 6 else "")
        raise ScanError(f"{path} contains {len(sources)} scans ({names}); give the file or folder of one of them.")
    return sources[0].read(max_voxels)


def find_scans(path: Path | str) -> tuple[ScanSource, ...]:
    """The scans that `path` holds: a file is one; a folder is searched with its sub-folders, hidden ones left out.

    A DICOM file stands for its whole series, taken from its folder; a DICOMDIR for what it lists; a .zip for the folder
    in it, unpacked for as long as a source of it is there. Links are followed. Localizers, colour images and series of
    at most 4 images are left out beside a longer series of the same study; the notes of that series tell.
    Only names and DICOM headers are read here, and the pixels of images at one and the same position.
    Raises ScanError when nothing is found.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return scans_in(path, path.resolve().name)
        if not path.exists():
            raise ScanError(f"{path} does not exist; check the path.")
        if is_image(path):
            return (ScanSource(safe_name(stem(path)), path),)
        if path.is_file() and is_directory_file(path):
            return _of_file_set(path)
        if path.is_file() and is_zip(path):
            return _of_archive(path)
        if path.is_file() and is_dicom(path):
            return (series_of(path),)
    except OSError as cause:
        raise ScanError(f"{path} cannot be read: {cause.strerror or cause}.") from cause
    raise ScanError(f"{path} is not a scan that MedInfer can read; give {KNOWN}.")


def _of_file_set(path: Path) -> tuple[ScanSource, ...]:
    """The scans that a DICOMDIR lists."""
    files, missing = listed_files(path)
    sources = scans_of(path.parent, path.parent.resolve().name, files)
    if not missing:
        return sources
    are = "is" if missing == 1 else "are"
    note = f"{missing} of the {missing + len(files)} files that {path.name} lists {are} missing"
    return tuple(replace(source, notes=(*source.notes, note)) for source in sources)


def _of_archive(path: Path) -> tuple[ScanSource, ...]:
    """The scans in a .zip, called by the archive's name; messages name the archive, not the temporary folder."""
    unpacked = unpack_study(path)
    root = unpacked.folder
    inside = list(root.iterdir())
    if len(inside) == 1 and inside[0].is_dir():
        root = inside[0]  # one folder around everything says nothing
    try:
        sources = scans_in(root, path.stem)
    except ScanError as cause:
        raise ScanError(str(cause).replace(str(unpacked.folder), str(path))) from cause
    return tuple(replace(source, unpacked=unpacked, origin=path) for source in sources)
