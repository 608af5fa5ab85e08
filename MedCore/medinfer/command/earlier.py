"""What earlier runs left in an output folder, found by the content of the scans; and the place of a new result."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from ..findings import Findings
from ..scans.reading import ScanSource
from .results import FINDINGS_FILE, findings_in, results_before

# A name of a file may have 255 bytes; scenes and temporary folders add to it.
_MOST_BYTES = 180


@dataclass(frozen=True)
class Earlier:
    """Results in the folder `name`. scan: the digest of what they were found in; "" in results of older versions."""

    name: str
    findings: Findings
    written_s: float

    @property
    def scan(self) -> str:
        return str(self.findings.run.get("scan_digest", ""))

    def is_of(self, source: ScanSource, digest: str) -> bool:
        """Whether they are of the scan with that digest.

        Older versions kept the path alone: their results are known where the files there are no newer than they.
        """
        if self.scan:
            return self.scan == digest
        if self.findings.run.get("source") != _path_identity(source):
            return False
        files = {image.path for image in source.series.slices} if source.series else {source.path}
        try:
            return all(path.stat().st_mtime <= self.written_s for path in files)
        except OSError:
            return False


class OutputFolder:
    """The results in a folder, by the scans' content; kept up to date by `add`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._earlier = {one.name: one for one in _read(folder)}

    def add(self, name: str, findings: Findings) -> None:
        self._earlier[name] = Earlier(name, findings, 0.0)

    def knows(self, name: str) -> bool:
        """Whether results had that name when it was last looked."""
        return name in self._earlier

    def read_again(self) -> None:
        """Another run may write into the same folder."""
        self._earlier = {one.name: one for one in _read(self._folder)}

    def has(self, name: str) -> bool:
        """Whether results have that name. Raises OutputError where something else has it."""
        return results_before(self._folder, name) is not None

    def results_of(self, source: ScanSource, digest: str) -> list[Earlier]:
        """All results of the scan; first those under its own name."""
        found = [one for one in self._earlier.values() if one.is_of(source, digest)]
        return sorted(found, key=lambda one: (not is_numbered(one.name, folder_name(source.name)), one.name))

    def free_name(self, source: ScanSource, taken: Collection[str]) -> str:
        """The scan's name, or the name with a number where another scan's results have it, or `taken` does.

        Raises OutputError where something else has the name.
        """
        base = folder_name(source.name)
        for number in count(1):
            name = base if number == 1 else f"{base}-{number}"
            if name not in taken and not self.has(name):
                return name
        raise AssertionError("count() never ends")


def folder_name(name: str) -> str:
    """`name`, cut where a file system would refuse it (it counts bytes), and then told apart by six digits."""
    data = name.encode("utf-8", "surrogateescape")
    if len(data) <= _MOST_BYTES:
        return name
    whole = data[:_MOST_BYTES].decode("utf-8", "ignore").rstrip("-. ")
    return f"{whole}-{hashlib.sha256(data).hexdigest()[:6]}"


def is_numbered(name: str, base: str) -> bool:
    """Whether `name` is `base`, or `base` with a number."""
    head, _, number = name.rpartition("-")
    return name == base or (head == base and number.isdecimal())


def without_results(
    sources: Collection[ScanSource], root: Path
) -> tuple[list[ScanSource], list[Path]]:
    """The sources below `root` that are no results of earlier runs, and the folders of those that are.

    A folder of results is known by its findings.json.
    """
    known: dict[Path, bool] = {}
    scans, folders = [], []
    for source in sources:
        home = next((folder for folder in _up_to(source.path, root) if _holds_results(folder, known)), None)
        if home is None:
            scans.append(source)
        elif home not in folders:
            folders.append(home)
    return scans, folders


def _up_to(path: Path, root: Path) -> Iterator[Path]:
    for folder in (path, *path.parents):
        yield folder
        if folder == root:
            return


def _holds_results(folder: Path, known: dict[Path, bool]) -> bool:
    if folder not in known:
        known[folder] = findings_in(folder) is not None
    return known[folder]


def _read(folder: Path) -> Iterator[Earlier]:
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if not entry.name.startswith(".") and entry.is_dir())
    except OSError:
        return
    for name in names:
        findings = findings_in(folder / name)
        if findings is not None:
            yield Earlier(name, findings, (folder / name / FINDINGS_FILE).stat().st_mtime)


def _path_identity(source: ScanSource) -> str:
    path = str(source.path.resolve())
    return f"{path}#{source.series.uid}" if source.series else path
