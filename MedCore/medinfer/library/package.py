"""A model package: a folder with `model.json` and the network files that it names.

Nothing of a package is executed or parsed by a runtime before its sha256 was checked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..atomic_files import write_text
from ..backends import NetworkFile
from ..backends.onnx_weights import undeclared, weight_files
from ..errors import PackageError
from ..manifest import DataFile, File, Manifest, Network
from ..manifest.reading import parse_manifest
from .keys import find_key
from .locked_file import unlocked


@dataclass(frozen=True)
class ModelPackage:
    """A package whose `model.json` was read and found valid.

    folder: where it lies. manifest: what it declares. Its weights are checked by `verified_files`.
    """

    folder: Path
    manifest: Manifest

    @property
    def id(self) -> str:
        return self.manifest.id

    @property
    def reference(self) -> str:
        """Id and version, as results name the model that made them."""
        return f"{self.manifest.id} {self.manifest.version}"

    def threshold(self, asked: float | None) -> float:
        """The score from which findings are reported: what was asked for, or else what the package declares."""
        return self.manifest.leading.decoder.threshold if asked is None else asked

    def verified_files(self, network: Network | None = None) -> list[tuple[File, Path]]:
        """The files of `network` (default: of all passes) with their paths, each present and of the declared sha256, as
        are the files of weights beside an ONNX graph: all that the graph names are declared. Raises PackageError.
        """
        files = [file for member in network.members for file in member] if network else self._files
        return [(file, verified(self.folder, file)) for file in files]

    @property
    def locked(self) -> bool:
        """Whether a network of it is locked."""
        return any(file.locked for file in self._files)

    @property
    def _files(self) -> list[File]:
        networks = [one.network for one in self.manifest.passes]
        return [file for entry in networks for member in entry.members for file in member]

    def reader(self, key_file: Path | None = None) -> Callable[[Path], bytes]:
        """What reads its files, for a runtime; locked ones are unlocked in memory.

        key_file: with the key of a locked package; by default it is looked for (see `keys`). Raises PackageError where
        there is no key; so does the function where the key is another one.
        """
        files = [file for file in self._files if file.locked]
        entries = [*(file.path for file in files), *(data.path for file in files for data in file.data)]
        names = {self.folder / entry: entry for entry in entries}
        if not names:
            return Path.read_bytes
        key = find_key(self.id, key_file)
        return lambda path: unlocked(path.read_bytes(), key, names[path]) if path in names else path.read_bytes()

    def network_files(self, network: Network) -> list[list[NetworkFile]]:
        """The files of each member of `network` as a runtime opens them, verified. Raises PackageError."""
        return [
            [
                NetworkFile(
                    verified(self.folder, file), file.format,
                    tuple((name, self.folder / entry.path) for name, entry in file.data_names.items()),
                )
                for file in member
            ]
            for member in network.members
        ]


def load_package(folder: Path | str) -> ModelPackage:
    """Read and validate `model.json` in `folder` (or the path of a `model.json`). Raises PackageError."""
    path = Path(folder)
    if path.name != "model.json":
        path = path / "model.json"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise PackageError(f"{path.parent} is not a model package: it has no model.json.") from None
    except UnicodeDecodeError:
        raise PackageError(f"{path} is not text in UTF-8; save it so, or copy the package again.") from None
    except OSError as error:
        raise PackageError(f"{path} cannot be read ({error.strerror or error}); copy the package again.") from None
    return ModelPackage(path.parent, parse_manifest(text, str(path)))


def write_manifest(folder: Path, description: Mapping[str, Any]) -> None:
    """Write the `model.json` of a package whose files are there. Raises PackageError for one that is not valid,
    and OutputError; nothing is written then."""
    path = folder / "model.json"
    text = json.dumps(description, indent=2, ensure_ascii=False)
    parse_manifest(text, str(path))
    write_text(path, text + "\n")


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read in pieces."""
    return digest_of(path, "sha256")


def digest_of(path: Path, kind: str) -> str:
    """Hexadecimal digest of a file. kind: "sha256", or one of the weak "sha1", "md5" and "git", the name
    that git gives that content."""
    digest = hashlib.new("sha1" if kind == "git" else kind, usedforsecurity=kind == "sha256")
    if kind == "git":
        digest.update(f"blob {path.stat().st_size}\0".encode())
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def verified(folder: Path, file: File) -> Path:
    """The path of a network file that is the declared one, with all its weights. Raises PackageError."""
    path = _verified(folder, file)
    for entry in file.data:
        _verified(folder, entry)
    if file.format == "onnx" and not file.locked:
        for name in weight_files(path.read_bytes(), path):
            if name not in file.data_names:
                raise PackageError(undeclared(path, name))
    return path


def _verified(folder: Path, file: File | DataFile) -> Path:
    path = folder / file.path
    if not path.resolve().is_relative_to(folder.resolve()):
        raise PackageError(f"{path} points outside its package {folder}; do not use this package.")
    try:
        found = sha256_of(path)
    except OSError as error:
        reason = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise PackageError(f"{path} {reason}, but model.json names it; reinstall the package.") from None
    if found != file.sha256:
        raise PackageError(
            f"{path} is not the file that model.json declares (sha256 {found[:12]}… instead of {file.sha256[:12]}…); "
            "it is damaged or was replaced: reinstall the package, or correct the sha256 if the package is your own."
        )
    return path
