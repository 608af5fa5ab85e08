"""Which findings of a result the views show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..nodes.curves import lead_curve
from ..nodes.labelmaps import segment_id
from ..views.numbers_in_views import values_of_points
from .result_nodes import ResultNodes
from .result_rows import Cells, Row, on_the_line, point_of

# On the table of a result that is put away while another one is looked at.
AWAY_ATTRIBUTE = "MedInfer.away"


def show_only(nodes: ResultNodes, rows: Sequence[Row], shown: Sequence[bool]) -> None:
    """Show the findings of `rows` for which `shown` (as many) is true, and hide the others. Views redraw once."""
    if nodes.fiducials is not None:
        _show_points(nodes.fiducials, rows, shown)
        if nodes.curve is not None:
            lead_curve(nodes.curve, nodes.fiducials, on_the_line(nodes.fiducials, rows, shown))
    elif nodes.segmentation is not None:
        _show_segments(nodes, rows, shown)
    else:
        for row, visible in zip(rows, shown, strict=True):
            _show_box(nodes.roi(row.number), visible and not is_away(nodes))


def is_away(nodes: ResultNodes) -> bool:
    """Whether the result is put away."""
    return bool(nodes.table.GetAttribute(AWAY_ATTRIBUTE))


def is_in_views(nodes: ResultNodes) -> bool:
    """Whether the views may show findings of the result: it is not put away, and neither its folder nor what holds all
    its points or segments is switched off."""
    import slicer

    holders = [node for node in (nodes.fiducials, nodes.segmentation) if node is not None] or list(nodes.rois[:1])
    for node in holders:
        display = node.GetDisplayNode()
        if not slicer.vtkMRMLFolderDisplayNode.GetHierarchyVisibility(node):
            return False
        if display is not None and not node.IsA("vtkMRMLMarkupsROINode") and not display.GetVisibility():
            return False
    return not is_away(nodes)


def put_away(nodes: ResultNodes) -> None:
    """Take a result out of the views as a whole; which of its findings are shown is not forgotten."""
    if not is_away(nodes):
        nodes.table.SetAttribute(AWAY_ATTRIBUTE, "1")
        _show_nodes(nodes, False)


def bring_back(nodes: ResultNodes) -> bool:
    """Put a result that was put away into the views again; whether it was. Its boxes are all shown then."""
    if not is_away(nodes):
        return False
    nodes.table.RemoveAttribute(AWAY_ATTRIBUTE)
    _show_nodes(nodes, True)
    return True


def _show_nodes(nodes: ResultNodes, visible: bool) -> None:
    for node in nodes.made:
        display = node.GetDisplayNode() if node.IsA("vtkMRMLDisplayableNode") else None
        if display is not None:
            display.SetVisibility(visible)


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
