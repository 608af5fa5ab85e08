"""Common properties of a run's markups: the scan they belong to, a lock, measurements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

DEFAULT_COLOR = (0.9, 0.6, 0.1)
CONFIDENCE = "confidence"
# The scan a finding was made on.
VOLUME_ROLE = "MedInfer.volume"
# What shows a node as its run made it: undo may bring the node back with another, plain one.
DISPLAY_ROLE = "MedInfer.display"


def tie_to_scan(markup: Any, volume_node: Any) -> None:
    """Let `markup` belong to `volume_node`: every control point names it, and both lie under the same transform."""
    for number in range(markup.GetNumberOfControlPoints()):
        markup.SetNthControlPointAssociatedNodeID(number, volume_node.GetID())
    markup.SetNodeReferenceID(VOLUME_ROLE, volume_node.GetID())
    markup.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())


def locked_display(markup: Any, color: tuple[float, float, float]) -> Any:
    """Show `markup` in `color`, in such a way that no one drags it by accident; return its display node."""
    markup.SetLocked(True)
    markup.CreateDefaultDisplayNodes()
    display = keep_display(markup)
    display.SetColor(*color)
    display.SetSelectedColor(*color)
    # Handles are on by default for some markups: they get dragged by accident.
    display.SetHandlesInteractive(False)
    display.SetPropertiesLabelVisibility(False)
    return display


def keep_display(node: Any) -> Any:
    """Let undo keep the display node of `node`, and `node` know that it is its own; return it."""
    display = node.GetDisplayNode()
    display.SetUndoEnabled(True)
    node.SetNodeReferenceID(DISPLAY_ROLE, display.GetID())
    return display


def add_measurement(markup: Any, name: str, value: float, units: str, print_format: str) -> None:
    """Add one number that holds for the whole markup. It survives `.mrk.json`."""
    measurement = _new_measurement(name, units, print_format)
    measurement.SetValue(float(value))
    markup.SetNthMeasurement(markup.GetNumberOfMeasurements(), measurement)


def add_point_measurement(markup: Any, name: str, values: Sequence[float], print_format: str) -> None:
    """Add one number per control point, in their order. It survives `.mrk.json`."""
    import vtk

    measurement = _new_measurement(name, "", print_format)
    array = vtk.vtkDoubleArray()
    array.SetName(name)
    for value in values:
        array.InsertNextValue(float(value))
    measurement.SetControlPointValues(array)
    markup.SetNthMeasurement(markup.GetNumberOfMeasurements(), measurement)


def measured(markup: Any, name: str) -> float:
    """The value of a measurement. Raises ValueError where the markup has none of that name."""
    measurement = markup.GetMeasurement(name)
    if measurement is None or not measurement.GetValueDefined():
        raise ValueError(f"{markup.GetName()} has no measurement called {name}")
    return float(measurement.GetValue())


def _new_measurement(name: str, units: str, print_format: str) -> Any:
    import slicer

    measurement = slicer.vtkMRMLStaticMeasurement()
    measurement.SetName(name)
    measurement.SetUnits(units)
    measurement.SetPrintFormat(print_format)
    return measurement
