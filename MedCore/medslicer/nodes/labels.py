"""The properties of a class of findings that Slicer needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from .terminology import Terminology


class Label(Protocol):
    """How a class of findings looks, what it is in codes and in other schemes of names ("FDI", "anatomical"), and the
    folder that it belongs to (a package's `medinfer.manifest.Label`).
    """

    @property
    def name(self) -> str: ...
    @property
    def color(self) -> tuple[float, float, float]: ...
    @property
    def terminology(self) -> Terminology | None: ...
    @property
    def names(self) -> Mapping[str, str]: ...
    @property
    def group(self) -> str: ...
