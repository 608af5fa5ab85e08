"""The curve of a dental arch through teeth whose numbers are still uncertain.

A usual arch is a parabola, open to the back, with places at the middles of teeth of usual widths. It is turned,
stretched and moved in space (an affine map) to where the teeth are, each tooth counting by how well its place is known
so far; with few teeth, or none sure, the map stays near to an upright head's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Widths along the arch from the midline outwards, mm, the mean of upper and lower permanent teeth; further places are
# as wide as the last. Nelson, Wheeler's Dental Anatomy, Physiology and Occlusion, 10th ed., table 1-1.
_WIDTHS_MM = (6.9, 6.0, 7.3, 7.0, 7.1, 10.5, 9.8, 9.3)
# A place at depth y = −curvature · x²: second molars 52 mm apart and 43 mm behind the incisors.
_CURVATURE = 0.064
# How a patient's arch differs from the usual one: each place in mm, each axis of the map by so much of its length
# (a head tilted by 30° moves an axis' end by half of it).
_PLACE_MM, _AXIS = 3.0, 0.35
# Teeth further than this from the curve (ectopic ones) draw on it with less than half their weight.
_FAR_MM = 6.0
# The curve goes on behind the last place.
_BEYOND_MM, _STEP_MM = 25.0, 0.25


def places_along(count: int) -> Floats:
    """[count] mm along a usual arch of `count` places, from the right (negative) to the left; 0 is the midline."""
    widths = np.array([_WIDTHS_MM[min(n, len(_WIDTHS_MM) - 1)] for n in range((count + 1) // 2)])
    # With an odd number of places the middle one lies on the midline.
    outwards = np.cumsum(widths) - widths / 2 - (widths[0] / 2 if count % 2 else 0)
    return np.concatenate([-outwards[::-1], outwards[count % 2 :]]) if count else np.zeros(0)


def usual_arch(along: Floats) -> Floats:
    """[..., 2] mm, to the right and to the front of the midline's point, at distances `along` the parabola."""
    x = np.linspace(0, 60, 601)
    slope = 2 * _CURVATURE * x
    length = (slope * np.sqrt(1 + slope**2) + np.arcsinh(slope)) / (4 * _CURVATURE)
    right = -np.sign(along) * np.interp(np.abs(along), length, x)
    return np.stack([right, -_CURVATURE * right**2], axis=-1)


@dataclass(frozen=True, eq=False)
class ArchCurve:
    """origin: [3], RAS mm, of the midline's point. axes: [2, 3], what a millimetre to the right and one to the front
    of the usual arch become."""

    origin: Floats
    axes: Floats

    def at(self, along: Floats) -> Floats:
        """[..., 3] RAS mm at distances along the usual arch."""
        points: Floats = self.origin + usual_arch(along) @ self.axes
        return points

    def nearest(self, positions: Floats, half: float) -> tuple[Floats, Floats]:
        """Where on the curve [n, 3] positions are: mm along the usual arch [n], and mm from the curve [n].

        half: half of the arch's length, mm.
        """
        end = half + _BEYOND_MM
        along = np.linspace(-end, end, 2 * round(end / _STEP_MM) + 1)
        squares = ((positions[:, None] - self.at(along)) ** 2).sum(axis=2)
        best = squares.argmin(axis=1).clip(1, len(along) - 2)
        # Between the samples: the lowest point of the parabola through three of them.
        before, here, after = np.take_along_axis(squares, best[:, None] + (-1, 0, 1), axis=1).T
        bend = before - 2 * here + after
        off = np.divide(before - after, 2 * bend, out=np.zeros_like(bend), where=bend > 0).clip(-1, 1)
        return along[best] + off * (along[1] - along[0]), np.sqrt(here)


def fit_curve(positions: Floats, probabilities: Floats, along: Floats, before: ArchCurve | None = None) -> ArchCurve:
    """The arch through teeth at `positions` [n, 3], RAS mm, n > 0.

    probabilities: [n, c], of each tooth having each label; a row's sum is its weight. along: [c], the labels' places
    (`places_along`). before: a first curve, by which teeth far off are known.
    Weighted least squares on the mean of each tooth's possible places, whose spread adds to its variance.
    """
    usual = usual_arch(along)
    weight = np.maximum(probabilities.sum(axis=1), 1e-9)
    share = probabilities / weight[:, None]
    mean = share @ usual
    spread = (share @ (usual**2) - mean**2).sum(axis=1)
    if before is not None:
        far = before.nearest(positions, float(np.abs(along).max()))[1]
        weight = weight / (1 + (far / _FAR_MM) ** 2)
    weight = weight / (_PLACE_MM**2 + spread)
    terms = np.column_stack([np.ones(len(positions)), mean])
    upright = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    held = np.diag([0.0, _AXIS**-2, _AXIS**-2])
    solved = np.linalg.solve(terms.T * weight @ terms + held, terms.T * weight @ positions + held @ upright)
    return ArchCurve(solved[0], solved[1:])
