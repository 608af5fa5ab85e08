"""MedCore: the hidden module that MedDetect, MedLandmark and MedToothSeg share; it provides medinfer and medslicer."""

from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModule


class MedCore(ScriptedLoadableModule):
    """The module's metadata for Slicer; it appears in no menu."""

    def __init__(self, parent):
        super().__init__(parent)
        parent.title = "MedCore"
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = []
        parent.contributors = ["MedInfer contributors"]
        parent.helpText = _("The engine and the panel that MedDetect, MedLandmark and MedToothSeg share.")
        parent.acknowledgementText = _("Part of MedInfer.")
        parent.hidden = True
