"""`slicer` as a child started with PythonSlicer finds it: the kits, no module logics, no `util` until it is imported.

Put this folder's parent first on PYTHONPATH. The classes of slicer-core's modules are then in modules of their own, as
those of Slicer are: `vtkSlicerMarkupsModuleLogicPython` …
"""

import importlib
import re
import sys
from importlib.machinery import ModuleSpec

_KITS = (
    "vtkITK", "vtkRemoteIO", "vtkSegmentationCore", "vtkTeem", "MRMLCLI", "MRMLCore", "MRMLDisplayableManager",
    "MRMLLogic", "vtkSlicerBaseLogic",
)
_OF_A_MODULE = re.compile(r"vtkSlicer\w+Module(MRML|Logic|VTKWidgets|MRMLDisplayableManager)Python")


class _ModuleLibraries:
    """Finds `vtkSlicer…Module…Python` in slicer-core."""

    def find_spec(self, name, path=None, target=None):
        if not _OF_A_MODULE.fullmatch(name):
            return None
        own = f"slicer_core.{name.removesuffix('Python')}"
        return ModuleSpec(name, self) if importlib.util.find_spec(own) is not None else None

    def create_module(self, spec):
        return importlib.import_module(f"slicer_core.{spec.name.removesuffix('Python')}")

    def exec_module(self, module):
        """It is loaded."""


def _take_kits():
    for kit in _KITS:
        library = importlib.import_module(f"slicer_core.{kit}")
        globals().update({name: value for name, value in vars(library).items() if not name.startswith("_")})


sys.meta_path.append(_ModuleLibraries())
_take_kits()
