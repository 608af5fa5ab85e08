"""The surfaces of segments in 3-D, drawn as Slicer's 3-D view draws them, with numbers on those that are seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medinfer.volume import Floats

from ..views.views import VIEW_3D
from .names import NamedPoint, named_badges
from .offscreen import PICTURE_PIXELS, OffscreenView
from .picture_text import LINE, MARGIN, broken, picture_text

_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLOrientationMarkerDisplayableManager",
)
# A surface of which less is seen gets no number; depth in the units of the graphics card's buffer. So many of the
# surface's points tell.
LEAST_SEEN, _SAME_DEPTH, _EVERY = 0.12, 2e-3, 7
_BADGE_PIXELS = np.array([34.0, 24.0])


def draw_surfaces(application_logic: Any, named: Sequence[tuple[str, Any]], caption: str, path: Path) -> None:
    """Write the 3-D view of the application logic's scene to `path` as PNG. Raises OutputError.

    named: words and the world surface (vtkPolyData, RAS mm) on which they stand, where it is seen.
    """
    import slicer

    scene = application_logic.GetMRMLScene()
    view = OffscreenView(application_logic, slicer.vtkMRMLThreeDViewDisplayableManagerFactory, _MANAGERS)
    view.show(scene.GetSingletonNode(VIEW_3D, "vtkMRMLViewNode"))
    view.renderer.ResetCameraClippingRange()
    view.window.Render()
    depths = _depths(view.window)
    seen = [(words, *_seen(view.renderer, surface, depths)) for words, surface in named]
    badges, pixels = [], np.zeros((0, 2))
    # What is seen best comes first; a badge that would lie over another is left out.
    for words, share, place in sorted(seen, key=lambda one: -one[1]):
        if share >= LEAST_SEEN and not (np.abs(pixels - place) < _BADGE_PIXELS).all(axis=1).any():
            badges.append(NamedPoint(words, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)))
            pixels = np.vstack([pixels, place])
    for actor in [
        *named_badges(badges, pixels),
        *(picture_text(words, MARGIN, PICTURE_PIXELS - MARGIN - n * LINE, "left", "top")
          for n, words in enumerate(broken(caption, PICTURE_PIXELS - 2 * MARGIN))),
    ]:
        view.renderer.AddViewProp(actor)
    view.write_png(path)
    view.close()


def _depths(window: Any) -> Floats:
    """How deep the picture is at every pixel, 0…1: `[y, x]` from the lower left corner."""
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    width, height = window.GetSize()
    buffer = vtk.vtkFloatArray()
    window.GetZbufferData(0, 0, width - 1, height - 1, buffer)
    depths: Floats = vtk_to_numpy(buffer).reshape(height, width)
    return depths


def _seen(renderer: Any, surface: Any, depths: Floats) -> tuple[float, Floats]:
    """The share of a surface that is seen, and the middle (x, y in pixels) of that."""
    from vtk.util.numpy_support import vtk_to_numpy

    points = vtk_to_numpy(surface.GetPoints().GetData())[::_EVERY]
    places = np.zeros((len(points), 3))
    for place, point in zip(places, points, strict=True):
        renderer.SetWorldPoint(*point, 1.0)
        renderer.WorldToDisplay()
        place[:] = renderer.GetDisplayPoint()
    x, y = np.rint(places[:, :2]).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < depths.shape[1]) & (y < depths.shape[0])
    places, x, y = places[inside], x[inside], y[inside]
    seen = places[places[:, 2] <= depths[y, x] + _SAME_DEPTH]
    middle: Floats = seen[:, :2].mean(axis=0) if len(seen) else np.zeros(2)
    return len(seen) / len(points), middle
