"""What a folder holds: its scans, each under a name of its own, and what in it is no scan."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import ScanError
from .dicom import LOCALIZER_SLICES, DicomFiles, Leftover, Series, is_dicom
from .dicom_series import find_series
from .source import KNOWN, ScanSource, is_image, safe_name, stem

_CLOSED_FILE = ("file that cannot be opened", "files that cannot be opened")
_CLOSED_FOLDER = ("folder that cannot be opened", "folders that cannot be opened")

Named = tuple[ScanSource, tuple[str, ...]]  # a source, and the parts of its name below the folder's


def scans_in(root: Path, name: str) -> tuple[ScanSource, ...]:
    """Every scan below the folder `root`, which is called `name`; links to folders are followed, each folder once.

    Raises ScanError where there is none; files that are not scans are in the notes of the scans beside them.
    """
    closed: list[Leftover] = []
    files = list(_files(root, closed))
    images = [path for path in files if is_image(path)]
    found = find_series(_dicoms([path for path in files if not is_image(path)], closed))
    parts: list[Named] = [(ScanSource("", path), (*path.parent.relative_to(root).parts, stem(path))) for path in images]
    parts += _series_sources(root, found)
    parts += [
        (ScanSource("", path, problem=problem), (*path.parent.relative_to(root).parts, path.name))
        for path, problem in _once(found.damaged)
    ]
    return _told(root, name, parts, (*found.leftovers, *closed))


def scans_of(root: Path, name: str, files: Sequence[Path]) -> tuple[ScanSource, ...]:
    """The scans among some DICOM files below `root`, as `scans_in`."""
    found = find_series(files)
    parts = _series_sources(root, found)
    parts += [(ScanSource("", path, problem=problem), (path.name,)) for path, problem in _once(found.damaged)]
    return _told(root, name, parts, found.leftovers)


def series_of(path: Path) -> ScanSource:
    """The series that the DICOM file `path` belongs to, of all files in its folder. Raises ScanError."""
    folder = path.parent
    closed: list[Leftover] = []
    found = find_series(_dicoms([other for other in sorted(folder.iterdir()) if other.is_file()], closed))
    if path in found.damaged:
        raise ScanError(found.damaged[path])
    for leftover in found.leftovers:
        if leftover.path == path:
            word = leftover.what[0]
            raise ScanError(f"{path} is {'an' if word[0] in 'aeiou' else 'a'} {word} and no slice of a scan; "
                            "give a file or the folder of a CT or MR series.")
    named = _named([
        (source, "-".join([folder.resolve().name, *below]))
        for source, below in _series_sources(folder, found, keep=path)
    ])
    for source in named:
        if source.series and any(image.path == path for image in source.series.slices):
            return replace(source, notes=(*source.notes, *_beside(closed)))
    raise ScanError(f"{path} is a copy of another file in its folder; give the folder.")


def _told(root: Path, name: str, parts: list[Named], leftovers: Sequence[Leftover]) -> tuple[ScanSource, ...]:
    """The sources under their names, with notes of what lies beside them and is no scan."""
    if not parts and leftovers:
        raise ScanError(f"{root} contains no scan, only {_counted(leftovers)}; give the folder of a CT or MR series.")
    if not parts:
        raise ScanError(f"{root} contains no scan; give a folder with {KNOWN} files.")
    beside: dict[int, list[Leftover]] = {}
    for leftover in leftovers:
        nearest = max(range(len(parts)), key=lambda index: _nearness(parts[index][0], leftover))
        beside.setdefault(nearest, []).append(leftover)
    sources = [
        replace(source, notes=(*source.notes, *_beside(beside.get(index, ()))))
        for index, (source, _) in enumerate(parts)
    ]
    return _named([
        (source, "-".join([name, *below])) for source, (_, below) in zip(sources, parts, strict=True)
    ])


def _beside(leftovers: Sequence[Leftover]) -> tuple[str, ...]:
    """A note of what lies beside a scan and is not one."""
    if not leftovers:
        return ()
    return (f"beside it, {_counted(leftovers)} {'was' if len(leftovers) == 1 else 'were'} not read",)


def _once(damaged: Mapping[Path, str]) -> Iterator[tuple[Path, str]]:
    """Each problem with the first file that has it; of the others in its folder the sentence says how many they are."""
    alike: dict[tuple[Path, str], list[Path]] = {}
    for path, problem in damaged.items():
        alike.setdefault((path.parent, problem.replace(str(path), "")), []).append(path)
    for (first, *others) in alike.values():
        more = f" The same is true of {len(others)} more of the files beside it." if others else ""
        yield first, damaged[first] + more


def _nearness(source: ScanSource, leftover: Leftover) -> tuple[bool, bool, int]:
    """How close a file that is no scan lies to a scan: readable first, then its study, then the folders in common."""
    folder = source.path.parent if source.series is None else source.path
    common = len(os.path.commonpath([folder.absolute(), leftover.path.parent.absolute()]))
    same = source.series is not None and bool(leftover.study) and leftover.study == source.series.study
    return not source.problem, same, common


def _counted(leftovers: Sequence[Leftover]) -> str:
    """ "6 colour images, 1 structured report and 2 empty files"."""
    counts = Counter(leftover.what for leftover in leftovers)
    words = [f"{number} {one if number == 1 else many}" for (one, many), number in counts.items()]
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _series_sources(root: Path, found: DicomFiles, keep: Path | None = None) -> list[Named]:
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
        notes = tuple(_not_read(other) for other in aside if other.study == series.study)
        below = folder.relative_to(root).parts
        if crowd[folder] > 1:
            below = (*below, series.number, series.description)
        problem = f"{folder}, {series.words} {series.problem}." if series.problem else ""
        sources.append((ScanSource("", folder, series, problem=problem, notes=notes), below))
    return sources


def _not_read(series: Series) -> str:
    called = f"{series.number or '?'}{f' ({series.description})' if series.description else ''}"
    images = "1 image" if len(series.slices) == 1 else f"{len(series.slices)} images"
    why = "in colour" if series.colour else "a localizer, or too short"
    return f"series {called} with {images} was not read ({why})"


def _is_aside(series: Series, every: Sequence[Series]) -> bool:
    """Whether `series` is a localizer, a few images or in colour, beside a longer series of the same study."""
    short = series.localizer or series.colour or len(series.slices) <= LOCALIZER_SLICES
    return short and any(
        other.study == series.study and not (other.localizer or other.colour) and len(other.slices) > LOCALIZER_SLICES
        for other in every
    )


def _dicoms(paths: Sequence[Path], closed: list[Leftover]) -> list[Path]:
    """Those that are DICOM. What cannot be opened, so that nobody knows, goes to `closed`."""
    found = []
    for path in paths:
        try:
            if is_dicom(path):
                found.append(path)
        except OSError:
            closed.append(Leftover(path, _CLOSED_FILE))
    return found


def _files(root: Path, closed: list[Leftover]) -> Iterator[Path]:
    """Every file below `root`, in a stable order; a folder that links lead to again is looked into once.

    Folders that cannot be opened go to `closed`. Raises OSError for `root` itself.
    """
    seen = set()

    def refused(error: OSError) -> None:
        if Path(error.filename) == root:
            raise error
        closed.append(Leftover(Path(error.filename), _CLOSED_FOLDER))

    for folder, below, names in os.walk(root, onerror=refused, followlinks=True):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            below.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(names):
            path = Path(folder, name)
            try:
                plain = not name.startswith(".") and path.is_file()
            except OSError:  # a folder that tells names and nothing else
                closed.append(Leftover(path, _CLOSED_FILE))
                continue
            if plain:
                yield path


def _named(sources: Sequence[tuple[ScanSource, str]]) -> tuple[ScanSource, ...]:
    """The sources under safe names; where two would be equal, each gets six digits of a digest of what it is."""
    names = [safe_name(name) for _, name in sources]
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
