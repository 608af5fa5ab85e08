"""Qt's enums as PythonQt shows them: integers that print as integers, add up with | and are taken where ints are."""

from __future__ import annotations

import enum
from typing import Any


class EnumValue(int):
    """An int that remembers which Qt enum it came from, so that it can be handed back to Qt."""

    member: Any

    def __new__(cls, member: Any) -> EnumValue:
        value = super().__new__(cls, member.value)
        value.member = member
        return value

    def __or__(self, other: int) -> int:
        return self._combine(other, int(self) | int(other))

    def __and__(self, other: int) -> int:
        return self._combine(other, int(self) & int(other))

    __ror__ = __or__
    __rand__ = __and__

    def _combine(self, other: int, value: int) -> int:
        """Flags of one kind stay flags of that kind; with anything else it is a plain int."""
        kind = type(self.member)
        if issubclass(kind, enum.Flag) and (not isinstance(other, EnumValue) or type(other.member) is kind):
            return EnumValue(kind(value))
        return value


class EnumWrapper(type):
    """A Qt enum's own name (`qt.Qt.AlignmentFlag`): its values, and `(int)` to make one."""

    def __call__(cls, value: int) -> EnumValue:  # type: ignore[override]
        return EnumValue(cls.qt_enum(int(value)))  # type: ignore[attr-defined]

    def __getattr__(cls, name: str) -> EnumValue:
        kind = type.__getattribute__(cls, "qt_enum")
        try:
            return EnumValue(kind[name])
        except KeyError:
            raise AttributeError(f"{kind.__name__} has no attribute named '{name}'") from None


def wrap_enum(kind: type[enum.Enum]) -> EnumWrapper:
    return EnumWrapper(kind.__name__, (), {"qt_enum": kind})
