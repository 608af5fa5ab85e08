"""The folder of one scan's results: written under a temporary name, then renamed, so that it is never incomplete."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from ..atomic_files import ASIDE, staging, take_place, write_text
from ..errors import OutputError
from ..findings import Findings
from ..manifest import Manifest
from ..volume import Volume
from .label_files import write_label_map

FINDINGS_FILE = "findings.json"

# A further output: (volume, findings, manifest, folder) -> the files it wrote.
Output = Callable[[Volume, Findings, Manifest, Path], Sequence[Path]]


@dataclass(frozen=True)
class Written:
    """Where the results lie and which files they are."""

    folder: Path
    files: tuple[Path, ...]


def installed_outputs() -> dict[str, Output]:
    """The outputs that other packages add to the command line (entry points `medinfer.outputs`)."""
    return {entry.name: entry.load() for entry in entry_points(group="medinfer.outputs")}


def write_results(
    folder: Path, name: str, volume: Volume, findings: Findings, manifest: Manifest, outputs: Mapping[str, Output],
    *, replacing: bool = True,
) -> Written | None:
    """Write findings.json, the CSV and `outputs` to `folder`/`name`, replacing what stood there; None, and nothing
    written, where something stands there that is not to be replaced.

    Until all of it is written the results lie in a hidden folder beside, which is removed on any error.
    Raises OutputError.
    """
    home = folder / name
    with staging(home) as place:
        fresh = place / name
        fresh.mkdir()
        write_text(fresh / FINDINGS_FILE, findings.to_json() + "\n")
        write_text(fresh / f"{stem_of(manifest)}.csv", _table(findings, manifest, volume))
        if findings.label_map is not None:
            write_label_map(findings.label_map, volume, fresh / f"{stem_of(manifest)}.nii.gz")
        for output in outputs.values():
            output(volume, findings, manifest, fresh)
        if not take_place(fresh, home, place / ASIDE if replacing else None):
            return None
    return Written(home, tuple(sorted(path for path in home.rglob("*") if path.is_file())))


def _table(findings: Findings, manifest: Manifest, volume: Volume) -> str:
    if manifest.task == "landmark":
        return findings.landmarks_csv()
    if manifest.task == "segment":
        return findings.segments_csv({label.name: label.names for label in manifest.labels})
    return findings.boxes_csv(volume.grid.to_index, volume.slice_numbers)


def findings_in(home: Path) -> Findings | None:
    """The findings that a run left in the folder `home`; None where there are none."""
    try:
        return Findings.from_json((home / FINDINGS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def results_before(folder: Path, name: str) -> Findings | None:
    """The results of an earlier run in `folder`/`name`; None if there are none.

    Raises OutputError if it contains anything else: that is never replaced, not even with --overwrite.
    """
    home = folder / name
    if not os.path.lexists(home):
        return None
    before = findings_in(home)
    if before is None:
        raise OutputError(f"{home} exists but contains no MedInfer results; choose another output folder.")
    return before


def stem_of(manifest: Manifest) -> str:
    """How a package's result files are called: "landmarks", or "nodules" for a detector with the one label "Nodule"; of
    segments, as the package is ("teeth")."""
    if manifest.task == "landmark":
        return "landmarks"
    if manifest.task == "segment":
        return manifest.id
    if len(manifest.labels) > 1:
        return "boxes"
    return re.sub(r"[^a-z0-9]+", "-", manifest.labels[0].name.lower()).strip("-") + "s"
