"""Connecting Python to Qt's signals as PythonQt does, and keeping the exceptions that Slicer would print.

A signal is named by its full signature. PythonQt returns False for one that does not exist and the panel silently stays
dead; here that raises.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import shiboken6
from PySide6 import QtCore

from .errors import UNCAUGHT


class SignalError(AttributeError):
    """There is no such signal. Slicer's `connect` would have returned False and connected nothing."""


# Connections made: C++ address of the sender -> [(signature, Python callable, Qt's connection)].
_CONNECTIONS: dict[int, list[tuple[str, Any, Any]]] = {}


def connect(real: QtCore.QObject, signal: str, target: Callable[..., Any]) -> bool:
    signature = find(real, signal)
    if not callable(target):
        raise TypeError(f"connect('{signal}', …): {target!r} cannot be called")
    made = QtCore.QObject.connect(real, QtCore.SIGNAL(_own_signature(real, signature)), slot(target))
    if not made:
        raise SignalError(f"{type(real).__name__}: Qt would not connect {signature}")
    address = shiboken6.getCppPointer(real)[0]
    if address not in _CONNECTIONS:
        _CONNECTIONS[address] = []
        real.destroyed.connect(lambda *_: _CONNECTIONS.pop(address, None))
    _CONNECTIONS[address].append((signature, target, made))
    return True


def disconnect(real: QtCore.QObject, signal: str, target: Callable[..., Any] | None = None) -> bool:
    """Undo one connection (PythonQt compares the callable with ==), or all of that signal. False if there was none."""
    signature = find(real, signal)
    mine = _CONNECTIONS.get(shiboken6.getCppPointer(real)[0], [])
    gone = [entry for entry in mine if entry[0] == signature and (target is None or entry[1] == target)]
    for entry in gone if target is None else gone[:1]:
        QtCore.QObject.disconnect(entry[2])
        mine.remove(entry)
    return bool(gone)


def find(real: QtCore.QObject, signal: str) -> str:
    """The signal's normalised signature. Raises SignalError, naming those that are there."""
    signature = bytes(QtCore.QMetaObject.normalizedSignature(signal).data()).decode()
    name = signature.partition("(")[0]
    if signature in signatures(real, name):
        return signature
    near = ", ".join(signatures(real, name)) or "no signal of that name"
    raise SignalError(f"{type(real).__name__} has no signal '{signal}' ({near}); Slicer would silently connect nothing")


def signatures(real: QtCore.QObject, name: str) -> tuple[str, ...]:
    """All overloads of a signal in the order of its class; C++ names where a stand-in tells them in SIGNATURES."""
    key = (type(real), real.metaObject().className())
    if key not in _SIGNALS:
        _SIGNALS[key] = _all_signals(real)
    return _SIGNALS[key].get(name, ())


# A class's signals, by name: (PySide6 class, C++ class name) -> {name: signatures}.
_SIGNALS: dict[tuple[type, str], dict[str, tuple[str, ...]]] = {}


def _all_signals(real: QtCore.QObject) -> dict[str, tuple[str, ...]]:
    told = getattr(type(real), "SIGNATURES", {})
    hidden = set(told.values())
    meta = real.metaObject()
    methods = (meta.method(index) for index in range(meta.methodCount()))
    found = [bytes(m.methodSignature().data()).decode() for m in methods if m.methodType() == QtCore.QMetaMethod.Signal]
    signals: dict[str, tuple[str, ...]] = {}
    for signature in [*told, *(signature for signature in found if signature not in hidden)]:
        name = signature.partition("(")[0]
        signals[name] = (*signals.get(name, ()), signature)
    return signals


def _own_signature(real: QtCore.QObject, signature: str) -> str:
    return getattr(type(real), "SIGNATURES", {}).get(signature, signature)


def target_of(target: tuple[Any, ...]) -> Any:
    """`f`, or `receiver, 'slot(bool)'`, as something to call."""
    match target:
        case [function]:
            return function
        case [receiver, str() as signature]:
            return getattr(receiver, signature.partition("(")[0])
    raise TypeError(f"connect takes a callable, or a receiver and its slot; got {target!r}")


def slot(target: Callable[..., Any]) -> Callable[..., None]:
    """A function for Qt to call: gives the target as many arguments as it takes, and keeps its exceptions."""
    from .pythonqt import to_python

    count = _takes(target)

    def called(*arguments: Any) -> None:
        try:
            target(*(to_python(argument) for argument in arguments[:count]))
        except Exception as error:
            UNCAUGHT.record(error)

    return called


def _takes(target: Callable[..., Any]) -> int | None:
    """How many arguments PythonQtSignalTarget::call hands over: a Python function's own count, defaults included."""
    function = target.__func__ if inspect.ismethod(target) else target
    if not inspect.isfunction(function) or function.__code__.co_flags & inspect.CO_VARARGS:
        return None
    return function.__code__.co_argcount - (1 if inspect.ismethod(target) else 0)


class Signal:
    """`button.clicked`: connect to it, or call it to emit it."""

    __slots__ = ("_name", "_real", "_signature")

    def __init__(self, real: QtCore.QObject, name: str, signature: str = "") -> None:
        self._real, self._name = real, name
        self._signature = signature or signatures(real, name)[0]

    def connect(self, target: Callable[..., Any]) -> bool:
        return connect(self._real, self._signature, target)

    def disconnect(self, target: Callable[..., Any] | None = None) -> bool:
        return disconnect(self._real, self._signature, target)

    def __getitem__(self, types: str) -> Signal:
        return Signal(self._real, self._name, find(self._real, f"{self._name}({types})"))

    def __call__(self, *arguments: Any) -> None:
        from .pythonqt import to_qt

        own = _own_signature(self._real, self._signature).partition("(")[0]
        getattr(self._real, own).emit(*(to_qt(argument) for argument in arguments))

    emit = __call__
