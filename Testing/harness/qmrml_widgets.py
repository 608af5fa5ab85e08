"""qMRML and qSlicer widgets: as much of the C++ classes as a panel meets."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtWidgets

from .node_combo_box import qMRMLNodeComboBox

__all__ = ["qMRMLNodeComboBox", "qMRMLWidget", "qSlicerScriptedLoadableModuleWidget", "qSlicerWidget"]


class qMRMLWidget(QtWidgets.QWidget):
    """A widget that hands the scene on to what its .ui connects to mrmlSceneChanged."""

    SIGNATURES = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged(PyObject)"}  # noqa: RUF012
    mrmlSceneChanged = QtCore.Signal(object)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None

    def setMRMLScene(self, scene: Any) -> None:
        if scene is self._scene:
            return
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)

    def mrmlScene(self) -> Any:
        return self._scene


class qSlicerWidget(qMRMLWidget):
    """The base of module widgets' forms."""


class qSlicerScriptedLoadableModuleWidget(qSlicerWidget):
    """What a scripted module's widget gets as its parent: an empty column."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        QtWidgets.QVBoxLayout(self)
        self._self: Any = None
        self._reload: Any = None

    def self(self) -> Any:
        """The Python object of the widget."""
        return self._self

    def reload(self) -> None:
        self._reload()
