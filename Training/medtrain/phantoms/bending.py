"""Smooth curves and shifted points, along which phantoms are drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import PchipInterpolator

from .lattice import Floats


def bend(points: ArrayLike, count: int = 24) -> Floats:
    """A smooth curve (monotone cubic through `[n, 3]` points, evenly spaced in parameter) of `count` points."""
    points = np.asarray(points, float)
    way = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1) + 1e-6)])
    result: Floats = PchipInterpolator(way, points)(np.linspace(0, way[-1], count))
    return result


def moved(point: Floats, right: float, front: float, up: float) -> Floats:
    """A point farther to the right, front and head, mm."""
    result: Floats = point + np.array([right, front, up])
    return result
