"""Distances and angles between findings, as Slicer's own lines and angles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from medinfer.errors import ScanError
from medinfer.findings import Vector

from ..nodes.hierarchy import move_into
from ..nodes.markups import VOLUME_ROLE, locked_display
from .result import Result
from .result_nodes import remove_node

COLOR = (0.35, 0.85, 1.0)
GLYPH_PERCENT, TEXT_PERCENT = 1.2, 2.6
BETWEEN = "–"


@dataclass(frozen=True)
class Measure:
    """What a line or an angle says: its name ("T12–L5"), value, unit ("mm" or "°"), and its node."""

    name: str
    value: float
    unit: str
    node: Any

    @property
    def words(self) -> str:
        """The value as it is written: degrees stand right beside the number."""
        return f"{self.value:.1f}{'' if self.unit == '°' else ' '}{self.unit}"


def add_distance(result: Result, a: int, b: int) -> Any:
    """Measure from finding `a` to finding `b` (numbers of rows) and return the vtkMRMLMarkupsLineNode.

    It stands in the result's folder, under the scan's transform. Measured a second time, the same line is brought up to
    date. One step that undo takes back. Raises ScanError where one of them is nowhere, ValueError for other numbers.
    """
    return _add(result, "vtkMRMLMarkupsLineNode", [a, b])


def add_angle(result: Result, a: int, b: int, c: int) -> Any:
    """Measure the angle at finding `b` between `a` and `c` (numbers of rows); return the vtkMRMLMarkupsAngleNode.

    Otherwise as `add_distance`.
    """
    return _add(result, "vtkMRMLMarkupsAngleNode", [a, b, c])


def measures_of(result: Result) -> tuple[Measure, ...]:
    """The lines and angles of `result` that are still there, with the values that Slicer measured."""
    return tuple(measure_of(node) for node in result.nodes.measures)


def remove_measure(measure: Measure) -> None:
    """Take a measure out of the scene. One step that undo takes back."""
    measure.node.GetScene().SaveStateForUndo()
    remove_node(measure.node)


def measure_of(node: Any) -> Measure:
    """What a line or an angle says."""
    if node.IsA("vtkMRMLMarkupsAngleNode"):
        return Measure(node.GetName(), float(node.GetAngleDegrees()), "°", node)
    return Measure(node.GetName(), float(node.GetMeasurement("length").GetValue()), "mm", node)


def _add(result: Result, kind: str, numbers: Sequence[int]) -> Any:
    if len(set(numbers)) < len(numbers):
        raise ScanError("Choose different points: a point has no distance to itself.")
    rows = [result.row(number) for number in numbers]
    places = []
    for row in rows:
        if row.position_world is None:
            raise ScanError(f"{row.title} was not found, so it cannot be measured; place it by hand first.")
        places.append(row.position_world)
    name = BETWEEN.join(row.title for row in rows)
    scene = result.table.GetScene()
    scene.SaveStateForUndo()
    known = (node for node in result.nodes.measures if node.GetName() == name and node.IsA(kind))
    node = next(known, None) or _new(result, kind, name)
    _place(node, places, [row.title for row in rows])
    return node


def _new(result: Result, kind: str, name: str) -> Any:
    scene, nodes = result.table.GetScene(), result.nodes
    node = scene.AddNewNodeByClass(kind, name)
    node.SetUndoEnabled(True)
    fellow = nodes.fiducials or nodes.segmentation or next(iter(nodes.rois))
    node.SetAndObserveTransformNodeID(fellow.GetTransformNodeID())
    if nodes.volume is not None:
        node.SetNodeReferenceID(VOLUME_ROLE, nodes.volume.GetID())
    display = locked_display(node, COLOR)
    # Name and value beside it are what it is for; the names of its ends stand there already.
    display.SetPropertiesLabelVisibility(True)
    display.SetPointLabelsVisibility(False)
    display.SetGlyphScale(GLYPH_PERCENT)
    display.SetTextScale(TEXT_PERCENT)
    display.SetOccludedVisibility(True)
    display.SetOccludedOpacity(1.0)
    nodes.add_measure(node)
    move_into(scene, nodes.folder, [node])
    return node


def _place(node: Any, places: Sequence[Vector], titles: Sequence[str]) -> None:
    """Let the control points of `node` stand at `places` (world RAS mm)."""
    before = node.StartModify()
    node.RemoveAllControlPoints()
    for place, title in zip(places, titles, strict=True):
        node.AddControlPointWorld(*place, title)
    node.EndModify(before)
