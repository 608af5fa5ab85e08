"""A model package: a folder with `model.json` and the network files that it names.

Nothing of a package is executed or parsed by a runtime before its sha256 was checked.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..errors import PackageError
from ..manifest import SCHEMA_VERSION, File, Manifest, Network

# The fields that say which variant an object of the schema is.
_TAGS = ("kind", "join", "op", "role")


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
        return self.manifest.decoder.threshold if asked is None else asked

    def verified_files(self, network: Network | None = None) -> list[tuple[File, Path]]:
        """The files of `network` (default: the package's last stage) with their paths, each present and of the
        declared sha256. Raises PackageError."""
        return [(file, _verified(self.folder, file)) for file in (network or self.manifest.network).files]


def load_package(folder: Path | str) -> ModelPackage:
    """Read and validate `model.json` in `folder` (or the path of a `model.json`). Raises PackageError."""
    path = Path(folder)
    if path.name != "model.json":
        path = path / "model.json"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise PackageError(f"No model package in {path.parent}: it has no model.json.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise PackageError(f"{path} cannot be read ({error}); copy the package again.") from None
    return ModelPackage(path.parent, parse_manifest(text, str(path)))


def parse_manifest(text: str, where: str) -> Manifest:
    """Validate the text of a `model.json`; `where` names it in messages. Raises PackageError."""
    try:
        data = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise PackageError(f"{where} is not JSON ({error}); copy the package again.") from None
    if not isinstance(data, dict):
        raise PackageError(f"{where} must hold a JSON object with the fields of model.schema.json.")
    version = data.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise PackageError(
            f"{where} has schema_version {version}, this MedInfer reads up to {SCHEMA_VERSION}: update MedInfer."
        )
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise PackageError(f"{where}: schema_version must be {SCHEMA_VERSION}, not {version!r}; correct the field.")
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        raise PackageError(f"{where}: {_first_problem(error, data)}") from None


def _first_problem(error: ValidationError, data: Any) -> str:
    problems = error.errors(include_url=False, include_context=False)
    field = _json_path(problems[0]["loc"], data)
    kind, message = problems[0]["type"], problems[0]["msg"]
    if not field:
        sentence = f"its fields contradict each other ({message.removeprefix('Value error, ')}); correct one of them"
    elif kind == "missing":
        sentence = f"the field {field} is missing; add it"
    elif kind == "extra_forbidden":
        sentence = f"the field {field} is unknown; remove it or correct its spelling"
    else:
        sentence = f"the field {field} is wrong ({message.removeprefix('Value error, ')}); correct it"
    more = f" ({len(problems) - 1} more problems follow)" if len(problems) > 1 else ""
    return f"{sentence}.{more}"


def _json_path(location: tuple[int | str, ...], data: Any) -> str:
    """Where a problem lies in the file; pydantic's location also names the variant ("decoder.anchors.nms_iou")."""
    parts: list[str] = []
    variant: Any = None
    for part in location:
        if variant is not None and part == variant:
            variant = None
            continue
        parts.append(str(part))
        inside = (isinstance(data, dict) and part in data) or (isinstance(data, list) and isinstance(part, int))
        data = data[part] if inside else None
        variant = next((data[tag] for tag in _TAGS if tag in data), None) if isinstance(data, dict) else None
    return ".".join(parts)


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _verified(folder: Path, file: File) -> Path:
    path = folder / file.path
    if not path.resolve().is_relative_to(folder.resolve()):
        raise PackageError(f"{path} points outside its package {folder}; refuse such packages.")
    try:
        found = sha256_of(path)
    except OSError as error:
        reason = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise PackageError(f"{path} {reason}, but model.json names it; install the package again.") from None
    if found != file.sha256:
        raise PackageError(
            f"{path} is not the file that model.json declares (sha256 {found[:12]}… instead of {file.sha256[:12]}…); "
            "it is damaged or was exchanged: install the package again, or correct the sha256 of a package of your own."
        )
    return path
