"""Trunks of the spine phantom as maps without teeth, to learn that ribs and vertebrae are not teeth."""

from __future__ import annotations

import numpy as np

from ..phantoms.jaw import Tissue
from ..phantoms.spine import LEVELS, Patient
from ..phantoms.spine import Tissue as SpineTissue
from .tooth_crops import JawMap

TRUNK_MM = 2.0

# What a trunk's tissue looks like among those of the jaws; all others are soft.
_LIKE = {
    "AIR": Tissue.AIR, "SKIN": Tissue.SKIN, "FAT": Tissue.FAT, "MUSCLE": Tissue.MUSCLE, "VISCERAL_FAT": Tissue.FAT,
    "LUNG": Tissue.SINUS, "AIRWAY": Tissue.AIRWAY, "GAS": Tissue.AIRWAY, "CORTICAL": Tissue.CORTICAL,
    "CANCELLOUS": Tissue.CANCELLOUS, "ENDPLATE": Tissue.LAMINA_DURA, "LESION": Tissue.CANAL_WALL, "DISC": Tissue.DISC,
    "CARTILAGE": Tissue.CARTILAGE, "CANAL": Tissue.CORD, "CORD": Tissue.CORD, "METAL": Tissue.IMPLANT,
    "HEART": Tissue.TONGUE, "ARTERY": Tissue.LIGAMENT, "VEIN": Tissue.PULP, "KIDNEY": Tissue.FOLLICLE,
    "TABLE": Tissue.FAT, "CLOTH": Tissue.AIR, "ORAL_CONTRAST": Tissue.CANAL_WALL,
}


def trunk_map(patient: Patient) -> JawMap:
    """A patient below the neck, drawn with voxels of `TRUNK_MM`."""
    table = np.full(256, Tissue.SOFT, np.uint16)
    for name, tissue in _LIKE.items():
        table[SpineTissue[name]] = tissue
    thorax = np.flatnonzero((patient.vertebrae == LEVELS.index("T1") + 1).any(axis=(1, 2)))
    trunk = patient.tissues[: int(thorax[0])] if len(thorax) else patient.tissues
    return JawMap(table[trunk], np.zeros(0, np.uint8), np.zeros((0, 3)), TRUNK_MM)
