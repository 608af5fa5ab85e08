"""Packages that can be fetched: where each has its public home, and the sha256 it must have."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from .errors import PackageError


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
    except (OSError, ValueError, TypeError) as error:
        raise PackageError(f"{path} is not a catalogue of downloads ({error}); install MedInfer again.") from None
    return {entry.id: entry for entry in entries}
