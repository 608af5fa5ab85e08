"""A panorama as PNG: grey as a radiograph, segments outlined in their colours, numbers on the teeth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .image_actor import image_actor
from .names import NamedPoint, named_badges
from .offscreen import OffscreenWindow
from .panoramic import DEPTH_MM, Panorama
from .picture_text import FONT, MARGIN, picture_text, titles

# Screen pixels a pixel of the panorama; the strip above it for the words.
SCALE, STRIP = 2, 40
# Shares of the pixels that are shown black and white.
_BLACK, _WHITE = 2.0, 99.7


def draw_panorama(
    unrolled: Panorama, segments: Sequence[tuple[str, str, tuple[float, float, float]]], caption: str, path: Path
) -> None:
    """Write `unrolled` to `path` as PNG. segments: ID, badge ("" for none) and colour of each. Raises OutputError."""
    from scipy.ndimage import zoom

    rows, columns = (n * SCALE for n in unrolled.grey.shape)
    view = OffscreenWindow(columns, rows + STRIP)
    view.renderer.AddViewProp(image_actor(_as_bytes(zoom(unrolled.grey, SCALE, order=1))))
    badges, pixels = [], []
    for identifier, words, color in segments:
        mask = unrolled.masks.get(identifier)
        if mask is None or not mask.any():
            continue
        view.renderer.AddViewProp(_outline_actor(zoom(mask.astype(np.float32), SCALE, order=1), color))
        if words:
            row, column = np.argwhere(mask).mean(axis=0)
            badges.append(NamedPoint(words, (0.0, 0.0, 0.0), color))
            pixels.append(((column + 0.5) * SCALE, rows - (row + 0.5) * SCALE))
    top, middle = rows + STRIP - 10, rows / 2
    for actor in [
        *named_badges(badges, np.array(pixels).reshape(-1, 2)),
        *titles(caption, f"Panoramic, mean of {DEPTH_MM:.0f} mm", columns, top)[0],
        picture_text("R", MARGIN, middle, "left", "middle", FONT),
        picture_text("L", columns - MARGIN, middle, "right", "middle", FONT),
    ]:
        view.renderer.AddViewProp(actor)
    view.write_png(path)
    view.close()


def _as_bytes(grey: NDArray[np.float32]) -> NDArray[np.uint8]:
    """From black (0) to white (255)."""
    low, high = np.percentile(grey, [_BLACK, _WHITE])
    shown: NDArray[np.uint8] = np.clip((grey - low) / max(float(high - low), 1e-6) * 255, 0, 255).astype(np.uint8)
    return shown


def _outline_actor(mask: NDArray[np.float32], color: tuple[float, float, float]) -> Any:
    """The line around a mask (0…1)."""
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk

    image = vtk.vtkImageData()
    image.SetDimensions(mask.shape[1], mask.shape[0], 1)
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(mask[::-1]).ravel(), deep=True))
    contour = vtk.vtkContourFilter()
    contour.SetInputData(image)
    contour.SetValue(0, 0.5)
    mapper = vtk.vtkPolyDataMapper2D()
    mapper.ScalarVisibilityOff()
    mapper.SetInputConnection(contour.GetOutputPort())
    actor = vtk.vtkActor2D()
    actor.SetMapper(mapper)
    actor.GetProperty().SetColor(*color)
    actor.GetProperty().SetLineWidth(2)
    return actor
