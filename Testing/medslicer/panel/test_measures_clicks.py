"""Distances and angles between landmarks: chosen and measured by clicks, checked by numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import SlicerHarness
from numpy.typing import NDArray
from results_user import ResultsUser

Place = NDArray[np.float64]


@pytest.fixture
def user(landmarks: ResultsUser) -> ResultsUser:
    """Someone who has unfolded the measures of "head", "chest" and "foot"; "tail" was not found."""
    landmarks.unfold("measuresSection")
    return landmarks


def place(user: ResultsUser, label: str) -> Place:
    """Where the control point of that label stands in the world."""
    (points,) = user.nodes("vtkMRMLMarkupsFiducialNode")
    labels = [points.GetNthControlPointLabel(n) for n in range(points.GetNumberOfControlPoints())]
    return np.array(points.GetNthControlPointPositionWorld(labels.index(label)))


def angle(a: Place, b: Place, c: Place) -> float:
    one, other = a - b, c - b
    return float(np.degrees(np.arccos(one @ other / np.linalg.norm(one) / np.linalg.norm(other))))


def measured(user: ResultsUser) -> list[tuple[str, str]]:
    table = user.ui("measuresTable")
    return [(table.item(row, 0).text(), table.item(row, 1).text()) for row in range(table.rowCount())]


def measure(user: ResultsUser, start: str, end: str, via: str = "None") -> None:
    user.choose("fromSelector", start)
    user.choose("viaSelector", via)
    user.choose("toSelector", end)
    user.click("addMeasureButton")


def test_only_what_was_found_can_be_measured(user: ResultsUser) -> None:
    assert user.entries("fromSelector") == user.entries("toSelector") == ["head", "chest", "foot"]
    assert user.entries("viaSelector") == ["None (distance)", "head", "chest", "foot"]
    assert (user.chosen("fromSelector"), user.chosen("toSelector")) == ("head", "foot")


def test_without_a_result_there_is_nothing_to_choose(open_panel: Any) -> None:
    panel = open_panel("MedLandmark")
    panel.unfold("measuresSection")
    assert panel.entries("fromSelector") == []
    assert not panel.ui("addMeasureButton").isEnabled()
    assert not panel.ui("removeMeasureButton").isEnabled()


def test_a_distance_is_what_numpy_says(user: ResultsUser) -> None:
    measure(user, "head", "foot")
    expected = np.linalg.norm(place(user, "head") - place(user, "foot"))
    assert measured(user) == [("head–foot", f"{expected:.1f} mm")]
    (line,) = user.nodes("vtkMRMLMarkupsLineNode")
    assert line.GetLineLengthWorld() == pytest.approx(expected, abs=1e-6)


def test_an_angle_is_what_numpy_says(user: ResultsUser) -> None:
    measure(user, "head", "foot", via="chest")
    expected = angle(place(user, "head"), place(user, "chest"), place(user, "foot"))
    assert measured(user) == [("head–chest–foot", f"{expected:.1f}°")]
    (node,) = user.nodes("vtkMRMLMarkupsAngleNode")
    assert node.GetAngleDegrees() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("start", "via", "end"), [
    ("head", "None", "head"), ("head", "head", "foot"), ("head", "foot", "foot"), ("chest", "foot", "chest"),
])
def test_the_same_landmark_twice_cannot_be_measured(user: ResultsUser, start: str, via: str, end: str) -> None:
    user.choose("fromSelector", start)
    user.choose("viaSelector", via)
    user.choose("toSelector", end)
    assert not user.ui("addMeasureButton").isEnabled()
    assert "differ" in user.ui("addMeasureButton").toolTip()
    user.choose("viaSelector", "None")
    user.choose("fromSelector", "head")
    user.choose("toSelector", "chest")
    assert user.ui("addMeasureButton").isEnabled()


def test_measured_again_after_a_point_was_moved_it_is_brought_up_to_date(user: ResultsUser) -> None:
    measure(user, "head", "foot")
    (points,) = user.nodes("vtkMRMLMarkupsFiducialNode")
    points.SetNthControlPointPositionWorld(0, 0, 0, 0)
    user.click("addMeasureButton")
    assert measured(user) == [("head–foot", f"{np.linalg.norm(place(user, 'foot')):.1f} mm")]


def test_the_selected_measure_is_deleted_and_no_other(user: ResultsUser) -> None:
    assert not user.ui("removeMeasureButton").isEnabled()
    measure(user, "head", "foot")
    measure(user, "head", "foot", via="chest")
    measure(user, "chest", "foot")
    assert [name for name, _ in measured(user)] == ["head–foot", "head–chest–foot", "chest–foot"]
    # What was measured last is selected.
    user.click("removeMeasureButton")
    user.harness.click_cell(user.ui("measuresTable"), 0, 1)
    user.click("removeMeasureButton")
    assert [name for name, _ in measured(user)] == ["head–chest–foot"]
    assert user.nodes("vtkMRMLMarkupsLineNode") == []
    user.harness.click_cell(user.ui("measuresTable"), 0, 0)
    user.click("removeMeasureButton")
    assert measured(user) == []
    assert not user.ui("removeMeasureButton").isEnabled()


def test_a_measure_that_was_deleted_in_the_scene_leaves_the_list(user: ResultsUser) -> None:
    measure(user, "head", "foot")
    user.scene.RemoveNode(user.nodes("vtkMRMLMarkupsLineNode")[0])
    user.harness.process_events()
    assert measured(user) == []
    assert not user.ui("removeMeasureButton").isEnabled()


def test_undo_brings_a_deleted_measure_back(user: ResultsUser) -> None:
    user.scene.SetUndoOn()
    measure(user, "head", "foot")
    before = measured(user)
    user.click("removeMeasureButton")
    assert measured(user) == []
    user.scene.Undo()
    user.harness.process_events()
    assert measured(user) == before


def test_measures_are_there_again_in_a_scene_that_was_saved(
    user: ResultsUser, harness: SlicerHarness, tmp_path: Path
) -> None:
    from medslicer.export.saving import save_scene

    measure(user, "head", "foot")
    measure(user, "head", "foot", via="chest")
    before = measured(user)
    save_scene(user.scene, tmp_path / "scene.mrb")
    harness.scene.Clear(False)
    harness.process_events()
    assert measured(user) == []
    assert harness.scene.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
    harness.process_events()
    assert measured(user) == before
    user.harness.click_cell(user.ui("measuresTable"), 0, 0)
    user.click("removeMeasureButton")
    assert measured(user) == before[1:]


def test_measures_go_with_their_result(user: ResultsUser) -> None:
    measure(user, "head", "foot")
    user.harness.answer(confirm=True)
    user.click("removeResultButton")
    assert measured(user) == []
    assert user.nodes("vtkMRMLMarkupsLineNode") == []
    assert not user.ui("addMeasureButton").isEnabled()
