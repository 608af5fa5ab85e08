"""SlicerHarness: Slicer's Python world for one test."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import vtk
from PySide6 import QtCore, QtTest, QtWidgets

from . import dialogs, loaded_modules, qmrml_widgets, signals
from .application import application
from .errors import UNCAUGHT
from .pythonqt import PythonQtObject, class_for, to_python
from .qt_module import CTK_MODULE, QT_MODULE
from .sample_data import sample_data_module

REPOSITORY = Path(__file__).resolve().parents[2]


class LoadedModule:
    """A scripted module with its panel open."""

    def __init__(self, module: Any, widget: Any) -> None:
        self.name: str = module.name
        self.module = module
        self.widget = widget
        self.column: QtWidgets.QWidget = module._real._widget

    def ui(self, name: str) -> Any:
        """The PySide6 widget of that object name. Raises LookupError where the panel has none."""
        return find(self.column, name)


class SlicerHarness:
    """A fresh scene, settings and dialogs; the application and the modules `qt` and `ctk` are the process's.

    Leaving it quits the application as a user would, closes the scene, and raises SlotError where an exception was
    raised in a slot and nothing has raised it yet; AssertionError where an answer was prepared that no dialog took.
    """

    def __init__(self, settings_folder: Path) -> None:
        self.settings_folder = Path(settings_folder)
        self.modules: dict[str, LoadedModule] = {}
        self.errors = UNCAUGHT
        self.dialogs = dialogs.DIALOGS

    # A life -----------------------------------------------------------------------------------------------------

    def __enter__(self) -> SlicerHarness:
        import slicer

        from .scripted_modules import scripted_modules

        self._path, self._slicer_before = list(sys.path), set(vars(slicer))
        self.app = application()
        _use_settings(self.settings_folder)
        dialogs.install()
        self.dialogs.clear()
        UNCAUGHT.clear()
        UNCAUGHT.watch()
        sys.modules |= {"qt": QT_MODULE, "ctk": CTK_MODULE, "SampleData": sample_data_module()}
        core = str(REPOSITORY / "MedCore")
        if core not in sys.path:
            sys.path.append(core)
        from medslicer.headless import HeadlessSlicer

        self._headless = HeadlessSlicer()
        self.scene = self._headless.scene
        self._add_data_module(slicer)
        self.app._open(self.scene, self._headless.application_logic)
        self._names = {
            "app": to_python(self.app), "modules": loaded_modules.cpp_modules(self._headless.application_logic),
            **{name: class_for(cls) for name, cls in vars(qmrml_widgets).items() if name.startswith(("qMRML", "qS"))},
            "qSlicerScriptedLoadableModule": class_for(loaded_modules.qSlicerScriptedLoadableModule),
            "selfTests": {},
        }
        for name, module in scripted_modules().items():
            sys.modules[name] = module
            self._names[name.partition(".")[2]] = module
        for name, value in self._names.items():
            setattr(slicer, name, value)
        self.app._window.moduleSelector().selectModule("")
        return self

    def _add_data_module(self, slicer: Any) -> None:
        """Its logic removes display and storage nodes with the node that they belong to."""
        self._data_logic = slicer.vtkSlicerDataModuleLogic()
        self._data_logic.SetMRMLApplicationLogic(self._headless.application_logic)
        self._data_logic.SetMRMLScene(self.scene)

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def leaves_tree(scene: Any, event: Any, node: Any) -> None:
            # qSlicerSubjectHierarchyPluginLogic asks for its tree: an error in the log once it has left its scene.
            if node.GetScene() is None:
                slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(None)

        self.scene.AddObserver(self.scene.NodeAboutToBeRemovedEvent, leaves_tree)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.quit()
        finally:
            self._take_down()
        if kind is None:
            UNCAUGHT.raise_if_any()
            if self.dialogs.unused:
                raise AssertionError(f"{self.dialogs.unused} answers were prepared for dialogs that never came up")

    def _take_down(self) -> None:
        import slicer

        for name in list(self.modules):
            self._unload(name)
        self.process_events()
        self.app._close()
        self._data_logic.SetMRMLScene(None)
        self._headless.close()
        UNCAUGHT.unwatch()
        # All that was hung on `slicer` goes, as it would with the process; modules that were imported stay.
        for name, value in list(vars(slicer).items()):
            if name in self._names or (name not in self._slicer_before and not isinstance(value, ModuleType)):
                delattr(slicer, name)
        for name in ("qt", "ctk", "SampleData", "slicer.ScriptedLoadableModule", "slicer.i18n"):
            sys.modules.pop(name, None)
        sys.path[:] = self._path

    def _unload(self, name: str) -> None:
        module = self.modules.pop(name)
        self.app._modules.moduleAboutToBeUnloaded.emit(name)
        module.column.deleteLater()
        sys.modules.pop(name, None)

    # Modules ----------------------------------------------------------------------------------------------------

    def load_module(self, name: str, folder: Path | None = None) -> LoadedModule:
        """Load NAME/NAME.py of the repository (or folder/NAME.py), show its panel and enter it."""
        path = (folder or REPOSITORY / name) / f"{name}.py"
        module = loaded_modules.load(path)
        loaded = LoadedModule(module, loaded_modules.make_widget(module))
        self.modules[name] = loaded
        # Slicer says this once, when all its modules are loaded; who heard it hears it no more.
        self.app.startupCompleted.emit()
        signals.disconnect(self.app, "startupCompleted()")
        self.enter(loaded)
        UNCAUGHT.raise_if_any()
        return loaded

    def enter(self, module: LoadedModule) -> None:
        """Select it, as with the module chooser: the one before is left."""
        for other in self.modules.values():
            if other is not module and other.column.isVisible():
                self.leave(other)
        self.app._window.moduleSelector().selectModule(module.name)
        module.column.show()
        module.widget.enter()
        self.process_events()

    def leave(self, module: LoadedModule) -> None:
        module.column.hide()
        module.widget.exit()

    def reload(self, module: LoadedModule) -> None:
        """Slicer's own Reload: the file is read again, the old panel is cleaned up, a new one is made."""
        module.widget.onReload()
        module.widget = module.column._self
        self.process_events()
        module.widget.enter()
        UNCAUGHT.raise_if_any()

    def quit(self) -> None:
        """Quit as the user does: the event loop ends and `aboutToQuit` is emitted."""
        QtCore.QTimer.singleShot(0, self.app, self.app.quit)
        self.app.exec()

    # Acting and looking -------------------------------------------------------------------------------------------

    def find(self, module: LoadedModule | QtWidgets.QWidget, name: str) -> Any:
        return find(module.column if isinstance(module, LoadedModule) else module, name)

    def click(self, widget: Any) -> None:
        """A left click in the middle of an enabled, visible widget (of a header, on the header)."""
        real = raw(widget)
        if not real.isEnabled():
            raise AssertionError(f"'{real.objectName()}' is disabled: a click does nothing")
        if not real.isVisible():
            raise AssertionError(f"'{real.objectName()}' is not visible: nobody can click it")
        place = QtCore.QPoint()
        if hasattr(real, "_header"):
            place = QtCore.QPoint(10, real._header().height() // 2)
        elif isinstance(real, QtWidgets.QCheckBox | QtWidgets.QRadioButton):
            place = QtCore.QPoint(8, real.height() // 2)
        QtTest.QTest.mouseClick(real, QtCore.Qt.LeftButton, QtCore.Qt.NoModifier, place)
        self.process_events()
        UNCAUGHT.raise_if_any()

    def press(self, widget: Any, key: QtCore.Qt.Key, modifier: Any = QtCore.Qt.NoModifier) -> None:
        QtTest.QTest.keyClick(raw(widget), key, modifier)
        self.process_events()
        UNCAUGHT.raise_if_any()

    def click_cell(self, table: Any, row: int, column: int) -> None:
        """A left click in the middle of a table's cell, scrolled into view first."""
        real = raw(table)
        index = real.model().index(row, column)
        if not index.isValid():
            raise AssertionError(f"'{real.objectName()}' has no cell {row}, {column}")
        real.scrollTo(index)
        place = real.visualRect(index).center()
        QtTest.QTest.mouseClick(real.viewport(), QtCore.Qt.LeftButton, QtCore.Qt.NoModifier, place)
        self.process_events()
        UNCAUGHT.raise_if_any()

    def choose(self, combo: Any, text: str) -> None:
        """Choose the entry of a combo box, or the node of a node selector, by its text as the user sees it."""
        real = raw(combo)
        real = getattr(real, "_combo", real)
        index = real.findText(text)
        if index < 0 or not real.isEnabled():
            entries = [real.itemText(n) for n in range(real.count())]
            raise AssertionError(f"'{text}' cannot be chosen: enabled {real.isEnabled()}, entries {entries}")
        real.setCurrentIndex(index)
        real.activated.emit(index)
        self.process_events()
        UNCAUGHT.raise_if_any()

    def process_events(self) -> None:
        self.app.sendPostedEvents(None, QtCore.QEvent.DeferredDelete)
        self.app.processEvents()

    def wait_until(self, condition: Callable[[], Any], seconds: float = 60, what: str = "") -> Any:
        """Run the Qt loop until the condition holds, and give back its value. AssertionError after `seconds`."""
        end = time.monotonic() + seconds
        while True:
            self.app.processEvents(QtCore.QEventLoop.AllEvents, 20)
            UNCAUGHT.raise_if_any()
            value = condition()
            if value:
                return value
            if time.monotonic() > end:
                raise AssertionError(f"waited {seconds} s in vain for {what or 'the condition'}")
            time.sleep(0.005)

    def answer(self, confirm: bool = True) -> None:
        """What the next message or confirmation is answered with."""
        self.dialogs.answer(confirm)

    def choose_file(self, path: Path | str) -> None:
        """What the next file or folder dialog gives; '' cancels it."""
        self.dialogs.choose_file(str(path))

    @property
    def shown_dialogs(self) -> list[dialogs.ShownDialog]:
        return self.dialogs.shown

    def grab(self, widget: Any, path: Path | str) -> None:
        """Draw the widget into a PNG file."""
        real = raw(widget.column if isinstance(widget, LoadedModule) else widget)
        if not real.grab().save(str(path)):
            raise OSError(f"cannot write {path}")


def find(widget: Any, name: str) -> Any:
    """The object of that name; the newest child is asked first, as a reload leaves the old panel hidden behind it."""
    real = raw(widget)
    for child in reversed(real.children()):
        found = child if child.objectName() == name else child.findChild(QtCore.QObject, name)
        if found is not None:
            return found
    raise LookupError(f"there is no '{name}' in '{real.objectName()}'")


def raw(widget: Any) -> Any:
    return widget._real if isinstance(widget, PythonQtObject) else widget


def _use_settings(folder: Path) -> None:
    """QSettings() and slicer.app.settings() are one ini file in this folder."""
    QtCore.QCoreApplication.setOrganizationName("NA-MIC")
    QtCore.QCoreApplication.setApplicationName("Slicer")
    QtCore.QSettings.setDefaultFormat(QtCore.QSettings.IniFormat)
    for scope in (QtCore.QSettings.UserScope, QtCore.QSettings.SystemScope):
        QtCore.QSettings.setPath(QtCore.QSettings.IniFormat, scope, str(folder))
