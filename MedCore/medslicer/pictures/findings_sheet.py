"""Every box on one sheet: a row of its own each, with the three planes through its middle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medinfer.volume import Floats

from .image_actor import image_actor
from .offscreen import OffscreenWindow
from .picture_text import picture_text
from .plane_sampling import edge_of, grown, in_box, sampled, windowed
from .scale_bar import scale_bar

# More findings than this are on no list that a person reads.
MOST = 100
SEAM = 4
# How much a tile shows: so many times the box, and at least and at most so many millimetres.
_TIMES, LEAST_MM, _MOST_MM = 3.0, 40.0, 120.0
_SHADOW = 0.65
# Where the right and the top edge of a tile point (RAS), as Slicer turns its slices.
_PLANES = {
    "Axial": ((-1, 0, 0), (0, 1, 0)), "Coronal": ((-1, 0, 0), (0, 0, 1)), "Sagittal": ((0, -1, 0), (0, 0, 1)),
}


@dataclass(frozen=True)
class Layout:
    """tile: pixels a tile is wide. columns: findings beside each other. font: pixels."""

    tile: int
    columns: int
    font: int

    @property
    def block(self) -> tuple[int, int]:
        """Pixels that a finding takes, wide and high."""
        return len(_PLANES) * (self.tile + SEAM), self.tile + SEAM


def layout_for(count: int) -> Layout:
    """Few findings are large, below each other; many are smaller, beside each other as well."""
    if count <= 6:
        return Layout(300, 1, 20)
    return Layout(220, 2, 16) if count <= 24 else Layout(170, 4, 13)


def draw_sheet(volume_node: Any, rois: Sequence[Any], captions: Sequence[str], path: Path) -> None:
    """Write a row a ROI to `path` as PNG, in their order, each with a scale bar. captions: what stands on each row.

    Raises OutputError.
    """
    layout = layout_for(len(rois))
    wide, high = layout.block
    rows = -(-len(rois) // layout.columns)
    pixels = np.zeros((rows * high, layout.columns * wide, 3), np.uint8)
    actors: list[Any] = []
    for number, (roi, caption) in enumerate(zip(rois, captions, strict=True)):
        row, column = divmod(number, layout.columns)
        width_mm = float(np.clip(_TIMES * max(roi.GetSize()), LEAST_MM, _MOST_MM))
        tiles = [_tile(volume_node, roi, width_mm, layout.tile, *axes) for axes in _PLANES.values()]
        pixels[row * high:(row + 1) * high, column * wide:(column + 1) * wide] = np.concatenate(tiles, axis=1)
        actors += _texts(layout, caption, column * wide, pixels.shape[0] - row * high, width_mm, named=row == 0)
    view = OffscreenWindow(pixels.shape[1], pixels.shape[0])
    view.renderer.AddViewProp(image_actor(pixels))
    for actor in actors:
        view.renderer.AddViewProp(actor)
    view.write_png(path)
    view.close()


def _texts(layout: Layout, caption: str, left: float, top: float, width_mm: float, *, named: bool) -> list[Any]:
    """Caption, scale bar and, where `named`, the names of the planes on a finding whose block is there."""
    inset, font = layout.font * 0.6, layout.font
    texts = [picture_text(caption, left + inset, top - inset, "left", "top", font, shadow=_SHADOW)]
    for number, name in enumerate(_PLANES if named else ()):
        right = left + (number + 1) * (layout.tile + SEAM) - SEAM - inset
        texts.append(picture_text(name, right, top - 2.4 * font, "right", "top", font))
    bottom = top - layout.block[1] + SEAM
    return [*texts, *scale_bar(layout.tile, layout.tile / width_mm, left, bottom, font)]


def _tile(
    volume_node: Any, roi: Any, width_mm: float, size: int, right: tuple[int, ...], up: tuple[int, ...]
) -> NDArray[np.uint8]:
    """RGB `[row, column, 3]`, `size` pixels wide and a black seam at its right and lower edge."""
    centre = np.array(roi.GetCenterWorld(), dtype=float)
    steps = (np.arange(size) - (size - 1) / 2) * width_mm / size
    points: Floats = centre + steps[None, :, None] * np.array(right) - steps[:, None, None] * np.array(up)
    pixels = np.zeros((size + SEAM, size + SEAM, 3), np.uint8)
    tile = pixels[:size, :size]
    tile[...] = windowed(sampled(volume_node, points), volume_node)[..., None]
    outline = edge_of(in_box(roi, points))
    # A dark seam beside the line, so that it reads on bone as on air.
    tile[grown(outline) & ~outline] //= 3
    tile[outline] = np.rint(np.array(roi.GetDisplayNode().GetSelectedColor()) * 255).astype(np.uint8)
    return pixels
