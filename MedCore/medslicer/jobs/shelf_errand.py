"""What is done to the library of models, and asked of the computer, in a process next to Slicer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from medinfer.volume import Volume

from ..models.sources import converters, gives_labels
from .errand import Errand, Fetch, Preview

_KERAS = (".h5", ".hdf5")
_NOTHING: Mapping[str, str] = {}
# What labels are given as, by the task of a module that shows something else.
_GIVES = {"landmark": "points", "detect": "boxes"}


def fetch(model: str, needs: Sequence[str] = (), *, agreed: bool = False) -> Errand:
    """Download the catalogue's or the public model of this id and install it. needs: `ShelfModel.needs` of the model.
    agreed: whether the user has agreed to its conditions."""
    return Fetch("fetch", model, options=("--agree",) if agreed else (), needs=needs)


def add(source: Path | str, words: Mapping[str, str] = _NOTHING, *, for_task: str = "segment") -> Errand:
    """Install a model from a folder with a `model.json`, from a .zip of one, from nnU-Net's results, a MONAI bundle, a
    Keras file (.h5), or a network (ONNX, TorchScript). words: what that network does not tell, by the fields' names.
    for_task: of the module that it is for: what gives labels gives their points or boxes there."""
    path = Path(source).absolute()
    if path.suffix.lower() in _KERAS and path.is_file():
        return Errand("add", str(path), options=("--format", "keras-slab"), needs=("h5py", "onnx"))
    gives = _GIVES.get(for_task) if gives_labels(path, words) else None
    options = [*_options(words), *(("--gives", gives) if gives else ())]
    return Errand("add", str(path), options=options, needs=converters(path))


def look(source: Path | str) -> Errand:
    """What a network tells about itself; the answer is in `network`."""
    path = Path(source).absolute()
    return Errand("add", str(path), options=("--describe",), needs=converters(path))


def preview(source: Path | str, words: Mapping[str, str], scan: Volume) -> Preview:
    """What the network that `words` describe would see of a scan."""
    path = Path(source).absolute()
    return Preview(path, _options(words), scan, converters(path))


def _options(words: Mapping[str, str]) -> list[str]:
    # With "=": a word may begin with a hyphen.
    return [f"--{name}={said}" for name, said in words.items()]


def remove(model: str) -> Errand:
    """Delete the installed model of this id."""
    return Errand("remove", model)


def list_devices() -> Errand:
    """List the devices that networks can run on; the answer is in `devices`. It takes a few seconds."""
    return Errand("devices")
