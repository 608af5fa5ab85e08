"""Looking at what may be added, without adding it: what a network tells, and the package that would be installed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..atomic_files import temporary_folder
from ..errors import PackageError
from ..library.archive import unpack
from ..library.package import ModelPackage, load_package
from .adding import make, root_of
from .bare_fields import FIELDS, Words, read_field
from .bare_network import BareNetwork, Facts, read_network
from .bare_package import misfit
from .questions import Given
from .sources import kind_of_file, network_in, nothing_in


def bare_network(source: Path | str) -> BareNetwork:
    """What the network in a file, folder or .zip without a `model.json` tells. Raises PackageError, DeviceError."""
    path = Path(source)
    if not path.exists():
        raise PackageError(f"{path} does not exist; give a network file, or a folder or a .zip with one.")
    kind = "folder" if path.is_dir() else kind_of_file(path)
    if kind in ("onnx", "torchscript"):
        return read_network(path, kind)
    with temporary_folder() as place:
        folder = path
        if kind == "package":
            unpack(path, place)
            folder = root_of(place)
        if (folder / "model.json").exists():
            raise PackageError(f"{path} has a model.json, which says all that there is to be asked: add it.")
        network = network_in(folder)
        if network is None:
            raise PackageError(nothing_in(path))
        return read_network(network.path, network.kind)


@contextmanager
def tried(source: Path | str, format: str | None, given: Given) -> Iterator[ModelPackage]:
    """The package that `add` would install, for the moment. Raises as `add`."""
    with temporary_folder() as place:
        make(Path(source), place / "package", format, given)
        yield load_package(place / "package")


@dataclass(frozen=True)
class LookedOver:
    """usual: for each field the words that count where none are said; None: some must be. wrong: by fields, what is
    wrong with what was said, in a sentence."""

    usual: Mapping[str, str | None]
    wrong: Mapping[str, str]


def look_over(network: Facts, words: Words) -> LookedOver:
    """What the fields default to where `words` are said of a network, and what is wrong with them."""
    usual: dict[str, str | None] = {}
    wrong: dict[str, str] = {}
    said: dict[str, str] = {}
    told: dict[str, Any] = {}
    for field in FIELDS:
        usual[field.name] = field.default(network, said)
        given = words.get(field.name)
        try:
            if given is not None:
                told[field.name], said[field.name] = field.read(given), given
                continue
        except PackageError as error:
            wrong[field.name] = str(error)
        default = usual[field.name]
        if default is not None:
            told[field.name], said[field.name] = read_field(field.name, default), default
        elif given is None:
            wrong[field.name] = field.question(network)
    if not wrong and (found := misfit(network, told)):
        wrong[found.field] = found.sentence
    return LookedOver(usual, wrong)
