"""What a scene shows when it is opened: four views, the scan in the slices, all turned to the findings.

In the application its views are there and are only turned. Without it the nodes are made under the names that the
application gives its own, which then take over what a `.mrb` says of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..nodes.lookup import nodes_of
from .sights import Overview, Sights

# Layout name (also the singleton tag) and orientation of the application's three slice views.
SLICE_VIEWS = {"Red": "Axial", "Green": "Coronal", "Yellow": "Sagittal"}
# What the application's bars over them say, and in which colour: it takes both from a scene that it opens.
LABELS = {"Red": "R", "Green": "G", "Yellow": "Y"}
VIEW_3D = "1"
VIEW_PIXELS = 640
BACKGROUND, BACKGROUND_TOP = (0.03, 0.04, 0.07), (0.10, 0.12, 0.18)


def turn_views(scene: Any, volume_node: Any, sights: Sights) -> None:
    """Show `volume_node` in the slice views and turn all four views as `sights` says."""
    for layout_name, orientation in SLICE_VIEWS.items():
        sight = sights.of(orientation)
        slice_node = _slice_node(scene, layout_name)
        slice_node.SetOrientation(orientation)
        slice_node.JumpSliceByCentering(*sight.centre_ras)
        zoom(slice_node, sight.field_of_view_mm)
        _composite_node(scene, layout_name).SetBackgroundVolumeID(volume_node.GetID())
    _view_node(scene)
    _aim_camera(_camera_node(scene), sights.overview)
    layout = _singleton(scene, "vtkMRMLLayoutNode", "vtkMRMLLayoutNode")
    if not layout.IsLayoutDescription(layout.SlicerLayoutFourUpView):
        # The application knows this layout by its number; only that is saved.
        layout.AddLayoutDescription(layout.SlicerLayoutFourUpView, "<layout/>")
    layout.SetViewArrangement(layout.SlicerLayoutFourUpView)


def aim_cameras(scene: Any, overview: Overview) -> None:
    """Let every 3-D camera that is there see all of `overview`."""
    for camera in nodes_of(scene, "vtkMRMLCameraNode"):
        _aim_camera(camera, overview)


def zoom(slice_node: Any, field_of_view_mm: float) -> None:
    """Zoom a slice view so that its shorter side shows this many millimetres."""
    width, height, _ = slice_node.GetDimensions()
    millimetres = field_of_view_mm / max(1, min(width, height))
    slice_node.SetFieldOfView(width * millimetres, height * millimetres, slice_node.GetFieldOfView()[2])


def _slice_node(scene: Any, layout_name: str) -> Any:
    fresh = scene.GetSingletonNode(layout_name, "vtkMRMLSliceNode") is None
    node = _singleton(scene, "vtkMRMLSliceNode", layout_name)
    if fresh:
        node.SetName(layout_name)
        node.SetLayoutName(layout_name)
        node.SetLayoutLabel(LABELS[layout_name])
        node.SetLayoutColor(*getattr(node, f"Get{layout_name}Color")())
        node.SetDimensions(VIEW_PIXELS, VIEW_PIXELS, 1)
        node.SetRulerType(node.RulerTypeThin)
    return node


def _composite_node(scene: Any, layout_name: str) -> Any:
    node = _singleton(scene, "vtkMRMLSliceCompositeNode", layout_name)
    node.SetLayoutName(layout_name)
    return node


def _view_node(scene: Any) -> Any:
    fresh = scene.GetSingletonNode(VIEW_3D, "vtkMRMLViewNode") is None
    node = _singleton(scene, "vtkMRMLViewNode", VIEW_3D)
    if fresh:
        node.SetName("View1")
        node.SetLayoutName(VIEW_3D)
        node.SetLayoutLabel(VIEW_3D)
        node.SetLayoutColor(*node.GetThreeDViewBlueColor())
        node.SetBoxVisible(False)
        node.SetAxisLabelsVisible(False)
        node.SetBackgroundColor(*BACKGROUND)
        node.SetBackgroundColor2(*BACKGROUND_TOP)
        node.SetOrientationMarkerType(node.OrientationMarkerTypeAxes)
    return node


def _camera_node(scene: Any) -> Any:
    """The camera of the 3-D view: Slicer finds it by its layout name."""
    for node in nodes_of(scene, "vtkMRMLCameraNode"):
        if node.GetLayoutName() == VIEW_3D:
            return node
    node = scene.CreateNodeByClass("vtkMRMLCameraNode")
    node.UnRegister(None)
    node.SetName("Camera")
    node.SetLayoutName(VIEW_3D)
    return scene.AddNode(node)


def _aim_camera(camera: Any, overview: Overview) -> None:
    """Look at all of it, head up, from far enough that it fills the view."""
    centre, direction = np.array(overview.centre_ras), np.array(overview.direction_ras)
    half_angle = np.radians(camera.GetViewAngle() / 2)
    distance = 0.54 * overview.extent_mm / np.tan(half_angle)
    camera.SetFocalPoint(*centre)
    camera.SetPosition(*(centre + direction / np.linalg.norm(direction) * distance))
    camera.SetViewUp(0.0, 0.0, 1.0)
    camera.ResetClippingRange()


def _singleton(scene: Any, kind: str, tag: str) -> Any:
    """The scene's singleton node of that class and tag, created if missing (its ID is class and tag together)."""
    node = scene.GetSingletonNode(tag, kind)
    if node is not None:
        return node
    node = scene.CreateNodeByClass(kind)
    # CreateNodeByClass hands over a reference that Python does not know of.
    node.UnRegister(None)
    node.SetSingletonTag(tag)
    return scene.AddNode(node)
