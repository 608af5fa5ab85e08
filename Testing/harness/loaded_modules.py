"""`slicer.modules`: modules by their lower-case name, the scripted ones loaded from their real files."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from PySide6 import QtCore, QtGui

from .application import application
from .pythonqt import to_python
from .qmrml_widgets import qSlicerScriptedLoadableModuleWidget
from .stand_in import computed, stored

# Module name in Slicer -> its logic's name in HeadlessSlicer's application logic.
LOGICS = {
    "markups": "Markups", "volumes": "Volumes", "tables": "Tables", "segmentations": "Segmentations",
    "volumerendering": "VolumeRendering",
}


class qSlicerCoreModule(QtCore.QObject):
    """A loadable C++ module: its name and its logic."""

    def __init__(self, name: str, logic: Any) -> None:
        super().__init__()
        self._name, self._logic = name, logic

    def logic(self) -> Any:
        return self._logic

    name = computed(str, lambda self: self._name)


class qSlicerScriptedLoadableModule(QtCore.QObject):
    """A scripted module as C++ sees it: the `parent` that its Python class fills."""

    def __init__(self, name: str, path: str) -> None:
        super().__init__()
        self._name, self._path = name, path
        self._widget: Any = None

    def widgetRepresentation(self) -> Any:
        return self._widget

    def logic(self) -> Any:
        return None

    name = computed(str, lambda self: self._name)
    path = computed(str, lambda self: self._path)
    title = stored(str, "")
    category = stored(str, "")
    categories = stored("QStringList", [])
    contributor = stored(str, "")
    contributors = stored("QStringList", [])
    dependencies = stored("QStringList", [])
    helpText = stored(str, "")
    acknowledgementText = stored(str, "")
    icon = stored(QtGui.QIcon, QtGui.QIcon())
    hidden = stored(bool, False)
    index = stored(int, -1)
    associatedNodeTypes = stored("QStringList", [])
    widgetRepresentationCreationEnabled = stored(bool, True)


def cpp_modules(application_logic: Any) -> SimpleNamespace:
    """`slicer.modules` before any scripted module is loaded."""
    modules = SimpleNamespace(sampleDataSources={})
    for name, logic in LOGICS.items():
        setattr(modules, name, to_python(qSlicerCoreModule(name, application_logic.GetModuleLogic(logic))))
    return modules


def load(path: Path) -> Any:
    """Run a scripted module's file and make its module object, as qSlicerScriptedLoadableModule does. No widget yet."""
    import slicer

    name = path.stem
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    specification = importlib.util.spec_from_file_location(name, path)
    source = importlib.util.module_from_spec(specification)  # type: ignore[arg-type]
    sys.modules[name] = source
    specification.loader.exec_module(source)  # type: ignore[union-attr]
    module = to_python(qSlicerScriptedLoadableModule(name, str(path)))
    setattr(slicer.modules, f"{name}Instance", getattr(source, name)(module))
    setattr(slicer.modules, name.lower(), module)
    manager = application()._modules
    manager._modules[name] = module
    manager.moduleLoaded.emit(name)
    return module


def make_widget(module: Any) -> Any:
    """The module's panel as C++ makes it: the Python class on an empty column, the scene, then setup()."""
    import slicer

    column = qSlicerScriptedLoadableModuleWidget()
    column.setObjectName(f"{module.name}ModuleWidget")

    def make() -> Any:
        widget = getattr(sys.modules[module.name], f"{module.name}Widget")(to_python(column))
        column._self = widget
        setattr(slicer.modules, f"{module.name}Widget", widget)
        widget.setup()
        return widget

    column._reload = make
    module._real._widget = column
    widget = make()
    column.setMRMLScene(slicer.mrmlScene)
    return widget
