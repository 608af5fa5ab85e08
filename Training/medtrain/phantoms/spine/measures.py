"""Published sizes of the vertebrae, and the measures of one patient drawn from a seed.

Sizes in mm of an adult man: bodies, canals, pedicles and processes after Panjabi et al. (Spine 1991, 1991, 1992:
cervical, thoracic, lumbar), disc heights after Kunkel et al. (2011) and Frobin et al. (1997), curvatures after
Roussouly et al. (2005) and Been & Kalichman (2014), less a little for lying down.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..lattice import Floats
from .spec import LEVELS, VARIANTS, PatientSpec, Variant

_Table = dict[str, float]  # value at a level; between the levels named, linear
# fmt: off
BODY_HEIGHT: _Table = {
    "C1": 10, "C2": 19, "C3": 13, "C5": 12.5, "C6": 12.5, "C7": 14, "T1": 16, "T2": 17.5, "T4": 18.5, "T6": 19.5,
    "T8": 20.5, "T10": 21.5, "T11": 22, "T12": 23.5, "L1": 25.5, "L2": 26.5, "L3": 27, "L4": 27, "L5": 26.5, "S1": 28,
}
DISC_BELOW: _Table = {
    "C1": 2, "C2": 4.5, "C6": 5.5, "C7": 4.8, "T1": 4, "T3": 3.3, "T6": 3.8, "T9": 4.5, "T11": 5.5, "T12": 6.5,
    "L1": 7.5, "L2": 8.5, "L3": 9.5, "L4": 10, "L5": 9.5, "S1": 1,
}
BODY_WIDTH: _Table = {
    "C1": 18, "C2": 17, "C3": 17, "C5": 18.5, "C7": 23, "T1": 27, "T2": 27, "T4": 26, "T6": 28, "T8": 31, "T10": 34,
    "T12": 40, "L1": 42, "L2": 44, "L3": 47, "L4": 50, "L5": 52, "S1": 52,
}
BODY_DEPTH: _Table = {
    "C1": 8, "C2": 15, "C3": 15.5, "C7": 17, "T1": 17.5, "T2": 20, "T4": 23.5, "T6": 27, "T8": 29.5, "T10": 32,
    "T12": 33, "L1": 34.5, "L3": 37, "L5": 37, "S1": 35,
}
CANAL_WIDTH: _Table = {
    "C1": 28, "C2": 24, "C7": 24, "T1": 20, "T3": 17, "T10": 17, "T12": 21, "L3": 23, "L5": 27, "S1": 30,
}
CANAL_DEPTH: _Table = {
    "C1": 28, "C2": 18, "C3": 15, "C7": 15, "T1": 15.5, "T12": 17, "L3": 17, "L5": 18, "S1": 15,
}
PEDICLE_WIDTH: _Table = {
    "C1": 6, "C3": 5.5, "C7": 6.5, "T1": 8, "T4": 5.5, "T8": 7, "T12": 8.5, "L1": 9, "L3": 11, "L5": 17, "S1": 18,
}
PEDICLE_HEIGHT: _Table = {
    "C1": 8, "C3": 7.5, "C7": 7.5, "T1": 9.5, "T6": 11.5, "T12": 16, "L1": 15.5, "L5": 15, "S1": 16,
}
TRANSVERSE: _Table = {  # half the distance of the tips of the transverse processes
    "C1": 38, "C2": 27, "C3": 27, "C6": 29, "C7": 34, "T1": 37, "T2": 34, "T4": 31, "T8": 29, "T10": 27, "T11": 24,
    "T12": 22, "L1": 36, "L2": 40, "L3": 45, "L4": 43, "L5": 45, "S1": 30,
}
SPINOUS: _Table = {  # from the back of the canal to the tip of the spinous process
    "C1": 3, "C2": 17, "C3": 15, "C5": 18, "C6": 24, "C7": 33, "T1": 36, "T4": 32, "T8": 28, "T11": 26, "L1": 31,
    "L3": 34, "L4": 32, "L5": 25, "S1": 14,
}
SPINOUS_DROP: _Table = {  # how far that tip lies below the body's middle
    "C1": 0, "C2": 9, "C5": 10, "C7": 13, "T1": 17, "T4": 30, "T7": 36, "T9": 28, "T11": 17, "L1": 13, "L5": 12,
    "S1": 8,
}
SPINOUS_HEIGHT: _Table = {
    "C1": 7, "C2": 12, "C3": 7, "C7": 10, "T6": 11, "T11": 15, "L1": 20, "L3": 22, "L5": 16, "S1": 12,
}
# forward tilt of the body's upward axis, degrees, with the standard deviation between patients
TILT: dict[str, tuple[float, float]] = {
    "C1": (2, 8), "C2": (0, 8), "C4": (5, 7), "C6": (13, 5), "T1": (22, 5), "T4": (13, 4), "T7": (1, 3), "T10": (-9, 3),
    "T12": (-14, 4), "L2": (-13, 4), "L3": (-6, 4), "L4": (4, 4), "L5": (20, 5), "S1": (40, 6),
}
# fmt: on


def at_level(table: _Table, place: Floats | float) -> Floats:
    """A table's values at places along LEVELS (0 is C1, 24 is S1; between levels, linear)."""
    return np.asarray(np.interp(place, [LEVELS.index(name) for name in table], list(table.values())))


def chain(variant: Variant) -> tuple[tuple[str, ...], Floats]:
    """Names from head to foot (an extra one is "extra") and their places along LEVELS."""
    names, places = list(LEVELS), [float(n) for n in range(len(LEVELS))]
    if variant == "six lumbar":
        names.insert(24, "extra")
        places.insert(24, 23.5)
    elif variant == "thirteen ribs":
        names.insert(19, "extra")
        places.insert(19, 18.5)
    elif variant in ("four lumbar", "eleven ribs"):
        gone = names.index("L5" if variant == "four lumbar" else "T12")
        del names[gone], places[gone]
        if variant == "four lumbar":  # the fourth is the last: shaped half like a fifth
            places[gone - 1] += 0.6
    return tuple(names), np.array(places)


@dataclass(frozen=True)
class Physique:
    """One patient; mm unless said. Factors are 1 on the average of adult men."""

    size: float
    female: bool
    age: float
    variant: Variant
    scoliosis_deg: float
    arms_up: bool
    fat: float  # under the skin of the flank
    belly: float  # how far the abdomen stands out, beyond the usual
    muscle: float  # factor
    girth: float  # factor on the rib cage's width
    disc: float  # factor on disc heights
    metal: bool
    table: bool


def draw_physique(rng: np.random.Generator, spec: PatientSpec) -> Physique:
    """Men, women, one in ten a child; fat from lean to obese."""
    child, female = rng.random() < 0.1, rng.random() < 0.5
    age = rng.uniform(4, 17) if child else rng.uniform(18, 92)
    grown = 0.6 + 0.32 * (age - 4) / 13 if child else rng.normal(0.94 if female else 1.0, 0.045)
    size = float(np.clip(grown * rng.normal(1, 0.02), 0.58, 1.12))
    fat = float(np.exp(rng.normal(np.log(9 if child else 17), 0.5)))
    scoliosis = float(abs(rng.normal(0, 5)) if rng.random() < 0.85 else rng.uniform(12, 45))
    old = np.clip((age - 45) / 45, 0, 1)
    belly, muscle, girth = rng.normal(8, 14), rng.normal(1, 0.15), rng.normal(1, 0.06)
    disc = rng.normal(1.02 - 0.2 * old, 0.1)
    usual = tuple(VARIANTS)
    variant = usual[int(rng.choice(len(usual), p=list(VARIANTS.values())))]
    arms, metal, table = rng.random() < 0.6, rng.random() < 0.06, rng.random() < 0.8
    return Physique(
        size=spec.size if spec.size is not None else size,
        female=female,
        age=spec.age if spec.age is not None else age,
        variant=spec.variant if spec.variant is not None else variant,
        scoliosis_deg=spec.scoliosis_deg if spec.scoliosis_deg is not None else scoliosis,
        arms_up=spec.arms_up if spec.arms_up is not None else arms,
        fat=float(np.clip(spec.fat_mm if spec.fat_mm is not None else fat, 3, 60)) * min(size, 1.0),
        belly=float(np.clip(belly, -12, 45)) * size,
        muscle=float(np.clip(muscle, 0.65, 1.4)),
        girth=float(np.clip(girth, 0.86, 1.15)),
        disc=float(np.clip(disc, 0.55, 1.25)),
        metal=spec.metal if spec.metal is not None else metal,
        table=spec.table if spec.table is not None else table,
    )
