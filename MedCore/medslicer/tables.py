"""Findings as a vtkMRMLTableNode: a row a finding, best first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from medinfer.findings import Box, Findings


@dataclass(frozen=True)
class Column:
    """name: as in the CSV. array: the VTK class that holds it. value: what stands in a row, from rank and box."""

    name: str
    title: str
    unit: str
    description: str
    array: str
    value: Callable[[int, Box], Any]


COLUMNS = (
    Column("rank", "Rank", "", "Place among the findings of this run, best score first",
           "vtkIntArray", lambda rank, box: rank),
    Column("label", "Finding", "", "What was found", "vtkStringArray", lambda rank, box: box.label),
    Column("score", "Score", "", "The model's confidence, 0 to 1; not a probability of disease",
           "vtkDoubleArray", lambda rank, box: box.score),
    Column("diameter_mm", "Diameter", "mm", "Size as a report would give it",
           "vtkDoubleArray", lambda rank, box: box.diameter_mm),
    Column("r_mm", "R", "mm", "Centre, towards the patient's right",
           "vtkDoubleArray", lambda rank, box: box.center_ras[0]),
    Column("a_mm", "A", "mm", "Centre, towards the front",
           "vtkDoubleArray", lambda rank, box: box.center_ras[1]),
    Column("s_mm", "S", "mm", "Centre, towards the head",
           "vtkDoubleArray", lambda rank, box: box.center_ras[2]),
    Column("side", "Side", "", "The patient's left or right, where it has a meaning",
           "vtkStringArray", lambda rank, box: box.side),
)


def add_table(scene: Any, findings: Findings, name: str) -> Any:
    """Add the findings to `scene` as a table called `name` and return its vtkMRMLTableNode.

    Centres are RAS mm in the coordinates of the scan's node (its parent transform not applied).
    """
    import vtk

    table = scene.AddNewNodeByClass("vtkMRMLTableNode", name)
    table.SetUndoEnabled(True)
    for column in COLUMNS:
        array = getattr(vtk, column.array)()
        array.SetName(column.name)
        for rank, box in enumerate(findings.boxes, start=1):
            array.InsertNextValue(column.value(rank, box))
        table.AddColumn(array)
        table.SetColumnTitle(column.name, column.title)
        table.SetColumnDescription(column.name, column.description)
        if column.unit:
            table.SetColumnUnitLabel(column.name, column.unit)
    table.SetUseColumnTitleAsColumnHeader(True)
    table.SetLocked(True)
    return table
