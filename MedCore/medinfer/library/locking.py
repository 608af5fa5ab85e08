"""Locking a model: a package that runs only with its key."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..atomic_files import ASIDE, output_error, staging, take_place
from ..errors import OutputError, PackageError
from .locked_file import is_locked, locked, new_key
from .package import ModelPackage, load_package, sha256_of, write_manifest

_DOCUMENTS = (".md", ".txt", ".pdf", ".png", ".jpg", ".jpeg", ".svg")
_TEXTS = ("LICENSE", "LICENCE", "NOTICE", "README")


def make_key(file: Path) -> None:
    """Write a new key into a file that only its owner can read. Raises OutputError; a file that is there stays."""
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as stream:
            stream.write(new_key() + "\n")
    except FileExistsError:
        raise OutputError(f"{file} is there already, and a key is never overwritten: give another file.") from None
    except OSError as error:
        raise output_error(file, error) from error


def lock_package(package: ModelPackage, key: bytes, folder: Path) -> ModelPackage:
    """Write a copy of `package` with locked networks into `folder`, which is made; `package` stays as it is.

    Of its other files only documents and pictures are copied. Raises PackageError, and OutputError where `folder` is
    there already.
    """
    if folder.exists():
        raise OutputError(f"{folder} is there already: give another folder with -o.")
    package.verified_files()
    description = package.manifest.data()
    with staging(folder) as place:
        made = place / "package"
        made.mkdir()
        for entry in _entries(description):
            _lock(entry, package.folder, made, key)
        _copy_documents(package.folder, made)
        write_manifest(made, description)
        take_place(made, folder, place / ASIDE)
    return load_package(folder)


def _entries(description: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What `model.json` says of each network file, and of the weights beside it. Network files are marked as locked."""
    for one in description["passes"]:
        network = one["network"]
        for file in (file for member in (network["files"], *network.get("further", ())) for file in member):
            file["locked"] = True
            yield file
            yield from file.get("data", ())


def _lock(entry: dict[str, Any], source: Path, target: Path, key: bytes) -> None:
    """Write a file locked, once; its sha256 in `model.json` becomes that of the locked one."""
    path = target / entry["path"]
    if not path.exists():
        content = (source / entry["path"]).read_bytes()
        if is_locked(content):
            raise PackageError(f"{source / entry['path']} is locked already: lock the model as it was before.")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(locked(content, key, entry["path"]))
    entry["sha256"] = sha256_of(path)


def _copy_documents(source: Path, target: Path) -> None:
    """Nothing else: what lies beside may be the network in another format."""
    for path in sorted(source.rglob("*")):
        if path.is_file() and not path.is_symlink() and (path.suffix.lower() in _DOCUMENTS or path.stem in _TEXTS):
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
