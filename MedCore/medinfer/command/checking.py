"""`medinfer check`: what is wrong with a package, and what it does with a scan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ..atomic_files import temporary_folder
from ..findings import Findings
from ..importers.adding import root_of
from ..inference.package_check import check_package
from ..inference.package_session import open_package
from ..inference.pipeline import run
from ..inference.prepared_picture import Seen, seen_by
from ..library.archive import unpack
from ..library.library import find_package
from ..library.package import ModelPackage
from ..library.places import bundled_folder, is_package, user_folder
from ..preparation.images import with_further
from ..scans.reading import read_volume
from ..volume import Volume
from .console import Console, findings_table
from .image_sets import further_files, read_further
from .seeing import tell

_NONE: Mapping[str, Path] = {}


def check(
    model: str, scan: Path | None, picture: Path | None, console: Console, further: Mapping[str, Path] = _NONE
) -> bool:
    """Say everything that is wrong with a package (its folder, a .zip or an id), a sentence a line; with a scan, also
    what its networks see and answer. picture: the PNG file; by default named after the model. further: files of further
    images by name. Whether it is in order.

    Raises PackageError where there is no such model, ScanError, DeviceError, OutputError.
    """
    with _folder_of(model) as folder:
        checked = check_package(folder)
        for problem in checked.problems:
            console.event("problem", {"text": problem})
            console.say(problem)
        for reason in checked.untried:
            console.say(f"note: {reason}")
        if checked.problems or checked.package is None:
            return False
        console.say(f"{checked.package.reference} is in order: its files are the declared ones, and its networks run")
        if scan is not None:
            _dry_run(checked.package, scan, picture or Path(f"{checked.package.id}.png"), console, further)
        return True


@contextmanager
def _folder_of(model: str) -> Iterator[Path]:
    """Where the package lies; of a .zip, where it is unpacked for the moment. Raises PackageError."""
    path = Path(model)
    if path.is_file() and path.name != "model.json":
        with temporary_folder() as place:
            unpack(path, place)
            yield root_of(place)
        return
    installed = [parent / model for parent in (user_folder(), bundled_folder())]
    # Also one that is too broken to be listed.
    for folder in (path.parent if path.name == "model.json" else path, *installed):
        if is_package(folder):
            yield folder
            return
    yield find_package(model).folder


def _dry_run(
    package: ModelPackage, scan: Path, picture: Path, console: Console, further: Mapping[str, Path]
) -> None:
    images = package.manifest.images
    volume = with_further(read_volume(scan), images, read_further(further_files(scan, images, further)))
    seen: list[Seen] = []
    with open_package(package) as session, console:
        findings = run(
            volume, package, session, saw=lambda one, prepared: seen.extend(seen_by(one, prepared)),
            progress=lambda stage, done, total: console.progress(volume.name, stage, done, total),
        )
    tell(seen, picture, console)
    for line in _answer(findings, volume):
        console.say(line)
    console.event("answer", {"findings": findings.to_json()})
    for note in findings.notes:
        console.say(f"note: {note}")


def _answer(findings: Findings, volume: Volume) -> list[str]:
    """What was found; of segments their voxels on the scan's grid and their ml."""
    if not findings.segments:
        return findings_table(findings)
    k, j, i = volume.spacing
    return [
        f"  {segment.label}: {round(segment.volume_mm3 / (k * j * i))} voxels, {segment.volume_mm3 / 1000:.1f} ml, "
        f"confidence {segment.confidence:.2f}"
        for segment in findings.segments
    ]
