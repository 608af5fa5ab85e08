"""Loading a Designer file as Slicer does, where qMRML and ctk classes come from plugins.

Two things are done here by hand. Stand-ins are registered by name. And the file's <connections> are made in Python,
because Qt cannot match `vtkMRMLScene*` with a Python stand-in; like in Designer, each must exist on both ends.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

from PySide6 import QtCore, QtUiTools, QtWidgets

from . import ctk_slider, ctk_spin_box, ctk_widgets, qmrml_widgets, signals
from .pythonqt import property_index, to_python


class UserInterfaceError(AssertionError):
    """The .ui asks for something that Slicer's own loader would drop in silence."""


STAND_INS = {
    cls.__name__: cls
    for module in (ctk_widgets, ctk_slider, ctk_spin_box, qmrml_widgets) for cls in vars(module).values()
    if isinstance(cls, type) and cls.__name__.startswith(("ctk", "qMRML", "qSlicer"))
}


# Words of the .ui format that the loader itself understands.
DESIGNERS_OWN = frozenset({"buddy"})


# Known to every loader once one knows them. It takes long, and a panel makes three loaders.
_REGISTERED: set[str] = set()


class UiLoader(QtUiTools.QUiLoader):
    """QUiLoader with the stand-ins."""

    def __init__(self, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        for name in STAND_INS.keys() - _REGISTERED:
            self.registerCustomWidget(STAND_INS[name])
            _REGISTERED.add(name)

    def load(self, device: QtCore.QIODevice, parent: QtWidgets.QWidget | None = None) -> QtWidgets.QWidget:
        """Raises UserInterfaceError for an unknown class, property, or end of a connection."""
        tree = ET.fromstring(bytes(device.readAll().data()))
        _check_classes(self, tree)
        connections = tree.find("connections")
        if connections is not None:
            tree.remove(connections)
        buffer = QtCore.QBuffer()
        buffer.setData(ET.tostring(tree))
        buffer.open(QtCore.QIODevice.ReadOnly)
        widget = super().load(buffer, parent)
        if widget is None:
            raise UserInterfaceError(f"Qt cannot load this .ui: {self.errorString()}")
        _check_properties(tree, widget)
        for connection in connections if connections is not None else ():
            _connect(widget, {part.tag: part.text or "" for part in connection})
        return widget


def _check_classes(loader: QtUiTools.QUiLoader, tree: ET.Element) -> None:
    known = {*loader.availableWidgets(), *STAND_INS, "Line"}
    for element in tree.iter("widget"):
        if element.get("class") not in known:
            raise UserInterfaceError(f"no class {element.get('class')} (of '{element.get('name')}') in this harness")


def _check_properties(tree: ET.Element, widget: QtWidgets.QWidget) -> None:
    """A misspelt property becomes a dynamic one that does nothing. (A Line is a QFrame with an orientation.)"""
    for element in tree.iter("widget"):
        if element.get("class") == "Line":
            continue
        made = _named(widget, element.get("name", ""))
        for prop in element.findall("property"):
            if prop.get("name") not in DESIGNERS_OWN and property_index(made, prop.get("name", "")) < 0:
                raise UserInterfaceError(
                    f"{element.get('class')} '{element.get('name')}' has no property '{prop.get('name')}'"
                )


def _named(widget: QtWidgets.QWidget, name: str) -> Any:
    found = widget if widget.objectName() == name else widget.findChild(QtCore.QObject, name)
    if found is None:
        raise UserInterfaceError(f"the .ui names '{name}', which was not made")
    return found


def _connect(widget: QtWidgets.QWidget, connection: dict[str, str]) -> None:
    sender, receiver = _named(widget, connection["sender"]), to_python(_named(widget, connection["receiver"]))
    name, _, types = connection["slot"].partition("(")
    target = getattr(receiver, name, None)
    if not callable(target):
        raise UserInterfaceError(f"{receiver.className()} '{receiver.objectName}' has no slot {connection['slot']}")
    count = 0 if types == ")" else types.count(",") + 1

    def call(*arguments: Any) -> None:
        target(*arguments[:count])

    signals.connect(sender, connection["signal"], call)
