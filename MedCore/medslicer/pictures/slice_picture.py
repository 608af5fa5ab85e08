"""A slice through a finding, drawn as a Slicer slice view draws it, with its name and the patient's directions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medinfer.volume import Floats

from ..views.views import zoom
from .box_numbers import NumberedBox, numbers_beside
from .names import NamedPoint, named_badges, named_dots
from .offscreen import PICTURE_PIXELS, OffscreenView
from .picture_text import FONT, LINE, MARGIN, picture_text, titles
from .scale_bar import scale_bar

# Not the ruler's: it is white on bone.
_MANAGERS = ("vtkMRMLMarkupsDisplayableManager", "vtkMRMLSegmentationsDisplayableManager2D")
# Half the height of a lumbar vertebra, about: a point so near is still in what the slice shows.
IN_PLANE_MM = 10.0


def draw_slice(
    application_logic: Any, layout_name: str, caption: str, path: Path, *,
    points: Sequence[NamedPoint] = (), reach_mm: float = 0, badges: Sequence[NamedPoint] = (),
    numbered: Sequence[NumberedBox] = (),
) -> None:
    """Write the slice view called `layout_name` ("Red", …) of the application logic's scene to `path` as PNG.

    What is shown, and where, is what the view's nodes say (`views.turn_views`). points: drawn where they project onto
    the slice, those farther than IN_PLANE_MM from it as rings; names stand `reach_mm` to the right (left if negative).
    badges: words that stand right on their places. numbered: boxes whose numbers stand beside them where the slice
    cuts them.
    """
    import slicer

    scene = application_logic.GetMRMLScene()
    slice_node = scene.GetSingletonNode(layout_name, "vtkMRMLSliceNode")
    view = OffscreenView(application_logic, slicer.vtkMRMLSliceViewDisplayableManagerFactory, _MANAGERS)
    view.renderer.GetActiveCamera().ParallelProjectionOn()
    logic = slicer.vtkMRMLSliceLogic()
    logic.SetMRMLApplicationLogic(application_logic)
    # The managers find the slice's pipeline among the application's slice logics.
    application_logic.GetSliceLogics().AddItem(logic)
    logic.SetMRMLScene(scene)
    logic.SetSliceNode(slice_node)
    field_of_view_mm = min(slice_node.GetFieldOfView()[:2])
    slice_node.SetDimensions(PICTURE_PIXELS, PICTURE_PIXELS, 1)
    zoom(slice_node, field_of_view_mm)
    view.show(slice_node)
    view.renderer.AddViewProp(_image(logic))
    reach = reach_mm * PICTURE_PIXELS / field_of_view_mm
    places = _in_view(slice_node, _places(points))
    dots = named_dots(points, places[:, :2], reach, hollow=np.abs(places[:, 2]) > IN_PLANE_MM)
    on_places = named_badges(badges, _in_view(slice_node, _places(badges))[:, :2])
    bar = scale_bar(PICTURE_PIXELS, PICTURE_PIXELS / field_of_view_mm)
    for actor in [*_texts(slice_node, caption), *bar, *dots, *on_places, *_numbers(slice_node, numbered)]:
        view.renderer.AddViewProp(actor)
    view.write_png(path)
    view.close()
    application_logic.GetSliceLogics().RemoveItem(logic)
    logic.SetMRMLScene(None)


def _places(points: Sequence[NamedPoint]) -> Floats:
    return np.array([point.position_ras for point in points]).reshape(-1, 3)


def _in_view(slice_node: Any, places_ras: Floats) -> Floats:
    """Of `[n, 3]` places `[n, 3]`: x and y from the picture's lower left corner in pixels, and how far from the slice
    in mm."""
    import slicer

    places = np.concatenate([places_ras, np.ones((len(places_ras), 1))], axis=1).T
    pixels, across = (
        np.linalg.solve(slicer.util.arrayFromVTKMatrix(matrix), places)
        for matrix in (slice_node.GetXYToRAS(), slice_node.GetSliceToRAS())
    )
    return np.stack([pixels[0], pixels[1], across[2]], axis=1)


def _numbers(slice_node: Any, numbered: Sequence[NumberedBox]) -> list[Any]:
    """Of the boxes that the slice cuts."""
    places = [_in_view(slice_node, box.corners_ras) for box in numbered]
    cut = [place[:, 2].min() <= 0 <= place[:, 2].max() for place in places]
    kept = [box for box, met in zip(numbered, cut, strict=True) if met]
    pixels = np.array([place[:, :2] for place, met in zip(places, cut, strict=True) if met]).reshape(-1, 8, 2)
    return numbers_beside(kept, pixels, PICTURE_PIXELS)


def _image(logic: Any) -> Any:
    """The slice itself. In the application the view's widget draws it; its pixels are RGBA already."""
    import vtk

    mapper = vtk.vtkImageMapper()
    mapper.SetColorWindow(255)
    mapper.SetColorLevel(127.5)
    mapper.SetInputConnection(logic.GetImageDataConnection())
    actor = vtk.vtkActor2D()
    actor.SetMapper(mapper)
    actor.GetProperty().SetDisplayLocationToBackground()
    return actor


def _texts(slice_node: Any, caption: str) -> list[Any]:
    """Caption and plane in the upper corners, the patient's directions at the four edges."""
    import slicer

    to_ras = slicer.util.arrayFromVTKMatrix(slice_node.GetSliceToRAS())
    offset_axis = int(np.argmax(np.abs(to_ras[:3, 2])))
    plane = f"{slice_node.GetOrientation()}  {'RAS'[offset_axis]} {to_ras[offset_axis, 3]:.1f} mm"
    if slice_node.GetSlabReconstructionEnabled():
        plane += f", MIP {slice_node.GetSlabReconstructionThickness():.0f} mm"
    end, middle = PICTURE_PIXELS - MARGIN, PICTURE_PIXELS / 2
    words, lines = titles(caption, plane, PICTURE_PIXELS, end)
    return [
        *words,
        picture_text(_letter(-to_ras[:3, 0]), MARGIN, middle, "left", "middle"),
        picture_text(_letter(to_ras[:3, 0]), end, middle, "right", "middle"),
        picture_text(_letter(to_ras[:3, 1]), middle, end - lines * LINE - 4, "center", "top"),
        picture_text(_letter(-to_ras[:3, 1]), middle, MARGIN + 1.8 * FONT, "center", "bottom"),
    ]


def _letter(direction_ras: np.ndarray[Any, np.dtype[np.float64]]) -> str:
    """The patient's side that a direction mostly points to."""
    axis = int(np.argmax(np.abs(direction_ras)))
    return ("RAS" if direction_ras[axis] > 0 else "LPI")[axis]
