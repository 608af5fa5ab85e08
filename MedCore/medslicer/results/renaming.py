"""Renaming segments to another scheme (FDI, Universal, anatomical) without running the model again."""

from __future__ import annotations

from typing import Any

from medinfer.errors import PackageError

from ..nodes.hierarchy import children_of
from ..nodes.labelmaps import segment_id
from ..views.numbers_in_views import short_name, values_of_points
from .result import NAMING_ATTRIBUTE, Result
from .result_nodes import tree_of
from .result_rows import Cells

TITLE_COLUMN = "label"


def rename_segments(result: Result, scheme: str) -> None:
    """Show the segments of `result` under the names of `scheme` (one of `result.schemes`; empty: the model's own).

    The names in the segmentation, in the tree, beside the teeth and in the table change; numbers by FDI, codes and
    colours stay. A segment that has no name in the scheme keeps the model's. One step that undo takes back. Raises
    PackageError for a scheme that the model did not know.
    """
    known = {entry.casefold(): entry for entry in ("", *result.schemes)}
    if scheme.casefold() not in known:
        offered = ", ".join(result.schemes) or "no others"
        raise PackageError(f"{result.model} has no label names in the scheme {scheme!r}; it has {offered}.")
    chosen = known[scheme.casefold()]
    table, nodes = result.table, result.nodes
    table.GetScene().SaveStateForUndo()
    titles = _titles(result, chosen)
    column = table.GetColumnIndex(TITLE_COLUMN)
    for row, title in enumerate(titles.values()):
        table.SetCellText(row, column, title)
    table.SetAttribute(NAMING_ATTRIBUTE, chosen)
    if nodes.segmentation is not None:
        _rename_segments(nodes.segmentation, titles)
        _rename_items(nodes.segmentation, titles)
    fdi = {value: Cells(table, row).text("fdi") for row, value in enumerate(titles)}
    for points in nodes.numbers:
        before = points.StartModify()
        for point, value in enumerate(values_of_points(points)):
            points.SetNthControlPointLabel(point, short_name(titles[value], fdi[value]))
        points.EndModify(before)


def _titles(result: Result, scheme: str) -> dict[int, str]:
    """What each segment is called in `scheme`, by its value in the label map, in the table's order."""
    record = result.record
    values = [int(Cells(result.table, row).text("value")) for row in range(result.table.GetNumberOfRows())]
    return {
        value: names.get(scheme, title)
        for value, title, names in zip(values, record.titles, record.names, strict=True)
    }


def _rename_segments(node: Any, titles: dict[int, str]) -> None:
    for value, title in titles.items():
        segment = node.GetSegmentation().GetSegment(segment_id(value))
        if segment is not None:
            segment.SetName(title)


def _rename_items(node: Any, titles: dict[int, str]) -> None:
    """In the application its plugin does the same."""
    tree, attribute = tree_of(node.GetScene()), node.GetSegmentIDAttributeName()
    by_id = {segment_id(value): title for value, title in titles.items()}
    for item in children_of(tree, tree.GetItemByDataNode(node)):
        title = by_id.get(tree.GetItemAttribute(item, attribute))
        if title is not None:
            tree.SetItemName(item, title)
