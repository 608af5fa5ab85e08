"""The teeth of one person: which there are, how far they have formed, and where each stands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..lattice import Floats
from .dental_arch import DentalArch, draw_arch
from .person import Person
from .tooth_plan import Frame, ToothPlan, axes_at
from .tooth_sizes import DECIDUOUS, PERMANENT, PERMANENT_AGES, SHED, ToothSize, fdi, kind_of
from .treatment import treated
from .unerupted import with_unerupted

PLACES = range(1, 9)
# degrees by place from the midline: crown outward of the root, crown to mesial
LEAN = {True: (22, 18, 8, 3, 3, 5, 8, 10), False: (14, 12, 5, -2, -6, -10, -14, -16)}
TIP = {True: (4, 7, 9, 4, 4, 2, 0, -8), False: (1, 1, 4, 4, 4, 6, 9, 12)}
GERM_DEPTH = {True: (11, 12, 16, 12, 12, 10, 11, 12), False: (11, 11.5, 14, 12, 12.5, 9.5, 10, 9)}  # mm, crown's tip


@dataclass(frozen=True)
class Occupant:
    """A tooth of one place, before it has a position. risen: 0 (where its crown formed) .. 1 (in the mouth)."""

    place: int
    deciduous: bool
    size: ToothSize
    crown_formed: float
    root_formed: float
    risen: float


@dataclass(frozen=True, eq=False)
class Ridge:
    """The bone that carries one jaw's teeth, at arc lengths `[n]`: depth (mm from the occlusal plane into the bone) of
    its edge and of the deepest root, half its thickness, and by how much its middle leaves the arch per mm of depth."""

    arc: Floats
    crest: Floats
    deepest: Floats
    half: Floats
    lean: Floats


@dataclass(frozen=True, eq=False)
class Jaw:
    """One jaw's arch, teeth and ridge. gaps: (right, place) of teeth that are not there; arcs: middles of the places.

    half_width: mm of the arch at the second molars."""

    upper: bool
    arch: DentalArch
    half_width: float
    teeth: tuple[ToothPlan, ...]
    ridge: Ridge
    gaps: tuple[tuple[bool, int], ...]
    arcs: dict[tuple[bool, int], float]


def draw_jaw(rng: np.random.Generator, person: Person, upper: bool, half_width: float | None = None) -> Jaw:
    """The teeth of one jaw; half_width: of the arch at the second molars (drawn if not given)."""
    across, along = person.tooth_size, person.tooth_size * rng.normal(1, 0.03)
    teeth = {right: _occupants(rng, person, upper, right, across, along) for right in (True, False)}
    missing = _missing(rng, person, upper)
    chains = {right: _chain(rng, person, upper, teeth[right], right) for right in (True, False)}
    length = (chains[True][6] + chains[False][6]) / 2
    half_width = half_width or 0.548 * length * float(np.clip(rng.normal(1, 0.04), 0.9, 1.1))
    front = person.overjet if upper else 0.0
    arch = draw_arch(
        length, half_width, rng.uniform(2.5, 3.5), front, float(rng.normal(0, 0.03)), float(rng.uniform(0, 0.25))
    )
    arcs = {(r, p): (1 if r else -1) * chains[r][p - 1] for r in (True, False) for p in PLACES}
    plans: list[ToothPlan] = []
    for right in (True, False):
        for one in teeth[right]:
            if (right, one.place) not in missing:
                plans.append(_stand(rng, person, upper, right, one, arch, arcs, length, missing))
    plans = with_unerupted(rng, person, upper, plans, arch, arcs)
    ridge = _ridge(rng, person, upper, plans, arcs, missing)
    plans = [treated(rng, person, plan) for plan in plans]
    return Jaw(upper, arch, half_width, tuple(plans), ridge, tuple(sorted(missing)), arcs)


def _vary(rng: np.random.Generator, size: ToothSize, across: float, along: float) -> ToothSize:
    return size.scaled(
        across * float(np.clip(rng.normal(1, 0.025), 0.93, 1.07)),
        along * float(np.clip(rng.normal(1, 0.03), 0.92, 1.08)),
        float(np.clip(rng.normal(1, 0.05), 0.85, 1.15)),
    )


def _occupants(
    rng: np.random.Generator, person: Person, upper: bool, right: bool, across: float, along: float
) -> list[Occupant]:
    """The teeth of one quadrant by the dental age."""
    result: list[Occupant] = []
    for place in PLACES:
        ages, years = PERMANENT_AGES[upper, place], person.age + float(rng.normal(0, 0.25))
        crown = (years - ages.start) / (ages.crown - ages.start)
        size = _vary(rng, PERMANENT[upper, place], across, along)
        risen = float(np.clip((years - ages.crown - 0.5) / (ages.eruption + 0.8 - ages.crown - 0.5), 0, 1))
        agenesis = place == 8 and rng.random() < 0.25
        if crown > 0.4 and not agenesis:
            root = float(np.clip((years - ages.crown) / (ages.root - ages.crown), 0, 1))
            formed = (min(crown, 1.0), root if root > 0.06 else 0.0)
            result.append(Occupant(place, False, size, *formed, risen))
        if place <= 5:
            size = _vary(rng, DECIDUOUS[upper, place], across, along)
            shed = SHED[upper, place] + float(rng.normal(0, 0.3))
            late = min(shed, ages.eruption - 0.1) if crown > 0 else shed
            if years < late:
                left = float(np.clip((shed - years) / 3.0, 0.15, 1.0))
                result.append(Occupant(place, True, size, 1.0, left, 1.0))
    return result


def _missing(rng: np.random.Generator, person: Person, upper: bool) -> set[tuple[bool, int]]:
    """Places whose tooth is lost or never grew."""
    every = [(right, place) for right in (True, False) for place in PLACES]
    kind = person.dentition
    if kind == ("upper edentulous" if upper else "lower edentulous"):
        return set(every)
    lost: set[tuple[bool, int]] = set()
    if person.age > 18:  # wisdom teeth taken out
        lost |= {(right, 8) for right in (True, False) if rng.random() < 0.012 * min(person.age - 18, 45)}
    if kind == "gaps":
        odds = np.array([1, 1, 0.6, 1.6, 1.6, 3, 2, 2] * 2)
        count = int(rng.choice([1, 1, 2, 2, 3, 4, 6]))
        lost |= {every[n] for n in rng.choice(16, count, replace=False, p=odds / odds.sum())}
    elif kind in ("few", "upper edentulous", "lower edentulous"):
        odds = np.array([3, 3, 4, 2, 1.5, 0.7, 0.7, 0.5] * 2)
        kept = rng.choice(16, int(rng.integers(2, 9)), replace=False, p=odds / odds.sum())
        lost |= {one for n, one in enumerate(every) if n not in kept}
    elif kind == "mixed" and rng.random() < 0.12:  # a third molar that will never grow
        lost |= {(bool(rng.random() < 0.5), 8)}
    return lost


def _chain(rng: np.random.Generator, person: Person, upper: bool, teeth: list[Occupant], right: bool) -> list[float]:
    """Arc lengths of the middles of the eight places from the midline: neighbours touch, less crowding."""
    short = person.crowding[0 if upper else 1]
    front = sum(PERMANENT[upper, place].width for place in (1, 2, 3, 4))
    squeeze = 1 - np.clip(short, -6, 6) / 2 / front
    widths = []
    for place in PLACES:
        here = [one for one in teeth if one.place == place]
        mouth = [one for one in here if one.risen >= 0.6] or here
        deciduous = [one for one in here if one.deciduous]
        width = (deciduous or mouth)[0].size.width if here else PERMANENT[upper, place].width * person.tooth_size
        young = place >= 7 and person.age < 12
        widths.append(width * (0.985 + rng.normal(0, 0.006)) * (squeeze if place <= 4 else 0.85 if young else 1.0))
    edges = np.concatenate([[0], np.cumsum(widths)]) + rng.normal(0, 0.3)
    return [float(middle) for middle in (edges[:-1] + edges[1:]) / 2]


def _level(person: Person, upper: bool, arc: float, place: int, length: float) -> float:
    """z of a crown's tip in the closed mouth: curve of Spee, overbite in front, cusps a little into one another."""
    curve = -person.spee * np.sin(np.pi * np.clip(abs(arc) / length, 0, 1.15))
    into = 0.5 * person.overbite if place <= 3 else 0.75
    return float(curve + (-into if upper else into))


def _stand(
    rng: np.random.Generator,
    person: Person,
    upper: bool,
    right: bool,
    one: Occupant,
    arch: DentalArch,
    arcs: dict[tuple[bool, int], float],
    length: float,
    missing: set[tuple[bool, int]],
) -> ToothPlan:
    """An occupant with its frame."""
    p, up = one.place, -1.0 if upper else 1.0
    number = fdi(upper, right, p, one.deciduous)
    short = max(person.crowding[0 if upper else 1], 0.0)
    arc, upright = arcs[right, p], 0.35 if one.deciduous else 1.0
    lean = LEAN[upper][p - 1] * upright + rng.normal(0, 3)
    tip = TIP[upper][p - 1] * upright + rng.normal(0, 3)
    spin = rng.normal(0, 5) + (rng.normal(0, 7) * short if p <= 4 else 0)
    if not one.deciduous and p in (3, 4, 5) and rng.random() < 0.02:
        spin += rng.choice([-1, 1]) * rng.uniform(30, 90)
    shift = 0.0
    if p <= 4:
        shift = 0.22 * short * (-1 if p in (2, 4) else 1) * rng.uniform(0.3, 1.0)
    if not one.deciduous and p < 8 and (right, p - 1) in missing and p >= 4 and rng.random() < 0.4:
        tip += rng.uniform(6, 18)  # tilted into the gap before it
        arc -= np.sign(arc) * rng.uniform(0.5, 2.5)
    down = (1 - one.risen) * GERM_DEPTH[upper][p - 1] * person.growth * rng.uniform(0.92, 1.08)
    if one.risen < 1 and not one.deciduous and p <= 5:  # germs lie on the tongue's side, overlapping like shingles
        back = {1: -2.0, 2: -4.0, 3: -0.8 if upper else -2.0, 4: -0.5, 5: -0.5}[p]
        shift += back * (1 - one.risen)
        lean *= one.risen
    axes = axes_at(arch.mesial(arc), arch.outward(arc), up, lean, tip, spin)
    x, y = arch.at(arc) + shift * arch.outward(arc)
    level = _level(person, upper, arc, p, length) - up * down
    hold = 0.45 * one.size.crown  # the arch passes through the crown near its contacts
    origin = np.array([x, y, level - up * hold]) - axes[2] * (one.size.crown - hold)
    spread = float(np.clip(rng.normal(1, 0.3), 0.3, 1.8)) * (1.7 if one.deciduous else 1.0)
    return ToothPlan(
        number=number,
        upper=upper,
        kind=kind_of(number),
        place=p,
        deciduous=one.deciduous,
        size=one.size,
        frame=Frame(origin, axes),
        crown_formed=one.crown_formed,
        root_formed=one.root_formed,
        erupted=one.risen > 0.8,
        crest=1.5 + person.loss * rng.uniform(0.6, 1.4) if one.risen > 0.5 else -one.size.crown,
        pulp=float(np.clip(1.35 - 0.01 * person.age + rng.normal(0, 0.1), 0.5, 1.4)),
        bend=float(np.clip(rng.normal(0.9, 0.7), -0.8, 3.0)),
        spread=spread,
        two_roots=bool(upper and p == 4 and not one.deciduous and rng.random() < 0.6),
        cusps=float(np.clip(1.15 - 0.008 * person.age + rng.normal(0, 0.1), 0.35, 1.15)),
    )


def _ridge(
    rng: np.random.Generator,
    person: Person,
    upper: bool,
    plans: list[ToothPlan],
    arcs: dict[tuple[bool, int], float],
    missing: set[tuple[bool, int]],
) -> Ridge:
    """The bone's edge follows the necks; where teeth are lost it has shrunk."""
    up = -1.0 if upper else 1.0
    rows = []
    shrunk = rng.uniform(0.5, 7.0)
    for (right, place), arc in arcs.items():
        here = [t for t in plans if t.place == place and (t.number // 10 in (1, 4, 5, 8)) == right and t.number < 200]
        size = PERMANENT[upper, place]
        standing = [t for t in here if t.erupted]
        neck = size.crown if person.age > 8 or place > 5 else DECIDUOUS[upper, place].crown
        crest, half = neck - 1.0, size.neck_depth / 2 + 0.4
        if standing:
            neck = float(-up * standing[0].frame.origin[2])
            crest, half = neck + standing[0].crest, standing[0].size.neck_depth / 2 + 1.0
        elif (right, place) in missing:
            crest, half = neck + 1.5 + shrunk * rng.uniform(0.7, 1.1), max(2.2, half - 0.25 * shrunk)
        lean = np.tan(np.radians(LEAN[upper][place - 1])) * (0.5 if person.age < 7 else 1.0)
        ends = [-up * (t.frame.origin - t.frame.axes[2] * t.root_length)[2] for t in here]
        ends += [-up * t.frame.origin[2] for t in here]
        fallback = neck + 0.75 * size.root if (right, place) in missing else neck + 6
        rows.append((arc, crest, max([*ends, crest + 3, fallback]), half, -lean))
    table = np.array(sorted(rows))
    return Ridge(*table.T)
