"""What is really there in a set of scans, from a table of nodules; in RAS mm.

Two forms are known, both with positions in LPS mm, as DICOM and LUNA16 have them; further columns may be there:

    seriesuid, coordX, coordY, coordZ, diameter_mm                LUNA16's annotations.csv
    case, x_lps_mm, y_lps_mm, z_lps_mm, diameter_mm               also seriesuid, source

In the second form a scan may be known by its series, too. Where rows have a source, those of fewer than three readers
("LIDC-XML(1 readers)") are excluded findings as in LUNA16, neither hit nor false positive; those of more readers stand
for nodules of scans that have no rows of LUNA16's own, which repeat them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from .luna16 import DIAMETER_OF_UNMEASURED, PLACE, Nodule
from .tables import TableError, numbers_in, table_records, table_rows

_LPS = ("x_lps_mm", "y_lps_mm", "z_lps_mm")
_DIAMETER, _CASE, _SERIES, _SOURCE = "diameter_mm", "case", "seriesuid", "source"
_REFERENCE = "LUNA16"
_READERS = re.compile(r"\((\d+) readers?\)")
_FEWEST_READERS = 3


@dataclass(frozen=True)
class TrueScan:
    """The findings of one scan, RAS mm. series: its SeriesInstanceUID, where the table has it besides the name."""

    name: str
    series: str = ""
    nodules: tuple[Nodule, ...] = ()
    excluded: tuple[Nodule, ...] = ()


@dataclass(frozen=True)
class _Row:
    name: str
    series: str
    source: str
    nodule: Nodule


def read_truth(table: Path, excluded: Path | None = None) -> list[TrueScan]:
    """The scans that `table` names, in its order. excluded: a table of findings that do not count, in the same forms,
    where −1 is a diameter that is not known; scans that are in that one alone are left out.

    Raises TableError for a table that cannot be read or trusted.
    """
    rows = [*_rows_of(table, None)]
    if not rows:
        raise TableError(f"{table} lists no nodule, so there is nothing to compare with.")
    scans = [_scan([row for row in rows if row.name == name]) for name in dict.fromkeys(row.name for row in rows)]
    ignored = [*_rows_of(excluded, DIAMETER_OF_UNMEASURED)] if excluded else []
    return [
        replace(scan, excluded=(*scan.excluded, *(row.nodule for row in ignored if _same(row, scan)))) for scan in scans
    ]


def _same(row: _Row, scan: TrueScan) -> bool:
    return bool({row.name, row.series} & ({scan.name, scan.series} - {""}))


def _scan(rows: list[_Row]) -> TrueScan:
    repeated = any(row.source == _REFERENCE for row in rows)
    return TrueScan(
        rows[0].name, rows[0].series,
        tuple(row.nodule for row in rows if not _few(row) and not (repeated and _readers(row))),
        tuple(row.nodule for row in rows if _few(row)),
    )


def _readers(row: _Row) -> int | None:
    found = _READERS.search(row.source)
    return int(found.group(1)) if found else None


def _few(row: _Row) -> bool:
    readers = _readers(row)
    return readers is not None and readers < _FEWEST_READERS


def _rows_of(path: Path, unmeasured: float | None) -> Iterator[_Row]:
    """unmeasured: stands in for a negative diameter; without it only positive ones are allowed."""
    name, place = _form(path)
    for line, record in table_records(path, [name, *place, _DIAMETER]):
        x, y, z, diameter = numbers_in(path, line, record, [*place, _DIAMETER])
        if not record[name]:
            raise TableError(f"{path}, line {line}: the {name} is empty.")
        if diameter < 0 and unmeasured is not None:
            diameter = unmeasured
        if diameter <= 0:
            raise TableError(f"{path}, line {line}: diameter_mm is {diameter:g}; a nodule's must be above 0.")
        yield _Row(
            record[name], record.get(_SERIES, ""), record.get(_SOURCE, ""), Nodule((0 - x, 0 - y, z), diameter)
        )


def _form(path: Path) -> tuple[str, tuple[str, str, str]]:
    """The column with the scan's name, and those of the place. Raises TableError where it is neither form."""
    header = {name.strip() for _, row in _first(table_rows(path)) for name in row}
    if {_SERIES, *PLACE} <= header:
        return _SERIES, PLACE
    if {*_LPS} <= header and {_CASE, _SERIES} & header:
        return (_CASE if _CASE in header else _SERIES), _LPS
    raise TableError(
        f"{path} is no table of nodules: its first line must name {_SERIES}, {', '.join(PLACE)} and {_DIAMETER}, or "
        f"{_CASE}, {', '.join(_LPS)} and {_DIAMETER}."
    )


def _first(rows: Iterable[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    for row in rows:
        yield row
        return
