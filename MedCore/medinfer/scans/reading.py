"""Scans from disk: finding those at a path, and reading each as a Volume in RAS mm."""

from __future__ import annotations

from pathlib import Path

from ..errors import ScanError
from ..volume import Volume
from .dicom import is_dicom
from .folders import scans_in, series_of
from .source import KNOWN, ScanSource, is_image, safe_name, stem
from .voxel_values import MAX_VOXELS

__all__ = ["ScanSource", "find_scans", "read_volume"]


def read_volume(path: Path | str, max_voxels: int = MAX_VOXELS) -> Volume:
    """Read one scan: a NIfTI, NRRD or MetaImage file, a folder that holds one DICOM series, or a file of a series.

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

    A DICOM file stands for its whole series, taken from its folder. Localizers, colour images and series of at most
    4 images are left out beside a longer series of the same study; the notes of that series tell.
    Only names and DICOM headers are read here. Raises ScanError when nothing is found.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return scans_in(path, path.resolve().name)
        if not path.exists():
            raise ScanError(f"{path} does not exist; check the path.")
        if is_image(path):
            return (ScanSource(safe_name(stem(path)), path),)
        if path.is_file() and is_dicom(path):
            return (series_of(path),)
    except OSError as cause:
        raise ScanError(f"{path} cannot be read: {cause.strerror or cause}.") from cause
    raise ScanError(f"{path} is not a scan that MedInfer can read; give {KNOWN}.")
