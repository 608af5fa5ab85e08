"""Teeth that stand on metal where their root would be: crowns on dental implants.

A network that was trained on teeth gives the crown of an implant a number, and a reader must know that no tooth is
there. What tells them apart lies beyond the crown: a root in bone, or titanium, which is brighter than enamel. No value
here is in Hounsfield units: all are compared with those of the teeth in the same scan, because the grey values of
cone-beam CT drift.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..volume import Floats, Volume

# Metal is so many times as bright as the enamel of most teeth, above soft tissue. Scanners clip it: values so near to
# the brightest in view are metal too.
_ABOVE_ENAMEL, _NEAR_BRIGHTEST = 1.2, 0.95
# An implant goes on for at least so far beyond its crown, mm, in a direction so far from the roots' own.
_BEYOND_MM, _TILTS_DEGREES = np.arange(1.0, 5.6, 0.5), (15, 30)
# The share of the way that may be darker: a thread, a gap below the crown.
_DARK = 20
# The end of a tooth that the way begins at: the voxels within this of its last one, mm.
_END_MM = 1.5
# At most so many voxels of a tooth are looked at.
_ENOUGH = 4000
# From so many teeth of each jaw on, the way from one jaw to the other is known.
_FEWEST = 2


def on_implants(volume: Volume, teeth: Sequence[Floats], jaws: Sequence[int | None]) -> list[bool]:
    """Which of the teeth have metal in place of a root.

    teeth: the places of each one's voxels, `[n, 3]` RAS mm. jaws: 0 or 1 for those whose jaw is known.
    """
    if not teeth:
        return []
    teeth = [places[:: max(1, len(places) // _ENOUGH)] for places in teeth]
    inside = [_values(volume, places) for places in teeth]
    roots = _roots(teeth, jaws)
    beyond = [
        [_values(volume, _beyond(places, root)) for root in either] for places, either in zip(teeth, roots, strict=True)
    ]
    metal = _metal(inside, beyond)
    return [
        any(
            _screw_inside(places @ root, values, metal) or bool((np.percentile(ways, _DARK, axis=1) >= metal).any())
            for root, ways in zip(either, further, strict=True)
        )
        for places, values, either, further in zip(teeth, inside, roots, beyond, strict=True)
    ]


def _screw_inside(along: Floats, values: Floats, metal: float) -> bool:
    """Whether crown and screw were found as one tooth: the half with the root is metal too."""
    return bool(np.median(values[along >= (along.min() + along.max()) / 2]) >= metal)


def _roots(teeth: Sequence[Floats], jaws: Sequence[int | None]) -> list[list[Floats]]:
    """The directions in which each tooth's root may lie: away from the other jaw, or up and down where that is not
    in view."""
    centers = np.array([places.mean(axis=0) for places in teeth]).reshape(-1, 3)
    first, second = (centers[[jaw == number for jaw in jaws]] for number in (0, 1))
    if min(len(first), len(second)) < _FEWEST:
        up = np.array([0.0, 0.0, 1.0])
        return [[up, -up] for _ in teeth]
    way = first.mean(axis=0) - second.mean(axis=0)
    way /= np.linalg.norm(way)
    middle = (first.mean(axis=0) + second.mean(axis=0)) / 2
    return [[way if (center - middle) @ way > 0 else -way] for center in centers]


def _beyond(places: Floats, root: Floats) -> Floats:
    """Places beyond a tooth's end towards `root`, on ways in several directions: `[ways, steps, 3]` RAS mm."""
    along = places @ root
    end = places[along >= along.max() - _END_MM].mean(axis=0)
    across = np.linalg.svd(root[None])[2][1:]
    directions = [root] + [
        np.cos(tilt) * root + np.sin(tilt) * (np.cos(turn) * across[0] + np.sin(turn) * across[1])
        for tilt in np.radians(_TILTS_DEGREES) for turn in np.radians(range(0, 360, 45))
    ]
    ways: Floats = end + np.array(directions)[:, None] * _BEYOND_MM[:, None]
    return ways


def _metal(inside: Sequence[Floats], beyond: Sequence[Sequence[Floats]]) -> float:
    """From which value on a voxel is metal."""
    every = np.concatenate([*inside, *(values.ravel() for both in beyond for values in both)])
    soft, brightest = np.percentile(every, (5, 99.9))
    enamel = float(np.median([np.percentile(values, 95) for values in inside]))
    return float(soft + min(_ABOVE_ENAMEL * (enamel - soft), _NEAR_BRIGHTEST * (brightest - soft)))


def _values(volume: Volume, places: Floats) -> Floats:
    """The scan's values at places `[…, 3]` (RAS mm), interpolated; outside it those of its border."""
    from scipy import ndimage

    index = np.moveaxis(volume.grid.to_index(places), -1, 0)
    scan: NDArray[Any] = volume.voxels
    values: Floats = ndimage.map_coordinates(scan, index, np.float64, order=1, mode="nearest", prefilter=False)
    return values
