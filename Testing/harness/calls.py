"""Calling PySide6 with what PythonQt would accept."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Sequence
from typing import Any, get_args

# PySide6 makes a QKeySequence, a QColor or a QIcon of a str by itself; PythonQt wants the object.
NO_IMPLICIT_STR = {"QShortcut": "QKeySequence", "setShortcut": "QKeySequence", "setKey": "QKeySequence"}

# Of all Qt's methods PythonQt gives a Python function to this one only; PySide6 to many (QMenu.addAction …).
TAKES_CALLABLE = frozenset({"singleShot"})


def call_qt(function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    """Call it; where an enum is wanted an int will do. Raises ValueError, as PythonQt does, where nothing fits."""
    name = getattr(function, "__name__", "")
    wanted = NO_IMPLICIT_STR.get(name)
    if wanted and arguments and isinstance(arguments[0], str):
        raise ValueError(f"{name}: PythonQt makes no {wanted} of a str; write qt.{wanted}({arguments[0]!r})")
    if name not in TAKES_CALLABLE and any(map(_is_python_function, arguments)):
        raise ValueError(f"{name}: PythonQt takes no Python function here; use connect")
    try:
        return function(*arguments)
    except TypeError as error:
        for changed in _with_enums(function, arguments):
            try:
                return function(*changed)
            except TypeError:
                continue
        raise ValueError(f"Could not find matching overload for given arguments: {error}") from None


def _is_python_function(value: Any) -> bool:
    return inspect.isfunction(value) or inspect.ismethod(value)


def _with_enums(function: Callable[..., Any], arguments: Sequence[Any]) -> list[list[Any]]:
    """The arguments with plain ints made into the enums that the overloads want there, one list an overload."""
    if not any(type(argument) is int for argument in arguments):
        return []
    from shibokensupport.signature import get_signature

    owner = type(getattr(function, "__self__", None))
    signatures = get_signature(function) or get_signature(getattr(owner, getattr(function, "__name__", ""), function))
    if not signatures:
        return []
    changed = []
    for signature in signatures if isinstance(signatures, list) else [signatures]:
        kinds = [p.annotation for p in signature.parameters.values() if p.name != "self" and p.kind != p.KEYWORD_ONLY]
        candidate = [
            _as_enum(value, kind) for value, kind in zip(arguments, [*kinds, *[None] * len(arguments)], strict=False)
        ]
        if any(new is not old for new, old in zip(candidate, arguments, strict=True)):
            changed.append(candidate)
    return changed


def _as_enum(value: Any, annotation: Any) -> Any:
    if type(value) is not int:
        return value
    for kind in get_args(annotation) or (annotation,):
        if inspect.isclass(kind) and issubclass(kind, enum.Enum):
            try:
                return kind(value)
            except ValueError:
                return value
    return value
