"""The scan in 3-D with the markups in it, drawn as Slicer's volume rendering draws it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medinfer.volume import Floats, Volume

from ..nodes.volumes import add_volume
from ..views.views import VIEW_3D
from .box_numbers import NumberedBox, numbers_beside
from .names import NamedPoint, named_dots
from .offscreen import PICTURE_PIXELS, OffscreenView
from .rendering import Transfer, volume_property

_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLVolumeRenderingDisplayableManager",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
)


def draw_volume(
    application_logic: Any, volume_node: Any, recoded: Volume, transfer: Transfer, path: Path, *,
    points: Sequence[NamedPoint] = (), reach_mm: float = 0, numbered: Sequence[NumberedBox] = (),
) -> None:
    """Write the 3-D view of the application logic's scene to `path` as PNG.

    In place of `volume_node` it shows `recoded`, a copy whose values `transfer` gives opacity and colour. What that
    needs is put into the scene for the picture and taken out again. points: drawn over it; their names
    stand `reach_mm` to the right (left if negative). numbered: boxes whose numbers stand beside them.
    """
    import slicer

    scene = application_logic.GetMRMLScene()
    node = add_volume(scene, recoded)
    node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
    colors = volume_property(scene, transfer)
    # On the processor: a software OpenGL needs ten times as long for the same picture.
    rendering = scene.AddNewNodeByClass("vtkMRMLCPURayCastVolumeRenderingDisplayNode")
    rendering.SetAndObserveVolumePropertyNodeID(colors.GetID())
    node.AddAndObserveDisplayNodeID(rendering.GetID())
    rendering.SetVisibility(True)

    view = OffscreenView(application_logic, slicer.vtkMRMLThreeDViewDisplayableManagerFactory, _MANAGERS)
    view.show(scene.GetSingletonNode(VIEW_3D, "vtkMRMLViewNode"))
    view.renderer.ResetCameraClippingRange()
    pixels, reach = _pixels(view.renderer, _places(points)), reach_mm * _pixels_a_mm(view.renderer)
    dots = named_dots(points, pixels, reach, hollow=np.zeros(len(points), dtype=bool))
    corners = np.array([box.corners_ras for box in numbered]).reshape(-1, 3)
    numbers = numbers_beside(numbered, _pixels(view.renderer, corners).reshape(-1, 8, 2), PICTURE_PIXELS)
    for actor in [*dots, *numbers]:
        view.renderer.AddViewProp(actor)
    view.write_png(path)
    view.close()
    for added in (rendering, colors, node):
        scene.RemoveNode(added)


def _places(points: Sequence[NamedPoint]) -> Floats:
    return np.array([point.position_ras for point in points]).reshape(-1, 3)


def _pixels(renderer: Any, places_ras: Floats) -> Floats:
    """Where `places_ras` (`[n, 3]`) are in the picture: `[n, 2]`, x and y from the lower left corner."""
    pixels = np.zeros((len(places_ras), 2))
    for pixel, place in zip(pixels, places_ras, strict=True):
        renderer.SetWorldPoint(*place, 1.0)
        renderer.WorldToDisplay()
        pixel[:] = renderer.GetDisplayPoint()[:2]
    return pixels


def _pixels_a_mm(renderer: Any) -> float:
    """At the point that the camera looks at."""
    camera = renderer.GetActiveCamera()
    across_mm = 2 * camera.GetDistance() * np.tan(np.radians(camera.GetViewAngle() / 2))
    return float(PICTURE_PIXELS / across_mm)
