"""A small axial picture of a finding for a report: the windowed scan, the outlined finding, and a scale bar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medinfer.volume import Floats

from ..nodes.labelmaps import layers_of, segment_id
from ..nodes.markups import DEFAULT_COLOR
from ..nodes.volumes import in_node
from ..pictures.plane_sampling import AxialPlane, edge_of, grown, in_box, nearest, sampled, windowed
from ..results.result import Result
from ..results.result_rows import Cells, Row

PIXELS = 256
# How much a picture shows: of a box so many times its size, and at least so many millimetres.
TIMES, LEAST_MM = 3.0, 60.0
LANDMARK_MM, SEGMENT_MM = 110.0, 50.0
RING_MM, RING_PIXELS = 4.0, 9.0
BARS_MM = (100, 50, 20, 10, 5, 2, 1)
BAR_SHARE, BAR_INSET, BAR_HEIGHT = 0.3, 10, 3
WHITE, BLACK = (255, 255, 255), (0, 0, 0)

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class FindingPicture:
    """pixels: RGB, `[row, column, 3]`, the patient's right on the left and front on top. bar_mm: the scale bar."""

    pixels: Picture
    width_mm: float
    bar_mm: int


def picture_of(result: Result, row: Row) -> FindingPicture | None:
    """The axial slice through a finding of `result`; None where the finding or the scan was removed."""
    volume_node = result.volume_node
    if volume_node is None or volume_node.GetImageData() is None or row.position_world is None:
        return None
    plane = AxialPlane(row.position_world, _width(result, row), PIXELS)
    points = plane.points_world()
    pixels = np.repeat(windowed(sampled(volume_node, points), volume_node)[..., None], 3, axis=2)
    outline, color = _outline(result, row, plane, points)
    # A dark seam beside the line, so that it reads on bone as on air.
    pixels[grown(outline) & ~outline] //= 3
    pixels[outline] = np.rint(np.array(color) * 255).astype(np.uint8)
    bar_mm = next((bar for bar in BARS_MM if bar <= plane.width_mm * BAR_SHARE), 1)
    _draw_bar(pixels, round(bar_mm / plane.millimetres))
    return FindingPicture(pixels, plane.width_mm, bar_mm)


def _width(result: Result, row: Row) -> float:
    if result.task == "landmark":
        return LANDMARK_MM
    roi = result.nodes.roi(row.number)
    return SEGMENT_MM if roi is None else max(LEAST_MM, TIMES * max(roi.GetSize()))


def _outline(
    result: Result, row: Row, plane: AxialPlane, points: Floats
) -> tuple[Mask, tuple[float, float, float]]:
    """Which pixels are the line around the finding, and in which colour (0…1)."""
    nodes = result.nodes
    if nodes.fiducials is not None:
        return _ring(plane), _color(nodes.fiducials, chosen=not row.flags)
    if nodes.segmentation is not None:
        value = int(Cells(nodes.table, row.number - 1).text("value"))
        return edge_of(_segment(nodes.segmentation, value, points)), _segment_color(nodes.segmentation, value)
    roi = nodes.roi(row.number)
    return edge_of(in_box(roi, points)), _color(roi)


def _color(markup: Any, *, chosen: bool = True) -> tuple[float, float, float]:
    """The one in which the views show it, or would if what shows it had not been deleted."""
    display = markup.GetDisplayNode()
    if display is None:
        return DEFAULT_COLOR
    r, g, b = display.GetSelectedColor() if chosen else display.GetColor()
    return r, g, b


def _ring(plane: AxialPlane) -> Mask:
    """A circle around the middle that leaves the place itself free."""
    steps = np.arange(plane.pixels) - (plane.pixels - 1) / 2
    radius = max(RING_PIXELS, RING_MM / plane.millimetres)
    ring: Mask = np.abs(np.hypot(steps[:, None], steps[None, :]) - radius) < 0.8
    return ring


def _segment(node: Any, value: int, points: Floats) -> Mask:
    """Which of the points lie in the segment that was found with that value."""
    identifier = segment_id(value)
    for layer in layers_of(node):
        # An edited segment that overlaps others has a layer of its own, and another value there.
        if identifier in layer.values:
            label_map = layer.label_map
            at = nearest(label_map.voxels, label_map.grid.to_index(in_node(node, points)))
            inside: Mask = at == layer.values[identifier]
            return inside
    return np.zeros(points.shape[:-1], bool)


def _segment_color(node: Any, value: int) -> tuple[float, float, float]:
    red, green, blue = node.GetSegmentation().GetSegment(segment_id(value)).GetColor()
    return red, green, blue


def _draw_bar(pixels: Picture, length: int) -> None:
    """A white bar of `length` pixels in the lower right corner, with a black border."""
    bottom, right = pixels.shape[0] - BAR_INSET, pixels.shape[1] - BAR_INSET
    pixels[bottom - BAR_HEIGHT - 1:bottom + 1, right - length - 1:right + 1] = BLACK
    pixels[bottom - BAR_HEIGHT:bottom, right - length:right] = WHITE
