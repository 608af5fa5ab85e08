"""Where nodules go: alone in the lung, on the pleura or on a vessel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ..lattice import Array, Floats, Lattice
from .nodule_shape import NoduleModel, draw_nodule
from .spec import KINDS, PLACES, ChestSpec, Kind, Place
from .vessels import Vasculature

TRIES = 60


@dataclass(frozen=True, eq=False)
class Planned:
    """A nodule before it is drawn; center in chest coordinates."""

    center: Floats
    diameter: float
    kind: Kind
    place: Place
    model: NoduleModel


@dataclass(frozen=True, eq=False)
class _Ground:
    """What the placing looks at: pleural distance on a lattice, and vessels as points with radii."""

    depth: Array
    lattice: Lattice
    deep: Floats
    rim: Floats
    vessels: Vasculature
    near: cKDTree
    thick: Floats

    def depth_at(self, point: Floats) -> float:
        index = np.rint(self.lattice.index(point)).astype(int)
        if np.any(index < 0) or np.any(index >= self.lattice.shape):
            return 0.0
        return float(self.depth[tuple(index)])

    def vessel_gap(self, point: Floats) -> float:
        """mm from a point to the nearest wall of a vessel of 0.9 mm radius or more (up to 40 mm away)."""
        close = self.near.query_ball_point(point, 40)
        gaps = np.linalg.norm(self.near.data[close] - point, axis=1) - self.thick[close]
        return float(gaps.min()) if len(gaps) else 40.0


def plan_nodules(
    spec: ChestSpec, lungs: Array, depth: Array, lattice: Lattice, vessels: Vasculature, rng: np.random.Generator
) -> list[Planned]:
    """Draw number, sizes, kinds and places; nodules keep 4 mm of each other. One that finds no place is left out."""
    strands = vessels.vessels
    big = np.minimum(strands.first, strands.last) > 0.9
    t = np.linspace(0, 1, 3)[:, None, None]
    points = (strands.start[big] * (1 - t) + strands.end[big] * t).reshape(-1, 3)
    thick = np.tile(np.maximum(strands.first, strands.last)[big], 3)
    places = [np.argwhere(mask) for mask in (depth > 4, (depth > 0) & (depth < 2.5 * abs(lattice.step[1])))]
    deep, rim = ((lattice.start + place * lattice.step)[:, ::-1] for place in places)
    ground = _Ground(depth, lattice, deep, rim, vessels, cKDTree(points), thick)
    count = int(rng.integers(spec.nodules[0], spec.nodules[1] + 1))
    chosen: list[Planned] = []
    for _ in range(count):
        diameter = float(np.exp(rng.uniform(*np.log(spec.diameter_mm))))
        kind: Kind = KINDS[rng.choice(3, p=[0.68, 0.16, 0.16])]
        first = rng.choice(3, p=[0.40, 0.33, 0.27])
        for turn in range(TRIES):
            place = PLACES[first] if turn < TRIES // 2 else PLACES[turn % 3]
            if kind != "solid" and place == "juxta-vascular":
                place = "isolated"
            center = _propose(place, diameter, ground, rng)
            if center is not None and all(
                np.linalg.norm(center - other.center) > (diameter + other.diameter) / 2 * 1.2 + 4 for other in chosen
            ):
                chosen.append(Planned(center, diameter, kind, place, draw_nodule(rng, center, diameter, kind)))
                break
    return chosen


def _propose(place: Place, diameter: float, ground: _Ground, rng: np.random.Generator) -> Floats | None:
    """A centre for this place, or None if the draw does not fit."""
    if place == "juxta-pleural":
        seed = ground.rim[rng.integers(len(ground.rim))]
        inward = _inward(seed, ground)
        center: Floats = seed + inward * diameter * rng.uniform(0.1, 0.5)
        return center if ground.depth_at(center) > 0.1 * diameter else None
    if place == "juxta-vascular":
        strands = ground.vessels.vessels
        usable = np.flatnonzero((strands.first > 0.7) & (strands.first < 3.5))
        n = rng.choice(usable)
        way = strands.end[n] - strands.start[n]
        side = np.cross(way, rng.standard_normal(3))
        side /= np.linalg.norm(side) + 1e-9
        center = strands.start[n] + 0.5 * way + side * (strands.first[n] + diameter * rng.uniform(0.3, 0.5))
        return center if ground.depth_at(center) > 0.62 * diameter + 2 else None
    center = ground.deep[rng.integers(len(ground.deep))] + rng.uniform(-1, 1, 3)
    alone = ground.depth_at(center) > 0.66 * diameter + 2 and ground.vessel_gap(center) > 0.5 * diameter + 1
    return center if alone else None


def _inward(point: Floats, ground: _Ground) -> Floats:
    """Unit vector away from the nearest pleura."""
    k, j, i = np.clip(np.rint(ground.lattice.index(point)).astype(int), 1, np.array(ground.lattice.shape) - 2)
    d = ground.depth
    rise = (d[k, j, i + 1] - d[k, j, i - 1], d[k, j + 1, i] - d[k, j - 1, i], d[k + 1, j, i] - d[k - 1, j, i])
    slope = np.array(rise) / ground.lattice.step[::-1]
    result: Floats = slope / (np.linalg.norm(slope) + 1e-9)
    return result
