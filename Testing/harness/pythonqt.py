"""PySide6 objects with PythonQt's manners.

The two bindings show the same Qt in different ways. In PythonQt a Q_PROPERTY is a value and not a call, enums are
ints, lists come back as tuples, an attribute the C++ class has not cannot be set, `connect` takes a signature as text.
A `PythonQtObject` holds one PySide6 object and shows it that way. Lookup follows PythonQtInstanceWrapper.cpp and
PythonQtClassInfo.cpp of PythonQt: property, then method, slot and signal, enum, dynamic property, child by name.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from functools import cache, partial
from types import FunctionType, MethodType
from typing import Any

import shiboken6
from PySide6 import QtCore

from . import signals
from .calls import call_qt
from .enums import EnumValue, wrap_enum
from .properties import read_property, write_property

# What PySide6 adds to a QObject that C++ has not.
NOT_IN_CPP = frozenset({"staticMetaObject", "receivers", "isSignalConnected", "emit"})
# Qt 6 has them, Qt 5.15 of Slicer 5.10 has not.
NOT_IN_QT5 = {"QCheckBox": frozenset({"checkStateChanged"}), "QTimer": frozenset({"timeoutAsDuration"})}


class PythonQtClass(type):
    """A Qt class: call it to make an object; its enums, static methods and nested classes are attributes."""

    qt_class: Any

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        qt_class = type.__getattribute__(cls, "qt_class")
        value = _class_attribute(qt_class, name)
        if isinstance(value, enum.Enum):
            return EnumValue(value)
        if isinstance(value, type):
            return wrap_enum(value) if issubclass(value, enum.Enum) else class_for(value)
        if not callable(value):
            raise AttributeError(f"{cls.__name__} has no attribute named '{name}'")
        static = STATIC_METHODS.get((qt_class, name))
        return static if static is not None else Method(value, f"{cls.__name__}.{name}")


# Static methods that the harness answers itself: dialogs. (PySide6 class, name) -> function.
STATIC_METHODS: dict[tuple[type, str], Callable[..., Any]] = {}
# Methods that it answers: (PySide6 class, name) -> function of the PySide6 object.
INSTANCE_METHODS: dict[tuple[type, str], Callable[..., Any]] = {}


class PythonQtObject(metaclass=PythonQtClass):
    """One Qt object as PythonQt shows it. Two are equal when they show the same C++ object."""

    __slots__ = ("__weakref__", "_real")
    qt_class: Any = None

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        if keywords:
            raise ValueError(f"PythonQt takes no keyword arguments: {type(self).__name__}({', '.join(keywords)}=…)")
        object.__setattr__(self, "_real", call_qt(self.qt_class, [to_qt(a) for a in arguments]))

    def __init_subclass__(cls, **keywords: Any) -> None:
        if "qt_class" not in cls.__dict__:
            raise TypeError(f"{cls.__name__}: a Qt class is subclassed in Python, which this harness does not support")

    # Reading, writing ------------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        real = object.__getattribute__(self, "_real")
        cls = type(self).__name__
        if isinstance(real, QtCore.QObject):
            if not shiboken6.isValid(real):
                raise ValueError(f"Trying to read '{name}' from a destroyed {cls} object")
            index = property_index(real, name)
            if index >= 0:
                return to_python(read_property(real, index))
            if name in NOT_IN_QT5.get(cls, ()):
                raise AttributeError(f"{cls}.{name} is in Qt 6 but not in Qt 5.15, which Slicer 5.10 has")
            if signals.signatures(real, name):
                return signals.Signal(real, name)
        found = _method(self, real, name)
        if found is not None:
            return found
        if isinstance(real, QtCore.QObject):
            dynamic = real.property(name)
            if dynamic is not None:
                return to_python(dynamic)
            for child in real.children():
                if child.objectName() == name:
                    return to_python(child)
        raise AttributeError(f"{cls} has no attribute named '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        real, cls = self._real, type(self).__name__
        if isinstance(real, QtCore.QObject):
            if not shiboken6.isValid(real):
                raise AttributeError(f"Trying to set property '{name}' on a destroyed {cls} object")
            index = property_index(real, name)
            if index >= 0:
                write_property(real, index, to_qt(value))
                return
            if name in map(bytes.decode, map(QtCore.QByteArray.data, real.dynamicPropertyNames())):
                real.setProperty(name, to_qt(value))
                return
        raise AttributeError(
            f"'{name}' does not exist on {cls} and creating new attributes on C++ objects is not allowed"
        )

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"'{name}' of {type(self).__name__} cannot be deleted")

    # What PythonQt adds ----------------------------------------------------------------------------------------

    def connect(self, signal: str, *target: Any) -> bool:
        """`connect('clicked(bool)', f)`, or `connect('clicked(bool)', receiver, 'setVisible(bool)')`."""
        return signals.connect(self._real, signal, signals.target_of(target))

    def disconnect(self, signal: str, *target: Any) -> bool:
        return signals.disconnect(self._real, signal, signals.target_of(target) if target else None)

    def className(self) -> str:
        return type(self).__name__

    def inherits(self, name: str) -> bool:
        return any(base.__name__ == name for base in type(self).__mro__)

    def delete(self) -> None:
        shiboken6.delete(self._real)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PythonQtObject):
            return False
        if isinstance(self._real, QtCore.QObject):
            return self._real is other._real
        return bool(self._real == other._real)

    def __hash__(self) -> int:
        return id(self._real) if isinstance(self._real, QtCore.QObject) else hash(str(self._real))

    def __bool__(self) -> bool:
        return not isinstance(self._real, QtCore.QObject) or shiboken6.isValid(self._real)

    def __repr__(self) -> str:
        return f"{type(self).__name__} ({self._real!r})"


class Method:
    """A slot or a public method: takes and gives PythonQt's values."""

    __slots__ = ("__self__", "_function", "_name")

    def __init__(self, function: Callable[..., Any], name: str, owner: Any = None) -> None:
        self._function, self._name, self.__self__ = function, name, owner

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        if keywords:
            raise ValueError(f"PythonQt takes no keyword arguments: {self._name}({', '.join(keywords)}=…)")
        if isinstance(self.__self__, PythonQtObject) and not self.__self__:
            raise ValueError(f"Trying to call '{self._name}' on a destroyed {type(self.__self__).__name__} object")
        return to_python(call_qt(self._function, [to_qt(argument) for argument in arguments]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Method) and (self._name, self.__self__) == (other._name, other.__self__)

    def __hash__(self) -> int:
        return hash(self._name)

    def __repr__(self) -> str:
        return f"<built-in qt slot {self._name}>"


_CLASSES: dict[type, PythonQtClass] = {QtCore.Qt: PythonQtClass("Qt", (), {"qt_class": QtCore.Qt})}


def class_for(qt_class: type) -> Any:
    """The PythonQt class of a PySide6 class (or of a stand-in that inherits one), with the same bases."""
    known = _CLASSES.get(qt_class)
    if known is not None:
        return known
    bases = tuple(class_for(base) for base in qt_class.__bases__ if _is_qt(base)) or (PythonQtObject,)
    known = PythonQtClass(qt_class.__name__, bases, {"qt_class": qt_class, "__slots__": ()})
    _CLASSES[qt_class] = known
    return known


@cache
def _is_qt(cls: type) -> bool:
    return any(base.__module__.startswith("PySide6.") for base in cls.__mro__)


# Most of what Qt gives: nothing is to be asked of them.
_PLAIN = (str, bool, int, float, type(None))


def to_python(value: Any) -> Any:
    """What Qt gave, as PythonQt hands it to Python."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, enum.Enum):
        return EnumValue(value)
    if isinstance(value, list | tuple):
        return tuple(to_python(item) for item in value)
    if isinstance(value, dict):
        return {key: to_python(item) for key, item in value.items()}
    if isinstance(value, PythonQtObject) or not _is_qt(type(value)):
        return value
    wrapped = object.__new__(class_for(type(value)))
    object.__setattr__(wrapped, "_real", value)
    return wrapped


def to_qt(value: Any) -> Any:
    """What Python gave, as PySide6 takes it. A Python function becomes a slot whose exceptions are kept."""
    if type(value) in _PLAIN:
        return value
    match value:
        case PythonQtObject():
            value = value._real
        case EnumValue():
            value = value.member
        case PythonQtClass():
            value = value.qt_class
        case list() | tuple():
            value = type(value)(to_qt(item) for item in value)
        case dict():
            value = {key: to_qt(item) for key, item in value.items()}
        case Method() | FunctionType() | MethodType():
            value = signals.slot(value)
    return value


def property_index(real: QtCore.QObject, name: str) -> int:
    """The index of a Q_PROPERTY; `name` is PythonQt's other word for objectName. −1 where there is none."""
    meta = real.metaObject()
    index = meta.indexOfProperty(name)
    return meta.indexOfProperty("objectName") if index < 0 and name == "name" else index


def _method(wrapper: PythonQtObject, real: Any, name: str) -> Any:
    """A method, enum value or nested class of the object's class; None where there is none."""
    if name in NOT_IN_CPP:
        return None
    for base in type(real).__mro__:
        if (base, name) in INSTANCE_METHODS:
            return partial(INSTANCE_METHODS[base, name], real)
    for spelling in (name, name.removesuffix("_")):
        try:
            value = _class_attribute(type(real), spelling)
        except AttributeError:
            continue
        if isinstance(value, enum.Enum):
            return EnumValue(value)
        if isinstance(value, type):
            return wrap_enum(value) if issubclass(value, enum.Enum) else class_for(value)
        if callable(value):
            return Method(getattr(real, spelling), f"{type(real).__name__}.{name}", wrapper)
    return None


def _class_attribute(qt_class: type, name: str) -> Any:
    if name in NOT_IN_CPP:
        raise AttributeError(name)
    try:
        return getattr(qt_class, name)
    except AttributeError:
        raise AttributeError(f"{qt_class.__name__} has no attribute named '{name}'") from None
