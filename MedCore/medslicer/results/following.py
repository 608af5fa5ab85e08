"""What is derived from a result's findings follows them when they are moved, by hand or by a transform."""

from __future__ import annotations

from math import dist, isclose, isnan, nan
from typing import Any

import numpy as np

from medinfer.findings import Vector

from ..nodes.curves import SAME_MM, lead_curve
from ..nodes.volumes import in_node
from .result import Result
from .result_nodes import ResultNodes
from .result_rows import Row, on_the_line

_PLACE_COLUMNS, _STEP_COLUMN = ("r_mm", "a_mm", "s_mm"), "to_next_mm"


def follow(result: Result) -> None:
    """Bring measures, curve and table of landmarks, and the names of segments, to where the findings are now.

    What is there already is not touched, so that following calls for no further following.
    """
    nodes = result.nodes
    if nodes.fiducials is not None:
        rows = result.rows
        _lead_measures(nodes, rows)
        if nodes.curve is not None:
            shown = [result.shows(row) for row in rows]
            lead_curve(nodes.curve, nodes.fiducials, on_the_line(nodes.fiducials, rows, shown))
        _fill_table(nodes, rows)
    elif nodes.segmentation is not None:
        for points in nodes.numbers:
            points.SetAndObserveTransformNodeID(nodes.segmentation.GetTransformNodeID())


def _lead_measures(nodes: ResultNodes, rows: tuple[Row, ...]) -> None:
    """The ends of a line or an angle are called as the landmarks; where one is nowhere any more the end stays."""
    places = {row.title: row.position_world for row in rows}
    for measure in nodes.measures:
        before = measure.StartModify()
        for point in range(measure.GetNumberOfControlPoints()):
            place = places.get(measure.GetNthControlPointLabel(point))
            if place is not None and dist(place, measure.GetNthControlPointPositionWorld(point)) > SAME_MM:
                measure.SetNthControlPointPositionWorld(point, *place)
        measure.EndModify(before)


def _fill_table(nodes: ResultNodes, rows: tuple[Row, ...]) -> None:
    """Positions in the coordinates of the scan's node, as the table says, and the distances from one to the next."""
    places = [_in_scan(nodes, row.position_world) for row in rows]
    before = nodes.table.StartModify()
    for number, (place, following) in enumerate(zip(places, [*places[1:], None], strict=True)):
        for column, value in zip(_PLACE_COLUMNS, place or (nan, nan, nan), strict=True):
            _set_number(nodes.table, column, number, value)
        _set_number(
            nodes.table, _STEP_COLUMN, number, nan if place is None or following is None else dist(place, following)
        )
    nodes.table.EndModify(before)


def _in_scan(nodes: ResultNodes, place: Vector | None) -> Vector | None:
    if place is None or nodes.volume is None:
        return place
    r, a, s = (float(value) for value in in_node(nodes.volume, np.array([place]))[0])
    return r, a, s


def _set_number(table: Any, column: str, row: int, value: float) -> None:
    array = table.GetTable().GetColumnByName(column)
    # A column that a user deleted, or that another version wrote as text, is left.
    if array is None or not array.IsA("vtkDoubleArray"):
        return
    known = array.GetValue(row)
    if not (isclose(known, value, abs_tol=SAME_MM) or (isnan(known) and isnan(value))):
        array.SetValue(row, value)
        table.GetTable().Modified()
        table.Modified()
