"""Whose jaws: age, build, bite and the state of the teeth, drawn from a seed where the spec leaves them open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .spec import DENTITIONS, Bite, Dentition, JawSpec


@dataclass(frozen=True)
class Person:
    """growth: size of the jaw bones, 1 in a grown man. tooth_size: factor on all teeth. loss: mm of bone lost around
    the necks. open_deg, forward: how far the mandible is opened and pushed forward (mm)."""

    dentition: Dentition
    age: float
    growth: float
    tooth_size: float
    loss: float
    crowding: tuple[float, float]  # upper, lower
    bite: Bite
    open_deg: float
    forward: float
    overjet: float
    overbite: float
    spee: float
    restored: float
    implants: int
    extra: int
    impacted: bool | None
    canal_wall: bool
    cortex: float  # thickness of cortical bone as a factor


def draw_person(rng: np.random.Generator, spec: JawSpec) -> Person:
    """A person who meets the spec."""
    kinds = tuple(DENTITIONS)
    dentition: Dentition = kinds[int(rng.choice(len(kinds), p=list(DENTITIONS.values())))]
    if spec.age is not None and spec.age < 13:
        dentition = "deciduous" if spec.age < 5.8 else "mixed"
    elif spec.age is not None and dentition in ("mixed", "deciduous"):
        dentition = "full"
    dentition = spec.dentition or dentition
    age = spec.age if spec.age is not None else _age(rng, dentition)
    female = bool(rng.random() < 0.5)
    growth = float(np.interp(age, [2, 6, 12, 18], [0.74, 0.84, 0.93, 1.0])) * (0.95 if female else 1.0)
    bites: tuple[Bite, ...] = ("closed", "edge to edge", "open")
    bite = spec.bite or bites[int(rng.choice(3, p=(0.5, 0.35, 0.15)))]
    open_deg, forward = {
        "closed": (0.0, 0.0),
        "edge to edge": (rng.uniform(2.2, 4.2), rng.uniform(1.5, 3.5)),
        "open": (rng.uniform(4.5, 9.0), rng.uniform(0, 3)),
    }[bite]
    crowded = rng.normal(0.4, 1.2, 2) + (rng.uniform(2, 5, 2) if rng.random() < 0.2 else 0)
    crowding = (spec.crowding, spec.crowding) if spec.crowding is not None else (float(crowded[0]), float(crowded[1]))
    worn = max(0.0, age - 30) / 50
    share = float(np.clip(rng.beta(1.2, 5) * (0.3 + 1.6 * min(worn, 1)), 0, 0.8)) if age > 6 else 0.0
    return Person(
        dentition=dentition,
        age=age,
        growth=growth * float(rng.normal(1, 0.035)),
        tooth_size=(0.97 if female else 1.01) * float(np.clip(rng.normal(1, 0.035), 0.92, 1.08)),
        loss=float(np.clip(rng.exponential(0.4 + 1.4 * worn), 0, 4.5)),
        crowding=crowding,
        bite=bite,
        open_deg=float(open_deg),
        forward=float(forward),
        overjet=float(np.clip(rng.normal(2.8, 1.0), 1.0, 6.0)),
        overbite=float(np.clip(rng.normal(2.2, 1.2), -1.0, 4.5)),
        spee=float(rng.uniform(0.2, 2.2)),
        restored=spec.restored if spec.restored is not None else share,
        implants=spec.implants if spec.implants is not None else int(rng.integers(1, 4) if rng.random() < 0.35 else 0),
        extra=spec.extra if spec.extra is not None else int(rng.random() < 0.06) + int(rng.random() < 0.02),
        impacted=spec.impacted,
        canal_wall=spec.canal_wall if spec.canal_wall is not None else bool(rng.random() < 0.6),
        cortex=float(np.clip(rng.normal(1, 0.15) - 0.004 * max(0.0, age - 50), 0.6, 1.35)),
    )


def _age(rng: np.random.Generator, dentition: Dentition) -> float:
    """Years that suit a dentition."""
    low, high = {
        "deciduous": (2.8, 5.8),
        "mixed": (6.0, 12.8),
        "full": (13.5, 60.0),
        "gaps": (18.0, 80.0),
        "few": (45.0, 88.0),
        "upper edentulous": (50.0, 88.0),
        "lower edentulous": (50.0, 88.0),
    }[dentition]
    return float(rng.uniform(low, high))
