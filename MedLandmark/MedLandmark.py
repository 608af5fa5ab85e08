"""MedLandmark: anatomical landmarks in CT, as named points."""

from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModule

from medslicer import scripted_module
from medslicer.profiles import PROFILES


class MedLandmark(ScriptedLoadableModule):
    """Finds landmarks and gives them as one list of named points."""

    def __init__(self, parent):
        super().__init__(parent)
        scripted_module.describe(parent, PROFILES["MedLandmark"], _(
            "Finds anatomical landmarks (the vertebrae, with the bundled model) and shows them as a list of named "
            "points with a curve through them. Choose the scan and press Run; click a row to go to the landmark. "
            "Distances and angles between landmarks can be measured. Not for clinical use."
        ))


class MedLandmarkLogic(scripted_module.ModuleLogic):
    """For scripts: `result = MedLandmarkLogic().process(volumeNode, model="vertebrae")`."""


class MedLandmarkWidget(scripted_module.ModuleWidget):
    Logic = MedLandmarkLogic


class MedLandmarkTest(scripted_module.ModuleTest):
    Logic = MedLandmarkLogic
    least = 5
