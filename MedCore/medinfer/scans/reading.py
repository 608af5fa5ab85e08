"""Scans from disk: finding those at a path, and reading each as a Volume in RAS mm."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import ScanError
from ..volume import Volume
from .dicom import LOCALIZER_SLICES, DicomFiles, Series, find_series, is_dicom
from .voxel_values import MAX_VOXELS, finite

_NIFTI = (".nii", ".nii.gz")
_ITK = (".nrrd", ".nhdr", ".mha", ".mhd")
_KNOWN = "NIfTI (.nii, .nii.gz), NRRD (.nrrd, .nhdr), MetaImage (.mha, .mhd) or DICOM"


@dataclass(frozen=True)
class ScanSource:
    """A scan that has been found but not read yet.

    name: safe as a file name, the same at every run, unique among the sources of one `find_scans`.
    path: its file, or the folder of its DICOM files. series: its DICOM slices.
    problem: why it cannot be read, when that is known already. notes: go to the volume's notes.
    """

    name: str
    path: Path
    series: Series | None = None
    problem: str = ""
    notes: tuple[str, ...] = ()

    def read(self, max_voxels: int = MAX_VOXELS) -> Volume:
        """The scan. Raises ScanError, as `read_volume`."""
        if self.problem:
            raise ScanError(self.problem)
        if self.series is None:
            volume = _read_file(self.path, max_voxels)
        else:
            from .dicom_volume import read_series

            volume = read_series(self.series, self.path, max_voxels)
        return replace(volume, name=self.name, notes=(*self.notes, *volume.notes))


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

    A DICOM file stands for its whole series, taken from its folder. Localizers and series of at most
    4 images are left out beside a longer series of the same study; the notes of that series tell.
    Only names and DICOM headers are read here. Raises ScanError when nothing is found.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return _in_folder(path)
        if not path.exists():
            raise ScanError(f"{path} does not exist; check the path.")
        if _is_image(path):
            return (ScanSource(_safe(_stem(path)), path),)
        if path.is_file() and is_dicom(path):
            return (_of_file(path),)
    except OSError as cause:
        raise ScanError(f"{path} cannot be read: {cause.strerror or cause}.") from cause
    raise ScanError(f"{path} is not a scan that MedInfer can read; give {_KNOWN}.")


def _read_file(path: Path, max_voxels: int) -> Volume:
    from .geometry import orthogonal

    try:
        if path.stat().st_size == 0:
            raise ScanError(f"{path} is an empty file; copy or export it again.")
        if path.name.lower().endswith(_NIFTI):
            from .nifti import read_nifti

            volume = read_nifti(path, max_voxels)
        else:
            from .itk_images import read_itk

            volume = read_itk(path, max_voxels)
    except OSError as cause:
        raise ScanError(f"{path} cannot be read: {cause.strerror or cause}.") from cause
    return orthogonal(finite(replace(volume, name=str(path))), max_voxels=max_voxels)


def _in_folder(root: Path) -> tuple[ScanSource, ...]:
    images, dicoms = [], []
    for path in _files(root):
        if _is_image(path):
            images.append(path)
        elif is_dicom(path):
            dicoms.append(path)
    found = find_series(dicoms)
    parts = [(ScanSource("", path), (*path.parent.relative_to(root).parts, _stem(path))) for path in images]
    parts += _series_sources(root, found)
    parts += [
        (ScanSource("", path, problem=problem), (*path.parent.relative_to(root).parts, path.name))
        for path, problem in found.damaged.items()
    ]
    if not parts and found.others:
        raise ScanError(f"{root} contains {found.others} DICOM files, but none is a slice with a position in space; "
                        "give the folder of a CT or MR series.")
    if not parts:
        raise ScanError(f"{root} contains no scan; give a folder with {_KNOWN} files.")
    return _named([(source, "-".join([root.resolve().name, *below])) for source, below in parts])


def _of_file(path: Path) -> ScanSource:
    """The series that the DICOM file `path` belongs to, of all files in its folder."""
    found = find_series(other for other in sorted(path.parent.iterdir()) if other.is_file() and is_dicom(other))
    if path in found.damaged:
        raise ScanError(found.damaged[path])
    named = _named([
        (source, "-".join([path.parent.resolve().name, *below]))
        for source, below in _series_sources(path.parent, found, keep=path)
    ])
    for source in named:
        if source.series and any(image.path == path for image in source.series.slices):
            return source
    raise ScanError(f"{path} is not a slice with a position in space; give a file or the folder of a CT or MR series.")


def _series_sources(
    root: Path, found: DicomFiles, keep: Path | None = None
) -> list[tuple[ScanSource, tuple[str, ...]]]:
    """Sources for the series that are scans, each with the parts of its name below `root`."""
    aside = [
        series for series in found.series
        if _is_aside(series, found.series) and not any(image.path == keep for image in series.slices)
    ]
    scans = [series for series in found.series if series not in aside]
    folders = [Path(os.path.commonpath([image.path.parent for image in series.slices])) for series in scans]
    crowd = Counter(folders)
    sources = []
    for series, folder in zip(scans, folders, strict=True):
        notes = tuple(
            f"series {other.number or '?'}{f' ({other.description})' if other.description else ''} with "
            f"{len(other.slices)} images was not read (a localizer, or too short)"
            for other in aside if other.study == series.study
        )
        below = folder.relative_to(root).parts
        if crowd[folder] > 1:
            below = (*below, series.number, series.description)
        sources.append((ScanSource("", folder, series, notes=notes), below))
    return sources


def _is_aside(series: Series, every: Sequence[Series]) -> bool:
    """Whether `series` is a localizer or a few images, beside a longer series of the same study."""
    short = series.localizer or len(series.slices) <= LOCALIZER_SLICES
    return short and any(
        other.study == series.study and not other.localizer and len(other.slices) > LOCALIZER_SLICES
        for other in every
    )


def _files(root: Path) -> Iterator[Path]:
    """Every file below `root`, in a stable order."""
    for folder, below, names in os.walk(root):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(folder, name)


def _named(sources: Sequence[tuple[ScanSource, str]]) -> tuple[ScanSource, ...]:
    """The sources under safe names; where two would be equal, each gets six digits of a digest of what it is."""
    names = [_safe(name) for _, name in sources]
    taken = Counter(name.casefold() for name in names)
    named = []
    for (source, _), name in zip(sources, names, strict=True):
        unique = name
        if taken[name.casefold()] > 1:
            first = source.series.slices[0] if source.series else None
            identity = f"{first.uid} {first.frame}" if first else source.path.name
            unique = f"{name}-{hashlib.sha256(identity.encode()).hexdigest()[:6]}"
        named.append(replace(source, name=unique))
    return tuple(named)


def _safe(name: str) -> str:
    """`name` with only letters, digits, dots, hyphens and underscores, at most 100 of them."""
    return re.sub(r"-{2,}", "-", re.sub(r"[^\w.-]+", "-", name))[:100].strip("-. ") or "scan"


def _is_image(path: Path) -> bool:
    return path.name.lower().endswith((*_NIFTI, *_ITK))


def _stem(path: Path) -> str:
    """The file's name without its one or two suffixes."""
    return re.sub(r"(?i)\.(nii\.gz|nii|nrrd|nhdr|mha|mhd)$", "", path.name)
