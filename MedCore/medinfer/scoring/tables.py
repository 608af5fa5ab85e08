"""CSV tables as other programs write them: rows with their lines, and numbers that are numbers."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..errors import MedInferError


class TableError(MedInferError, ValueError):
    """A table that does not follow LUNA16's rules. Names the file and, if known, the line."""


def table_records(path: Path, needed: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Line and values of each row by the names of the header, which must have the columns `needed` and may have others.

    Raises TableError.
    """
    rows = table_rows(path)
    header = [name.strip() for name in next(rows, (0, []))[1]]
    missing = [name for name in needed if name not in header]
    if missing:
        raise TableError(
            f"{path} has no column {' or '.join(missing)}; its first line must name {', '.join(needed)}."
        )
    last = max(header.index(name) for name in needed)
    for line, row in rows:
        if len(row) <= last:
            raise TableError(f"{path}, line {line}: {len(row)} values instead of {len(header)}.")
        yield line, {name: value.strip() for name, value in zip(header, row, strict=False)}


def numbers_in(path: Path, line: int, record: Mapping[str, str], columns: Sequence[str]) -> list[float]:
    """The values of some columns as numbers. Raises TableError where one is none, or not finite."""
    numbers = []
    for column in columns:
        try:
            number = float(record[column])
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise TableError(f"{path}, line {line}: {column} is '{record[column]}', not a finite number.")
        numbers.append(number)
    return numbers


def table_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and values of each row that is not blank."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            for row in reader:
                if any(value.strip() for value in row):
                    yield reader.line_num, row
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"{path} is not a CSV text file.") from error
