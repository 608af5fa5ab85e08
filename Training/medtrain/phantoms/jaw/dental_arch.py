"""The curve on which the crowns of one jaw stand, seen from above, and directions along it.

Jaw coordinates are RAS mm: the midpoint of the lower incisors' edges is near the origin, z = 0 the occlusal plane.
Arc lengths are positive on the patient's right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ..lattice import Array, Floats

STEP = 0.25  # mm between the curve's points
REACH = 95.0  # mm of arc on each side


@dataclass(frozen=True, eq=False)
class DentalArch:
    """points: `[n, 2]` (x, y) from the left end to the right; arc: `[n]`, mm, 0 at the midline."""

    points: Floats
    arc: Floats

    def at(self, arc: float) -> Floats:
        """(x, y) at an arc length."""
        return np.array([np.interp(arc, self.arc, self.points[:, c]) for c in (0, 1)])

    def mesial(self, arc: float) -> Floats:
        """Unit vector (x, y) along the curve toward the midline."""
        way = self.at(arc - 0.5) - self.at(arc + 0.5)
        unit: Floats = way / np.linalg.norm(way) * (1 if arc >= 0 else -1)
        return unit

    def outward(self, arc: float) -> Floats:
        """Unit vector (x, y) to the lips and cheeks."""
        way = self.at(arc + 0.5) - self.at(arc - 0.5)  # to the right
        normal: Floats = np.array([-way[1], way[0]]) / np.linalg.norm(way)
        return normal

    def offsets(self, x: Array, y: Array) -> tuple[Array, Array]:
        """How far outward of the curve points lie, and at what arc length; x, y broadcast to one shape."""
        x, y = np.broadcast_arrays(x, y)
        where = np.stack([x.ravel(), y.ravel()], axis=1)
        _, nearest = cKDTree(self.points).query(where)
        way = np.gradient(self.points, axis=0)
        normal = np.stack([-way[:, 1], way[:, 0]], axis=1)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        out = ((where - self.points[nearest]) * normal[nearest]).sum(axis=1)
        away = np.linalg.norm(where - self.points[nearest], axis=1) * np.sign(out)
        return away.reshape(x.shape).astype(np.float32), self.arc[nearest].reshape(x.shape).astype(np.float32)


def draw_arch(
    length: float, half_width: float, power: float, front: float, skew: float, square: float = 0.0
) -> DentalArch:
    """A curve y = front - depth (|x| / half_width)^power whose arc from the midline to half_width has the given length.

    skew: how much wider the right side is than the left, as a share. square: 0..1, a flatter front.
    """
    depth = _depth(length, half_width, power)
    sides = []
    for share in (1 - skew / 2, 1 + skew / 2):  # left, right
        x = np.linspace(0, 2.2, 1500) * half_width
        bent = (x / half_width) ** power * (1 - square) + (x / half_width) ** (power + 2) * square
        y = front - depth * bent
        arc = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x * share), np.diff(y)))])
        even = np.arange(0, min(REACH, arc[-1]), STEP)
        sides.append((even, np.interp(even, arc, x * share), np.interp(even, arc, y)))
    (left, lx, ly), (right, rx, ry) = sides
    points = np.concatenate([np.stack([-lx, ly], 1)[:0:-1], np.stack([rx, ry], 1)])
    return DentalArch(points, np.concatenate([-left[:0:-1], right]))


def _depth(length: float, half_width: float, power: float) -> float:
    """The depth that gives the curve its length, by bisection."""
    x = np.linspace(0, 1, 400)
    low, high = 0.0, 3 * length
    for _ in range(40):
        middle = (low + high) / 2
        arc = np.hypot(np.diff(x) * half_width, np.diff(middle * x**power)).sum()
        low, high = (middle, high) if arc < length else (low, middle)
    return (low + high) / 2
