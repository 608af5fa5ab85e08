"""The modules `qt` and `ctk`: all classes of Qt in one flat namespace, with PythonQt's manners."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from PySide6 import QtCore, QtGui, QtNetwork, QtSvg, QtUiTools, QtWidgets

from . import ctk_slider, ctk_spin_box, ctk_widgets, dialogs, user_interface
from .pythonqt import class_for

QT = (QtWidgets, QtGui, QtCore, QtUiTools, QtSvg, QtNetwork)


class QtModule(ModuleType):
    """`import qt`: names are looked up when they are used. Python's own spellings (`Signal`, `Slot`) are not there."""

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("Q"):
            raise AttributeError(f"module 'qt' has no attribute '{name}'")
        if name == "QUiLoader":
            return class_for(user_interface.UiLoader)
        for module in QT:
            found = getattr(module, name, None)
            if isinstance(found, type):
                return class_for(found)
        raise AttributeError(f"module 'qt' has no attribute '{name}'")


CTK_CLASSES = {
    cls.__name__: cls for module in (ctk_widgets, ctk_slider, ctk_spin_box, dialogs) for cls in vars(module).values()
    if isinstance(cls, type) and cls.__name__.startswith("ctk")
}


class CtkModule(ModuleType):
    """`import ctk`: the stand-ins there are."""

    def __getattr__(self, name: str) -> Any:
        if name not in CTK_CLASSES:
            raise AttributeError(f"module 'ctk' has no attribute '{name}' (or the harness has no stand-in for it yet)")
        return class_for(CTK_CLASSES[name])


QT_MODULE, CTK_MODULE = QtModule("qt"), CtkModule("ctk")
