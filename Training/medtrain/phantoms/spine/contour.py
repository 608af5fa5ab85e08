"""The contour of the trunk and neck at each height: how wide and deep the muscles are, how thick the fat is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from ..lattice import Floats
from .measures import Physique
from .ribcage import Cage
from .spine_curve import Spine

# The muscles' outline, mm of a tall adult from the middle line of the bodies.
# In the pelvis: height above S1, half width, back, front, thickness of the wall (negative: no cavity).
PELVIS = (
    (-172, 150, -60, 92, -50),
    (-130, 162, -92, 98, -50),
    (-90, 160, -100, 100, 62),
    (-45, 154, -96, 96, 30),
    (0, 143, -76, 92, 16),
)
# In the loin: place along LEVELS, half width, front, back.
LOIN = ((22.0, 130, 88, -66), (20.5, 127, 93, -66), (19.0, 130, 104, -64))
# In the chest: place along LEVELS, muscle beside the rib cage.
CHEST = ((17.5, 8), (16, 14), (14, 22), (12, 32), (10.5, 45), (9.2, 60))
# In the neck: place along LEVELS, half width, front, back, fat as a part of the flank's.
NECK = (
    (8.2, 140, 55, -72, 0.6),
    (7.2, 105, 50, -66, 0.5),
    (5.8, 64, 50, -60, 0.4),
    (3.5, 58, 54, -58, 0.35),
    (1.5, 60, 54, -62, 0.3),
    (-0.6, 58, 30, -66, 0.3),
)
NO_CAVITY = -50.0


@dataclass(frozen=True, eq=False)
class Contour:
    """Rounded boxes at heights z (rising), mm: middle, half width, back and front of the muscles, and fat around them.

    wall: thickness of the wall of the cavity; negative: there is none.
    """

    z: Floats
    x: Floats
    width: Floats
    back: Floats
    front: Floats
    fat: Floats
    fat_front: Floats
    fat_back: Floats
    wall: Floats

    def at(self, z: Floats) -> Contour:
        """The same at other heights."""
        inner = np.clip(z, self.z[0], self.z[-1])
        of = (self.x, self.width, self.back, self.front, self.fat, self.fat_front, self.fat_back, self.wall)
        return Contour(z, *(PchipInterpolator(self.z, one, extrapolate=False)(inner) for one in of))


def draw_contour(physique: Physique, spine: Spine, cage: Cage) -> Contour:
    """From the pelvic floor to the base of the skull."""
    rows = [*_pelvis(physique), *_loin(physique, spine), *_chest(physique, spine, cage), *_neck(physique, spine)]
    return Contour(*np.array(sorted(rows)).T)


def _pelvis(physique: Physique) -> list[tuple[float, ...]]:
    s, fat = physique.size, np.array([1.1, 0.8, 1.5]) * physique.fat
    hips, belly = 1.06 if physique.female else 1.0, 0.3 * physique.belly
    return [
        (z * s, 0.0, width * s * hips, back * s, front * s + belly, *fat, wall * s)
        for z, width, back, front, wall in PELVIS
    ]


def _loin(physique: Physique, spine: Spine) -> list[tuple[float, ...]]:
    s, fat = physique.size, np.array([1, 1, 0.9]) * physique.fat
    rows = []
    for place, width, front, back in LOIN:
        x, y, z = spine.level(place)
        behind = y + back * s * (0.85 + 0.15 * physique.muscle)
        before = 0.5 * y + front * s + physique.belly  # the belly follows the lordosis only in part
        rows.append((z, x, width * s * (0.5 + 0.5 * physique.girth), behind, before, *fat, 13 * s))
    return rows


def _chest(physique: Physique, spine: Spine, cage: Cage) -> list[tuple[float, ...]]:
    s, fat = physique.size, np.array([0.8, 0.7, 0.7]) * physique.fat
    rows = []
    for place, beside in CHEST:
        x, _, z = spine.level(place)
        width, back, front = (float(np.interp(z, cage.z, one)) for one in (cage.width, cage.back, cage.front))
        behind = back - (14 + 6 * physique.muscle) * s
        before = front + (10 if place > 13 else 18) * s
        rows.append((z, x, width + beside * s * physique.muscle, behind, before, *fat, 9 * s))
    return rows


def _neck(physique: Physique, spine: Spine) -> list[tuple[float, ...]]:
    s = physique.size
    thick = (0.8 + 0.2 * physique.muscle) * s
    rows = []
    for place, width, front, back, part in NECK:
        x, y, z = spine.level(place) + np.array([0, 0, 26 * s if place < 0 else 0])
        fat = part * physique.fat * np.array([1, 0.6, 1.2])
        rows.append((z, x, width * thick, y + back * thick, y + front * s, *fat, 9 * s if place > 5 else NO_CAVITY))
    return rows
