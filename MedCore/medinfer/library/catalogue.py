"""Models that can be fetched, each with its public address: MedInfer's own catalogue, and other people's models.

Only the standard library: a panel shows them before anything is installed.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import PackageError

# All other fields are text.
_KINDS = {"size": int}
_PATTERNS = {
    "gives": r"(points|boxes)?", "sha256": r"([0-9a-f]{64})?",
    "checksum": r"((sha1|git):[0-9a-f]{40}|md5:[0-9a-f]{32})?",
}

_SPOKEN = {"git": "git's SHA-1"}


@dataclass(frozen=True)
class Download:
    """One entry.

    url: its public address; empty: it has none, see `how`. sha256: empty where its publisher states none; checksum:
    what is stated in its place, “sha1:…”, “md5:…”, or “git:…”, the name that git gives that content. size: bytes; 0:
    not known. format: "package" (a .zip of a package folder, of nnU-Net's results or of a MONAI bundle) or the importer
    that makes a package of it. needs: what converts it.
    purpose: what it finds, a sentence. how: why it cannot be fetched, and what to do; empty: it can. gives, only: as in
    `give_as`. orientation: of the scans that it was trained on, where its own files do not say. checked: what of this
    entry was verified, and what was not.
    """

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
    checksum: str = ""
    task: str = "detect"
    purpose: str = ""
    how: str = ""
    gives: Literal["", "points", "boxes"] = ""
    only: str = ""
    orientation: str = ""
    checked: str = ""

    @property
    def doubt(self) -> str:
        """What a user must know where its publisher states no sha256, in a sentence; empty: it does."""
        if self.sha256:
            return ""
        if self.checksum:
            kind = self.checksum.partition(":")[0]
            stated = f"{_SPOKEN.get(kind, kind.upper())} only, which shows damage but no forgery"
        else:
            stated = "no checksum, so its content cannot be verified this first time"
        return f"Its publisher states {stated}; its sha256 will be kept and checked from then on."


def read_catalogue(path: Path) -> dict[str, Download]:
    """The entries of a catalogue file by id. Raises PackageError."""
    try:
        entries = [Download(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
        for name, value in (pair for entry in entries for pair in vars(entry).items()):
            pattern = _PATTERNS.get(name, r"(?s).*")
            if not isinstance(value, _KINDS.get(name, str)) or not re.fullmatch(pattern, str(value)):
                raise TypeError(f"the field {name} is wrong")
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise PackageError(f"{path} is not a catalogue of downloads ({error}); reinstall MedInfer.") from None
    return {entry.id: entry for entry in entries}
