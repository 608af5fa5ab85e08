"""The best boxes on one sheet: a row each, with the three planes through its middle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medinfer.volume import Floats

from .image_actor import image_actor
from .offscreen import OffscreenWindow
from .picture_text import LINE, MARGIN, picture_text
from .plane_sampling import edge_of, grown, in_box, sampled, windowed
from .scale_bar import scale_bar

MOST_ROWS = 6
TILE, SEAM = 300, 4
# How much a tile shows: so many times the largest box, and at least so many millimetres.
_TIMES, _LEAST_MM = 3.0, 60.0
_SHADOW = 0.65
# Where the right and the top edge of a tile point (RAS), as Slicer turns its slices.
_PLANES = {
    "Axial": ((-1, 0, 0), (0, 1, 0)), "Coronal": ((-1, 0, 0), (0, 0, 1)), "Sagittal": ((0, -1, 0), (0, 0, 1)),
}


def draw_sheet(volume_node: Any, rois: Sequence[Any], captions: Sequence[str], path: Path) -> None:
    """Write a row a ROI to `path` as PNG, all at one scale. captions: what stands on each row. Raises OutputError."""
    width_mm = max([_LEAST_MM, *(_TIMES * max(roi.GetSize()) for roi in rois)])
    rows = [
        np.concatenate([_tile(volume_node, roi, width_mm, *axes) for axes in _PLANES.values()], axis=1) for roi in rois
    ]
    pixels = np.concatenate(rows)
    view = OffscreenWindow(pixels.shape[1], pixels.shape[0])
    view.renderer.AddViewProp(image_actor(pixels))
    texts = [
        picture_text(caption, MARGIN, pixels.shape[0] - number * (TILE + SEAM) - MARGIN, "left", "top", shadow=_SHADOW)
        for number, caption in enumerate(captions)
    ]
    below = pixels.shape[0] - MARGIN - LINE
    names = [
        picture_text(name, (number + 1) * (TILE + SEAM) - SEAM - MARGIN, below, "right", "top")
        for number, name in enumerate(_PLANES)
    ]
    for actor in [*texts, *names, *scale_bar(TILE + SEAM, TILE / width_mm)]:
        view.renderer.AddViewProp(actor)
    view.write_png(path)
    view.close()


def _tile(
    volume_node: Any, roi: Any, width_mm: float, right: tuple[int, ...], up: tuple[int, ...]
) -> NDArray[np.uint8]:
    """RGB `[row, column, 3]`, TILE pixels wide and a black seam at its right and lower edge."""
    centre = np.array(roi.GetCenterWorld(), dtype=float)
    steps = (np.arange(TILE) - (TILE - 1) / 2) * width_mm / TILE
    points: Floats = centre + steps[None, :, None] * np.array(right) - steps[:, None, None] * np.array(up)
    pixels = np.zeros((TILE + SEAM, TILE + SEAM, 3), np.uint8)
    tile = pixels[:TILE, :TILE]
    tile[...] = windowed(sampled(volume_node, points), volume_node)[..., None]
    outline = edge_of(in_box(roi, points))
    # A dark seam beside the line, so that it reads on bone as on air.
    tile[grown(outline) & ~outline] //= 3
    tile[outline] = np.rint(np.array(roi.GetDisplayNode().GetSelectedColor()) * 255).astype(np.uint8)
    return pixels
