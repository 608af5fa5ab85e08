"""The rows of a result, read from its table and from the nodes as they stand now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import dist, floor, isfinite
from typing import Any

from medinfer.findings import NoduleMeasures, Vector, vector

from ..nodes.fiducials import BETWEEN_FLAGS
from ..nodes.labelmaps import segment_id
from ..nodes.rois import lung_of, roi_title
from .result_nodes import ResultNodes

REVIEW_COLUMN = "review"
ACCEPTED, REJECTED = "accepted", "rejected"
PLACED = "placed by hand"


@dataclass(frozen=True)
class Row:
    """One finding in the scene.

    number: in the table, from 1. title: what it is called. score: 0…1. detail: size and lung of a box, of a landmark
    the distance to the next one, of a segment length and volume. flags: what to check by eye. status: "found",
    "flagged", "missing" (a landmark that isn't there), "removed" (its node was deleted). review: "", "accepted" or
    "rejected". position_world: RAS mm, the parent transform applied; None where there is none. fdi: of a tooth.
    measured: what a segmentation inside a box gave, in words.
    """

    number: int
    title: str
    score: float
    detail: str
    flags: tuple[str, ...]
    status: str
    review: str
    position_world: Vector | None
    fdi: str = ""
    measured: str = ""


def read_rows(nodes: ResultNodes, task: str) -> tuple[Row, ...]:
    """All rows, in the table's order. task: "detect", "landmark" or "segment"."""
    read = {"landmark": _landmark_row, "segment": _segment_row}.get(task, _box_row)
    rows = tuple(read(nodes, Cells(nodes.table, row)) for row in range(nodes.table.GetNumberOfRows()))
    return _with_steps(rows) if task == "landmark" else rows


def read_score(score: float) -> float:
    """A score in two digits as a reader compares it with a threshold: not rounded up to one that it misses.

    But what is 1 to a reader is 1.
    """
    return 1.0 if score >= 0.995 else floor(100 * score + 1e-6) / 100


@dataclass(frozen=True)
class Cells:
    """The cells of one row of a vtkMRMLTableNode, by the columns' names."""

    table: Any
    row: int

    def text(self, name: str) -> str:
        """What stands there; empty where the table has no such column."""
        column = self.table.GetTable().GetColumnByName(name)
        return "" if column is None else str(column.GetVariantValue(self.row).ToString())

    def number(self, name: str) -> float | None:
        """The number that stands there, if any."""
        column = self.table.GetTable().GetColumnByName(name)
        value = float("nan") if column is None else float(column.GetVariantValue(self.row).ToDouble())
        return value if isfinite(value) else None

    @property
    def flags(self) -> tuple[str, ...]:
        return tuple(filter(None, self.text("flags").split(BETWEEN_FLAGS)))

    @property
    def review(self) -> str:
        return self.text(REVIEW_COLUMN)

    @property
    def position(self) -> Vector | None:
        """RAS mm in the coordinates of the scan's node."""
        r, a, s = (self.number(f"{axis}_mm") for axis in "ras")
        return None if r is None or a is None or s is None else (r, a, s)


def point_of(fiducials: Any, row: int, label: str) -> int | None:
    """The number of the control point of a table's row; None where it was deleted."""
    count = fiducials.GetNumberOfControlPoints()
    if row < count and fiducials.GetNthControlPointLabel(row) == label:
        return row
    return next((number for number in range(count) if fiducials.GetNthControlPointLabel(number) == label), None)


def on_the_line(fiducials: Any, rows: Sequence[Row], shown: Sequence[bool]) -> list[int]:
    """The control points that the curve goes through: those shown, flagged ones only where a user accepted them."""
    points = [
        point_of(fiducials, row.number - 1, row.title)
        for row, visible in zip(rows, shown, strict=True) if visible and (row.review == ACCEPTED or not row.flags)
    ]
    return [point for point in points if point is not None]


def _box_row(nodes: ResultNodes, cells: Cells) -> Row:
    number, roi = cells.row + 1, nodes.roi(cells.row + 1)
    diameter, measures = cells.number("diameter_mm"), measures_in(cells)
    size = "" if diameter is None else f"{diameter:.1f} mm"
    volume = f"{measures.volume_mm3:.0f} mm³" if measures else ""
    return Row(
        number, roi_title(cells.text("label"), number), cells.number("score") or 0.0,
        ", ".join(filter(None, (size, volume, lung_of(cells.text("side"))))), (),
        "removed" if roi is None else "found", cells.review,
        None if roi is None else vector(roi.GetCenterWorld()), measured=measures.words if measures else "",
    )


def measures_in(cells: Cells) -> NoduleMeasures | None:
    """What was measured of a box; None where nothing was, or the table is of an older version."""
    volume, longest, across = (cells.number(name) for name in ("volume_mm3", "longest_mm", "perpendicular_mm"))
    kind: Any = cells.text("kind")
    if volume is None or longest is None or across is None:
        return None
    return NoduleMeasures(volume, longest, across, kind)


def _landmark_row(nodes: ResultNodes, cells: Cells) -> Row:
    label, node = cells.text("label"), nodes.fiducials
    status, detail, place = cells.text("status"), "", None
    point = None if node is None else point_of(node, cells.row, label)
    if node is None or point is None:
        status = "removed"
    elif node.GetNthControlPointPositionStatus(point) != node.PositionDefined:
        status = "missing"
    else:
        place = vector(node.GetNthControlPointPositionWorld(point))
        if status == "missing":
            status, detail = "found", PLACED
    return Row(
        cells.row + 1, label, cells.number("confidence") or 0.0, detail, cells.flags, status, cells.review, place
    )


def _with_steps(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """Landmarks with the distance to the next one in the list, if both were found."""
    steps = [
        "" if one.position_world is None or following.position_world is None
        else f"{dist(one.position_world, following.position_world):.1f} mm"
        for one, following in pairwise(rows)
    ]
    words = [", ".join(filter(None, (row.detail, step))) for row, step in zip(rows, [*steps, ""], strict=False)]
    return tuple(replace(row, detail=detail) for row, detail in zip(rows, words, strict=True))


def _segment_row(nodes: ResultNodes, cells: Cells) -> Row:
    node, place = nodes.segmentation, cells.position
    there = node is not None and node.GetSegmentation().GetSegment(segment_id(int(cells.text("value")))) is not None
    volume, length = cells.number("volume_mm3"), cells.number("length_mm")
    return Row(
        cells.row + 1, cells.text("label"), cells.number("confidence") or 0.0,
        f"{length or 0:.1f} mm, {volume or 0:.0f} mm³", cells.flags,
        ("flagged" if cells.flags else "found") if there else "removed", cells.review,
        _in_world(node, place) if there and place is not None else None, cells.text("fdi"),
    )


def _in_world(node: Any, position: Vector) -> Vector:
    """`position` in the coordinates of `node`, with its parent transforms applied, be they linear or not."""
    import slicer
    import vtk

    to_world = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(node.GetParentTransformNode(), None, to_world)
    return vector(to_world.TransformPoint(position))
