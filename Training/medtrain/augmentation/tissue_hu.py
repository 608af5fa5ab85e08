"""CT values of the spine phantom's tissues, in Hounsfield units.

The middle of the ranges that textbooks and atlases print, wide enough for kVp, age and disease (osteoporotic
cancellous bone at 50 HU, a young one's at 350; a lung in full inspiration and a stiff one). Contrast medium lifts the
tissues of `ENHANCED`; how far depends on the phase, so their ranges are wide as well. A vertebra's cortex is thinner
(0.4 mm) than the 2 mm voxel that it is drawn in: its values, and the endplates', are those of such a voxel.

A scan of the phantom draws from narrower ranges of its own (`spine_phantom.tissue_hu`): training sees more than that.
"""

from __future__ import annotations

from ..phantoms.spine.spec import Tissue
from .label_synthesis import IntensityTable

# mean, jitter (half the range of means), spread (texture within the tissue).
PLAIN: dict[str, tuple[float, float, float]] = {
    "AIR": (-1000, 10, 2),
    "SKIN": (30, 50, 15),
    "FAT": (-100, 20, 12),
    "MUSCLE": (52, 18, 14),
    "VISCERAL_FAT": (-98, 20, 14),
    "CONNECTIVE": (0, 60, 25),
    "LUNG": (-810, 90, 35),
    "AIRWAY": (-990, 15, 5),
    "LUNG_VESSEL": (20, 60, 25),
    "HEART": (42, 12, 12),
    "ARTERY": (42, 10, 8),
    "VEIN": (42, 10, 8),
    "LIVER": (55, 20, 9),
    "SPLEEN": (48, 12, 9),
    "KIDNEY": (32, 10, 10),
    "URINE": (6, 12, 6),
    "PANCREAS": (38, 14, 14),
    "STOMACH": (30, 35, 20),
    "GAS": (-980, 25, 10),
    "BOWEL": (25, 35, 25),
    "ORAL_CONTRAST": (320, 220, 40),
    "FAECES": (10, 90, 80),
    "GONAD": (42, 15, 14),
    "GALLBLADDER": (10, 12, 6),
    "OESOPHAGUS": (35, 15, 12),
    "THYROID": (100, 30, 14),
    "BRAIN": (34, 6, 6),
    "EYE": (15, 12, 8),
    "CORTICAL": (550, 350, 130),
    "CANCELLOUS": (180, 140, 45),
    "DISC": (80, 30, 14),
    "CARTILAGE": (110, 60, 30),
    "CANAL": (12, 15, 8),
    "CORD": (38, 8, 6),
    "LIGAMENT": (75, 35, 18),
    "TOOTH": (1800, 700, 250),
    "METAL": (2900, 600, 100),
    "TABLE": (-420, 420, 30),
    "CLOTH": (-750, 200, 60),
    "ENDPLATE": (320, 200, 90),
    # Lytic or sclerotic.
    "LESION": (330, 420, 70),
}

# The same under intravenous contrast medium.
ENHANCED: dict[str, tuple[float, float, float]] = {
    "MUSCLE": (65, 18, 14),
    "LUNG_VESSEL": (150, 120, 40),
    "HEART": (180, 90, 30),
    "ARTERY": (225, 100, 12),
    "VEIN": (150, 80, 12),
    "LIVER": (105, 25, 10),
    "SPLEEN": (120, 30, 12),
    "KIDNEY": (180, 60, 30),
    "URINE": (150, 160, 30),
    "PANCREAS": (95, 25, 16),
    "STOMACH": (45, 40, 22),
    "BOWEL": (60, 50, 30),
    "GONAD": (90, 35, 18),
    "THYROID": (170, 50, 16),
    "BRAIN": (40, 8, 6),
    "LIGAMENT": (80, 35, 18),
}


def ct_table(contrast: bool = False) -> IntensityTable:
    """HU by `Tissue` of the spine phantom, without or with intravenous contrast medium.

    Raises KeyError for a tissue without a row: whoever adds one gives its HU here.
    """
    rows = PLAIN | ENHANCED if contrast else PLAIN
    known = {int(tissue): rows[tissue.name] for tissue in Tissue}
    mean, jitter, spread = zip(*(known.get(value, rows["AIR"]) for value in range(max(known) + 1)), strict=True)
    return IntensityTable(mean, jitter, spread)
