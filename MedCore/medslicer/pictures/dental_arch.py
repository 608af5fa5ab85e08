"""The curve along a dental arch, as a panoramic picture follows it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medinfer.volume import Floats

# Teeth in one line have no circle: the curve is then nearly straight, bent as if the circle were so large.
LARGEST_RADIUS_MM = 200.0
# Keeps terms at rest that a few teeth say nothing of; a share of the points.
RIDGE = 1e-4
# Heights are in centimetres in the fit: numbers near 1.
_HEIGHT_UNIT_MM = 10.0
_SAMPLES, _TERMS = 400, 7


@dataclass(frozen=True, eq=False)
class DentalArch:
    """A curve in polar coordinates around a centre behind the teeth, for every height.

    center: R and A, mm; front: the direction (radians, from R towards A) in which the teeth's middle lies.
    reach: the teeth stand within so many radians to both sides of it. heights: lowest and highest S of the teeth, mm.
    outline: coefficients of the radius (mm), as `_terms` has them, at angle / reach and height.
    """

    center: Floats
    front: float
    reach: float
    heights: tuple[float, float]
    outline: Floats

    def points(self, angles: Floats, height: float) -> Floats:
        """Where the curve is at `angles` (radians from the front, `[n]`) and S = `height` mm: R and A, `[n, 2]`."""
        low, high = self.heights
        over = np.full(len(angles), np.clip(height, low, high) - (low + high) / 2)
        radius = _terms(angles / self.reach, over) @ self.outline
        at = self.front + angles
        places: Floats = self.center + radius[:, None] * np.stack([np.cos(at), np.sin(at)], axis=1)
        return places

    def along(self, step_mm: float, beyond_mm: float) -> tuple[Floats, Floats]:
        """Angles `[n]` at every `step_mm` along the curve at middle height, from the patient's right to the left.

        The second array `[n]` says how far beyond the curve's end a place is, in mm: negative before its beginning
        (where the angle is that of the beginning), positive behind its end. `beyond_mm` of it at both ends.
        """
        # R falls along the curve: towards the patient's left.
        angles = np.linspace(-self.reach, self.reach, _SAMPLES)
        steps = np.linalg.norm(np.diff(self.points(angles, sum(self.heights) / 2), axis=0), axis=1)
        length = np.concatenate([[0.0], np.cumsum(steps)])
        places = np.arange(-beyond_mm, length[-1] + beyond_mm, step_mm)
        inside = np.clip(places, 0, length[-1])
        return np.interp(inside, length, angles), places - inside


def fit_arch(points_ras: Floats) -> DentalArch:
    """The arch through the teeth whose points `[n, 3]` (RAS mm; as many for each tooth) are given.

    First a circle in the plane of R and A (least squares, I. Kåsa 1976), then the distance from its centre as a
    polynomial of the angle, with a part that grows with the height: upper and lower teeth stand on one slanting wall.
    Raises ValueError without a point.
    """
    if not len(points_ras):
        raise ValueError("an arch needs at least one tooth")
    flat, height = points_ras[:, :2], points_ras[:, 2]
    center = _circle_center(flat)
    away = flat - center
    radius = np.linalg.norm(away, axis=1)
    middle = np.arctan2(*away.mean(axis=0)[::-1])
    # Around the middle no angle jumps by a turn.
    angle = np.angle(np.exp(1j * (np.arctan2(away[:, 1], away[:, 0]) - middle)))
    front = float(middle + (angle.min() + angle.max()) / 2)
    angle += middle - front
    reach = max(float(angle.max()), 1.0 / float(radius.mean()))
    heights = float(height.min()), float(height.max())
    terms = _terms(angle / reach, height - sum(heights) / 2)
    ridge = np.diag(np.array([0.0, *[RIDGE * len(flat)] * (_TERMS - 1)]))
    outline = np.linalg.solve(terms.T @ terms + ridge, terms.T @ radius)
    return DentalArch(center, front, reach, heights, outline)


def _terms(share: Floats, over_mm: Floats) -> Floats:
    """`[n, _TERMS]`: powers of the angle's share of the reach, then the height and its product with the square."""
    tall = over_mm / _HEIGHT_UNIT_MM
    columns: Floats = np.stack([*(share**power for power in range(_TERMS - 2)), tall, tall * share**2], axis=1)
    return columns


def _circle_center(flat: Floats) -> Floats:
    """The centre of the circle through points `[n, 2]` (R, A); behind them, at most LARGEST_RADIUS_MM away."""
    mean: Floats = flat.mean(axis=0)
    x, y = (flat - mean).T
    system, squares = np.stack([2 * x, 2 * y, np.ones_like(x)], axis=1), x**2 + y**2
    (right, front, rest), _, rank, _ = np.linalg.lstsq(system, squares, rcond=1e-6)
    radius = np.sqrt(max(rest + right**2 + front**2, 0.0))
    straight = rank < 3 or radius > LARGEST_RADIUS_MM or front > 0
    center: Floats = mean + (np.array([0.0, -LARGEST_RADIUS_MM]) if straight else np.array([right, front]))
    return center
