"""Boxes as vtkMRMLMarkupsROINode, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from medinfer.findings import Box, Vector
from medinfer.volume import Floats

from .volumes import matrix_of

DEFAULT_COLOR = (0.9, 0.6, 0.1)
SMALL_DOT = 0.3
CONFIDENCE, DIAMETER = "confidence", "diameter"
# The scan a finding was made on.
VOLUME_ROLE = "MedInfer.volume"


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
    roi.SetNthControlPointAssociatedNodeID(0, volume_node.GetID())
    _measure(roi, CONFIDENCE, box.score, "", "%5.2f")
    _measure(roi, DIAMETER, box.diameter_mm, "mm", "%.1f %s")
    roi.SetNodeReferenceID(VOLUME_ROLE, volume_node.GetID())
    roi.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
    roi.SetLocked(True)
    _display(roi, color)
    return roi


def box_from_roi(roi: Any) -> Box:
    """The finding that `roi` shows, in the coordinates of its node (RAS mm, its parent transform not applied)."""
    import slicer

    matrix = slicer.util.arrayFromVTKMatrix(roi.GetObjectToNodeMatrix())
    # A row an axis. Which way the third one points is not kept by a ROI; the box is the same.
    first, second, third = (_vector(column) for column in matrix[:3, :3].T)
    return Box(
        label=roi.GetNthControlPointLabel(0),
        score=measured(roi, CONFIDENCE),
        center_ras=_vector(matrix[:3, 3]),
        size_mm=_vector(roi.GetSize()),
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
        size = _vector(np.ptp(box.corners_ras() @ axes, axis=0))
    if np.linalg.det(axes) < 0:
        axes[:, 2] *= -1
    matrix[:3, :3] = axes
    matrix[:3, 3] = box.center_ras
    return matrix, size


def _vector(values: Iterable[float]) -> Vector:
    x, y, z = (float(value) for value in values)
    return x, y, z


def measured(roi: Any, name: str) -> float:
    """The value of a measurement. Raises ValueError where the ROI has none of that name."""
    measurement = roi.GetMeasurement(name)
    if measurement is None or not measurement.GetValueDefined():
        raise ValueError(f"{roi.GetName()} has no measurement called {name}")
    return float(measurement.GetValue())


def _measure(roi: Any, name: str, value: float, units: str, print_format: str) -> None:
    import slicer

    measurement = slicer.vtkMRMLStaticMeasurement()
    measurement.SetName(name)
    measurement.SetUnits(units)
    measurement.SetPrintFormat(print_format)
    measurement.SetValue(float(value))
    roi.SetNthMeasurement(roi.GetNumberOfMeasurements(), measurement)


def _display(roi: Any, color: tuple[float, float, float]) -> None:
    roi.CreateDefaultDisplayNodes()
    display = roi.GetDisplayNode()
    display.SetUndoEnabled(True)
    display.SetColor(*color)
    display.SetSelectedColor(*color)
    # Handles are on by default: boxes get dragged by accident.
    display.SetHandlesInteractive(False)
    # The fill would hide the image in slice views.
    display.SetFillVisibility(False)
    display.SetPropertiesLabelVisibility(False)
    # The dot in the middle would hide a small nodule; switched off altogether, it takes the 3-D outline with it.
    display.SetGlyphScale(SMALL_DOT)
