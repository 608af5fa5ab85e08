"""The sha256 of what was fetched without a published one: agreed to once, and checked ever after."""

from __future__ import annotations

import json
from pathlib import Path

from ..atomic_files import write_text
from ..errors import PackageError
from .places import user_folder


def trusted_sha256(url: str) -> str:
    """The sum that `url` had when it was first fetched; empty: it never was. Raises PackageError."""
    return _read().get(url, "")


def trust(url: str, sha256: str) -> None:
    """Keep the sum. Raises PackageError, OutputError."""
    known = {**_read(), url: sha256}
    _file().parent.mkdir(parents=True, exist_ok=True)
    write_text(_file(), json.dumps(known, indent=2) + "\n")


def _file() -> Path:
    return user_folder() / "trusted.json"


def _read() -> dict[str, str]:
    try:
        found = json.loads(_file().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise PackageError(f"{_file()} cannot be read ({error}): repair it, or delete it to agree again.") from None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise PackageError(f"{_file()} is not a list of checksums: repair it, or delete it to agree again.")
    return found
