"""The chest in 3-D with the boxes in it, drawn as Slicer's volume rendering draws it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .chest_rendering import recoded, volume_property
from .offscreen import OffscreenView
from .rois import box_from_roi
from .views import VIEW_3D
from .volumes import add_volume, volume_from_node

_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLVolumeRenderingDisplayableManager",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
)


def draw_volume(application_logic: Any, volume_node: Any, rois: Sequence[Any], path: Path) -> None:
    """Write the 3-D view of the application logic's scene, with `volume_node` and the boxes, to `path` as PNG.

    What volume rendering needs is put into the scene for the picture and taken out again.
    """
    import slicer

    scene = application_logic.GetMRMLScene()
    volume = recoded(volume_from_node(volume_node), [box_from_roi(roi) for roi in rois])
    node = add_volume(scene, volume)
    node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
    colors = volume_property(scene)
    # On the processor: a software OpenGL needs ten times as long for the same picture.
    rendering = scene.AddNewNodeByClass("vtkMRMLCPURayCastVolumeRenderingDisplayNode")
    rendering.SetAndObserveVolumePropertyNodeID(colors.GetID())
    node.AddAndObserveDisplayNodeID(rendering.GetID())
    rendering.SetVisibility(True)

    view = OffscreenView(application_logic, slicer.vtkMRMLThreeDViewDisplayableManagerFactory, _MANAGERS)
    view.show(scene.GetSingletonNode(VIEW_3D, "vtkMRMLViewNode"))
    view.renderer.ResetCameraClippingRange()
    view.write_png(path)
    view.close()
    for added in (rendering, colors, node):
        scene.RemoveNode(added)
