"""Adding models to the library: from a folder, an archive, or another program's file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from ..atomic_files import ASIDE, staging, take_place
from ..errors import Cancelled, PackageError
from ..library.archive import unpack
from ..library.package import ModelPackage, load_package
from ..library.places import is_package, user_folder
from .bare_package import import_bare
from .given_as import give_as
from .questions import Given
from .scrambled import plain_copy
from .sources import foreign_format, kind_of_file, network_in, nothing_in

_PIECE = 1 << 20
_NOTHING = Given({})


def add(
    source: Path | str, format: str | None = None, given: Given = _NOTHING, *,
    finish: Callable[[Path], None] = lambda folder: None, cancel: Callable[[], bool] = lambda: False,
) -> ModelPackage:
    """Install a package from a folder, a .zip, or a public file that an importer reads (`format`, e.g. "keras-slab").

    given: what its user says of a network without a `model.json`: an ONNX or TorchScript file, or a folder or .zip with
    one. finish(folder): changes the package before it is installed. Nothing is installed before the package was
    validated and its files matched their sha256, or where `cancel` says then that it is not wanted any more: that
    raises Cancelled. Raises PackageError.
    """
    with staging(user_folder() / "package") as place:
        make(Path(source), place / "package", format, given)
        finish(place / "package")
        if cancel():
            raise Cancelled("stopped; nothing was installed")
        return _put(place)


def _format_of(path: Path) -> str:
    """The importer for a file or folder. Raises PackageError that says what it is where there is none."""
    if not path.is_dir():
        return kind_of_file(path)
    return "folder" if is_package(path) else foreign_format(path) or "folder"


def _copy_folder(source: Path, folder: Path, given: Given) -> None:
    if _import_bare_in(source, folder, given):
        return
    load_package(source)
    _no_words_for(source, given)
    _copy(source, folder)


def _unpack_archive(source: Path, folder: Path, given: Given) -> None:
    unpacked = folder.with_name("unpacked")
    unpacked.mkdir()
    unpack(source, unpacked)
    root = root_of(unpacked)
    kind = _format_of(root)
    if kind != "folder":
        _IMPORTERS[kind](root, folder, given)
        return
    if _import_bare_in(root, folder, given):
        return
    if not (root / "model.json").exists():
        raise PackageError(nothing_in(source))
    _no_words_for(source, given)
    root.rename(folder)


def _import_bare_in(source: Path, folder: Path, given: Given) -> bool:
    """Make the package of the network in a folder that has no `model.json`; False where there is none."""
    network = None if (source / "model.json").exists() else network_in(source)
    if network is None:
        return False
    import_bare(network.path, network.kind, folder, given)
    return True


def _no_words_for(source: Path, given: Given, telling: str = "a model.json") -> None:
    """Raises PackageError where words are given for what says all that itself."""
    if given.words:
        listed = ", ".join(f"--{name}" for name in given.words)
        raise PackageError(f"{source} has {telling}, which says all that; leave out {listed}.")


def _convert_nnunet(source: Path, folder: Path, given: Given) -> None:
    from .nnunet import import_nnunet  # builds networks with torch

    _no_words_for(source, given, "nnU-Net's plans.json")
    import_nnunet(source, folder)


def _convert_monai(source: Path, folder: Path, given: Given) -> None:
    from .monai_bundle import import_bundle  # builds networks with torch

    _no_words_for(source, given, "configs")
    import_bundle(source, folder)


def _convert_detector(source: Path, folder: Path, given: Given, format: str) -> None:
    from .nodule_detectors import import_detector  # builds networks with torch

    _no_words_for(source, given, "a known network")
    import_detector(source, folder, format)


def _convert_keras_slab(source: Path, folder: Path, given: Given) -> None:
    from .keras_slab import import_keras_slab  # reads HDF5, which only this format needs

    _no_words_for(source, given, "a known network")
    import_keras_slab(source, folder)


# How what was given becomes a package in a folder that is not there yet.
_IMPORTERS: Mapping[str, Callable[[Path, Path, Given], object]] = {
    "folder": _copy_folder, "package": _unpack_archive, "keras-slab": _convert_keras_slab,
    "nnunet": _convert_nnunet, "monai": _convert_monai,
    "grt123": partial(_convert_detector, format="grt123"), "deeplung": partial(_convert_detector, format="deeplung"),
    "onnx": lambda source, folder, given: import_bare(source, "onnx", folder, given),
    "torchscript": lambda source, folder, given: import_bare(source, "torchscript", folder, given),
}


def make(source: Path, folder: Path, format: str | None, given: Given) -> None:
    """Make the package in `folder`, which is not there yet, of what lies at `source`. Raises PackageError."""
    if not source.exists():
        raise PackageError(f"{source} does not exist; give a package folder or a .zip of one.")
    if given.xor_key is not None:
        source = plain_copy(source, given.xor_key, folder.with_name("plain"))
        given.say(
            f"{source.name} is not hidden any more: bytes combined with a short key (XOR) are no protection, since the "
            "key can be read off the file; `medinfer lock` protects a model"
        )
    format = format or _format_of(source)
    if format not in _IMPORTERS:
        raise PackageError(f"There is no importer called {format!r}; use {', '.join(_IMPORTERS)}.")
    _IMPORTERS[format](source, folder, given)
    if given.gives is not None:
        give_as(folder, given.gives, given.only)


def _put(place: Path) -> ModelPackage:
    """Put the package that was made in a staging folder into the library."""
    package = load_package(place / "package")
    package.verified_files()
    home = user_folder() / package.id
    take_place(package.folder, home, place / ASIDE)
    return load_package(home)


def _copy(source: Path, target: Path) -> None:
    """Copy a folder; links stay links. Raises PackageError for what of `source` cannot be copied, OSError where there
    is no room for it."""
    target.mkdir()
    try:
        entries = sorted(source.iterdir())
    except OSError as error:
        raise _unreadable(source, error) from error
    for path in entries:
        copy = target / path.name
        if path.is_symlink():
            copy.symlink_to(os.readlink(path))
        elif path.is_dir():
            _copy(path, copy)
        elif path.is_file():
            with copy.open("wb") as stream:
                for piece in _pieces(path):
                    stream.write(piece)
        else:
            raise PackageError(f"{path} is neither a file nor a folder; remove it from the package.")


def _pieces(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as stream:
            while piece := stream.read(_PIECE):
                yield piece
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> PackageError:
    return PackageError(f"{path} cannot be read: {error.strerror or error}; copy the package again.")


def root_of(folder: Path) -> Path:
    """The folder of model.json: a .zip may hold the package itself or one folder with it."""
    inside = [path for path in folder.iterdir() if path.is_dir()]
    if not (folder / "model.json").is_file() and len(inside) == 1:
        return inside[0]
    return folder
