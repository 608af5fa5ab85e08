"""Findings as a vtkMRMLTableNode: one row per finding, with the columns of the CSV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any, Generic, TypeVar

from medinfer.findings import Box, Landmark, NoduleMeasures, distances_to_next

from .named_segments import NamedSegment

Row = TypeVar("Row")


@dataclass(frozen=True)
class Column(Generic[Row]):
    """name: as in the CSV. array: the VTK class that holds it. value: what stands in a row of the findings."""

    name: str
    title: str
    unit: str
    description: str
    array: str
    value: Callable[[Row], Any]


@dataclass(frozen=True)
class _Unmeasured:
    """In place of `NoduleMeasures`."""

    volume_mm3: float = nan
    longest_mm: float = nan
    perpendicular_mm: float = nan
    kind: str = ""


_UNMEASURED = _Unmeasured()


@dataclass(frozen=True)
class RankedBox:
    """A row of the table of boxes."""

    rank: int
    box: Box

    @property
    def measured(self) -> NoduleMeasures | _Unmeasured:
        """The box's measures; without any, numbers that are none, and no kind."""
        return self.box.measures or _UNMEASURED


@dataclass(frozen=True)
class LandmarkInList:
    """A row of the table of landmarks: a landmark, and how far it is to the next one in the list."""

    landmark: Landmark
    to_next_mm: float | None

    def coordinate(self, axis: int) -> float:
        """Millimetres along R, A or S; not a number where the landmark is missing."""
        return nan if self.landmark.position_ras is None else self.landmark.position_ras[axis]


BOX_COLUMNS: tuple[Column[RankedBox], ...] = (
    Column("rank", "Rank", "", "Rank among the findings of this run, best score first",
           "vtkIntArray", lambda row: row.rank),
    Column("label", "Finding", "", "What was found", "vtkStringArray", lambda row: row.box.label),
    Column("score", "Score", "", "The model's confidence, 0 to 1; not a probability of disease",
           "vtkDoubleArray", lambda row: row.box.score),
    Column("diameter_mm", "Diameter", "mm", "Diameter as stated in reports",
           "vtkDoubleArray", lambda row: row.box.diameter_mm),
    Column("r_mm", "R", "mm", "Centre, towards the patient's right",
           "vtkDoubleArray", lambda row: row.box.center_ras[0]),
    Column("a_mm", "A", "mm", "Centre, towards the front",
           "vtkDoubleArray", lambda row: row.box.center_ras[1]),
    Column("s_mm", "S", "mm", "Centre, towards the head",
           "vtkDoubleArray", lambda row: row.box.center_ras[2]),
    Column("side", "Side", "", "The patient's left or right side, where applicable",
           "vtkStringArray", lambda row: row.box.side),
    Column("volume_mm3", "Volume", "mm³", "Volume, from a segmentation inside the box",
           "vtkDoubleArray", lambda row: row.measured.volume_mm3),
    Column("longest_mm", "Longest", "mm", "Longest diameter in an axial slice, from the same segmentation",
           "vtkDoubleArray", lambda row: row.measured.longest_mm),
    Column("perpendicular_mm", "Perpendicular", "mm", "Longest diameter perpendicular to that in the same slice",
           "vtkDoubleArray", lambda row: row.measured.perpendicular_mm),
    Column("kind", "Kind", "", "Solid, part-solid or ground-glass",
           "vtkStringArray", lambda row: row.measured.kind),
)

LANDMARK_COLUMNS: tuple[Column[LandmarkInList], ...] = (
    Column("label", "Landmark", "", "Name of the landmark", "vtkStringArray", lambda row: row.landmark.label),
    Column("status", "Status", "", "found; flagged: found, but contradicts others; missing: not found",
           "vtkStringArray", lambda row: row.landmark.status),
    Column("r_mm", "R", "mm", "Position, towards the patient's right", "vtkDoubleArray", lambda row: row.coordinate(0)),
    Column("a_mm", "A", "mm", "Position, towards the front", "vtkDoubleArray", lambda row: row.coordinate(1)),
    Column("s_mm", "S", "mm", "Position, towards the head", "vtkDoubleArray", lambda row: row.coordinate(2)),
    Column("confidence", "Confidence", "", "The model's confidence, 0 to 1; for a missing point, the best candidate's",
           "vtkDoubleArray", lambda row: row.landmark.confidence),
    Column("to_next_mm", "To next", "mm", "Distance to the next landmark in the list, where both were found",
           "vtkDoubleArray", lambda row: nan if row.to_next_mm is None else row.to_next_mm),
    Column("flags", "Flags", "", "Contradictions with the other landmarks",
           "vtkStringArray", lambda row: "; ".join(row.landmark.flags)),
)

SEGMENT_COLUMNS: tuple[Column[NamedSegment], ...] = (
    Column("label", "Segment", "", "Name of the segment", "vtkStringArray", lambda row: row.title),
    Column("fdi", "FDI", "", "Tooth number (ISO 3950)", "vtkStringArray", lambda row: row.fdi),
    Column("name", "Name", "", "Anatomical name", "vtkStringArray", lambda row: row.name),
    Column("volume_mm3", "Volume", "mm³", "Volume of its voxels",
           "vtkDoubleArray", lambda row: row.segment.volume_mm3),
    Column("length_mm", "Length", "mm", "Extent along its longest axis",
           "vtkDoubleArray", lambda row: row.segment.length_mm),
    Column("confidence", "Confidence", "", "The model's confidence, 0 to 1",
           "vtkDoubleArray", lambda row: row.segment.confidence),
    Column("r_mm", "R", "mm", "Centre of mass, towards the patient's right",
           "vtkDoubleArray", lambda row: row.segment.center_ras[0]),
    Column("a_mm", "A", "mm", "Centre of mass, towards the front",
           "vtkDoubleArray", lambda row: row.segment.center_ras[1]),
    Column("s_mm", "S", "mm", "Centre of mass, towards the head",
           "vtkDoubleArray", lambda row: row.segment.center_ras[2]),
    Column("value", "Value", "", "Value in the label map", "vtkIntArray", lambda row: row.segment.value),
    Column("flags", "Flags", "", "What to check", "vtkStringArray", lambda row: "; ".join(row.segment.flags)),
)
# Where segments overlap.
LAYER_COLUMN: Column[NamedSegment] = Column(
    "layer", "Layer", "", "Which of the label maps it is in", "vtkIntArray", lambda row: row.segment.layer or 0
)


def add_box_table(scene: Any, boxes: Sequence[Box], name: str) -> Any:
    """Add `boxes`, best first, to `scene` as a table called `name` and return its vtkMRMLTableNode.

    Centres are RAS mm in the coordinates of the scan's node (its parent transform not applied).
    """
    return _add_table(scene, name, BOX_COLUMNS, [RankedBox(*ranked) for ranked in enumerate(boxes, start=1)])


def add_landmark_table(scene: Any, landmarks: Sequence[Landmark], name: str) -> Any:
    """Add `landmarks`, missing ones included, to `scene` as a table called `name` and return its vtkMRMLTableNode.

    Positions are RAS mm in the coordinates of the scan's node (its parent transform not applied). Numbers that there
    are none of (of a missing landmark, after the last one) are NaN.
    """
    rows = [LandmarkInList(*pair) for pair in zip(landmarks, distances_to_next(landmarks), strict=True)]
    return _add_table(scene, name, LANDMARK_COLUMNS, rows)


def add_segment_table(scene: Any, segments: Sequence[NamedSegment], name: str) -> Any:
    """Add `segments` to `scene` as a table called `name` and return its vtkMRMLTableNode.

    Centres are RAS mm in the coordinates of the scan's node (its parent transform not applied).
    """
    layered = any(row.segment.layer is not None for row in segments)
    return _add_table(scene, name, (*SEGMENT_COLUMNS, *[LAYER_COLUMN] * layered), segments)


def _add_table(scene: Any, name: str, columns: Sequence[Column[Row]], rows: Sequence[Row]) -> Any:
    import vtk

    table = scene.AddNewNodeByClass("vtkMRMLTableNode", name)
    table.SetUndoEnabled(True)
    for column in columns:
        array = getattr(vtk, column.array)()
        array.SetName(column.name)
        for row in rows:
            array.InsertNextValue(column.value(row))
        table.AddColumn(array)
        table.SetColumnTitle(column.name, column.title)
        table.SetColumnDescription(column.name, column.description)
        if column.unit:
            table.SetColumnUnitLabel(column.name, column.unit)
    table.SetUseColumnTitleAsColumnHeader(True)
    table.SetLocked(True)
    return table
