"""Packages that can be fetched, each with its public address and required sha256."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ..errors import PackageError

# All other fields are text.
_KINDS = {"size": int}


@dataclass(frozen=True)
class Download:
    """One entry. format: "package" (a .zip of a package folder) or the importer that makes a package of it."""

    id: str
    title: str
    url: str
    sha256: str
    size: int
    format: str
    licence: str
    homepage: str
    commit: str
    needs: str


def read_catalogue(path: Path) -> dict[str, Download]:
    """The entries of a catalogue file by id. Raises PackageError."""
    try:
        entries = [Download(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
        for name, value in (pair for entry in entries for pair in vars(entry).items()):
            if not isinstance(value, _KINDS.get(name, str)):
                raise TypeError(f"the field {name} is wrong")
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise PackageError(f"{path} is not a catalogue of downloads ({error}); reinstall MedInfer.") from None
    return {entry.id: entry for entry in entries}
