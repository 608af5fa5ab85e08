"""`model.json` as a `Manifest`, or all its problems: one sentence each, with the field and what to do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from ..errors import PackageError
from .agreement import contradictions
from .card import Label
from .images import Image
from .model import SCHEMA_VERSION, Manifest
from .passes import Pass
from .result import Result, Task

# The fields that say which variant an object of the schema is.
_TAGS = ("kind", "join", "op", "role")


class ManifestError(PackageError):
    """A `model.json` with mistakes. sentences: one each, every one with the file's name."""

    def __init__(self, where: str, problems: list[str]) -> None:
        super().__init__(f"{where}: {' '.join(_as_sentences(problems))}")
        self.sentences = tuple(f"{where}: {problem}." for problem in dict.fromkeys(problems))


def parse_manifest(text: str, where: str) -> Manifest:
    """Validate the text of a `model.json`; `where` names it in messages. Version 1 is read as well.

    Raises PackageError; ManifestError with all problems of one that is JSON of a known version.
    """
    try:
        data = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise PackageError(f"{where} is not JSON ({error}); copy the package again.") from None
    if not isinstance(data, dict):
        raise PackageError(f"{where} must hold a JSON object with the fields of model.schema.json.")
    version = data.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise PackageError(
            f"{where} has schema_version {version}, but this MedInfer reads up to {SCHEMA_VERSION}: update MedInfer."
        )
    if version not in (1, SCHEMA_VERSION) or isinstance(version, bool | float):
        raise PackageError(f"{where}: schema_version must be 1 or {SCHEMA_VERSION}, not {version!r}; correct it.")
    try:
        return _read_version1(text) if version == 1 else Manifest.model_validate_json(text)
    except ValidationError as error:
        problems = [*_field_problems(error, data), *(_contradictions(data) if version == SCHEMA_VERSION else ())]
        raise ManifestError(where, problems or [str(error)]) from None


def _read_version1(text: str) -> Manifest:
    # A schema of its own, which few runs need.
    from .version1 import ManifestOne, passes_of

    return passes_of(ManifestOne.model_validate_json(text))


def _as_sentences(problems: list[str]) -> list[str]:
    """Each once, the later ones as sentences of their own."""
    first, *others = dict.fromkeys(problems)
    return [f"{first}.", *(f"{other[0].upper()}{other[1:]}." for other in others)]


def _field_problems(error: ValidationError, data: dict[str, Any]) -> list[str]:
    problems = []
    found = error.errors(include_url=False, include_context=False)
    for problem in found:
        # pydantic calls a list empty where its only entry has mistakes.
        if problem["type"] == "too_short" and any(_lies_inside(other["loc"], problem["loc"]) for other in found):
            continue
        field, kind = _json_path(problem["loc"], data), problem["type"]
        message = problem["msg"].removeprefix("Value error, ")
        if not field:
            # Of version 2 they are listed one by one, with their fields.
            if data["schema_version"] != SCHEMA_VERSION:
                problems.append(f"its fields contradict each other ({message}); correct one of them")
        elif kind == "missing":
            problems.append(f"the field {field} is missing; add it")
        elif kind == "extra_forbidden":
            problems.append(f"the field {field} is unknown; remove it or correct its spelling")
        else:
            problems.append(f"the field {field} is wrong ({message}); correct it")
    return problems


def _lies_inside(place: tuple[int | str, ...], around: tuple[int | str, ...]) -> bool:
    return len(place) > len(around) and place[: len(around)] == around


def _json_path(location: tuple[int | str, ...], data: Any) -> str:
    """Where a problem lies in the file; pydantic's location also names the variant ("decoder.anchors.nms_iou")."""
    parts: list[str] = []
    variant: Any = None
    for part in location:
        if variant is not None and part == variant:
            variant = None
            continue
        parts.append(str(part))
        inside = (isinstance(data, dict) and part in data) or (
            isinstance(data, list) and isinstance(part, int) and part < len(data)
        )
        data = data[part] if inside else None
        variant = next((data[tag] for tag in _TAGS if tag in data), None) if isinstance(data, dict) else None
    return ".".join(parts)


@dataclass(frozen=True)
class _SoundParts:
    """As much of a model as is valid by itself."""

    task: Task
    images: tuple[Image, ...]
    labels: tuple[Label, ...]
    unnamed: str
    passes: tuple[Pass, ...]
    result: tuple[Result, ...]


def _contradictions(data: dict[str, Any]) -> list[str]:
    """What parts that are valid by themselves do not agree on, where the list they stand in is whole."""
    passes, labels = _valid(data.get("passes"), Pass), _valid(data.get("labels"), Label)
    result, images = _valid(data.get("result"), Result), _valid(data.get("images", []), Image)
    if passes is None or labels is None or images is None:
        return []
    task = data.get("task") if data.get("task") in ("detect", "landmark", "segment") else None
    parts = _SoundParts(
        cast(Task, task or "segment"), tuple(images), tuple(labels), str(data.get("unnamed", "object")), tuple(passes),
        tuple(result or ()) if task else (),
    )
    return [f"the field {found.field} is wrong: it {found.wrong}; correct it" for found in contradictions(parts)]


def _valid(entries: Any, kind: type[Any]) -> list[Any] | None:
    """The entries of a list; None where one is invalid."""
    try:
        found: list[Any] = TypeAdapter(list[kind]).validate_json(json.dumps(entries))  # type: ignore[valid-type]
        return found
    except ValidationError:
        return None
