"""The panel of a module: its sections, and their updates from the scene."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import qt
import slicer
import vtk
from slicer.util import VTKObservationMixin

from ..nodes.lookup import nodes_of
from ..pictures.overview import show_overview
from ..results.alone import show_alone
from ..results.result import results_in
from ..results.undone import put_back
from .device_section import DeviceSection
from .form import add_form
from .measures_section import MeasuresSection
from .message import MessageLine
from .model_section import ModelSection
from .result_watch import ResultWatch
from .results_section import ResultsSection
from .run_section import RunSection
from .settings import Settings
from .surface_work import SurfaceWork
from .teeth_section import TeethSection

if TYPE_CHECKING:
    from ..profiles import Profile
    from ..results.result import Result

# As the selector offers them: label maps and colour images are scalar volumes too, but no scans.
_SCAN = "vtkMRMLScalarVolumeNode"


class Panel(VTKObservationMixin):  # type: ignore[misc]  # Slicer's class is Any
    """Lives as long as the module's widget. ui: the module's own form with its places; parameter_node(): the module's.

    After any change, everything is shown again from the settings and the scene: the controls themselves store
    nothing.
    """

    def __init__(self, profile: Profile, ui: Any, parameter_node: Callable[[], Any]) -> None:
        super().__init__()
        self._profile, self._parameter_node = profile, parameter_node
        own = slicer.util.childWidgetVariables(ui)
        run_ui = add_form("Run", own.runPlace)
        results_ui = add_form("Results", own.resultsPlace)
        self.settings = Settings(profile.module, parameter_node())
        self._soon = qt.QTimer()
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.connect("timeout()", self.refresh)
        message, outcome = MessageLine(run_ui.messageLabel), MessageLine(results_ui.resultsMessage)
        self._lines = (message, outcome)
        self.models = ModelSection(run_ui, message, profile, self.settings, self.refresh_soon)
        self.devices = DeviceSection(run_ui, message, self.settings, self.models)
        self.run = RunSection(run_ui, message, profile, self.settings, self.models, self._result_added)
        self.results = ResultsSection(results_ui, outcome, profile, self.settings)
        self._selectors = (run_ui.scanSelector, run_ui.regionSelector, *self.run.images.selectors)
        self._watched: Any | None = None
        self._sections: list[Any] = [self.models, self.devices, self.run, self.results]
        if profile.task == "landmark":
            self._sections.append(MeasuresSection(own, self.results))
        self._teeth: TeethSection | None = None
        if profile.task == "segment":
            self._teeth = TeethSection(own, self.settings, self.models, self.results)
            self._sections.append(self._teeth)
        self.surfaces = SurfaceWork()
        self._watch = ResultWatch(self.refresh_soon)
        self._before_undo: set[str] = set()
        # IDs of the scans that came since the last look.
        self._loaded: list[str] = []
        self._observe()
        self.refresh()

    def refresh(self) -> None:
        """Show the settings and the scene as they are now."""
        self._soon.stop()
        if self.settings.node.GetScene() is None:
            # A user has deleted it; what is set from here on must not be lost.
            self._bind()
            self.settings.scan = _scan_in_view()
        self._take_loaded()
        self._turn_lines()
        for section in self._sections:
            section.refresh()
        self._watch_result()
        self._watch.watch(results_in(slicer.mrmlScene, self._profile.module))

    def refresh_soon(self) -> None:
        """Show everything again in the next turn of the event loop, once for all changes until then."""
        self._soon.start()

    def enter(self) -> None:
        """The module is being shown: take the scan that the user looks at, where none was chosen."""
        self._bind()
        if self.settings.scan is None:
            self.settings.scan = _scan_in_view()
        self.models.read_library()
        self.refresh()

    def close(self) -> None:
        """The module goes away: end what runs, and hear nothing more."""
        self.removeObservers()
        self._watch.close()
        self._soon.stop()
        self.surfaces.stop()
        self.run.close()
        self.models.close()
        self.devices.close()
        self.settings.close()

    def _observe(self) -> None:
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self._scene_closing)
        for event in (scene.StartImportEvent, scene.StartRestoreEvent):
            self.addObserver(scene, event, self._scene_changing)
        for event in (scene.EndCloseEvent, scene.EndImportEvent, scene.EndRestoreEvent):
            self.addObserver(scene, event, self._scene_changed)
        for event in (scene.StartUndoEvent, scene.StartRedoEvent):
            self.addObserver(scene, event, self._undo_begins)
        for event in (scene.EndUndoEvent, scene.EndRedoEvent):
            self.addObserver(scene, event, self._undo_ends)
        for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent):
            self.addObserver(scene, event, self._node_came_or_went)
        self.addObserver(self.settings.node, vtk.vtkCommand.ModifiedEvent, self._settings_changed)

    def _take_loaded(self) -> None:
        """If no scan was chosen, take one that was loaded since the last look: the one in view, or the last."""
        loaded, self._loaded = [slicer.mrmlScene.GetNodeByID(one) for one in self._loaded], []
        if any(loaded) and self.settings.scan is None:
            in_view = _scan_in_view()
            self.settings.scan = in_view if in_view in loaded else [node for node in loaded if node is not None][-1]

    def _turn_lines(self) -> None:
        """What is said is about the scan and the result that are shown."""
        scan, result = self.settings.scan, self.results.result
        for line in self._lines:
            line.turn_to(_id_of(scan), _id_of(result.table if result is not None else None))

    def _watch_result(self) -> None:
        """Hear when the shown result changes without this panel: undo, a script, the Tables module."""
        result = self.results.result
        table = result.table if result is not None else None
        if table is not self._watched:
            if self._watched is not None:
                self.removeObserver(self._watched, vtk.vtkCommand.ModifiedEvent, self._settings_changed)
            self._watched = table
            if table is not None:
                self.addObserver(table, vtk.vtkCommand.ModifiedEvent, self._settings_changed)

    def _bind(self) -> None:
        """Go on with the parameter node of the scene as it now is."""
        node = self._parameter_node()
        if node is not self.settings.node:
            self.removeObserver(self.settings.node, vtk.vtkCommand.ModifiedEvent, self._settings_changed)
            self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self._settings_changed)
        self.settings.bind(node)

    def _settings_changed(self, caller: Any = None, event: Any = None) -> None:
        self.refresh_soon()

    def _scene_closing(self, caller: Any, event: Any) -> None:
        self.surfaces.stop()
        self._loaded = []
        # Of nodes that go: the next scene's have the same IDs.
        for line in self._lines:
            line.clear()
        self.run.scene_closing()
        self._scene_changing(caller, event)

    def _scene_changing(self, caller: Any, event: Any) -> None:
        """Until everything is shown anew, what the node selectors say is not what a user chose."""
        for selector in self._selectors:
            selector.blockSignals(True)

    def _scene_changed(self, caller: Any, event: Any) -> None:
        self._bind()
        self.refresh_soon()

    def _undo_begins(self, caller: Any, event: Any) -> None:
        results = results_in(slicer.mrmlScene, self._profile.module)
        self._before_undo = {node.GetID() for result in results for node in result.nodes.made}

    def _undo_ends(self, caller: Any, event: Any) -> None:
        for result in results_in(slicer.mrmlScene, self._profile.module):
            came = [node for node in result.nodes.made if node.GetID() not in self._before_undo]
            if came:
                put_back(result, came)
        self.refresh_soon()

    @vtk.calldata_type(vtk.VTK_OBJECT)  # type: ignore[untyped-decorator]  # VTK's is Any
    def _node_came_or_went(self, caller: Any, event: Any, node: Any) -> None:
        # MRML's events reach Python without their name ("NoEvent"): look whether it is still there.
        if not slicer.mrmlScene.IsNodePresent(node):
            self.run.volume_removed(node)
        elif node.GetClassName() == _SCAN:
            self._loaded.append(node.GetID())
        if not (slicer.mrmlScene.IsClosing() or slicer.mrmlScene.IsImporting()):
            self.refresh_soon()

    def _result_added(self, result: Result) -> None:
        """Show what a run has found, on its scan, and go to the best of it."""
        if self._teeth is not None:
            self._teeth.name(result)
        self.refresh()
        show_alone(result)
        show_overview(result, render=True)
        self.surfaces.begin(result)
        best = next(iter(result.shown_rows), None)
        if best is not None:
            self.results.select(best.number)


def _id_of(node: Any | None) -> str:
    return node.GetID() or "" if node is not None else ""


def _scan_in_view() -> Any | None:
    """The volume that the slice views show, else the only one of the scene."""
    scene = slicer.mrmlScene
    for number in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode")):
        composite = scene.GetNthNodeByClass(number, "vtkMRMLSliceCompositeNode")
        node = scene.GetNodeByID(composite.GetBackgroundVolumeID() or "")
        if node is not None and node.GetClassName() == _SCAN:
            return node
    scans = [node for node in nodes_of(scene, _SCAN) if node.GetClassName() == _SCAN]
    return scans[0] if len(scans) == 1 else None
