"""The configuration of a MONAI bundle, read as data: references are followed, and nothing in it is imported or run.

In a bundle a text that begins with `$` is Python. The few forms that only write down a value are understood here; any
other one is named in the error as soon as its value is needed.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import PackageError
from .monai_expression import value_of

_NAMES = ("inference.json", "inference.yaml", "inference.yml")
_REFERENCE = re.compile(r"@([\w:#]+)")
# What only writes down a value: a reference, the same object on a device, a list or a tuple of something.
_MOVED = re.compile(r"(@[\w:#]+)\.to\([\w@:#.'\"]*\)")
_SEQUENCE = re.compile(r"(?:list|tuple)\((.*)\)", re.DOTALL)
# Entries of a component that say how MONAI treats it, and are none of its arguments.
_MARKS = ("_target_", "_disabled_", "_requires_", "_desc_", "_mode_")
# More is a circle, or meant to take all memory.
_DEEPEST, _MOST = 50, 100_000


@dataclass(frozen=True)
class Config:
    """One file of `configs/`. file: its name for messages. content: as it was read. folder: where macros find other
    files. values: how many were read so far."""

    file: str
    content: Mapping[str, Any]
    folder: Path
    values: list[None] = field(default_factory=list)

    def part(self, *places: str) -> tuple[Any, str] | None:
        """The first of these places (`a` or `a::b`) that there is, and its name; None where there is none of them."""
        for place in places:
            try:
                return self._at(place), place
            except KeyError:
                continue
        return None

    def component(self, value: Any, where: str) -> Component:
        """What a `_target_` describes. Raises PackageError where that is no component."""
        value, where = self.followed(value, where, 0)
        if not isinstance(value, Mapping) or not isinstance(value.get("_target_"), str):
            raise PackageError(f"{self.file} has no component with a _target_ at {where}: correct the bundle.")
        arguments = {str(key): entry for key, entry in value.items() if key not in _MARKS}
        off = self.plain(value.get("_disabled_", False), f"{where}::_disabled_")
        return Component(self, where, value["_target_"], arguments, disabled=off is True)

    def entries(self, value: Any, where: str) -> list[Component]:
        """A list of components, without those that are disabled."""
        value, where = self.followed(value, where, 0)
        if not isinstance(value, list):
            raise PackageError(f"{self.file} has no list at {where}: correct the bundle.")
        found = [self.component(entry, f"{where}::{n}") for n, entry in enumerate(value)]
        return [entry for entry in found if not entry.disabled]

    def plain(self, value: Any, where: str, depth: int = 0) -> Any:
        """`value` as numbers, texts, lists and dictionaries. Raises PackageError for anything that is more."""
        value, where = self.followed(value, where, depth)
        self.values.append(None)
        if depth > _DEEPEST or len(self.values) > _MOST:
            raise PackageError(f"{self.file} has more values at {where} than a configuration needs: correct them.")
        if isinstance(value, Mapping):
            if "_target_" in value:
                raise PackageError(f"{self.file} builds {where} with {value['_target_']}, which is not known here.")
            return {str(key): self.plain(entry, f"{where}::{key}", depth + 1) for key, entry in value.items()}
        if isinstance(value, list | tuple):
            return [self.plain(entry, f"{where}::{n}", depth + 1) for n, entry in enumerate(value)]
        return value

    def followed(self, value: Any, where: str, depth: int = 0) -> tuple[Any, str]:
        """The value that references and literal expressions lead to, and its place."""
        while isinstance(value, str) and value[:1] in ("@", "%", "$"):
            depth += 1
            if depth > _DEEPEST:
                raise PackageError(f"{self.file} has references at {where} that lead round in a circle: correct them.")
            if value[0] == "$":
                value = self._written(value, where, depth)
            elif value[0] == "%":
                return self._macro(value, where, depth)
            else:
                value, where = self._reference(value, where, depth)
        return value, where

    def _written(self, expression: str, where: str, depth: int) -> Any:
        code = expression[1:].strip()
        if moved := _MOVED.fullmatch(code):
            return moved[1]
        if _REFERENCE.fullmatch(code):
            return code
        if listed := _SEQUENCE.fullmatch(code):
            code = listed[1].strip()
            if _REFERENCE.fullmatch(code):
                return code
        try:
            return value_of(code, lambda place: self.plain(f"@{place}", where, depth))
        except ValueError:
            raise PackageError(
                f"{self.file} computes {where} with Python ({_short(expression)}), which is never run here: write the "
                "value itself there."
            ) from None

    def _reference(self, value: str, where: str, depth: int) -> tuple[Any, str]:
        match = _REFERENCE.fullmatch(value)
        place = match[1].replace("#", "::") if match else ""
        try:
            return self._at(place, depth), place
        except KeyError:
            raise PackageError(
                f"{self.file} refers at {where} to {_short(value)}, which is not in it: correct the bundle."
            ) from None

    def _macro(self, value: str, where: str, depth: int) -> tuple[Any, str]:
        """A copy of what stands elsewhere in this file or in another one of its folder: %a::b, %other.json::a."""
        name, _, rest = value[1:].replace("#", "::").partition("::")
        other = self
        if re.fullmatch(r"[\w\-]+\.(json|ya?ml)", name):
            other = read_config(self.folder, name)
        else:
            rest = value[1:].replace("#", "::")
        try:
            found = other._at(rest, depth)
        except KeyError:
            raise PackageError(
                f"{self.file} copies at {where} {_short(value)}, which is not there: correct the bundle."
            ) from None
        return other.followed(found, rest, depth)

    def _at(self, place: str, depth: int = 0) -> Any:
        """What stands at a place. Raises KeyError."""
        found: Any = self.content
        for number, key in enumerate(place.split("::")):
            if number:
                found, _ = self.followed(found, place, depth)
            if isinstance(found, Mapping) and key in found:
                found = found[key]
            elif isinstance(found, list) and key.isdigit() and int(key) < len(found):
                found = found[int(key)]
            else:
                raise KeyError(place)
        return found


@dataclass(frozen=True)
class Component:
    """What a `_target_` describes: a transform, an inferer, a network.

    arguments: as they stand there. known: those that were asked for; `done` names the others.
    """

    config: Config
    where: str
    target: str
    arguments: Mapping[str, Any]
    disabled: bool = False
    known: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        """The class's own name; of what is not MONAI's, the whole target."""
        module, _, name = self.target.rpartition(".")
        return name if not module or module.partition(".")[0] == "monai" else self.target

    def take(self, name: str, default: Any = None) -> Any:
        """The argument as plain data."""
        self.known.add(name)
        return self.config.plain(self.arguments[name], f"{self.where}::{name}") if name in self.arguments else default

    def number(self, name: str, default: float | None = None) -> float | None:
        """The argument as a finite number, or None."""
        value = self.take(name, default)
        if value is None:
            return None
        return self._number(name, value)

    def numbers(self, name: str, count: int) -> list[float]:
        """`count` numbers; where there are fewer, the last one is repeated."""
        value = self.take(name)
        values = [self._number(name, entry) for entry in (value if isinstance(value, list) else [value])][:count]
        if not values:
            raise self.wrong(name, value)
        return values + values[-1:] * (count - len(values))

    def only(self, name: str, *values: Any, default: Any = None) -> None:
        """Raises PackageError where the argument is none of `values`, the only ones that are known."""
        found = self.take(name, default)
        if found not in values:
            known = " or ".join(str(value) for value in values)
            raise PackageError(f"{self.said} has {name} = {_short(found)}, and only {known} is known here.")

    def ignore(self, *names: str) -> None:
        """These arguments change nothing here."""
        self.known.update(names)

    def done(self) -> None:
        """Raises PackageError for an argument that nobody asked for."""
        others = [name for name in self.arguments if name not in self.known]
        if others:
            raise PackageError(f"{self.said} has the argument {_short(others[0])}, which is not known here.")

    @property
    def said(self) -> str:
        """What it is and where, for the beginning of a sentence."""
        return f"{_short(self.name)} in {self.config.file} ({self.where})"

    def wrong(self, name: str, value: Any) -> PackageError:
        return PackageError(f"{self.said} has {name} = {_short(value)}, which is no number: correct the bundle.")

    def _number(self, name: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e30:
            raise self.wrong(name, value)
        return float(value)


def read_config(folder: Path, name: str | None = None) -> Config:
    """The bundle's inference configuration, or the file `name`, from its folder `configs`. Raises PackageError."""
    there = [entry for entry in ([name] if name else _NAMES) if (folder / entry).is_file()]
    if not there:
        raise PackageError(
            f"The bundle has no configs/{name or _NAMES[0]}: it does not say how scans are prepared; give the whole "
            "bundle."
        )
    content = _read(folder / there[0])
    if not isinstance(content, Mapping):
        raise PackageError(f"configs/{there[0]} is not a configuration of MONAI: copy the bundle again.")
    return Config(f"configs/{there[0]}", content, folder)


def _read(path: Path) -> Any:
    name = f"configs/{path.name}"
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".json":
            return json.loads(text)
        try:
            yaml = importlib.import_module("yaml")
        except ImportError:
            raise PackageError(f"Reading {name} needs PyYAML: pip install 'medinfer[monai]'.") from None
        try:
            return yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(" ".join(str(error).split())[:160]) from None
    except (OSError, ValueError, RecursionError) as error:
        raise PackageError(f"{name} cannot be read ({error}): copy the bundle again.") from None


def listed(names: Sequence[str]) -> str:
    """Names as they stand in a sentence: a, b and c."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 120 else text[:119] + "…"
