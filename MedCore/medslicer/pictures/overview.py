"""The 3-D view of the application turned to a result as in its pictures: near, from the same side, with bones."""

from __future__ import annotations

from typing import Any

import numpy as np

from medinfer.volume import Floats

from ..nodes.lookup import nodes_of
from ..nodes.volumes import world_bounds
from ..results.result import Result
from ..views.sights import Overview, overview_of_points
from ..views.views import aim_cameras
from .bone_rendering import BONE_TRANSFER
from .chest_rendering import CHEST_TRANSFER
from .rendering import Transfer, volume_property

# What is seen besides the findings, where the scan is rendered: of the pictures' transfers what is true of plain HU.
_RENDERED: dict[str, Transfer] = {
    "detect": tuple(entry for entry in CHEST_TRANSFER if 190 <= entry[0] <= 3000),
    "landmark": tuple(entry for entry in BONE_TRANSFER if entry[0] >= 130),
}
# A scan without so low a value has no air in it, or no HU.
_AIR_HU = -500
# On a rendering that is ours to switch on and off.
BONES_ATTRIBUTE = "MedInfer.bones"


def show_overview(result: Result, *, render: bool = False) -> None:
    """Let the 3-D cameras see all of `result`; of scans that were rendered for their results show its own alone.

    render: where bones help, render those of its scan.
    """
    scene, scan = result.table.GetScene(), result.volume_node
    if scan is None or scan.GetImageData() is None:
        return
    aim_cameras(scene, _overview(result, scan))
    for rendering in nodes_of(scene, "vtkMRMLVolumeRenderingDisplayNode"):
        if rendering.GetAttribute(BONES_ATTRIBUTE):
            rendering.SetVisibility(rendering.GetDisplayableNode() is scan and result.task in _RENDERED)
    if render and result.task in _RENDERED:
        _render(scan, _RENDERED[result.task])


def _overview(result: Result, scan: Any) -> Overview:
    low, high = world_bounds(scan)
    places = [row.position_world for row in result.shown_rows if row.position_world is not None]
    points: Floats = np.array(places, dtype=float).reshape(-1, 3)
    return overview_of_points(result.task, points, low, high)


def _render(scan: Any, transfer: Transfer) -> None:
    """Once a scan: what a user has made of it since, or had before, is left."""
    import slicer

    scene, logic = scan.GetScene(), slicer.modules.volumerendering.logic()
    if logic.GetFirstVolumeRenderingDisplayNode(scan) is not None or scan.GetImageData().GetScalarRange()[0] > _AIR_HU:
        return
    # Of the kind that the user has set; it hands over a reference that Python does not know of.
    rendering = logic.CreateVolumeRenderingDisplayNode()
    rendering.UnRegister(None)
    rendering.SetAttribute(BONES_ATTRIBUTE, "1")
    scene.AddNode(rendering)
    rendering.SetAndObserveVolumePropertyNodeID(volume_property(scene, transfer).GetID())
    scan.AddAndObserveDisplayNodeID(rendering.GetID())
    rendering.SetVisibility(True)
