"""Q_PROPERTYs of the stand-ins: real ones in Qt's meta object, as the C++ class declares them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6 import QtCore


def stored(kind: Any, default: Any, changed: Callable[[Any], None] | None = None) -> QtCore.Property:
    """A property that is kept as set; `changed(widget)` follows. A list default is copied for each object."""
    key = object()

    def values(owner: Any) -> dict[Any, Any]:
        return owner.__dict__.setdefault("_stored", {})

    def get(owner: Any) -> Any:
        return values(owner).get(key, list(default) if isinstance(default, list) else default)

    def put(owner: Any, value: Any) -> None:
        values(owner)[key] = value
        if changed is not None:
            changed(owner)

    return QtCore.Property(kind, get, put)


def computed(kind: Any, get: Callable[[Any], Any], put: Callable[[Any, Any], None] | None = None) -> QtCore.Property:
    """A property read from the widget's parts, and written to them where `put` is given."""
    return QtCore.Property(kind, get, put) if put is not None else QtCore.Property(kind, get)
