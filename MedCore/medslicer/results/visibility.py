"""Which findings of a result the views show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..nodes.curves import lead_curve
from ..nodes.labelmaps import segment_id
from ..views.numbers_in_views import values_of_points
from .result_nodes import ResultNodes
from .result_rows import ACCEPTED, Cells, Row, point_of


def show_only(nodes: ResultNodes, rows: Sequence[Row], shown: Sequence[bool]) -> None:
    """Show the findings of `rows` for which `shown` (as many) is true, and hide the others. Views redraw once."""
    if nodes.fiducials is not None:
        _show_points(nodes.fiducials, rows, shown)
        if nodes.curve is not None:
            lead_curve(nodes.curve, nodes.fiducials, _on_the_line(nodes.fiducials, rows, shown))
    elif nodes.segmentation is not None:
        _show_segments(nodes, rows, shown)
    else:
        for row, visible in zip(rows, shown, strict=True):
            _show_box(nodes.roi(row.number), visible)


def _show_box(roi: Any | None, visible: bool) -> None:
    display = None if roi is None else roi.GetDisplayNode()
    if display is not None and bool(display.GetVisibility()) != visible:
        display.SetVisibility(visible)


def _show_points(fiducials: Any, rows: Sequence[Row], shown: Sequence[bool]) -> None:
    before = fiducials.StartModify()
    for row, visible in zip(rows, shown, strict=True):
        point = point_of(fiducials, row.number - 1, row.title)
        if point is not None:
            fiducials.SetNthControlPointVisibility(point, visible)
    fiducials.EndModify(before)


def _on_the_line(fiducials: Any, rows: Sequence[Row], shown: Sequence[bool]) -> list[int]:
    """The control points that the curve goes through: those shown, flagged ones only where a user accepted them."""
    points = [
        point_of(fiducials, row.number - 1, row.title)
        for row, visible in zip(rows, shown, strict=True) if visible and (row.review == ACCEPTED or not row.flags)
    ]
    return [point for point in points if point is not None]


def _show_segments(nodes: ResultNodes, rows: Sequence[Row], shown: Sequence[bool]) -> None:
    visible = {
        int(Cells(nodes.table, row.number - 1).text("value")): yes for row, yes in zip(rows, shown, strict=True)
    }
    segmentation = nodes.segmentation
    display = segmentation.GetDisplayNode() if segmentation is not None else None
    if segmentation is not None and display is not None:
        before = display.StartModify()
        for value, yes in visible.items():
            if segmentation.GetSegmentation().GetSegment(segment_id(value)) is not None:
                display.SetSegmentVisibility(segment_id(value), yes)
        display.EndModify(before)
    for points in nodes.numbers:
        before = points.StartModify()
        for point, value in enumerate(values_of_points(points)):
            points.SetNthControlPointVisibility(point, visible.get(value, False))
        points.EndModify(before)
