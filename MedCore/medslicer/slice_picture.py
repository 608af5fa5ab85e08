"""A slice through a finding, drawn as a Slicer slice view draws it, with its name and the patient's directions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .offscreen import PICTURE_PIXELS, OffscreenView
from .views import FIELD_OF_VIEW_MM

_MANAGERS = ("vtkMRMLMarkupsDisplayableManager", "vtkMRMLRulerDisplayableManager")
_MARGIN, _FONT = 14, 20


def draw_slice(application_logic: Any, layout_name: str, caption: str, path: Path) -> None:
    """Write the slice view called `layout_name` ("Red", …) of the application logic's scene to `path` as PNG.

    What is shown, and where, is what the view's nodes say (`views.turn_views`).
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
    slice_node.SetDimensions(PICTURE_PIXELS, PICTURE_PIXELS, 1)
    slice_node.SetFieldOfView(FIELD_OF_VIEW_MM, FIELD_OF_VIEW_MM, 1.0)
    view.show(slice_node)
    view.renderer.AddViewProp(_image(logic))
    for text in _texts(slice_node, caption):
        view.renderer.AddViewProp(text)
    view.write_png(path)
    view.close()
    application_logic.GetSliceLogics().RemoveItem(logic)
    logic.SetMRMLScene(None)


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
    end, middle = PICTURE_PIXELS - _MARGIN, PICTURE_PIXELS / 2
    return [
        _text(caption, _MARGIN, end, "left", "top"),
        _text(plane, end, end, "right", "top"),
        _text(_letter(-to_ras[:3, 0]), _MARGIN, middle, "left", "middle"),
        _text(_letter(to_ras[:3, 0]), end, middle, "right", "middle"),
        _text(_letter(to_ras[:3, 1]), middle, end - 1.6 * _FONT, "center", "top"),
        _text(_letter(-to_ras[:3, 1]), middle, _MARGIN + 1.6 * _FONT, "center", "bottom"),
    ]


def _letter(direction_ras: np.ndarray[Any, np.dtype[np.float64]]) -> str:
    """The patient's side that a direction mostly points to."""
    axis = int(np.argmax(np.abs(direction_ras)))
    return ("RAS" if direction_ras[axis] > 0 else "LPI")[axis]


def _text(words: str, x: float, y: float, across: str, along: str) -> Any:
    """Text in pixels from the lower left corner, white on a soft shadow so that it reads on bone and on air."""
    import vtk

    actor = vtk.vtkTextActor()
    actor.SetInput(words)
    actor.SetPosition(x, y)
    style = actor.GetTextProperty()
    style.SetFontSize(_FONT)
    style.SetColor(1.0, 1.0, 1.0)
    style.SetBackgroundColor(0.0, 0.0, 0.0)
    style.SetBackgroundOpacity(0.45)
    {"left": style.SetJustificationToLeft, "right": style.SetJustificationToRight,
     "center": style.SetJustificationToCentered}[across]()
    {"top": style.SetVerticalJustificationToTop, "middle": style.SetVerticalJustificationToCentered,
     "bottom": style.SetVerticalJustificationToBottom}[along]()
    return actor
