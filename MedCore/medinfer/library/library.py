"""The model library: lists bundled, installed and downloadable packages; finds and removes them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..atomic_files import staging
from ..errors import PackageError
from ..manifest import Task
from ..spelling import suggestion
from .catalogue import Download, read_catalogue
from .package import ModelPackage, load_package
from .places import bundled_folder, catalogue_file, is_package, public_file, user_folder


@dataclass(frozen=True)
class Entry:
    """One line of the library. package: None if not fetched yet or broken; problem: the reason."""

    id: str
    origin: str
    package: ModelPackage | None = None
    download: Download | None = None
    problem: str = ""


def entries() -> list[Entry]:
    """Everything in the library: bundled, installed, broken, downloadable; each id once, installed before bundled."""
    found: dict[str, Entry] = {}
    for origin, parent in (("installed", user_folder()), ("bundled", bundled_folder())):
        for folder in sorted(path.parent for path in parent.glob("*/model.json")):
            try:
                package = load_package(folder)
                found.setdefault(package.id, Entry(package.id, origin, package))
            except PackageError as error:
                found.setdefault(folder.name, Entry(folder.name, origin, problem=str(error)))
    for offer in downloads().values():
        found.setdefault(offer.id, Entry(offer.id, "to fetch", download=offer))
    return list(found.values())


def downloads() -> dict[str, Download]:
    """What can be fetched, by id (`MEDINFER_CATALOGUE` names another catalogue)."""
    return read_catalogue(catalogue_file())


def public_models() -> dict[str, Download]:
    """Other people's public models, by id."""
    return read_catalogue(public_file())


def find_package(name: str, task: Task | None = None) -> ModelPackage:
    """The package of an id in the library, or in a folder. Raises PackageError, which offers the models of `task`."""
    if is_package(Path(name)):
        return load_package(name)
    known = {entry.id: entry for entry in entries()}
    entry = known.get(name)
    if entry is not None and entry.package is not None:
        return entry.package
    if entry is not None and entry.problem:
        raise PackageError(entry.problem)
    if entry is not None or name in public_models():
        raise PackageError(f"The model {name} is not installed; fetch it with: medinfer fetch {name}")
    if Path(name).is_dir():
        return load_package(name)  # which says what is missing in it
    packages = [entry.package for entry in known.values() if entry.package]
    usable = ", ".join(package.id for package in packages if task in (None, package.manifest.task))
    # The one that is meant may lie in a folder of another name.
    broken = "".join(f" {entry.problem}" for entry in known.values() if entry.problem)
    more = suggestion(name, known) + broken
    raise PackageError(f"There is no model {name!r}: give a folder with a model.json, or one of {usable}.{more}")


def remove(name: str) -> None:
    """Delete an installed package. Bundled ones stay. Raises PackageError, OutputError."""
    for entry in entries():
        if entry.id == name and entry.origin == "bundled":
            raise PackageError(f"{name} comes with MedInfer and cannot be removed; only installed models can.")
        if entry.id == name and entry.origin == "installed":
            folder = entry.package.folder if entry.package else user_folder() / name
            # At once, so that no half of it stays where that is cut off.
            with staging(folder) as place:
                os.rename(folder, place / "removed")
            return
    meant = suggestion(name, (entry.id for entry in entries() if entry.origin == "installed"))
    raise PackageError(f"{name!r} is not an installed model; only installed models can be removed.{meant}")
