"""The line along a chain of landmarks (the spine) as a vtkMRMLMarkupsCurveNode."""

from __future__ import annotations

from collections.abc import Sequence
from math import dist
from typing import TYPE_CHECKING, Any

from medinfer.findings import Landmark, Vector

from .markups import DEFAULT_COLOR, locked_display, tie_to_scan

if TYPE_CHECKING:
    from medinfer.manifest import Manifest

POINT_PERCENT = 0.01
# Nearer than this is the same place: positions go through transforms and back.
SAME_MM = 1e-4
LINE_MM = 1.5


def is_chain(manifest: Manifest) -> bool:
    """Whether the landmarks of a package follow each other along a line, by any of its passes."""
    decoders = [one.decoder for one in manifest.passes]
    return any(decoder.kind == "heatmap" and decoder.chain is not None for decoder in decoders)


def add_curve(
    scene: Any, landmarks: Sequence[Landmark], name: str, volume_node: Any, *,
    color: tuple[float, float, float] = DEFAULT_COLOR,
) -> Any | None:
    """Add a smooth curve through `landmarks`, in their order, to `scene`; return its vtkMRMLMarkupsCurveNode.

    Missing and flagged landmarks are passed by; where fewer than two are left there is no curve, and None is returned.
    It is a cardinal spline (Slicer's own) through the points in RAS mm, locked, under the parent transform of
    `volume_node`, with its length as a measurement.
    """
    through = [
        (landmark.position_ras, landmark.label) for landmark in landmarks
        if landmark.position_ras is not None and not landmark.flags
    ]
    if len(through) < 2:
        return None
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsCurveNode", name)
    node.SetUndoEnabled(True)
    node.SetCurveTypeToCardinalSpline()
    for position, label in through:
        node.AddControlPoint(*position, label)
    node.GetMeasurement("length").SetEnabled(True)
    tie_to_scan(node, volume_node)
    display = locked_display(node, color)
    # The points themselves are the fiducials'.
    display.SetPointLabelsVisibility(False)
    display.SetGlyphScale(POINT_PERCENT)
    display.SetCurveLineSizeMode(display.UseLineDiameter)
    display.SetLineDiameter(LINE_MM)
    display.SetOccludedVisibility(True)
    display.SetOccludedOpacity(1.0)
    return node


def lead_curve(curve: Any, fiducials: Any, points: Sequence[int]) -> None:
    """Let `curve` go through those control points of `fiducials`, in that order, whatever transforms they lie under."""
    through = [
        (fiducials.GetNthControlPointPositionWorld(point), fiducials.GetNthControlPointLabel(point)) for point in points
    ]
    if _goes_through(curve, through):
        return
    before = curve.StartModify()
    curve.RemoveAllControlPoints()
    for position, label in through:
        curve.AddControlPointWorld(*position, label)
    curve.EndModify(before)


def _goes_through(curve: Any, through: Sequence[tuple[Vector, str]]) -> bool:
    if curve.GetNumberOfControlPoints() != len(through):
        return False
    return all(
        curve.GetNthControlPointLabel(n) == label
        and dist(curve.GetNthControlPointPositionWorld(n), position) < SAME_MM
        for n, (position, label) in enumerate(through)
    )
