"""Boxes as vtkMRMLMarkupsROINode, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from medinfer.findings import Box, Vector, vector
from medinfer.volume import Floats

from .markups import CONFIDENCE, DEFAULT_COLOR, add_measurement, locked_display, measured, tie_to_scan
from .volumes import matrix_of

SMALL_DOT = 0.3
DIAMETER = "diameter"
# Of what a segmentation inside the box gave. A ROI has a volume of its own, the box's.
VOLUME, LONGEST, PERPENDICULAR = "nodule volume", "longest axial", "perpendicular"


def add_roi(
    scene: Any, box: Box, name: str, volume_node: Any, *, color: tuple[float, float, float] = DEFAULT_COLOR
) -> Any:
    """Add `box` to `scene` as a locked ROI called `name` and return its vtkMRMLMarkupsROINode.

    It lies square in the slices of `volume_node` and under its parent transform. Score and diameter are
    measurements, label and side the label and description of its control point: all four survive `.mrk.json`.
    """
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", name)
    roi.SetUndoEnabled(True)
    matrix, size_mm = _right_angled(box)
    roi.SetSize(*size_mm)
    roi.SetAndObserveObjectToNodeMatrix(matrix_of(matrix))
    # Slicer derives this point in single precision, and later the box from the point (when a file is read, when a
    # transform changes): up to 2e-5 mm off. Given in double precision, it stays exact.
    roi.SetNthControlPointPosition(0, *box.center_ras)
    roi.SetNthControlPointLabel(0, box.label)
    roi.SetNthControlPointDescription(0, box.side)
    add_measurement(roi, CONFIDENCE, box.score, "", "%5.2f")
    add_measurement(roi, DIAMETER, box.diameter_mm, "mm", "%.1f %s")
    if box.measures:
        add_measurement(roi, LONGEST, box.measures.longest_mm, "mm", "%.1f %s")
        add_measurement(roi, PERPENDICULAR, box.measures.perpendicular_mm, "mm", "%.1f %s")
        add_measurement(roi, VOLUME, box.measures.volume_mm3, "mm³", "%.0f %s")
    tie_to_scan(roi, volume_node)
    _display(roi, color)
    return roi


def roi_title(label: str, rank: int) -> str:
    """What the box of a finding is called: by its label and its place among the findings of a run, from 1."""
    return f"{label[:1].upper()}{label[1:]} {rank}"


def lung_of(side: str) -> str:
    """The side of a finding in words, "right lung": near the midline a lung reaches over to the other side."""
    return f"{side} lung" if side else ""


def size_of(roi: Any) -> str:
    """How large the finding is: "13.9 × 11.7 mm, 986 mm³", or "12.5 mm" where only the box is known."""
    if roi.GetMeasurement(VOLUME) is None:
        return f"{measured(roi, DIAMETER):.1f} mm"
    axial = f"{measured(roi, LONGEST):.1f} × {measured(roi, PERPENDICULAR):.1f} mm"
    return f"{axial}, {measured(roi, VOLUME):.0f} mm³"


def box_from_roi(roi: Any) -> Box:
    """The finding that `roi` shows, in the coordinates of its node (RAS mm, its parent transform not applied)."""
    import slicer

    matrix = slicer.util.arrayFromVTKMatrix(roi.GetObjectToNodeMatrix())
    # One row per axis. Which way the third one points is not kept by a ROI; the box is the same.
    first, second, third = (vector(column) for column in matrix[:3, :3].T)
    return Box(
        label=roi.GetNthControlPointLabel(0),
        score=measured(roi, CONFIDENCE),
        center_ras=vector(matrix[:3, 3]),
        size_mm=vector(roi.GetSize()),
        axes=(first, second, third),
        diameter_mm=measured(roi, DIAMETER),
        side=roi.GetNthControlPointDescription(0),
    )


def _right_angled(box: Box) -> tuple[Floats, Vector]:
    """The ROI's own frame as a 4×4 matrix in RAS mm (its axes, then its centre), and its size in mm.

    Slicer's ObjectToWorld is always right-handed. In a left-handed scan the third axis is therefore turned
    round: a box is symmetric, so its eight corners stay where they are.
    A ROI has right angles. In a sheared scan (gantry tilt) it takes the nearest such axes and holds the whole box.
    """
    matrix, size = np.eye(4), box.size_mm
    axes = np.array(box.axes).T
    if np.abs(axes.T @ axes - np.eye(3)).max() > 1e-6:
        left, _, right = np.linalg.svd(axes)
        axes = left @ right
        size = vector(np.ptp(box.corners_ras() @ axes, axis=0))
    if np.linalg.det(axes) < 0:
        axes[:, 2] *= -1
    matrix[:3, :3] = axes
    matrix[:3, 3] = box.center_ras
    return matrix, size


def _display(roi: Any, color: tuple[float, float, float]) -> None:
    display = locked_display(roi, color)
    # The fill would hide the image in slice views.
    display.SetFillVisibility(False)
    # The dot in the middle would hide a small nodule; switched off altogether, it takes the 3-D outline with it.
    display.SetGlyphScale(SMALL_DOT)
