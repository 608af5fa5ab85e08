"""Q_PROPERTYs, read and written as PythonQt does: by value, and an error where the type does not fit."""

from __future__ import annotations

import enum
from typing import Any

from PySide6 import QtCore

NUMBERS = {"int": int, "uint": int, "double": float, "float": float, "qlonglong": int, "bool": bool}
# Taken as they are: Qt converts or refuses.
ANYTHING = frozenset(
    {"QVariant", "QVariantList", "QVariantMap", "QStringList", "QList<QString>", "PyObject", "QByteArray"}
)


def read_property(real: QtCore.QObject, index: int) -> Any:
    return real.property(real.metaObject().property(index).name())


def write_property(real: QtCore.QObject, index: int, value: Any) -> None:
    """Raises AttributeError, in PythonQt's words, where it is read-only or does not accept this value."""
    found = real.metaObject().property(index)
    name, kind = found.name(), found.typeName()
    if not found.isWritable():
        raise AttributeError(f"Property '{name}' of {type(real).__name__} object is not writable")
    accepted, converted = _convert(found, kind, value)
    if not accepted or not real.setProperty(name, converted):
        raise AttributeError(
            f"Property '{name}' of type '{kind}' does not accept an object of type {type(value).__name__} ({value!r})"
        )


def _convert(found: QtCore.QMetaProperty, kind: str, value: Any) -> tuple[bool, Any]:
    """Whether PythonQt would take the value for this type, and the value as Qt wants it."""
    if found.isEnumType():
        plain = value.value if isinstance(value, enum.Enum) else value
        return isinstance(plain, int | str), plain
    if kind == "QString":
        return value is not None, value if isinstance(value, str) else str(value)
    if kind in NUMBERS:
        number = value.value if isinstance(value, enum.Enum) else value
        return isinstance(number, int | float), NUMBERS[kind](number) if isinstance(number, int | float) else number
    if kind in ANYTHING:
        return True, list(value) if isinstance(value, tuple) else value
    # QIcon, QSize, QKeySequence …: an object of that very class, no implicit conversion.
    return type(value).__name__ == kind.rstrip("*"), value
