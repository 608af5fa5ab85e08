"""The model library: which packages are bundled, installed, or can be fetched."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from .archive import unpack
from .catalogue import Download, read_catalogue
from .download import download
from .errors import PackageError
from .manifest import Task
from .package import ModelPackage, load_package
from .places import bundled_folder, catalogue_file, is_package, user_folder
from .writing import output_error, staging, take_place

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Entry:
    """One line of the library. package: None for what is not fetched yet, or for a broken folder; problem: why."""

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


def find_package(name: str, task: Task | None = None) -> ModelPackage:
    """The package of an id in the library, or in a folder. Raises PackageError, which offers the models of `task`."""
    if is_package(Path(name)):
        return load_package(name)
    for entry in entries():
        if entry.id != name:
            continue
        if entry.package is not None:
            return entry.package
        if entry.problem:
            raise PackageError(entry.problem)
        raise PackageError(f"The model {name} is not installed; fetch it with: medinfer fetch {name}")
    if Path(name).is_dir():
        return load_package(name)  # which says what is missing in it
    packages = [entry.package for entry in entries() if entry.package]
    known = ", ".join(package.id for package in packages if task in (None, package.manifest.task))
    # The one that is meant may lie in a folder of another name.
    broken = "".join(f" {entry.problem}" for entry in entries() if entry.problem)
    raise PackageError(f"There is no model {name!r}: give a folder with a model.json, or one of {known}.{broken}")


def fetch(name: str, *, progress: Progress | None = None, cancel: Callable[[], bool] | None = None) -> ModelPackage:
    """Download the catalogue's entry `name` and install it. Raises PackageError, DownloadError, OutputError."""
    offers = downloads()
    if name not in offers:
        raise PackageError(f"There is no download {name!r}; there are: {', '.join(offers) or 'none'}.")
    offer = offers[name]
    missing = [need for need in offer.needs.split(", ") if need and find_spec(need) is None]
    if missing:
        raise PackageError(
            f"Turning {name} into a package needs {' and '.join(missing)}; install MedInfer with its extra “convert”."
        )
    kept = user_folder() / ".downloads" / f"{offer.id}-{offer.sha256[:12]}"
    source = download(offer.url, kept, offer.sha256, size=offer.size, progress=progress, cancel=cancel)
    package = _install(source, offer.format)
    # What was fetched is inside the package now.
    source.unlink(missing_ok=True)
    return package


def add(source: Path | str, format: str | None = None) -> ModelPackage:
    """Install a package from a folder, a .zip, or a public file that an importer reads (`format`, e.g. "keras-slab").

    Nothing is installed before the package was validated and its files matched their sha256.
    """
    path = Path(source)
    if not path.exists():
        raise PackageError(f"{path} does not exist; give a package folder or a .zip of one.")
    return _install(path, format or ("folder" if path.is_dir() else "package"))


def remove(name: str) -> None:
    """Delete an installed package. Bundled ones stay. Raises PackageError."""
    for entry in entries():
        if entry.id == name and entry.origin == "bundled":
            raise PackageError(f"{name} came with MedInfer and stays; only installed models can be removed.")
        if entry.id == name and entry.origin == "installed":
            try:
                shutil.rmtree(entry.package.folder if entry.package else user_folder() / name)
            except OSError as error:
                raise output_error(user_folder() / name, error) from error
            return
    raise PackageError(f"{name!r} is not an installed model; only installed ones can be removed.")


def _install(source: Path, format: str) -> ModelPackage:
    with staging(user_folder() / "package") as place:
        if format == "folder":
            load_package(source)
            shutil.copytree(source, place / "package", symlinks=True)
        elif format == "package":
            (place / "package").mkdir()
            unpack(source, place / "package")
        elif format == "keras-slab":
            from .importers.keras_slab import import_keras_slab

            import_keras_slab(source, place / "package")
        else:
            raise PackageError(f"No importer is called {format!r}; there is: keras-slab.")
        package = load_package(_root_of(place / "package"))
        package.verified_files()
        home = user_folder() / package.id
        take_place(package.folder, home, place / "older")
    return load_package(home)


def _root_of(folder: Path) -> Path:
    """The folder of model.json: a .zip may hold the package itself or one folder with it."""
    inside = [path for path in folder.iterdir() if path.is_dir()]
    if not (folder / "model.json").is_file() and len(inside) == 1:
        return inside[0]
    return folder
