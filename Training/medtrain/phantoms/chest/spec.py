"""What is asked of a phantom, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medinfer.volume import Volume

Vector = tuple[float, float, float]
Kind = Literal["solid", "part-solid", "ground-glass"]
Place = Literal["isolated", "juxta-pleural", "juxta-vascular"]

KINDS: tuple[Kind, ...] = ("solid", "part-solid", "ground-glass")
PLACES: tuple[Place, ...] = ("isolated", "juxta-pleural", "juxta-vascular")


@dataclass(frozen=True)
class PhantomNodule:
    """The truth about one nodule.

    center_ras: centre of mass of what was drawn, RAS mm.
    diameter_mm: diameter of the sphere of the same volume as what was drawn (inside the lung).
    longest_mm, perpendicular_mm: the longest diameter in an axial plane, and the longest one perpendicular to it there.
    """

    center_ras: Vector
    diameter_mm: float
    kind: Kind
    place: Place
    longest_mm: float
    perpendicular_mm: float


@dataclass(frozen=True)
class ChestSpec:
    """What to draw; None means: drawn from the seed.

    nodules: fewest and most nodules (both included).
    diameter_mm: smallest and largest nodule diameter; log-uniform between.
    slice_thickness_mm, slice_spacing_mm: width of the slice profile and distance of the slices (0.6–3 mm when drawn).
    pixel_mm, field_of_view_mm: in the axial plane; without a pixel size the image is 512×512.
    sharpness: 0 soft to 1 sharp reconstruction kernel. noise_hu: standard deviation in the middle of the body.
    contrast: whether the blood is enhanced. size: scale of the chest; 1 is an adult.
    distractors: draw scars, plaques, atelectasis and the like.
    table: draw the patient table.
    """

    nodules: tuple[int, int] = (2, 8)
    diameter_mm: tuple[float, float] = (4.0, 30.0)
    slice_thickness_mm: float | None = None
    slice_spacing_mm: float | None = None
    pixel_mm: float | None = None
    field_of_view_mm: float | None = None
    sharpness: float | None = None
    noise_hu: float | None = None
    contrast: bool | None = None
    size: float | None = None
    distractors: bool = True
    table: bool | None = None


@dataclass(frozen=True, eq=False)
class ChestPhantom:
    """A synthetic CT and its truth.

    volume: int16 HU. nodules: what was put in. lungs: uint8 `[k, j, i]`, 1 left lung, 2 right lung (the patient's).
    """

    volume: Volume
    nodules: tuple[PhantomNodule, ...]
    lungs: NDArray[np.uint8]
