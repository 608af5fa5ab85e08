"""What a file is that someone took for a model package, and what to do with it."""

from __future__ import annotations

import zipfile
from pathlib import Path

_HDF5, _PICKLE = b"\x89HDF\r\n\x1a\n", b"\x80"
_TORCH = (".pt", ".pth", ".ckpt", ".pt2")
_FOLDER = "put it into a folder with a model.json that names it (docs/models.md says how), and add that folder"
_EXPORT = "export the network as ONNX or TorchScript with the code that it was trained by, then " + _FOLDER


def what_it_is(path: Path) -> str | None:
    """A sentence where `path` is no .zip that a package may be in; None where it may be one."""
    suffix = path.suffix.lower()
    with path.open("rb") as stream:
        start = stream.read(8)
    if start.startswith(b"PK"):
        kind = _kind_of_archive(path, suffix)
    elif start == _HDF5 or suffix in (".h5", ".hdf5"):
        kind = f"a Keras network (HDF5): add it with --format keras-slab if it is a public slab network; else {_EXPORT}"
    elif suffix == ".onnx":
        kind = f"an ONNX network without its model.json: {_FOLDER}"
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
    if "model.json" in inside:
        return None
    kinds = {
        "constants.pkl": f"a TorchScript network without its model.json: {_FOLDER}",
        "data.pkl": f"a checkpoint of PyTorch (weights without the network that they belong to): {_EXPORT}",
        "serialized_exported_program.json": f"an exported PyTorch program without its model.json: {_FOLDER}",
        "model.weights.h5": f"a Keras network: {_EXPORT}",
    }
    found = [kind for name, kind in kinds.items() if name in inside]
    if not found and suffix == ".pt2":
        found = [kinds["serialized_exported_program.json"]]
    return found[0] if found else None
