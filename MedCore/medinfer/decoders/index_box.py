"""A finding on the network's grid, before the conversion to world coordinates."""

from __future__ import annotations

from dataclasses import dataclass

Point = tuple[float, float, float]


@dataclass(frozen=True)
class IndexBox:
    """Half-open [low, high) in voxels along k, j, i of the prepared grid; diameter in mm is set where it is known
    better than from the edges."""

    label: str
    score: float
    low: Point
    high: Point
    diameter_voxels: float | None = None
