"""Export of a result to files: the findings that the views show, without rejected or filtered ones.

All files are written under a temporary name and renamed, so a full disk leaves the old file or none, and an error.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from math import nan
from pathlib import Path
from typing import Any

import numpy as np

from medinfer.atomic_files import write_text
from medinfer.errors import OutputError
from medinfer.findings import Box, Findings, Landmark, Segment, Vector

from ..nodes.labelmaps import segment_id
from ..nodes.segments import ShownSegment, shown_segments
from ..nodes.volumes import in_node, series_of, volume_from_node
from ..results.result import Result
from ..results.result_rows import Cells, Row, measures_in, point_of
from .saving import save_markups, save_segmentation
from .stl import write_segment_files

_NOWHERE: Vector = (nan, nan, nan)
_NO_AXES = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def export_csv(result: Result, path: Path | str) -> None:
    """Write the findings that are shown as CSV: the columns that the command line writes, and the review.

    Landmarks keep their order and number: one that is not shown is "missing", as in a `.mrk.json`. Positions are world
    RAS mm (the parent transform applied), as in the views and the report. Raises OutputError.
    """
    path = Path(path)
    header, *lines = csv.reader(io.StringIO(_all_as_csv(result)))
    every = result.task == "landmark"
    shown = {row.number for row in result.shown_rows}
    kept = [
        (*line, row.review) for row, line in zip(result.rows, lines, strict=True) if every or row.number in shown
    ]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([(*header, "review"), *kept])
    write_text(path, out.getvalue())


def export_markups(result: Result, path: Path | str) -> None:
    """Write the boxes that are shown, or the landmarks, their curve and the measures, to one `.mrk.json` for Slicer.

    The list of landmarks keeps its order: a point that is not shown is written as missing. Coordinates are those of
    the nodes, as when Slicer saves them (the parent transform not applied). Raises OutputError, also where a result
    has segments instead.
    """
    path = Path(path)
    nodes, shown = result.nodes, {row.number for row in result.shown_rows}
    hidden: set[int] = set()
    if nodes.fiducials is not None:
        for row in result.rows:
            point = point_of(nodes.fiducials, row.number - 1, row.title)
            if point is not None and row.number not in shown:
                hidden.add(point)
    rois = [nodes.roi(row.number) for row in result.shown_rows] if result.task == "detect" else []
    markups = [*rois, *filter(None, (nodes.fiducials, nodes.curve)), *nodes.measures]
    if not markups and result.task != "detect":
        why = "they were removed from the scene, or it never had any"
        raise OutputError(f"{result.name} has no boxes or points: {why}.")
    save_markups(markups, path, missing={nodes.fiducials: hidden} if hidden else {})


def export_segmentation(result: Result, path: Path | str) -> None:
    """Write the segments that are shown to a `.seg.nrrd`. Raises OutputError.

    Coordinates are those of the node, as when Slicer saves it (the parent transform not applied).
    """
    import slicer

    path = Path(path)
    node, kept = _shown_segments(result)
    if len(kept) == node.GetSegmentation().GetNumberOfSegments():
        save_segmentation(node, path)
        return
    # In a scene of its own, so that no view and no tree hears of it.
    scene = slicer.vtkMRMLScene()
    copy = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", node.GetName())
    copy.GetSegmentation().DeepCopy(node.GetSegmentation())
    for segment in shown_segments(copy):
        if segment.id not in {one.id for one in kept}:
            copy.GetSegmentation().RemoveSegment(segment.id)
    save_segmentation(copy, path)
    scene.Clear(1)


def export_surfaces(result: Result, folder: Path | str) -> list[Path]:
    """Write the surface of each segment that is shown to `folder` as STL and return the files; others there stay.

    Coordinates are world LPS mm (the parent transform applied). Raises OutputError.
    """
    folder = Path(folder)
    node, kept = _shown_segments(result)
    return write_segment_files(node, kept, folder)


def _shown_segments(result: Result) -> tuple[Any, tuple[ShownSegment, ...]]:
    """The segmentation node, and those of its segments that are shown. Raises OutputError where it was removed."""
    node = result.nodes.segmentation
    if node is None:
        raise OutputError(f"{result.name} has no segmentation: it was removed from the scene, or it never had one.")
    shown = {segment_id(int(Cells(result.table, row.number - 1).text("value"))) for row in result.shown_rows}
    return node, tuple(segment for segment in shown_segments(node) if segment.id in shown)


def _all_as_csv(result: Result) -> str:
    """All rows, in the columns of the command line's CSV."""
    rows = result.rows
    if result.task == "landmark":
        return Findings(landmarks=tuple(_landmark(result, row) for row in rows)).landmarks_csv()
    if result.task == "segment":
        names = {row.title: names for row, names in zip(rows, result.record.names, strict=True)}
        return Findings(segments=tuple(_segment(result, row) for row in rows)).segments_csv(names)
    return _boxes_as_csv(result, rows)


def _boxes_as_csv(result: Result, rows: Sequence[Row]) -> str:
    """With voxels of the scan as the scene has it; they are empty where the box or the scan was removed."""
    node = result.volume_node
    series = series_of(node) if node is not None else ""
    findings = Findings(
        boxes=tuple(_box(result, row) for row in rows), scan=result.record.scan if node is None else node.GetName(),
        series=series,
    )
    if node is None or node.GetImageData() is None:
        return findings.boxes_csv()
    grid = volume_from_node(node).grid
    return findings.boxes_csv(lambda place: grid.to_index(in_node(node, np.array(place))))


def _box(result: Result, row: Row) -> Box:
    cells = Cells(result.table, row.number - 1)
    side: Any = cells.text("side")
    return Box(
        cells.text("label"), row.score, row.position_world or _NOWHERE, (0.0, 0.0, 0.0), _NO_AXES,
        cells.number("diameter_mm") or 0.0, side, measures_in(cells),
    )


def _landmark(result: Result, row: Row) -> Landmark:
    return Landmark(row.title, row.position_world if result.shows(row) else None, row.score, row.flags)


def _segment(result: Result, row: Row) -> Segment:
    cells = Cells(result.table, row.number - 1)
    layer = cells.number("layer")
    return Segment(
        row.title, int(cells.text("value")), row.score, row.position_world or _NOWHERE,
        cells.number("volume_mm3") or 0.0, cells.number("length_mm") or 0.0, row.flags,
        None if layer is None else int(layer),
    )
