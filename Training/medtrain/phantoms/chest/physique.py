"""The measures of one chest, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..lattice import Floats
from .spec import ChestSpec


@dataclass(frozen=True)
class Physique:
    """Millimetres and HU of one patient. Measures are of the inside of the thorax unless said."""

    half_width: float
    half_depth: float
    height: float
    fat: float
    muscle: float
    heart: float
    left_dome: float
    recess: float
    spine_from_back: float
    lung_hu: float
    blood_hu: float
    organ_hu: float
    bone_hu: float
    rib_spacing: float
    flat_back: float

    def level(self, z: ArrayLike) -> Floats:
        """Height as a fraction: 0 at the diaphragm, 1 at the apex; clipped."""
        result: Floats = np.clip(np.asarray(z) / self.height, 0, 1.15)
        return result

    @property
    def bottom(self) -> float:
        """The lowest lung, mm: the depth of the costophrenic recess below the right dome."""
        return -self.recess - 12.0


def draw_physique(rng: np.random.Generator, spec: ChestSpec) -> Physique:
    """Adult measures (inner thorax about 240–290 × 160–210 mm, lungs 170–250 mm high above the dome)."""
    size = spec.size if spec.size is not None else rng.uniform(0.9, 1.08)
    enhanced = spec.contrast if spec.contrast is not None else rng.random() < 0.55
    return Physique(
        half_width=size * rng.uniform(122, 138),
        half_depth=size * rng.uniform(80, 100),
        height=size * rng.uniform(175, 225),
        fat=size * float(np.exp(rng.uniform(np.log(6), np.log(32)))),
        muscle=size * rng.uniform(10, 18),
        heart=size * rng.uniform(0.88, 1.12),
        left_dome=size * rng.uniform(-22, -4),
        recess=size * rng.uniform(45, 70),
        spine_from_back=size * rng.uniform(30, 40),
        lung_hu=rng.uniform(-890, -810),
        blood_hu=rng.uniform(150, 340) if enhanced else rng.uniform(35, 55),
        organ_hu=rng.uniform(85, 120) if enhanced else rng.uniform(45, 65),
        bone_hu=rng.uniform(450, 900),
        rib_spacing=size * rng.uniform(27, 34),
        flat_back=rng.uniform(0.75, 0.9),
    )
