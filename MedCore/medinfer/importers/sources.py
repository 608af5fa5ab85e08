"""What a file or folder is that someone wants to add, and what to do with what is no package and no network."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

from ..errors import PackageError
from .detector_signs import detector_format

_HDF5, _PICKLE = b"\x89HDF\r\n\x1a\n", b"\x80"
_TORCH = (".pt", ".pth", ".ckpt", ".pt2")
_FOLDER = "put it into a folder with a model.json that names it (docs/models.md says how), and add that folder"
_EXPORT = "export the network as ONNX or TorchScript with the code that it was trained by, and add that file"
_MISSING = (
    "the network's layers and how scans are prepared are missing; add the whole MONAI bundle or nnU-Net result folder "
    "that it lies in, or "
)
_NETWORKS = (".onnx", ".pt", ".pth", ".ts", ".torchscript")


# What lies in a folder or an archive of another program, by the importer that reads it. Only names are looked at.
_SIGNS: Mapping[str, tuple[str, ...]] = {
    "nnunet": tuple(f"{depth}fold_*/checkpoint_*.pth" for depth in ("", "*/", "*/*/")),
    "monai": ("configs/metadata.json", "*/configs/metadata.json"),
}


def foreign_format(path: Path) -> str | None:
    """The importer for what another program wrote into a folder or a .zip; None where nothing shows one.

    Raises OSError, BadZipFile.
    """
    if path.is_dir():
        kinds = (name for name, patterns in _SIGNS.items() if any(any(path.glob(pattern)) for pattern in patterns))
        return next(kinds, None)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    for kind, patterns in _SIGNS.items():
        # In an archive * also stands for several folders.
        if any(fnmatch(name, pattern) or fnmatch(name, f"*/{pattern}") for name in names for pattern in patterns):
            return kind
    return None


@dataclass(frozen=True)
class Network:
    """A network without a `model.json`. kind: the importer that reads it."""

    path: Path
    kind: Literal["onnx", "torchscript"]


def network_in(folder: Path) -> Network | None:
    """The one network in a folder without a `model.json`; None where there is none. Raises PackageError for several."""
    # No deeper: a whole disk that someone names is not searched.
    inside = [*sorted(folder.glob("*")), *sorted(folder.glob("*/*"))]
    files = [path for path in inside if path.suffix.lower() in _NETWORKS and path.is_file()]
    found = [Network(path, kind) for path in files if (kind := _network_kind(path)) is not None]
    if len(found) > 1:
        listed = ", ".join(entry.path.relative_to(folder).as_posix() for entry in found)
        raise PackageError(f"{folder} has no model.json, and several networks ({listed}); add one of them.")
    return found[0] if found else None


def nothing_in(path: Path) -> str:
    """The sentence for a folder or an archive from which nothing can be added."""
    return f"{path} contains neither a model.json nor a network (ONNX, TorchScript)."


def kind_of_file(path: Path) -> str:
    """The importer that reads a file: "package" for a .zip that one may be in, "onnx", "torchscript", or a published
    detector's. Raises PackageError that says what the file is and what to do with it."""
    network = _network_kind(path)
    if network is not None:
        return network
    try:
        detector = detector_format(path)
        if detector is not None:
            return detector
        other = _what_it_is(path)
    except OSError as error:
        raise PackageError(f"{path} cannot be read: {error.strerror or error}.") from error
    if other is not None:
        raise PackageError(other)
    return "package"


def _network_kind(path: Path) -> Literal["onnx", "torchscript"] | None:
    if path.suffix.lower() == ".onnx":
        return "onnx"
    try:
        with zipfile.ZipFile(path) as archive:
            # At the top or in one folder, as torch writes it: a .zip with such a file further down is someone's own.
            inside = {entry.partition("/")[2] or entry for entry in archive.namelist()}
    except (zipfile.BadZipFile, OSError):
        return None
    return "torchscript" if "constants.pkl" in inside and "model.json" not in inside else None


def _what_it_is(path: Path) -> str | None:
    """A sentence where `path` is no .zip that a package or a network may be in; None where it may be one."""
    suffix = path.suffix.lower()
    with path.open("rb") as stream:
        start = stream.read(8)
    if start.startswith(b"PK"):
        kind = _kind_of_archive(path, suffix)
    elif start == _HDF5 or suffix in (".h5", ".hdf5"):
        kind = f"a Keras network (HDF5): add it with --format keras-slab if it is a public slab network; else {_EXPORT}"
    elif suffix in _TORCH or start[:1] == _PICKLE:
        kind = f"a checkpoint of PyTorch in its old format, which may run code when it is opened: {_EXPORT}"
    elif path.name == "model.json":
        kind = "a model.json alone: add the folder that it lies in, with its networks"
    else:
        kind = "no model package: give a package's folder, or a .zip of it"
    return kind and f"{path} is {kind}."


def _kind_of_archive(path: Path, suffix: str) -> str | None:
    """PyTorch and Keras keep their files as .zip archives too."""
    try:
        with zipfile.ZipFile(path) as archive:
            inside = {entry.rpartition("/")[2] for entry in archive.namelist()}
    except zipfile.BadZipFile:
        return "a PyTorch file that is cut short or damaged: copy it again" if suffix in _TORCH else None
    if "model.json" in inside or any(name.lower().endswith(_NETWORKS) for name in inside):
        return None
    kinds = {
        "data.pkl": f"a checkpoint of PyTorch (weights without the code of their network): {_MISSING}{_EXPORT}",
        "serialized_exported_program.json": f"an exported PyTorch program without its model.json: {_FOLDER}",
        "model.weights.h5": f"a Keras network: {_EXPORT}",
    }
    found = [kind for name, kind in kinds.items() if name in inside]
    if not found and suffix == ".pt2":
        found = [kinds["serialized_exported_program.json"]]
    return found[0] if found else None
