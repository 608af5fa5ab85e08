"""LUNA16's tables: the nodules of its reference standard, its excluded findings, and a submission's candidates.

All positions are world millimetres as the tables have them (LPS in LUNA16's own). Only distances between them
matter here, so any one frame will do, as long as nodules and candidates share it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from .tables import TableError, numbers_in, table_records, table_rows

Point: TypeAlias = tuple[float, float, float]

PLACE = ("coordX", "coordY", "coordZ")

# The diameter that LUNA16 gives to an excluded finding whose own is unknown (−1 in its table), in mm.
DIAMETER_OF_UNMEASURED = 10.0


@dataclass(frozen=True)
class Nodule:
    """A true finding. center_mm: world mm. diameter_mm: > 0; a candidate hits it within half of that."""

    center_mm: Point
    diameter_mm: float


@dataclass(frozen=True)
class Candidate:
    """A position marked by a detector. center_mm: world mm, in the nodules' frame. score: higher is more confident."""

    center_mm: Point
    score: float


@dataclass(frozen=True)
class Scan:
    """One scan: true findings (nodules), findings that do not count (excluded) and marks (candidates)."""

    name: str
    nodules: tuple[Nodule, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    excluded: tuple[Nodule, ...] = ()


def read_scans(*, annotations: Path, seriesuids: Path, submission: Path, excluded: Path | None = None) -> list[Scan]:
    """The scans that `seriesuids` lists, in its order, with their rows of the other tables.

    Rows of `annotations` and `excluded` on scans that are not listed are left out (LUNA16 ships both for all 888
    scans); a candidate on such a scan is an error. Raises TableError for a table that cannot be read or trusted.
    """
    names = read_seriesuids(seriesuids)
    candidates = _candidates(submission)
    for name, found in candidates.items():
        if name not in names:
            line = found[0][0]
            raise TableError(
                f"{submission}, line {line}: scan {name} is not in {seriesuids}; list it there or remove its rows."
            )
    nodules = _nodules(annotations)
    ignored = _nodules(excluded, unmeasured=DIAMETER_OF_UNMEASURED) if excluded else {}
    return [
        Scan(
            name,
            nodules=tuple(nodules.get(name, ())),
            candidates=tuple(candidate for _, candidate in candidates.get(name, ())),
            excluded=tuple(ignored.get(name, ())),
        )
        for name in names
    ]


def read_seriesuids(path: Path) -> Mapping[str, int]:
    """Scan names, one per row in the first column, in order, with their lines; a header `seriesuid` may come first."""
    names: dict[str, int] = {}
    for line, row in table_rows(path):
        name = row[0].strip()
        if not names and name == "seriesuid":
            continue
        if not name:
            raise TableError(f"{path}, line {line}: the name of the scan is empty.")
        if name in names:
            raise TableError(f"{path}, line {line}: scan {name} is listed twice; remove one of the lines.")
        names[name] = line
    if not names:
        raise TableError(f"{path} lists no scan; it needs one seriesuid per line.")
    return names


def _nodules(path: Path, *, unmeasured: float | None = None) -> dict[str, list[Nodule]]:
    """Nodules by scan. `unmeasured` stands in for a negative diameter; without it only positive ones are allowed."""
    scans: dict[str, list[Nodule]] = {}
    for line, name, (x, y, z, diameter) in _records(path, "diameter_mm"):
        if diameter < 0 and unmeasured is not None:
            diameter = unmeasured  # noqa: PLW2901 - the table's way to write "not measured"
        if diameter <= 0 and unmeasured is None:
            raise TableError(f"{path}, line {line}: diameter_mm is {diameter:g}; a nodule's must be above 0.")
        scans.setdefault(name, []).append(Nodule((x, y, z), diameter))
    return scans


def _candidates(path: Path) -> dict[str, list[tuple[int, Candidate]]]:
    """Candidates by scan, each with its line."""
    scans: dict[str, list[tuple[int, Candidate]]] = {}
    for line, name, (x, y, z, score) in _records(path, "probability"):
        scans.setdefault(name, []).append((line, Candidate((x, y, z), score)))
    return scans


def _records(path: Path, last: str) -> Iterator[tuple[int, str, list[float]]]:
    """Line, scan name and the four numbers (x, y, z, `last`) of each row, by the names of the header."""
    for line, record in table_records(path, ["seriesuid", *PLACE, last]):
        yield line, record["seriesuid"], numbers_in(path, line, record, [*PLACE, last])
