"""`slicer.app`: the Qt application, with as much of qSlicerApplication as a scripted module meets."""

from __future__ import annotations

import atexit
import sys
import tempfile
from typing import Any

from PySide6 import QtCore, QtWidgets

from .layout import qSlicerLayoutManager
from .stand_in import computed, stored


class qSlicerModuleManager(QtCore.QObject):
    """Knows the loaded modules by name."""

    moduleLoaded = QtCore.Signal(str)
    moduleAboutToBeUnloaded = QtCore.Signal(str)
    moduleUnloaded = QtCore.Signal(str)

    def __init__(self, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self._modules: dict[str, Any] = {}

    def module(self, name: str) -> Any:
        return self._modules.get(name)

    def isLoaded(self, name: str) -> bool:
        return name in self._modules

    def modulesNames(self) -> list[str]:
        return list(self._modules)


class ModuleSelector(QtWidgets.QWidget):
    """The toolbar's module chooser, without its menu."""

    moduleSelected = QtCore.Signal(str)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._selected = ""

    def selectModule(self, name: str) -> None:
        if name != self._selected:
            self._selected = name
            self.moduleSelected.emit(name)

    selectedModule = computed(str, lambda self: self._selected, lambda self, name: self.selectModule(name))


class qSlicerMainWindow(QtWidgets.QMainWindow):
    """The main window: a status bar and the module chooser."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self._selector = ModuleSelector(self)

    def moduleSelector(self) -> ModuleSelector:
        return self._selector


class qSlicerApplication(QtWidgets.QApplication):
    """One for the process. Each harness sets its scene and its settings folder anew."""

    startupCompleted = QtCore.Signal()

    def __init__(self) -> None:
        super().__init__(["Slicer"])
        self.setQuitOnLastWindowClosed(False)
        self._scene: Any = None
        self._logic: Any = None
        self._modules = qSlicerModuleManager(self)
        self._layouts = qSlicerLayoutManager(self)
        self._window = qSlicerMainWindow()

    def _open(self, scene: Any, logic: Any) -> None:
        self._scene, self._logic = scene, logic
        self._layouts._open(scene, logic)

    def _close(self) -> None:
        self._modules._modules.clear()
        self._layouts._close()
        self._scene = self._logic = None

    def mrmlScene(self) -> Any:
        return self._scene

    def applicationLogic(self) -> Any:
        return self._logic

    def layoutManager(self) -> qSlicerLayoutManager:
        return self._layouts

    def moduleManager(self) -> qSlicerModuleManager:
        return self._modules

    def mainWindow(self) -> qSlicerMainWindow:
        return self._window

    def settings(self) -> QtCore.QSettings:
        return QtCore.QSettings()

    def userSettings(self) -> QtCore.QSettings:
        return QtCore.QSettings()

    def revisionUserSettings(self) -> QtCore.QSettings:
        return QtCore.QSettings()

    def testingEnabled(self) -> bool:
        """No: in testing mode Slicer skips its dialogs, and the tests want to see them."""
        return False

    def pauseRender(self) -> None:
        """There is nothing to render here."""

    def resumeRender(self) -> None:
        """There is nothing to render here."""

    def moduleDocumentationUrl(self, name: str) -> str:
        return f"{self.property('documentationBaseUrl')}/user_guide/modules/{name.lower()}.html"

    temporaryPath = stored(str, tempfile.gettempdir())
    slicerHome = stored(str, "")
    documentationBaseUrl = stored(str, "https://slicer.readthedocs.io/en/latest")
    applicationLocaleName = stored(str, "en_US")
    # The oldest Slicer that the extension supports.
    majorVersion = computed(int, lambda self: 5)
    minorVersion = computed(int, lambda self: 10)


def _print_message(kind: QtCore.QtMsgType, context: QtCore.QMessageLogContext, message: str) -> None:
    """Qt's warnings, less the one that the offscreen platform has for every window."""
    if "propagateSizeHints" not in message:
        print(f"Qt: {message}", file=sys.stderr)


_APPLICATION: list[qSlicerApplication] = []


def application() -> qSlicerApplication:
    """The process's one. Raises RuntimeError where something else made a QApplication first."""
    if not _APPLICATION:
        if QtWidgets.QApplication.instance() is not None:
            raise RuntimeError("another QApplication is already there; the harness needs its own")
        QtCore.qInstallMessageHandler(_print_message)
        atexit.register(QtCore.qInstallMessageHandler, None)
        _APPLICATION.append(qSlicerApplication())
    return _APPLICATION[0]
