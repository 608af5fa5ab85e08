"""MedLandmark: anatomical landmarks in CT, as named points."""

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)


class MedLandmark(ScriptedLoadableModule):
    """What Slicer shows of the module before anyone opens it."""

    def __init__(self, parent):
        super().__init__(parent)
        from medslicer.address import section

        parent.title = "MedLandmark"
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = ["MedCore"]
        parent.contributors = ["MedInfer contributors"]
        parent.helpText = _(
            "Finds anatomical landmarks (the vertebrae, with the bundled model) and gives them as one list of named "
            "points with a curve through them. Choose the scan, press Run; a click on a row leads to the landmark, and "
            "distances and angles between landmarks can be measured. Not for clinical use."
        )
        parent.helpText += f'<p><a href="{section("In Slicer")}">{_("Tutorial")}</a></p>'
        parent.acknowledgementText = _(
            "Part of MedInfer. Networks and phantoms: see the model cards in the panel."
        )
        slicer.app.connect("startupCompleted()", registerSampleData)


def registerSampleData():
    """Offer this module's bundled scan in the Sample Data module."""
    from medslicer.sample_scans import register_sample_scans

    register_sample_scans("MedLandmark")


class MedLandmarkWidget(ScriptedLoadableModuleWidget):
    """The module's own form; all that it does is in the panel that the three modules share."""

    def setup(self):
        super().setup()
        from medslicer.panel import Panel
        from medslicer.profiles import PROFILES

        ui = slicer.util.loadUI(self.resourcePath("UI/MedLandmark.ui"))
        self.layout.addWidget(ui)
        ui.setMRMLScene(slicer.mrmlScene)
        self.logic = MedLandmarkLogic()
        self.panel = Panel(PROFILES["MedLandmark"], ui, self.logic.getParameterNode)

    def enter(self):
        self.panel.enter()

    def cleanup(self):
        self.panel.close()


class MedLandmarkLogic(ScriptedLoadableModuleLogic):
    """For scripts: `result = MedLandmarkLogic().process(volumeNode)`."""

    def process(self, volumeNode, model="vertebrae", region=None, replace=None, progress=None, **settings):
        """Find landmarks in `volumeNode`; return the medslicer.result.Result: its points, curve, table and folder.

        model: id in the library, or a package's folder. region: a ROI node; only what lies inside is looked at.
        replace: an earlier result whose place this one takes. progress(stage, share): called now and then.
        settings: backend, device, precision, threshold, overlap, threads (see medslicer.job.RunSettings).
        Waits while the window stays live. Raises medinfer.errors.MedInferError, one sentence, and changes nothing then.
        """
        from medslicer.job import RunSettings
        from medslicer.processing import process
        from medslicer.profiles import PROFILES

        run = RunSettings(model=str(model), **settings)
        return process(PROFILES["MedLandmark"], volumeNode, run, region=region, replace=replace, progress=progress)


class MedLandmarkTest(ScriptedLoadableModuleTest):
    """Slicer's own test of the module, on its bundled scan: the drawn vertebrae are found."""

    def runTest(self):
        self.setUp()
        self.test_the_vertebrae_of_the_bundled_scan_are_found()

    def setUp(self):
        slicer.mrmlScene.Clear()

    def test_the_vertebrae_of_the_bundled_scan_are_found(self):
        from medslicer.sample_scans import load_sample_scan

        result = MedLandmarkLogic().process(load_sample_scan("MedLandmark"))
        found = [row for row in result.rows if row.position_world is not None]
        self.assertGreaterEqual(len(found), 5)
        self.assertEqual(result.table.GetNumberOfRows(), len(result.rows))
        self.delayDisplay(f"{len(found)} found")
