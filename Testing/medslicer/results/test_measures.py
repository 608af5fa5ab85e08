"""Distances and angles between landmarks, measured by Slicer and checked by numpy."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medinfer.errors import ScanError
from medslicer.export.saving import save_scene
from medslicer.headless import HeadlessSlicer
from medslicer.nodes.lookup import nodes_of
from medslicer.nodes.volumes import add_volume
from medslicer.results.measures import Measure, add_angle, add_distance, measure_of, measures_of, remove_measure
from medslicer.results.result import results_in
from medslicer.results.result_nodes import tree_of

# Rows of T12, L1, L2 (missing), L3, L4, L5 (missing).
T12, L1, L2, L3, L4 = 1, 2, 3, 4, 5


@pytest.fixture
def places(landmark_case: Any) -> dict[int, NDArray[np.float64]]:
    """Where the landmarks were found, RAS mm, by row."""
    found = enumerate(landmark_case.findings.landmarks, start=1)
    return {row: np.array(one.position_ras) for row, one in found if one.position_ras}


def angle(a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64]) -> float:
    one, other = a - b, c - b
    return float(np.degrees(np.arccos(one @ other / np.linalg.norm(one) / np.linalg.norm(other))))


def test_a_distance_is_a_line_of_slicer_with_its_length(
    scene: Any, landmark_case: Any, places: dict[int, NDArray[np.float64]]
) -> None:
    node = add_distance(landmark_case.add(scene), T12, L4)
    assert node.IsA("vtkMRMLMarkupsLineNode")
    assert node.GetName() == "T12–L4"
    assert node.GetLocked()
    expected = float(np.linalg.norm(places[T12] - places[L4]))
    assert measure_of(node) == Measure("T12–L4", pytest.approx(expected, abs=1e-6), "mm", node)
    assert node.GetLineLengthWorld() == pytest.approx(expected, abs=1e-6)


def test_an_angle_is_measured_at_the_middle_one_of_three(
    scene: Any, landmark_case: Any, places: dict[int, NDArray[np.float64]]
) -> None:
    node = add_angle(landmark_case.add(scene), T12, L3, L4)
    assert node.IsA("vtkMRMLMarkupsAngleNode")
    measure = measure_of(node)
    assert (measure.name, measure.unit) == ("T12–L3–L4", "°")
    assert measure.value == pytest.approx(angle(places[T12], places[L3], places[L4]), abs=1e-4)


def test_under_a_parent_transform_line_and_points_move_together(
    scene: Any, landmark_case: Any, places: dict[int, NDArray[np.float64]],
    put_under_transform: Callable[[Any], NDArray[np.float64]],
) -> None:
    volume_node = add_volume(scene, landmark_case.volume)
    matrix = put_under_transform(volume_node)
    node = add_distance(landmark_case.add_to(scene, volume_node), T12, L4)
    assert node.GetTransformNodeID() == volume_node.GetTransformNodeID()
    for number, row in enumerate((T12, L4)):
        assert node.GetNthControlPointPosition(number) == pytest.approx(places[row], abs=1e-4)
        there = (matrix @ (*places[row], 1))[:3]
        assert node.GetNthControlPointPositionWorld(number) == pytest.approx(there, abs=1e-4)
    assert measure_of(node).value == pytest.approx(np.linalg.norm(places[T12] - places[L4]), abs=1e-4)


def test_what_was_not_found_cannot_be_measured(scene: Any, landmark_case: Any) -> None:
    result = landmark_case.add(scene)
    with pytest.raises(ScanError, match=r"^L2 was not found, so it cannot be measured; place it by hand first"):
        add_distance(result, T12, L2)
    with pytest.raises(ScanError, match="different points"):
        add_angle(result, T12, L1, T12)
    with pytest.raises(ValueError, match="no finding number 9"):
        add_distance(result, T12, 9)
    assert measures_of(result) == ()
    assert nodes_of(scene, "vtkMRMLMarkupsLineNode") == []


def test_measured_again_after_a_point_was_moved_the_same_line_is_brought_up_to_date(
    scene: Any, landmark_case: Any
) -> None:
    result = landmark_case.add(scene)
    first = add_distance(result, T12, L4)
    result.nodes.fiducials.SetNthControlPointPosition(0, 0.0, 0.0, 0.0)
    result.nodes.fiducials.SetNthControlPointPosition(4, 3.0, 4.0, 12.0)
    again = add_distance(result, T12, L4)
    assert again is first
    assert [one.value for one in measures_of(result)] == [pytest.approx(13.0)]


def test_measures_stand_in_the_results_folder_and_go_with_it(scene: Any, landmark_case: Any) -> None:
    result = landmark_case.add(scene)
    node = add_distance(result, T12, L1)
    tree = tree_of(scene)
    assert tree.GetItemParent(tree.GetItemByDataNode(node)) == result.nodes.folder
    result.remove()
    assert node.GetScene() is None


def test_a_measure_that_is_removed_leaves_nothing_behind(scene: Any, landmark_case: Any) -> None:
    result = landmark_case.add(scene)
    before = {node.GetID() for node in nodes_of(scene, "vtkMRMLNode")}
    add_distance(result, T12, L4)
    (measure,) = measures_of(result)
    remove_measure(measure)
    assert measures_of(result) == ()
    assert {node.GetID() for node in nodes_of(scene, "vtkMRMLNode")} == before
    assert tree_of(scene).GetItemByDataNode(measure.node) == 0


def test_a_measure_is_one_step_that_undo_takes_back(scene: Any, landmark_case: Any) -> None:
    result = landmark_case.add(scene)
    scene.SetUndoOn()
    add_distance(result, T12, L1)
    assert scene.GetNumberOfUndoLevels() == 1
    scene.Undo()
    assert nodes_of(scene, "vtkMRMLMarkupsLineNode") == []
    assert measures_of(result) == ()


def test_measures_are_there_again_in_a_loaded_scene(scene: Any, landmark_case: Any, tmp_path: Path) -> None:
    result = landmark_case.add(scene)
    add_distance(result, T12, L4)
    add_angle(result, T12, L3, L4)
    before = measures_of(result)
    save_scene(scene, tmp_path / "scene.mrb")
    with HeadlessSlicer() as other:
        assert other.scene.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
        (read,) = results_in(other.scene)
        for measure, earlier in zip(measures_of(read), before, strict=True):
            assert dataclasses.replace(measure, value=0, node=None) == dataclasses.replace(earlier, value=0, node=None)
            assert measure.value == pytest.approx(earlier.value, abs=1e-3)


def test_teeth_and_nodules_can_be_measured_too(scene: Any, teeth_case: Any, nodule_case: Any) -> None:
    for case, places in (
        (teeth_case, [one.center_ras for one in teeth_case.findings.segments]),
        (nodule_case, [one.center_ras for one in nodule_case.findings.boxes]),
    ):
        node = add_distance(case.add(scene), 1, 2)
        assert measure_of(node).value == pytest.approx(np.linalg.norm(np.subtract(places[0], places[1])), abs=1e-4)
