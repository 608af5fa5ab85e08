"""MedDetect: lung nodules in chest CT, as ROI boxes."""

from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModule

from medslicer import scripted_module
from medslicer.profiles import PROFILES


class MedDetect(ScriptedLoadableModule):
    """Finds lung nodules and puts a box around each."""

    def __init__(self, parent):
        super().__init__(parent)
        scripted_module.describe(parent, PROFILES["MedDetect"], _(
            "Finds lung nodules in a chest CT and draws a box around each. Choose the scan and press Run; click a row "
            "of the table to go to the finding. More models can be added in the panel. Not for clinical use."
        ))


class MedDetectLogic(scripted_module.ModuleLogic):
    """For scripts: `result = MedDetectLogic().process(volumeNode, model="chest-nodules")`."""


class MedDetectWidget(scripted_module.ModuleWidget):
    Logic = MedDetectLogic


class MedDetectTest(scripted_module.ModuleTest):
    Logic = MedDetectLogic
    least = 3
