"""What a file or folder is that someone wants to add, seen from the panel: names are read, nothing is opened."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from medinfer.errors import MedInferError
from medinfer.importers.detector_signs import detector_format
from medinfer.importers.sources import foreign_format, kind_of_file, network_in
from medinfer.library.places import is_package

# What makes a package of another program's model, by its importer, or runs a network.
_CONVERTERS: Mapping[str | None, tuple[str, ...]] = {
    "nnunet": ("torch", "onnx", "dynamic_network_architectures"), "monai": ("torch", "onnx", "monai"),
    "torchscript": ("torch",), "deeplung": ("torch", "onnx"),
}
# The importers of other programs' networks of labels.
_LABELS = ("nnunet", "monai")


def is_bare_network(source: Path | str) -> bool:
    """Whether it is a network, or a folder or .zip with one, that does not tell what a model must know. Never
    raises."""
    path = Path(source)
    try:
        return _foreign(path) is None and _bare(path) is not None
    except (MedInferError, OSError, zipfile.BadZipFile):
        return False  # adding it says what is wrong


def gives_labels(source: Path, words: Mapping[str, str]) -> bool:
    """Whether what is made of it gives labels by itself: nnU-Net's results, a MONAI bundle, or a bare network of which
    nothing else was said."""
    if is_bare_network(source):
        return words.get("task", "segment") == "segment"
    try:
        return _foreign(source) in _LABELS
    except (MedInferError, OSError, zipfile.BadZipFile):
        return False


def converters(path: Path) -> tuple[str, ...]:
    """The packages that make a model of it."""
    try:
        return _CONVERTERS.get(_foreign(path) or _bare(path), ())
    except (MedInferError, OSError, zipfile.BadZipFile):
        return ()  # adding it says what is wrong


def _foreign(path: Path) -> str | None:
    """The importer of another program's folder, archive or checkpoint. Raises PackageError, OSError, BadZipFile."""
    if is_package(path):
        return None
    detector = detector_format(path) if path.is_file() else None
    return detector or (foreign_format(path) if path.is_dir() or zipfile.is_zipfile(path) else None)


def _bare(path: Path) -> str | None:
    """The importer of a network alone; "package" for one in an archive. Raises PackageError, OSError, BadZipFile."""
    if path.is_dir():
        network = None if is_package(path) else network_in(path)
        return network.kind if network else None
    kind = kind_of_file(path)
    if kind != "package":
        return kind
    with zipfile.ZipFile(path) as archive:
        names = [name.rpartition("/")[2] for name in archive.namelist()]
    return None if "model.json" in names else kind
