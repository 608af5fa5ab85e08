"""Where the views look: at the best box, along all landmarks, or through as many segments as a plane can meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medinfer.findings import Vector, vector
from medinfer.volume import Floats

from ..nodes.fiducials import points_world
from ..nodes.segment_surfaces import surfaces_world
from ..nodes.volumes import world_bounds

NEAR_MM = 180.0
# Around the outermost landmarks: half a vertebra, and the names beside them.
MARGIN_MM = 60.0
# Around the outermost segments; at least so much is shown.
TEETH_MARGIN_MM, LEAST_MM = 12.0, 60.0
# A plane that only grazes a segment does not show it: of its extent this share is left out at both ends.
GRAZED = 0.2
# Where the 3-D camera stands (R, A, S): in front, a little to the patient's left and above; more to the side; straight
# before the teeth.
FRONT, BESIDE, BEFORE = (-0.35, 0.95, 0.18), (-0.85, 0.50, 0.12), (0.0, 0.99, 0.12)


@dataclass(frozen=True)
class Sight:
    """The middle of a slice view (world RAS mm; the slice goes through it), and how many millimetres it shows.

    spread_mm: how thick a slab around the slice would have to be to hold all that there is to see.
    """

    centre_ras: Vector
    field_of_view_mm: float = NEAR_MM
    spread_mm: float = 0.0


@dataclass(frozen=True)
class Overview:
    """The middle of the 3-D view (world RAS mm), how many millimetres it shows, and where the camera stands from it."""

    centre_ras: Vector
    extent_mm: float
    direction_ras: Vector


@dataclass(frozen=True)
class Sights:
    """What the four views of a scene show."""

    axial: Sight
    coronal: Sight
    sagittal: Sight
    overview: Overview

    def of(self, orientation: str) -> Sight:
        """The slice view of that orientation, by Slicer's name: "Axial", "Coronal" or "Sagittal"."""
        sight: Sight = getattr(self, orientation.lower())
        return sight


def sights_of_boxes(rois: Sequence[Any], volume_node: Any) -> Sights:
    """Through the first of `rois`, the best; without one, through the middle of the scan. All of that in 3-D."""
    low, high = world_bounds(volume_node)
    middle = (low + high) / 2
    place = Sight(vector(rois[0].GetCenterWorld() if rois else middle))
    return Sights(place, place, place, Overview(vector(middle), float((high - low).max()), FRONT))


def sights_of_landmarks(fiducials: Any, volume_node: Any) -> Sights:
    """Axial through the middle one of the points found, coronal and sagittal with all of them in view.

    Those two planes lie where they are nearest to the points, at the median: the least sum of distances, which one
    point far off does not move. Without a point all go through the middle of the scan.
    """
    points = points_world(fiducials)
    if not len(points):
        return sights_of_boxes((), volume_node)
    low, high = points.min(axis=0), points.max(axis=0)
    plane, middle = np.median(points, axis=0), (low + high) / 2
    spread = 2 * np.abs(points - plane).max(axis=0)
    wide, deep, tall = (float(edge) for edge in high - low + 2 * MARGIN_MM)
    return Sights(
        axial=Sight(vector(points[len(points) // 2])),
        coronal=Sight(vector([middle[0], plane[1], middle[2]]), max(NEAR_MM, wide, tall), float(spread[1])),
        sagittal=Sight(vector([plane[0], middle[1], middle[2]]), max(NEAR_MM, deep, tall), float(spread[0])),
        overview=Overview(vector(middle), max(wide, deep, tall) - MARGIN_MM, BESIDE),
    )


def sights_of_segments(segmentation: Any, volume_node: Any) -> Sights:
    """All segments in view, each plane where it meets most of them. Without one through the middle of the scan."""
    from vtk.util.numpy_support import vtk_to_numpy

    points = [vtk_to_numpy(surface.GetPoints().GetData()) for surface in surfaces_world(segmentation).values()]
    if not points:
        return sights_of_boxes((), volume_node)
    lows = np.array([cloud.min(axis=0) for cloud in points], dtype=float)
    highs = np.array([cloud.max(axis=0) for cloud in points], dtype=float)
    low, high = lows.min(axis=0), highs.max(axis=0)
    middle, edges = (low + high) / 2, high - low + 2 * TEETH_MARGIN_MM

    def across(axis: int) -> Sight:
        centre, inset = middle.copy(), GRAZED * (highs[:, axis] - lows[:, axis])
        centre[axis] = meets_most(lows[:, axis] + inset, highs[:, axis] - inset)
        return Sight(vector(centre), float(max(LEAST_MM, *np.delete(edges, axis))))

    overview = Overview(vector(middle), float(max(LEAST_MM, edges[0], edges[2])), BEFORE)
    return Sights(axial=across(2), coronal=across(1), sagittal=across(0), overview=overview)


def overview_of_points(task: str, points: Floats, low: Floats, high: Floats) -> Overview:
    """Of findings at `points` (`[n, 3]`, world RAS mm) in a scan from `low` to `high`, as the pictures see them.

    task: "detect": the whole scan; "landmark", "segment": what was found, with the margins of the pictures.
    """
    if task == "detect" or not len(points):
        return Overview(vector((low + high) / 2), float((high - low).max()), FRONT)
    lows, highs = points.min(axis=0), points.max(axis=0)
    middle, edges = vector((lows + highs) / 2), highs - lows
    if task == "landmark":
        return Overview(middle, float(edges.max()) + MARGIN_MM, BESIDE)
    # A tooth reaches as far beyond its centre as there is margin around it.
    return Overview(middle, float(max(LEAST_MM, edges[0], edges[2]) + 2 * TEETH_MARGIN_MM), BEFORE)


def meets_most(lows: Floats, highs: Floats) -> float:
    """The number that lies in most of the intervals [low, high] (each `[n]`): the middle of the widest such stretch."""
    ends = np.unique(np.concatenate([lows, highs]))
    if len(ends) == 1:
        return float(ends[0])
    stretches = np.stack([ends[:-1], ends[1:]])
    middles = stretches.mean(axis=0)
    met = ((lows <= middles[:, None]) & (middles[:, None] <= highs)).sum(axis=1)
    best = np.flatnonzero(met == met.max())
    return float(middles[best[np.argmax(np.ptp(stretches, axis=0)[best])]])
