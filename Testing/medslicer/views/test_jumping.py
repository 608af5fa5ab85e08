"""Slices and 3-D cameras turn to a finding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medslicer.nodes.lookup import nodes_of
from medslicer.nodes.volumes import add_volume
from medslicer.results.result import Result
from medslicer.views.jumping import FARTHEST_MM, jump_to
from medslicer.views.sights import sights_of_boxes
from medslicer.views.views import turn_views


@pytest.fixture
def result(scene: Any, nodule_case: Any) -> Result:
    """In a scene with three slice views and a 3-D view."""
    result = nodule_case.add(scene)
    turn_views(scene, result.volume_node, sights_of_boxes((), result.volume_node))
    return result


def middle_of(slice_node: Any) -> list[float]:
    return [slice_node.GetSliceToRAS().GetElement(row, 3) for row in range(3)]


def test_all_slices_go_through_the_finding_with_it_in_the_middle(scene: Any, result: Result, nodule_case: Any) -> None:
    slices = nodes_of(scene, "vtkMRMLSliceNode")
    assert len(slices) == 3
    orientations = [node.GetOrientation() for node in slices]
    views = [node.GetFieldOfView() for node in slices]
    for number, box in enumerate(nodule_case.findings.boxes, start=1):
        assert result.jump(number)
        for node in slices:
            assert middle_of(node) == pytest.approx(box.center_ras, abs=1e-3)
    assert [node.GetOrientation() for node in slices] == orientations
    assert [node.GetFieldOfView() for node in slices] == views


def test_under_a_transform_the_views_go_where_the_finding_is_shown(
    scene: Any, nodule_case: Any, put_under_transform: Callable[[Any], NDArray[np.float64]]
) -> None:
    volume_node = add_volume(scene, nodule_case.volume)
    matrix = put_under_transform(volume_node)
    result = nodule_case.add_to(scene, volume_node)
    turn_views(scene, volume_node, sights_of_boxes((), volume_node))
    result.jump(2)
    expected = (matrix @ (*nodule_case.findings.boxes[1].center_ras, 1))[:3]
    (camera,) = nodes_of(scene, "vtkMRMLCameraNode")
    assert camera.GetFocalPoint() == pytest.approx(expected, abs=1e-3)
    for node in nodes_of(scene, "vtkMRMLSliceNode"):
        assert middle_of(node) == pytest.approx(expected, abs=1e-3)


def looks(camera: Any) -> tuple[NDArray[np.float64], float]:
    """Where a camera stands from what it looks at: the direction, and the distance in mm."""
    away = np.subtract(camera.GetPosition(), camera.GetFocalPoint())
    return away / np.linalg.norm(away), float(np.linalg.norm(away))


def test_the_camera_keeps_its_direction_and_distance(scene: Any, result: Result, nodule_case: Any) -> None:
    (camera,) = nodes_of(scene, "vtkMRMLCameraNode")
    direction, distance = looks(camera)
    assert distance < FARTHEST_MM
    result.jump(1)
    assert camera.GetFocalPoint() == pytest.approx(nodule_case.findings.boxes[0].center_ras, abs=1e-6)
    after, now = looks(camera)
    assert after == pytest.approx(direction)
    assert now == pytest.approx(distance)


def test_a_camera_far_off_comes_nearer_and_one_without_direction_looks_from_the_front(scene: Any) -> None:
    camera = scene.AddNewNodeByClass("vtkMRMLCameraNode")
    camera.SetFocalPoint(0, 0, 0)
    camera.SetPosition(3000, 0, 4000)
    jump_to(scene, (10.0, 20.0, 30.0))
    direction, distance = looks(camera)
    assert (distance, list(direction)) == (pytest.approx(FARTHEST_MM), pytest.approx([0.6, 0, 0.8]))
    camera.SetPosition(*camera.GetFocalPoint())
    jump_to(scene, (1.0, 2.0, 3.0))
    direction, _ = looks(camera)
    assert list(direction) == pytest.approx([0, 1, 0])


def test_a_missing_or_removed_finding_moves_nothing(scene: Any, landmark_case: Any, result: Result) -> None:
    before = [middle_of(node) for node in nodes_of(scene, "vtkMRMLSliceNode")]
    assert not landmark_case.add(scene).jump(3)
    scene.RemoveNode(result.nodes.roi(1))
    assert not result.jump(1)
    assert [middle_of(node) for node in nodes_of(scene, "vtkMRMLSliceNode")] == before
    with pytest.raises(ValueError, match="no finding number 12"):
        result.jump(12)


def test_without_views_nothing_is_turned(scene: Any, nodule_case: Any) -> None:
    assert nodule_case.add(scene).jump(1)
