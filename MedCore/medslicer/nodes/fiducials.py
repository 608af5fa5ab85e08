"""Landmarks as one vtkMRMLMarkupsFiducialNode, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from medinfer.findings import Landmark, Vector
from medinfer.volume import Floats

from .markups import CONFIDENCE, DEFAULT_COLOR, add_point_measurement, locked_display, tie_to_scan

# Flagged points stand out: Slicer draws points that are not selected in the node's other colour.
FLAGGED_COLOR = (1.0, 0.35, 0.28)
# Percent of the view's size; a spine of 25 levels must not hide itself.
GLYPH_PERCENT, TEXT_PERCENT = 2.4, 2.6
BETWEEN_FLAGS = "; "


def add_fiducials(
    scene: Any, landmarks: Sequence[Landmark], name: str, volume_node: Any, *,
    color: tuple[float, float, float] = DEFAULT_COLOR,
) -> Any:
    """Add `landmarks` to `scene` as a locked point list called `name` and return its vtkMRMLMarkupsFiducialNode.

    It has one control point per landmark, in that order and with its label; a missing landmark is a missing point. The
    confidences are the control-point measurement "confidence"
    (`slicer.util.arrayFromMarkupsControlPointData(node, "confidence")`), the flags the points' descriptions; both
    survive `.mrk.json`. A flagged point is not selected, and so has another colour than the others.
    Positions are RAS mm in the coordinates of `volume_node`, under whose parent transform the list is put.
    """
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
    node.SetUndoEnabled(True)
    for number, landmark in enumerate(landmarks):
        node.AddControlPoint(*(landmark.position_ras or (0.0, 0.0, 0.0)), landmark.label)
        node.SetNthControlPointDescription(number, BETWEEN_FLAGS.join(landmark.flags))
        node.SetNthControlPointSelected(number, not landmark.flags)
        if landmark.position_ras is None:
            node.SetNthControlPointPositionMissing(number)
    add_point_measurement(node, CONFIDENCE, [landmark.confidence for landmark in landmarks], "%4.2f")
    # The order means something: a point may be placed anew, and none added or taken away.
    node.SetFixedNumberOfControlPoints(True)
    tie_to_scan(node, volume_node)
    _display(node, color)
    return node


def landmarks_from_fiducials(node: Any) -> tuple[Landmark, ...]:
    """The landmarks that `node` shows, in the coordinates of the node (RAS mm, its parent transform not applied)."""
    import slicer

    # Of a list without points Slicer cannot give the measurement.
    count = node.GetNumberOfControlPoints()
    confidences = slicer.util.arrayFromMarkupsControlPointData(node, CONFIDENCE) if count else ()
    return tuple(
        Landmark(
            label=node.GetNthControlPointLabel(number),
            position_ras=_position(node, number),
            confidence=float(confidences[number]),
            flags=tuple(filter(None, node.GetNthControlPointDescription(number).split(BETWEEN_FLAGS))),
        )
        for number in range(count)
    )


def defined_points(node: Any) -> tuple[int, ...]:
    """The numbers of the control points that are not missing, in their order."""
    return tuple(
        number for number in range(node.GetNumberOfControlPoints())
        if node.GetNthControlPointPositionStatus(number) == node.PositionDefined
    )


def points_world(node: Any) -> Floats:
    """The positions `[n, 3]` of the points that are not missing, in world RAS mm (parent transform applied)."""
    points = [node.GetNthControlPointPositionWorld(number) for number in defined_points(node)]
    return np.array(points, dtype=float).reshape(-1, 3)


def _position(node: Any, number: int) -> Vector | None:
    if node.GetNthControlPointPositionStatus(number) != node.PositionDefined:
        return None
    r, a, s = node.GetNthControlPointPosition(number)
    return r, a, s


def _display(node: Any, color: tuple[float, float, float]) -> None:
    display = locked_display(node, color)
    display.SetColor(*FLAGGED_COLOR)
    display.SetGlyphTypeFromString("Sphere3D")
    display.SetGlyphScale(GLYPH_PERCENT)
    display.SetTextScale(TEXT_PERCENT)
    # A centroid lies inside the bone.
    display.SetOccludedVisibility(True)
    display.SetOccludedOpacity(1.0)
