"""The digests of exported networks in a package's `model.json`, by which the engine knows them."""

from __future__ import annotations

import json
from pathlib import Path

from medinfer.atomic_files import write_text
from medinfer.library.package import sha256_of
from medinfer.manifest.reading import parse_manifest


def stamp(folder: Path, *, partial: bool = False) -> None:
    """Write the sha256 of every pass's network files into `model.json` and check it whole. Raises PackageError.

    partial: a file that is not there yet keeps the digest that stands there.
    """
    path = folder / "model.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    for one in manifest["passes"]:
        for file in one["network"]["files"]:
            if not partial or (folder / file["path"]).is_file():
                file["sha256"] = sha256_of(folder / file["path"])
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    parse_manifest(text, str(path))
    write_text(path, text)
