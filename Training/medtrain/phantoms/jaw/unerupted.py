"""Teeth that stay in the bone where they should not: impacted third molars and canines, and supernumerary teeth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .dental_arch import DentalArch
from .person import Person
from .spec import FIRST_EXTRA
from .tooth_plan import Frame, ToothPlan, axes_at
from .tooth_sizes import PERMANENT, Kind


def with_unerupted(
    rng: np.random.Generator,
    person: Person,
    upper: bool,
    plans: list[ToothPlan],
    arch: DentalArch,
    arcs: dict[tuple[bool, int], float],
) -> list[ToothPlan]:
    """Third molars and canines that stay in the bone, and supernumerary teeth."""
    result: list[ToothPlan] = []
    for plan in plans:
        wisdom = plan.place == 8 and plan.root_formed > 0.15 and not plan.deciduous
        canine = upper and plan.place == 3 and not plan.deciduous and person.age > 12.5
        odds = 0.3 if wisdom else 0.03 if canine else 0.0
        if person.impacted is not None:
            odds = (0.9 if wisdom else 0.35 if canine else 0.0) if person.impacted else 0.0
        if rng.random() >= odds:
            result.append(plan)
            continue
        arc = arcs[plan.number // 10 in (1, 4), plan.place]
        make = _impacted_molar if wisdom else _impacted_canine
        result.append(make(rng, plan, upper, arch, arc))
    if upper or person.extra > 1:
        result += _extra_teeth(rng, person, upper, arch, arcs)
    return result


def _impacted_molar(rng: np.random.Generator, plan: ToothPlan, upper: bool, arch: DentalArch, arc: float) -> ToothPlan:
    """Tilted against the second molar (below) or high in the tuberosity (above)."""
    up, side, s = (-1.0 if upper else 1.0), np.sign(arc), plan.size
    if upper:
        tip, deep, back = rng.uniform(-35, 15), rng.uniform(6, 11), rng.uniform(0, 2)
    else:
        tip = float(rng.choice([rng.uniform(5, 30), rng.uniform(35, 65), rng.uniform(75, 95)]))
        angle = np.radians(tip)
        reach = (s.crown * np.sin(angle) + s.width * np.cos(angle)) / 2  # to mesial of the crown's middle
        deep, back = rng.uniform(3, 6) + 0.03 * tip, reach + rng.uniform(0.3, 1.2) - s.width / 2
    away = arc + side * back
    flat, out = arch.mesial(away), arch.outward(away)
    angle = np.radians(tip)
    mesial, outward, rise = np.array([*flat, 0.0]), np.array([*out, 0.0]), np.array([0.0, 0.0, up])
    crown = np.cos(angle) * rise + np.sin(angle) * mesial
    axes = np.stack([np.cos(angle) * mesial - np.sin(angle) * rise, outward, crown])
    middle = np.array([*arch.at(away), -up * (deep + s.crown / 2)])
    frame = Frame(middle - crown * s.crown / 2, axes)
    return replace(plan, frame=frame, erupted=False, crest=-s.crown, optional=True)


def _impacted_canine(rng: np.random.Generator, plan: ToothPlan, upper: bool, arch: DentalArch, arc: float) -> ToothPlan:
    """Oblique in the palate, its crown behind the incisors' roots."""
    s, side = plan.size, np.sign(arc)
    tip = np.radians(rng.uniform(35, 65))
    place = arc - side * rng.uniform(1, 4)
    inward = -arch.outward(place)
    mesial = np.array([*arch.mesial(arc), 0.0])
    crown = np.cos(tip) * np.array([0, 0, -1.0]) + np.sin(tip) * mesial
    m = np.cos(tip) * mesial - np.sin(tip) * np.array([0, 0, -1.0])
    axes = np.stack([m, np.array([*-inward, 0.0]), crown])
    x, y = arch.at(place) + inward * rng.uniform(9.5, 12)
    frame = Frame(np.array([x, y, rng.uniform(13, 17)]) - crown * s.crown / 2, axes)
    return replace(plan, frame=frame, erupted=False, crest=-s.crown, optional=True)


def _extra_teeth(
    rng: np.random.Generator, person: Person, upper: bool, arch: DentalArch, arcs: dict[tuple[bool, int], float]
) -> list[ToothPlan]:
    """A peg behind the upper incisors, a fourth molar, or a premolar too many."""
    result: list[ToothPlan] = []
    count = person.extra if upper else person.extra - 1
    kind: Kind
    for n in range(min(count, 2) if upper else 1):
        right = bool(rng.random() < 0.5)
        up = -1.0 if upper else 1.0
        fourth = person.age > 19 and rng.random() < 0.35
        if upper and not fourth:
            size, kind, place = PERMANENT[True, 2].scaled(0.72, 0.72, 0.8), "canine", 1
            arc, inside, deep = rng.uniform(-3, 3), rng.uniform(8.0, 9.5), rng.uniform(11, 15)
            turn = float(rng.choice([rng.normal(0, 15), 180 + rng.normal(0, 12)]))
        elif fourth:
            size, kind, place = PERMANENT[upper, 8].scaled(0.65, 0.7, 0.7), "premolar", 8
            arc, inside, deep = arcs[right, 8] + (1 if right else -1) * 10.0, 0.5, rng.uniform(4, 9)
            turn = float(rng.normal(0, 20))
        else:
            size, kind, place = PERMANENT[False, 5].scaled(0.75, 0.75, 0.7), "premolar", 5
            arc, inside, deep = (arcs[right, 4] + arcs[right, 5]) / 2, 7.0, rng.uniform(9, 14)
            turn = float(rng.normal(0, 20))
        out = arch.outward(arc)
        axes = axes_at(arch.mesial(arc), out, up, 0.0, 0.0, float(rng.uniform(-40, 40)))
        if abs(turn) > 90:
            axes = axes * np.array([[-1.0], [1.0], [-1.0]])
        x, y = arch.at(arc) - inside * out
        middle = np.array([x, y, -up * (deep + size.crown / 2)])
        frame = Frame(middle - axes[2] * size.crown / 2, axes)
        number = FIRST_EXTRA + n + (0 if upper else 2)
        plan = ToothPlan(number, upper, kind, place, False, size, frame, erupted=False, crest=-size.crown)
        result.append(replace(plan, optional=True, bend=float(rng.uniform(-0.5, 0.5))))
    return result
