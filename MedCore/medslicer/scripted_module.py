"""The three modules' part in Slicer's own classes for scripted modules: description, widget, logic, test.

A module's file derives its classes from these and says what is its own. Slicer finds them by their names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

from .address import section
from .profiles import PROFILES, Profile
from .sample_scans import load_sample_scan, register_sample_scans

if TYPE_CHECKING:
    from .results.result import Result


def describe(parent: Any, profile: Profile, help_text: str) -> None:
    """Tell Slicer what the module is before anyone opens it, and offer its sample scan once Slicer has started."""
    parent.title = profile.module
    parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
    parent.dependencies = ["MedCore"]
    parent.contributors = ["MedInfer contributors"]
    parent.helpText = f'{help_text}<p><a href="{section("In Slicer")}">{_("Tutorial")}</a></p>'
    parent.acknowledgementText = _("Part of MedInfer. A model's card in the panel names its authors and data.")
    slicer.app.connect("startupCompleted()", lambda: register_sample_scans(profile.module))


class ModuleLogic(ScriptedLoadableModuleLogic):  # type: ignore[misc]  # Slicer's class is Any
    """For scripts: `result = MedDetectLogic().process(volumeNode)`."""

    def process(
        self, volumeNode: Any, model: str = "", *, region: Any | None = None, replace: Result | None = None,
        progress: Callable[[str, float], None] | None = None, further: Mapping[str, Any] | None = None, **settings: Any,
    ) -> Result:
        """Find what the module is for in `volumeNode`; return the Result: nodes, table, rows and folder in the scene.

        model: id in the library, or a package's folder; without one the bundled one. region: a ROI node; only what lies
        inside is searched. replace: an earlier result that this one replaces. progress(stage, share of the whole)
        is called now and then. further: volume nodes of further images of the patient, by the names that the model
        gives them. settings: backend, device, precision, threshold, overlap, mirroring, threads (see `RunSettings`).

        Waits while the window stays live. Raises medinfer.errors.MedInferError, one sentence, and changes nothing then.
        """
        from .jobs.job import RunSettings
        from .jobs.processing import process

        profile = PROFILES[self.moduleName]
        run = RunSettings(model=str(model) or profile.default_model, **settings)
        return process(profile, volumeNode, run, region=region, replace=replace, progress=progress, further=further)


class ModuleWidget(ScriptedLoadableModuleWidget):  # type: ignore[misc]  # Slicer's class is Any
    """The module's own form; all that it does is in the panel that the three modules share.

    Logic: the class of the module's logic.
    """

    Logic: type[ModuleLogic]

    def setup(self) -> None:
        super().setup()
        from .panel import Panel

        ui = slicer.util.loadUI(self.resourcePath(f"UI/{self.moduleName}.ui"))
        self.layout.addWidget(ui)
        ui.setMRMLScene(slicer.mrmlScene)
        self.logic = self.Logic()
        self.panel = Panel(PROFILES[self.moduleName], ui, self.logic.getParameterNode)

    def enter(self) -> None:
        self.panel.enter()

    def cleanup(self) -> None:
        self.panel.close()


class ModuleTest(ScriptedLoadableModuleTest):  # type: ignore[misc]  # Slicer's class is Any
    """Slicer's own test of a module: a run on its sample scan.

    Logic: the class of the module's logic. least: so many of what was drawn into the scan must be found.
    """

    Logic: type[ModuleLogic]
    least = 1

    def setUp(self) -> None:
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        self.setUp()
        self.test_what_was_drawn_is_found()

    def test_what_was_drawn_is_found(self) -> None:
        logic = self.Logic()
        result = logic.process(load_sample_scan(logic.moduleName))
        found = [row for row in result.rows if row.position_world is not None]
        self.assertGreaterEqual(len(found), self.least)
        self.assertEqual(result.table.GetNumberOfRows(), len(result.rows))
        self.delayDisplay(f"{len(found)} found")
