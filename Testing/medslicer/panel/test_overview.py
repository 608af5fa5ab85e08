"""The 3-D view after a run: near, from the side of the pictures, with the bones of the scan that was run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from panel_user import PanelUser
from results_user import ResultsUser


def distance(user: Any) -> float:
    (camera,) = [user.harness.scene.GetNthNodeByClass(n, "vtkMRMLCameraNode")
                 for n in range(user.harness.scene.GetNumberOfNodesByClass("vtkMRMLCameraNode"))]
    return float(np.linalg.norm(np.array(camera.GetPosition()) - camera.GetFocalPoint()))


def far_off(user: ResultsUser) -> None:
    for camera in user.nodes("vtkMRMLCameraNode"):
        camera.SetFocalPoint(0, 0, 0)
        camera.SetPosition(0, 2000, 0)


def renderings(user: ResultsUser) -> dict[str, bool]:
    """By the names of scans, whether they are rendered."""
    nodes = user.nodes("vtkMRMLVolumeRenderingDisplayNode")
    return {node.GetDisplayableNode().GetName(): bool(node.GetVisibility()) for node in nodes}


def test_of_teeth_the_camera_stands_near_and_no_numbers_lie_over_one_another(teeth: ResultsUser) -> None:
    far_off(teeth)
    teeth.choose("resultSelector", "Teeth")
    assert distance(teeth) < 450
    assert renderings(teeth) == {}
    for points in teeth.results[0].nodes.numbers:
        assert not points.GetDisplayNode().GetVisibility3D()
        assert points.GetDisplayNode().GetVisibility2D()


@pytest.mark.parametrize("module", ["landmarks", "nodules"])
def test_the_bones_of_the_scan_are_rendered_once_and_a_users_own_rendering_is_left(
    request: pytest.FixtureRequest, module: str
) -> None:
    import slicer

    from medslicer.pictures.overview import show_overview

    user: ResultsUser = request.getfixturevalue(module)
    (result,) = user.results
    name = result.volume_node.GetName()
    show_overview(result, render=True)
    assert renderings(user) == {name: True}
    (rendering,) = user.nodes("vtkMRMLVolumeRenderingDisplayNode")
    opacity = rendering.GetVolumePropertyNode().GetScalarOpacity()
    assert opacity.GetValue(40) == opacity.GetValue(-1000) == opacity.GetValue(-3000) == 0
    assert opacity.GetValue(700) > 0
    mine = user.scene.AddNewNodeByClass("vtkMRMLVolumePropertyNode")
    rendering.SetAndObserveVolumePropertyNodeID(mine.GetID())
    show_overview(result, render=True)
    assert rendering.GetVolumePropertyNode() is mine
    assert len(user.nodes("vtkMRMLVolumeRenderingDisplayNode")) == 1
    assert slicer.modules.volumerendering.logic().GetFirstVolumeRenderingDisplayNode(result.volume_node) is rendering


def test_after_a_run_the_camera_is_near_its_best_finding(user: PanelUser) -> None:
    user.run_to_the_end()
    assert distance(user) <= 450
    scene = user.harness.scene
    assert scene.GetFirstNodeByClass("vtkMRMLVolumeRenderingDisplayNode").GetVisibility()
