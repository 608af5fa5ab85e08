"""MedDetect: lung nodules in chest CT, as ROI boxes."""

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)


class MedDetect(ScriptedLoadableModule):
    """What Slicer shows of the module before anyone opens it."""

    def __init__(self, parent):
        super().__init__(parent)
        from medslicer.address import section

        parent.title = "MedDetect"
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = ["MedCore"]
        parent.contributors = ["MedInfer contributors"]
        parent.helpText = _(
            "Finds lung nodules in a chest CT and puts a box around each. Choose the scan, press Run; a click on a row "
            "of the table leads to the finding. More models can be added in the panel. Not for clinical use."
        )
        parent.helpText += f'<p><a href="{section("In Slicer")}">{_("Tutorial")}</a></p>'
        parent.acknowledgementText = _(
            "Part of MedInfer. Networks and phantoms: see the model cards in the panel."
        )
        slicer.app.connect("startupCompleted()", registerSampleData)


def registerSampleData():
    """Offer this module's bundled scan in the Sample Data module."""
    from medslicer.sample_scans import register_sample_scans

    register_sample_scans("MedDetect")


class MedDetectWidget(ScriptedLoadableModuleWidget):
    """The module's own form; all that it does is in the panel that the three modules share."""

    def setup(self):
        super().setup()
        from medslicer.panel import Panel
        from medslicer.profiles import PROFILES

        ui = slicer.util.loadUI(self.resourcePath("UI/MedDetect.ui"))
        self.layout.addWidget(ui)
        ui.setMRMLScene(slicer.mrmlScene)
        self.logic = MedDetectLogic()
        self.panel = Panel(PROFILES["MedDetect"], ui, self.logic.getParameterNode)

    def enter(self):
        self.panel.enter()

    def cleanup(self):
        self.panel.close()


class MedDetectLogic(ScriptedLoadableModuleLogic):
    """For scripts: `result = MedDetectLogic().process(volumeNode)`."""

    def process(self, volumeNode, model="chest-nodules", region=None, replace=None, progress=None, **settings):
        """Find nodules in `volumeNode`; return the medslicer.result.Result: its boxes, table and folder in the scene.

        model: id in the library, or a package's folder. region: a ROI node; only what lies inside is looked at.
        replace: an earlier result whose place this one takes. progress(stage, share): called now and then.
        settings: backend, device, precision, threshold, overlap, threads (see medslicer.job.RunSettings).
        Waits while the window stays live. Raises medinfer.errors.MedInferError, one sentence, and changes nothing then.
        """
        from medslicer.job import RunSettings
        from medslicer.processing import process
        from medslicer.profiles import PROFILES

        run = RunSettings(model=str(model), **settings)
        return process(PROFILES["MedDetect"], volumeNode, run, region=region, replace=replace, progress=progress)


class MedDetectTest(ScriptedLoadableModuleTest):
    """Slicer's own test of the module, on its bundled scan: the drawn nodules are found."""

    def runTest(self):
        self.setUp()
        self.test_the_nodules_of_the_bundled_scan_are_found()

    def setUp(self):
        slicer.mrmlScene.Clear()

    def test_the_nodules_of_the_bundled_scan_are_found(self):
        from medslicer.sample_scans import load_sample_scan

        result = MedDetectLogic().process(load_sample_scan("MedDetect"))
        found = [row for row in result.rows if row.position_world is not None]
        self.assertGreaterEqual(len(found), 1)
        self.assertEqual(result.table.GetNumberOfRows(), len(result.rows))
        self.delayDisplay(f"{len(found)} found")
