"""What is asked of a spine phantom, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medinfer.volume import Grid, Volume

Vector = tuple[float, float, float]
Variant = Literal["usual", "six lumbar", "four lumbar", "thirteen ribs", "eleven ribs"]
FieldOfView = Literal["whole", "spine", "neck", "chest", "abdomen", "trunk", "lumbar"]

LEVELS = (
    *(f"C{n}" for n in range(1, 8)),
    *(f"T{n}" for n in range(1, 13)),
    *(f"L{n}" for n in range(1, 6)),
    "S1",
)
EXTRA = 26  # label of a vertebra without a name of its own (a 13th thoracic, a 6th lumbar)
VARIANTS: dict[Variant, float] = {
    "usual": 0.85,
    "six lumbar": 0.06,
    "four lumbar": 0.06,
    "thirteen ribs": 0.015,
    "eleven ribs": 0.015,
}


class Tissue(IntEnum):
    """Values of the tissue map; every tissue whose HU may differ from its neighbours' has its own."""

    AIR = 0
    SKIN = 1
    FAT = 2
    MUSCLE = 3
    VISCERAL_FAT = 4
    CONNECTIVE = 5
    LUNG = 6
    AIRWAY = 7
    LUNG_VESSEL = 8
    HEART = 9
    ARTERY = 10
    VEIN = 11
    LIVER = 12
    SPLEEN = 13
    KIDNEY = 14
    URINE = 15
    PANCREAS = 16
    STOMACH = 17
    GAS = 18
    BOWEL = 19
    ORAL_CONTRAST = 20
    FAECES = 21
    GONAD = 22  # uterus or prostate
    GALLBLADDER = 23
    OESOPHAGUS = 24
    THYROID = 25
    BRAIN = 26
    EYE = 27
    CORTICAL = 28
    CANCELLOUS = 29
    DISC = 30
    CARTILAGE = 31
    CANAL = 32
    CORD = 33
    LIGAMENT = 34
    TOOTH = 35
    METAL = 36
    TABLE = 37
    CLOTH = 38
    ENDPLATE = 39
    LESION = 40


@dataclass(frozen=True)
class PatientSpec:
    """Whom to draw; None means: drawn from the seed.

    size: scale of the skeleton, 1 is a tall adult (0.6 a small child). variant: how many vertebrae and ribs.
    arms_up: arms beside the head rather than beside the trunk. scoliosis_deg: Cobb angle. age: years.
    fat_mm: thickness of the fat under the skin of the flanks. metal: screws, hip prosthesis. table: draw it.
    """

    size: float | None = None
    variant: Variant | None = None
    arms_up: bool | None = None
    scoliosis_deg: float | None = None
    age: float | None = None
    fat_mm: float | None = None
    metal: bool | None = None
    table: bool | None = None


@dataclass(frozen=True, eq=False)
class Patient:
    """One patient, from the vertex of the skull to the middle of the thighs.

    tissues: `[k, j, i]`, values of Tissue. vertebrae: `[k, j, i]`; 0 none, 1..25 the LEVELS, 26 an extra one.
    grid: isotropic; k runs to the head, j to the back, i to the patient's left.
    centroids: RAS mm, centre of mass of each named vertebra's voxels. variant: how many vertebrae and ribs.
    """

    tissues: NDArray[np.uint8]
    vertebrae: NDArray[np.uint8]
    grid: Grid
    centroids: dict[str, Vector]
    variant: Variant = "usual"


@dataclass(frozen=True)
class ScanSpec:
    """How to scan; None means: drawn from the seed.

    view: the part of the body in the field of view. spacing_mm: isotropic voxels of that size; without it
    slices of thickness_mm (0.6-5) and pixels of 0.7-1.2 mm. noise_hu: standard deviation in soft tissue.
    contrast: enhanced blood and organs. tilt_deg: largest rotation of the patient about each axis.
    """

    view: FieldOfView | None = None
    spacing_mm: float | None = None
    thickness_mm: float | None = None
    noise_hu: float | None = None
    contrast: bool | None = None
    tilt_deg: float = 4.0


@dataclass(frozen=True)
class CutVertebra:
    """A vertebra partly in view.

    fraction: of its voxels inside, 0..1. position_ras: centre of mass of that part, mm.
    """

    fraction: float
    position_ras: Vector


@dataclass(frozen=True, eq=False)
class SpineScan:
    """A synthetic CT (int16 HU). truth: RAS mm of the vertebrae wholly in view; cut: those partly in view."""

    volume: Volume
    truth: dict[str, Vector]
    cut: dict[str, CutVertebra]
