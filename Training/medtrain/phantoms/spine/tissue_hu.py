"""HU of the tissues, drawn for one scan.

Ranges at 120 kV after Kalender, Computed Tomography (2011), table of tissues; vertebral cancellous bone after
Pickhardt et al. (2013); enhanced blood and organs after Bae (Radiology 2010). Cortex and endplates are drawn one voxel
(2 mm) thick and are thinner in life: theirs are the values of such a voxel.
"""

from __future__ import annotations

import numpy as np

from ..lattice import Array
from .spec import Tissue

# lowest and highest mean over patients, and the standard deviation of the texture within the tissue
PLAIN: dict[Tissue, tuple[float, float, float]] = {
    Tissue.AIR: (-1000, -1000, 0),
    Tissue.SKIN: (0, 60, 10),
    Tissue.FAT: (-115, -90, 8),
    Tissue.MUSCLE: (35, 65, 12),
    Tissue.VISCERAL_FAT: (-110, -80, 14),
    Tissue.CONNECTIVE: (0, 50, 12),
    Tissue.LUNG: (-890, -760, 35),
    Tissue.AIRWAY: (-1000, -980, 0),
    Tissue.LUNG_VESSEL: (20, 50, 10),
    Tissue.HEART: (35, 50, 6),
    Tissue.ARTERY: (35, 50, 3),
    Tissue.VEIN: (35, 50, 3),
    Tissue.LIVER: (45, 68, 5),
    Tissue.SPLEEN: (42, 55, 4),
    Tissue.KIDNEY: (28, 40, 6),
    Tissue.URINE: (-2, 15, 2),
    Tissue.PANCREAS: (25, 48, 12),
    Tissue.STOMACH: (5, 45, 14),
    Tissue.GAS: (-1000, -850, 15),
    Tissue.BOWEL: (10, 45, 14),
    Tissue.ORAL_CONTRAST: (150, 500, 40),
    Tissue.FAECES: (-250, 40, 90),
    Tissue.GONAD: (35, 55, 6),
    Tissue.GALLBLADDER: (0, 20, 2),
    Tissue.OESOPHAGUS: (25, 45, 8),
    Tissue.THYROID: (70, 120, 8),
    Tissue.BRAIN: (28, 40, 4),
    Tissue.EYE: (2, 15, 3),
    Tissue.CORTICAL: (300, 850, 90),
    Tissue.CANCELLOUS: (70, 280, 35),
    Tissue.DISC: (55, 110, 9),
    Tissue.CARTILAGE: (70, 160, 35),
    Tissue.CANAL: (0, 30, 6),
    Tissue.CORD: (28, 45, 3),
    Tissue.LIGAMENT: (45, 80, 6),
    Tissue.TOOTH: (1400, 2600, 200),
    Tissue.METAL: (3000, 3071, 0),
    Tissue.TABLE: (-500, 100, 10),
    Tissue.CLOTH: (-850, -500, 50),
    Tissue.ENDPLATE: (180, 480, 60),
    Tissue.LESION: (-50, 900, 60),
}
# added by a contrast medium
ENHANCED: dict[Tissue, tuple[float, float]] = {
    Tissue.ARTERY: (90, 330),
    Tissue.VEIN: (60, 150),
    Tissue.HEART: (50, 160),
    Tissue.LUNG_VESSEL: (60, 250),
    Tissue.KIDNEY: (90, 180),
    Tissue.LIVER: (25, 60),
    Tissue.SPLEEN: (50, 90),
    Tissue.PANCREAS: (35, 70),
    Tissue.BOWEL: (10, 40),
    Tissue.GONAD: (20, 60),
    Tissue.THYROID: (50, 90),
    Tissue.MUSCLE: (5, 15),
}


def draw_hu(rng: np.random.Generator, contrast: bool) -> tuple[Array, Array]:
    """Mean HU and texture of each tissue, indexed by its value; `[len(Tissue)]` each."""
    mean = np.zeros(len(Tissue), np.float32)
    texture = np.zeros(len(Tissue), np.float32)
    for tissue, (low, high, spread) in PLAIN.items():
        mean[tissue], texture[tissue] = rng.uniform(low, high), spread
    for tissue, (low, high) in ENHANCED.items():
        mean[tissue] += contrast * rng.uniform(low, high)
    return mean, texture
