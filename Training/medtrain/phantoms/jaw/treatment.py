"""What a dentist has done to a tooth: fillings, crowns, filled roots."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .person import Person
from .tooth_plan import ToothPlan, Work


def treated(rng: np.random.Generator, person: Person, plan: ToothPlan) -> ToothPlan:
    """Fillings, crowns and filled roots, mostly of molars and premolars."""
    if not plan.erupted or plan.root_formed < 0.5:
        return plan
    odds = person.restored * {"molar": 1.5, "premolar": 1.2}.get(plan.kind, 0.6)
    if rng.random() >= odds:
        return plan
    draw = rng.random()
    if plan.deciduous:
        return replace(plan, work=Work(draw >= 0.3 and draw < 0.5, draw >= 0.5, draw < 0.3, cavity=_cavity(rng, plan)))
    crown = draw < 0.35
    dead = rng.random() < (0.6 if crown else 0.2)
    amalgam = not crown and draw < 0.65 and plan.kind in ("molar", "premolar")
    return replace(plan, work=Work(amalgam, not crown and not amalgam, crown, dead, _cavity(rng, plan)))


def _cavity(rng: np.random.Generator, plan: ToothPlan) -> tuple[float, float, float, float]:
    """In the middle of the chewing surface, often open to a neighbour; in front teeth a corner of the edge."""
    if plan.kind in ("incisor", "canine"):
        low = rng.uniform(0.0, 0.5)
        return (low, 1.3, 1.3, 0.3) if rng.random() < 0.5 else (-1.3, -low, 1.3, 0.3)
    low, high = -rng.uniform(0.3, 0.65), rng.uniform(0.3, 0.65)
    low, high = (-1.3 if rng.random() < 0.3 else low), (1.3 if rng.random() < 0.3 else high)
    return low, high, rng.uniform(0.25, 0.6), rng.uniform(0.25, 0.45)
