"""Turning slices and 3-D cameras to a place in the scene."""

from __future__ import annotations

from typing import Any

import numpy as np

from medinfer.findings import Vector

from ..nodes.lookup import nodes_of

# How far a 3-D camera stands at most from what it was turned to: from farther off a nodule is a dot.
FARTHEST_MM = 450.0


def jump_to(scene: Any, position_world: Vector) -> None:
    """Let every slice view go through `position_world` (RAS mm) with it in the middle, and every 3-D camera look at it.

    Cameras keep their direction, and their distance unless it is large. Slices keep their orientation and zoom.
    """
    for slice_node in nodes_of(scene, "vtkMRMLSliceNode"):
        slice_node.JumpSliceByCentering(*position_world)
    for camera in nodes_of(scene, "vtkMRMLCameraNode"):
        _look_at(camera, np.array(position_world))


def _look_at(camera: Any, position: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    away = np.array(camera.GetPosition()) - np.array(camera.GetFocalPoint())
    distance = float(np.linalg.norm(away))
    if distance == 0:
        away, distance = np.array([0.0, 1.0, 0.0]), FARTHEST_MM
    before = camera.StartModify()
    camera.SetFocalPoint(*position)
    camera.SetPosition(*(position + away / distance * min(distance, FARTHEST_MM)))
    camera.EndModify(before)
    camera.ResetClippingRange()
