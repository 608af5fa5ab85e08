"""What is asked of a jaw phantom, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medinfer.volume import Grid, Volume

Dentition = Literal["full", "gaps", "few", "upper edentulous", "lower edentulous", "mixed", "deciduous"]
Bite = Literal["closed", "edge to edge", "open"]
Field = Literal["large", "both jaws", "upper jaw", "lower jaw", "small"]

DENTITIONS: dict[Dentition, float] = {
    "full": 0.38,
    "gaps": 0.25,
    "few": 0.08,
    "upper edentulous": 0.04,
    "lower edentulous": 0.02,
    "mixed": 0.18,
    "deciduous": 0.05,
}
FIRST_EXTRA = 201  # label of the first supernumerary tooth


class Tissue(IntEnum):
    """Values of the tissue map; every tissue whose grey value may differ from its neighbours' has its own."""

    AIR = 0
    SKIN = 1
    FAT = 2
    SOFT = 3  # gums, mucosa, lips and whatever has no name of its own
    MUSCLE = 4
    TONGUE = 5
    AIRWAY = 6  # pharynx, nose and the air in the mouth
    SINUS = 7  # the air in the maxillary sinuses
    MUCOSA = 8  # swollen lining of a sinus
    CORTICAL = 9
    CANCELLOUS = 10
    LAMINA_DURA = 11
    LIGAMENT = 12
    FOLLICLE = 13
    CANAL = 14
    CANAL_WALL = 15
    ENAMEL = 16
    DENTIN = 17
    PULP = 18
    COMPOSITE = 19
    ROOT_FILLING = 20
    AMALGAM = 21
    CROWN = 22  # metal over the crown
    IMPLANT = 23
    SPINE_CORTICAL = 24
    SPINE_CANCELLOUS = 25
    DISC = 26
    CORD = 27
    CARTILAGE = 28  # nasal septum and conchae


METALS = (Tissue.AMALGAM, Tissue.CROWN, Tissue.IMPLANT)


@dataclass(frozen=True)
class JawSpec:
    """Whose jaws to draw; None means: drawn from the seed.

    dentition: which teeth there are. age: dental age in years. impacted: third molars or canines that stay in the bone.
    crowding: millimetres of arch that the front teeth lack (negative: gaps between them). extra: number of
    supernumerary teeth. restored: share of the teeth with a filling, crown or root filling. implants: how many.
    bite: how the jaws meet. canal_wall: whether the mandibular canal has a cortical wall.
    """

    dentition: Dentition | None = None
    age: float | None = None
    impacted: bool | None = None
    crowding: float | None = None
    extra: int | None = None
    restored: float | None = None
    implants: int | None = None
    bite: Bite | None = None
    canal_wall: bool | None = None


@dataclass(frozen=True, eq=False)
class Jaws:
    """Both jaws of one person with what surrounds them.

    tissues: `[k, j, i]`, values of Tissue. teeth: `[k, j, i]`; 0 none, the FDI number of a tooth (11-48, 51-85;
    201 and up: supernumerary ones), with its pulp, fillings and crown; implants are no teeth.
    canal: `[k, j, i]`, both mandibular canals. grid: isotropic; k runs to the head, j to the back, i to the left.
    """

    tissues: NDArray[np.uint8]
    teeth: NDArray[np.uint8]
    canal: NDArray[np.bool_]
    grid: Grid


@dataclass(frozen=True)
class CbctSpec:
    """How to scan; None means: drawn from the seed.

    field: the part in view. noise: standard deviation, as a share of the step from soft tissue to air.
    streaks: from metal and dense crowns. eight_bit: grey values 0..255 instead of shifted HU.
    drift: true leaves grey values shifted, scaled and cupped; false leaves HU.
    """

    field: Field | None = None
    noise: float | None = None
    streaks: bool = True
    eight_bit: bool | None = None
    drift: bool = True


@dataclass(frozen=True, eq=False)
class JawScan:
    """A synthetic CBCT (int16), its truth on the same voxels, and the numbers of the teeth wholly in view."""

    volume: Volume
    teeth: NDArray[np.uint8]
    canal: NDArray[np.bool_]
    whole: tuple[int, ...]
