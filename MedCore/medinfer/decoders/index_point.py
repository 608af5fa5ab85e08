"""A landmark on the network's grid, before the conversion to world coordinates."""

from __future__ import annotations

from dataclasses import dataclass

from .index_box import Point


@dataclass(frozen=True)
class IndexPoint:
    """position: voxels along k, j, i of the prepared grid (fractional), None where the landmark is missing;
    deviation: its standard deviation in the same voxels; confidence: 0…1, of a missing one the best that was seen."""

    label: str
    confidence: float
    position: Point | None
    deviation: Point | None = None
    flags: tuple[str, ...] = ()
