"""`slicer.app.layoutManager()`: Slicer's default layout as far as MRML goes.

The slice, view and camera nodes and the slice logics are the real ones. No view is drawn: there are no widgets that
render, and what asks for one gets an AttributeError.
"""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtWidgets

from .stand_in import computed

# The slice views of the layout, and what the bars over them say; their colours are their names'.
SLICES = {"Red": "R", "Green": "G", "Yellow": "Y"}


class qMRMLSliceWidget(QtWidgets.QWidget):
    """One slice view's logic and node."""

    def __init__(self, logic: Any, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._logic = logic

    def sliceLogic(self) -> Any:
        return self._logic

    def mrmlSliceNode(self) -> Any:
        return self._logic.GetSliceNode()

    def fitSliceToBackground(self) -> None:
        self._logic.FitSliceToBackground()


class qMRMLThreeDWidget(QtWidgets.QWidget):
    """The 3-D view's node."""

    def __init__(self, node: Any, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._node = node

    def mrmlViewNode(self) -> Any:
        return self._node


class qSlicerLayoutManager(QtCore.QObject):
    """Three slice views and one 3-D view; their nodes are singletons, so they stay when the scene is closed."""

    def __init__(self, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self._slices: dict[str, qMRMLSliceWidget] = {}
        self._views: list[qMRMLThreeDWidget] = []

    def _open(self, scene: Any, application_logic: Any) -> None:
        import slicer

        self._slice_logics = application_logic.GetSliceLogics()
        for name, label in SLICES.items():
            logic = slicer.vtkMRMLSliceLogic()
            logic.SetMRMLApplicationLogic(application_logic)
            logic.SetMRMLScene(scene)
            node = logic.AddSliceNode(name)
            node.SetLayoutLabel(label)
            node.SetLayoutColor(*getattr(node, f"Get{name}Color")())
            application_logic.GetSliceLogics().AddItem(logic)
            self._slices[name] = qMRMLSliceWidget(logic)
        view = slicer.vtkMRMLViewNode()
        view.SetLayoutName("1")
        view.SetName("View1")
        view.SetSingletonTag("1")
        scene.AddNode(view)
        camera = slicer.vtkMRMLCameraNode()
        camera.SetLayoutName("1")
        camera.SetSingletonTag("1")
        scene.AddNode(camera)
        self._views = [qMRMLThreeDWidget(view)]

    def mrmlSliceLogics(self) -> Any:
        """The application's own collection of vtkMRMLSliceLogic."""
        return self._slice_logics

    def _close(self) -> None:
        for widget in self._slices.values():
            widget._logic.SetMRMLScene(None)
            widget._logic = None
        self._slices.clear()
        for view in self._views:
            view._node = None
        self._views.clear()

    def sliceViewNames(self) -> list[str]:
        return list(self._slices)

    def sliceWidget(self, name: str) -> qMRMLSliceWidget | None:
        return self._slices.get(name)

    def threeDWidget(self, index: int) -> qMRMLThreeDWidget | None:
        return self._views[index] if 0 <= index < len(self._views) else None

    def resetSliceViews(self) -> None:
        for widget in self._slices.values():
            widget._logic.FitSliceToAll()

    threeDViewCount = computed(int, lambda self: len(self._views))
    tableViewCount = computed(int, lambda self: 0)
    plotViewCount = computed(int, lambda self: 0)
