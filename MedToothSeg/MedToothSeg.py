"""MedToothSeg: teeth in dental CT, as numbered segments."""

from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModule

from medslicer import scripted_module
from medslicer.profiles import PROFILES


class MedToothSeg(ScriptedLoadableModule):
    """Finds teeth and gives each as a segment under its number."""

    def __init__(self, parent):
        super().__init__(parent)
        scripted_module.describe(parent, PROFILES["MedToothSeg"], _(
            "Segments the teeth in a dental CT (CBCT), each under its number (FDI or Universal) or its anatomical "
            "name, and the mandibular canals. Choose the scan and press Run; click a row or the tooth chart to go to "
            "the tooth. Not for clinical use."
        ))


class MedToothSegLogic(scripted_module.ModuleLogic):
    """For scripts: `result = MedToothSegLogic().process(volumeNode, model="teeth")`."""


class MedToothSegWidget(scripted_module.ModuleWidget):
    Logic = MedToothSegLogic


class MedToothSegTest(scripted_module.ModuleTest):
    Logic = MedToothSegLogic
    least = 20
