"""A usable MRML scene without the Slicer application (`pip install slicer-core`).

Inside the application, `open_scene` returns the application's scene unchanged.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

from medinfer.errors import MedInferError

from .quiet import quiet_libraries

# Where `slicer` has the classes of its kits alone, as in Slicer's own Python without Slicer: whose are needed besides.
MODULES = (
    "Terminologies", "SubjectHierarchy", "Colors", "Markups", "Models", "Volumes", "Tables", "Transforms",
    "Segmentations", "VolumeRendering", "Cameras",
)
PARTS = ("MRML", "Logic", "VTKWidgets", "MRMLDisplayableManager")


class SlicerMissingError(MedInferError):
    """Neither 3D Slicer nor slicer-core is available."""


class HeadlessSlicer:
    """What the application's constructor does for the scene, in the order in which things depend on each other.

    scene: an empty vtkMRMLScene with colours, slice orientations and the logics that read and write files.
    application_logic: what displayable managers ask for colours, selection and other logics.
    Close it, or use it as a context manager: nodes, logics and the cache folder go with it.
    """

    def __init__(self) -> None:
        slicer = import_slicer()
        import vtk

        self.scene: Any = slicer.vtkMRMLScene()
        self.application_logic: Any = slicer.vtkSlicerApplicationLogic()
        self.application_logic.SetMRMLScene(self.scene)
        self.application_logic.GetColorLogic().SetMRMLScene(self.scene)
        self.application_logic.GetColorLogic().AddDefaultColorNodes()
        # Slice and view logics register here; without the collections displayable managers find none.
        self.application_logic.SetSliceLogics(vtk.vtkCollection())
        self.application_logic.SetViewLogics(vtk.vtkCollection())
        self._logics = [
            self._add_logic("Markups", slicer.vtkSlicerMarkupsLogic()),
            self._add_logic("Volumes", slicer.vtkSlicerVolumesLogic()),
            self._add_logic("Tables", slicer.vtkSlicerTablesLogic()),
            self._add_logic("Segmentations", slicer.vtkSlicerSegmentationsModuleLogic()),
            self._add_logic("VolumeRendering", slicer.vtkSlicerVolumeRenderingLogic()),
        ]
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self.scene)
        crosshair = slicer.vtkMRMLCrosshairNode()
        crosshair.SetCrosshairName("default")
        self.scene.AddNode(crosshair)
        self._add_file_cache(slicer)
        # slicer.util reads this name, as it does in the application.
        slicer.mrmlScene = self.scene

    def _add_logic(self, name: str, logic: Any) -> Any:
        logic.SetMRMLApplicationLogic(self.application_logic)
        # Named before it sees the scene: what it registers there looks its siblings up by name.
        self.application_logic.SetModuleLogic(name, logic)
        logic.SetMRMLScene(self.scene)
        return logic

    def _add_file_cache(self, slicer: Any) -> None:
        """Where a scene bundle (.mrb) is unpacked when it is read."""
        self._cache = TemporaryDirectory(prefix="medinfer-slicer-", ignore_cleanup_errors=True)
        remote = slicer.vtkMRMLRemoteIOLogic()
        remote.SetMRMLApplicationLogic(self.application_logic)
        remote.SetMRMLScene(self.scene)
        remote.GetCacheManager().SetRemoteCacheDirectory(self._cache.name)
        transfers = slicer.vtkDataIOManagerLogic()
        transfers.SetMRMLApplicationLogic(self.application_logic)
        transfers.SetMRMLScene(self.scene)
        transfers.SetAndObserveDataIOManager(remote.GetDataIOManager())
        remote.AddDataIOToScene()
        self._logics += [transfers, remote]

    def close(self) -> None:
        """Let go of the nodes first, then of the logics that observe the scene. Closing twice does nothing."""
        if self.scene is None:
            return
        self.scene.Clear(1)
        slicer = sys.modules.get("slicer")
        if slicer is not None and getattr(slicer, "mrmlScene", None) is self.scene:
            del slicer.mrmlScene
        # The logic of segmentations complains that no scene has no tree.
        with quiet_libraries():
            for logic in reversed(self._logics):
                logic.SetMRMLScene(None)
        self.application_logic.SetMRMLScene(None)
        self._logics.clear()
        self.scene = None
        self.application_logic = None
        self._cache.cleanup()

    def __enter__(self) -> HeadlessSlicer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def open_scene() -> Iterator[Any]:
    """The application's scene inside Slicer; elsewhere a fresh one that is closed at the end.

    Raises SlicerMissingError if neither Slicer nor slicer-core is available.
    """
    slicer = import_slicer()
    if in_application():
        yield slicer.mrmlScene
        return
    with HeadlessSlicer() as headless:
        yield headless.scene


def in_application() -> bool:
    """Whether this is the Slicer application, and not slicer-core."""
    return getattr(import_slicer(), "app", None) is not None


def import_slicer() -> Any:
    """The module `slicer` with all its classes. Raises SlicerMissingError, with what to install, if it is missing."""
    try:
        import slicer
    except ImportError as error:
        raise SlicerMissingError(
            "Slicer scenes cannot be created here: neither 3D Slicer nor slicer-core is installed; "
            "run: pip install slicer-core"
        ) from error
    _add_module_classes(slicer)
    return slicer


def _add_module_classes(slicer: Any) -> None:
    """Give `slicer` its `util` and the classes of MODULES where it lacks them.

    Raises SlicerMissingError, saying which library is not to be had, where one cannot be loaded.
    """
    importlib.import_module("slicer.util")
    if hasattr(slicer, "vtkSlicerMarkupsLogic"):
        return
    for module in MODULES:
        for part in PARTS:
            _add_classes(slicer, f"vtkSlicer{module}Module{part}Python")
    if not hasattr(slicer, "vtkSlicerMarkupsLogic"):
        raise SlicerMissingError(
            "This Python has Slicer's kits and not its modules (vtkSlicerMarkupsModuleLogicPython is nowhere on its "
            "path): install Slicer whole."
        )


def _add_classes(slicer: Any, name: str) -> None:
    try:
        classes = importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Few modules have every part; a part that lacks something else is another matter.
        if error.name == name:
            return
        raise SlicerMissingError(f"Slicer's {name} cannot be loaded here: {error}.") from error
    except ImportError as error:
        raise SlicerMissingError(f"Slicer's {name} cannot be loaded here: {error}.") from error
    for key, value in vars(classes).items():
        if key.startswith("vtk") and not hasattr(slicer, key):
            setattr(slicer, key, value)
