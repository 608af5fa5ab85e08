"""Cone-beam CT values of the jaw phantom's tissues, approximately in Hounsfield units.

Cone-beam grey values are no Hounsfield units: they drift with the device, the exposure and what lies outside its field
(Pauwels et al., Dentomaxillofac Radiol 44 (2015) 20140238). The middles are the tissues' own HU, the ranges are wide.
"""

from __future__ import annotations

from ..phantoms.jaw import Tissue
from .label_synthesis import IntensityTable

# mean, jitter (half the range of means), spread (texture within the tissue).
ROWS: dict[str, tuple[float, float, float]] = {
    "AIR": (-1000, 40, 5),
    "SKIN": (30, 120, 25),
    "FAT": (-100, 100, 25),
    "SOFT": (40, 120, 30),
    "MUSCLE": (60, 100, 30),
    "TONGUE": (60, 100, 30),
    "AIRWAY": (-980, 60, 10),
    "SINUS": (-960, 80, 15),
    "MUCOSA": (30, 120, 30),
    "CORTICAL": (1300, 420, 110),
    "CANCELLOUS": (450, 290, 160),
    "LAMINA_DURA": (1300, 420, 100),
    "LIGAMENT": (220, 210, 60),
    "FOLLICLE": (60, 150, 40),
    "CANAL": (70, 140, 45),
    "CANAL_WALL": (950, 400, 120),
    "ENAMEL": (2750, 500, 120),
    "DENTIN": (1600, 340, 90),
    "PULP": (200, 200, 55),
    "COMPOSITE": (2350, 900, 110),
    "ROOT_FILLING": (3900, 1500, 130),
    "AMALGAM": (6000, 2800, 60),
    "CROWN": (6000, 2800, 60),
    "IMPLANT": (5200, 1500, 60),
    "SPINE_CORTICAL": (1000, 450, 120),
    "SPINE_CANCELLOUS": (300, 220, 90),
    "DISC": (80, 100, 30),
    "CORD": (40, 80, 20),
    "CARTILAGE": (100, 130, 40),
}


def cbct_table() -> IntensityTable:
    """HU by `Tissue` of the jaw phantom. Raises KeyError for a tissue without a row: whoever adds one gives its HU."""
    known = {int(tissue): ROWS[tissue.name] for tissue in Tissue}
    mean, jitter, spread = zip(*(known.get(value, ROWS["AIR"]) for value in range(max(known) + 1)), strict=True)
    return IntensityTable(mean, jitter, spread)
