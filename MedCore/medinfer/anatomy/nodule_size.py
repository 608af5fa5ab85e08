"""The measures of a nodule as reports give them: volume, axial diameters, kind."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..findings import Box, NoduleMeasures
from ..volume import Floats, Volume
from .nodule import segment_nodule

# From the middle of a voxel to that of another one is too short; by so many voxels on average over drawn ellipses.
_ENDS, _ENDS_ACROSS = 0.5, 0.7


def measure_nodule(volume: Volume, box: Box) -> NoduleMeasures | None:
    """The measures of the nodule that `box` marks on a CT in HU; None where there is none to be seen."""
    nodule = segment_nodule(volume, box)
    if nodule is None:
        return None
    step = nodule.block.step
    longest, across = axial_diameters(nodule.mask)
    return NoduleMeasures(
        volume_mm3=float(np.count_nonzero(nodule.mask) * step**3),
        longest_mm=float(longest * step),
        perpendicular_mm=float(across * step),
        kind=nodule.kind,
    )


def axial_diameters(mask: NDArray[np.bool_]) -> tuple[float, float]:
    """The longest diameter of `mask` `[k, j, i]` in one of its slices, and the longest one perpendicular to it in the
    same slice (as RECIST and Fleischner measure); in voxels."""
    best, where, direction = 0.0, -1, np.zeros(2)
    for number in np.flatnonzero(mask.any(axis=(1, 2))):
        corners = _outline(mask[number])
        ways = corners[:, None] - corners[None]
        lengths = np.linalg.norm(ways, axis=-1)
        one, other = np.unravel_index(int(lengths.argmax()), lengths.shape)
        if lengths[one, other] + _ENDS > best:
            best, where = float(lengths[one, other]) + _ENDS, int(number)
            direction = ways[one, other] / max(float(lengths[one, other]), 1e-9)
    if where < 0:
        return 0.0, 0.0
    return best, _widest_across(np.argwhere(mask[where]), direction)


def _outline(plane: NDArray[np.bool_]) -> NDArray[np.float64]:
    """`[n, 2]`: the first and last voxel of each row; the two that are farthest apart are among them."""
    rows = np.flatnonzero(plane.any(axis=1))
    first = plane[rows].argmax(axis=1)
    last = plane.shape[1] - 1 - plane[rows, ::-1].argmax(axis=1)
    return np.concatenate([np.stack([rows, first], axis=1), np.stack([rows, last], axis=1)]).astype(np.float64)


def _widest_across(places: NDArray[np.intp], direction: Floats) -> float:
    """How wide `places` `[n, 2]` are at most, perpendicular to `direction`, in voxels."""
    if not direction.any():
        return _ENDS_ACROSS
    along = np.rint(places @ direction).astype(int)
    across = places @ np.array([-direction[1], direction[0]])
    along -= along.min()
    low, high = np.full(along.max() + 1, np.inf), np.full(along.max() + 1, -np.inf)
    np.minimum.at(low, along, across)
    np.maximum.at(high, along, across)
    return float((high - low).max()) + _ENDS_ACROSS
