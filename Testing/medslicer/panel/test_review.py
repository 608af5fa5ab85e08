"""Accepting and rejecting: by tick, button and key; seen in the scene and in the row; taken back the same way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import SlicerHarness
from PySide6.QtCore import Qt
from results_user import NAME, TICK, ResultsUser

ALL = [f"Nodule {n}" for n in range(1, 7)]
Act = Callable[[ResultsUser], None]


def reviews(user: ResultsUser) -> list[str]:
    """What stands in the table node's last column, read by its name."""
    (table,) = user.nodes("vtkMRMLTableNode")
    column = table.GetTable().GetColumnByName("review")
    return [column.GetValue(row) for row in range(column.GetNumberOfValues())]


def struck_out(user: ResultsUser) -> list[str]:
    return [title for title in user.titles if user.item(title).font().strikeOut()]


BUTTON: dict[str, Act] = {
    "accepted": lambda user: user.click("acceptButton"), "rejected": lambda user: user.click("rejectButton"),
}
KEY: dict[str, Act] = {
    "accepted": lambda user: user.press(Qt.Key.Key_Space), "rejected": lambda user: user.press(Qt.Key.Key_Delete),
}


def test_a_tick_accepts_and_takes_it_back(nodules: ResultsUser) -> None:
    nodules.click_row("Nodule 1")
    nodules.tick("Nodule 3")
    assert reviews(nodules) == ["", "", "accepted", "", "", ""]
    assert nodules.is_ticked("Nodule 3")
    assert nodules.summary == ["6 shown", "1 accepted"]
    nodules.tick("Nodule 3")
    assert reviews(nodules) == [""] * 6
    assert not nodules.is_ticked("Nodule 3")


@pytest.mark.parametrize("act", [BUTTON, KEY], ids=["by button", "by key"])
def test_a_rejected_finding_is_hidden_struck_out_and_stays(nodules: ResultsUser, act: dict[str, Act]) -> None:
    nodules.click_row("Nodule 2")
    act["rejected"](nodules)
    assert reviews(nodules) == ["", "rejected", "", "", "", ""]
    assert nodules.visible_boxes() == [title for title in ALL if title != "Nodule 2"]
    assert nodules.titles == ALL
    assert struck_out(nodules) == ["Nodule 2"]
    assert nodules.selected == "Nodule 2"
    assert nodules.ui("rejectButton").text() == "Rejected"
    assert nodules.summary == ["5 shown", "1 rejected"]
    act["rejected"](nodules)
    assert reviews(nodules) == [""] * 6
    assert nodules.visible_boxes() == ALL
    assert struck_out(nodules) == []
    assert nodules.ui("rejectButton").text() == "Reject"


@pytest.mark.parametrize("act", [BUTTON, KEY], ids=["by button", "by key"])
def test_accepting_ticks_the_row_and_once_more_takes_it_back(nodules: ResultsUser, act: dict[str, Act]) -> None:
    nodules.click_row("Nodule 5")
    act["accepted"](nodules)
    assert reviews(nodules) == ["", "", "", "", "accepted", ""]
    assert nodules.is_ticked("Nodule 5")
    assert nodules.ui("acceptButton").text() == "Accepted"
    act["accepted"](nodules)
    assert reviews(nodules) == [""] * 6
    assert not nodules.is_ticked("Nodule 5")


def test_a_change_of_mind_goes_straight_from_rejected_to_accepted(nodules: ResultsUser) -> None:
    nodules.click_row("Nodule 1")
    nodules.press(Qt.Key.Key_Delete)
    nodules.press(Qt.Key.Key_Space)
    assert reviews(nodules)[0] == "accepted"
    assert (nodules.visible_boxes(), struck_out(nodules)) == (ALL, [])
    nodules.press(Qt.Key.Key_Delete)
    nodules.tick("Nodule 1")
    assert reviews(nodules)[0] == "accepted"
    assert nodules.is_ticked("Nodule 1")


def test_keys_and_arrows_together_review_a_list(nodules: ResultsUser) -> None:
    nodules.click_row("Nodule 1")
    for key in (Qt.Key.Key_Space, Qt.Key.Key_Down, Qt.Key.Key_Delete, Qt.Key.Key_Down, Qt.Key.Key_Space):
        nodules.press(key)
    assert reviews(nodules) == ["accepted", "rejected", "accepted", "", "", ""]
    assert nodules.summary == ["5 shown", "2 accepted", "1 rejected"]


def test_the_keys_are_the_tables_alone(nodules: ResultsUser) -> None:
    """Delete and Space in another field of the panel, or elsewhere in Slicer, are not about findings."""
    nodules.click_row("Nodule 1")
    selector = nodules.ui("resultSelector")
    selector.setFocus()
    nodules.harness.press(selector, Qt.Key.Key_Delete)
    assert reviews(nodules) == [""] * 6


def test_without_a_selection_the_buttons_are_off(nodules: ResultsUser) -> None:
    assert nodules.table.currentRow() == -1
    assert not nodules.ui("acceptButton").isEnabled()
    assert not nodules.ui("rejectButton").isEnabled()
    nodules.click_row("Nodule 1")
    assert nodules.ui("acceptButton").isEnabled()
    assert nodules.ui("rejectButton").isEnabled()


def test_a_review_in_a_sorted_table_is_that_of_the_row_that_was_clicked(nodules: ResultsUser) -> None:
    nodules.click_header(NAME)
    nodules.click_header(NAME)
    nodules.click_row("Nodule 6")
    nodules.press(Qt.Key.Key_Delete)
    assert reviews(nodules) == ["", "", "", "", "", "rejected"]
    nodules.click_header(TICK)
    nodules.press(Qt.Key.Key_Delete)
    assert reviews(nodules) == [""] * 6


def test_a_rejected_landmark_is_hidden_and_the_line_goes_without_it(landmarks: ResultsUser) -> None:
    (points,) = landmarks.nodes("vtkMRMLMarkupsFiducialNode")
    landmarks.click_row("chest")
    landmarks.press(Qt.Key.Key_Delete)
    assert [points.GetNthControlPointVisibility(n) for n in range(3)] == [True, False, True]
    assert landmarks.titles == ["head", "chest", "foot", "tail"]
    for curve in landmarks.nodes("vtkMRMLMarkupsCurveNode"):
        assert curve.GetNumberOfControlPoints() == 2
    landmarks.press(Qt.Key.Key_Delete)
    assert points.GetNthControlPointVisibility(1)


def test_what_was_not_found_cannot_be_judged(landmarks: ResultsUser) -> None:
    landmarks.click_row("tail")
    assert not landmarks.ui("acceptButton").isEnabled()
    assert not landmarks.ui("rejectButton").isEnabled()
    landmarks.press(Qt.Key.Key_Delete)
    landmarks.press(Qt.Key.Key_Space)
    assert landmarks.summary == ["3 shown", "1 not found"]
    assert [row.review for row in landmarks.results[0].rows] == [""] * 4


def test_a_rejected_tooth_is_hidden_with_its_number(teeth: ResultsUser) -> None:
    (segmentation,) = teeth.nodes("vtkMRMLSegmentationNode")
    ids = {
        segmentation.GetSegmentation().GetNthSegment(n).GetName(): segmentation.GetSegmentation().GetNthSegmentID(n)
        for n in range(segmentation.GetSegmentation().GetNumberOfSegments())
    }
    display = segmentation.GetDisplayNode()
    teeth.click_row("21")
    teeth.click("rejectButton")
    assert [name for name, one in ids.items() if not display.GetSegmentVisibility(one)] == ["21"]
    hidden = [
        points.GetNthControlPointLabel(n)
        for points in teeth.nodes("vtkMRMLMarkupsFiducialNode") for n in range(points.GetNumberOfControlPoints())
        if not points.GetNthControlPointVisibility(n)
    ]
    assert hidden == ["21"]
    teeth.click("rejectButton")
    assert display.GetSegmentVisibility(ids["21"])


def test_undo_takes_a_review_back_and_the_panel_shows_it(nodules: ResultsUser) -> None:
    nodules.scene.SetUndoOn()
    nodules.click_row("Nodule 2")
    nodules.press(Qt.Key.Key_Delete)
    nodules.click_row("Nodule 4")
    nodules.press(Qt.Key.Key_Space)
    nodules.scene.Undo()
    nodules.harness.process_events()
    assert reviews(nodules) == ["", "rejected", "", "", "", ""]
    assert not nodules.is_ticked("Nodule 4")
    nodules.scene.Undo()
    nodules.harness.process_events()
    assert reviews(nodules) == [""] * 6
    assert struck_out(nodules) == []
    assert nodules.visible_boxes() == ALL
    assert nodules.summary == ["6 shown"]


def test_undo_brings_a_deleted_result_back(nodules: ResultsUser) -> None:
    nodules.scene.SetUndoOn()
    nodules.tick("Nodule 1")
    nodules.harness.answer(confirm=True)
    nodules.click("removeResultButton")
    assert nodules.titles == []
    nodules.scene.Undo()
    nodules.harness.process_events()
    assert nodules.titles == ALL
    assert nodules.is_ticked("Nodule 1")
    assert nodules.visible_boxes() == ALL


def test_reviews_are_there_again_in_a_scene_that_was_saved(
    nodules: ResultsUser, harness: SlicerHarness, tmp_path: Path
) -> None:
    from medslicer.export.saving import save_scene

    nodules.click_row("Nodule 2")
    nodules.press(Qt.Key.Key_Delete)
    nodules.tick("Nodule 3")
    save_scene(nodules.scene, tmp_path / "scene.mrb")
    harness.scene.Clear(False)
    harness.process_events()
    assert nodules.titles == []
    assert harness.scene.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
    harness.process_events()
    assert reviews(nodules) == ["", "rejected", "accepted", "", "", ""]
    assert (struck_out(nodules), nodules.is_ticked("Nodule 3")) == (["Nodule 2"], True)
    assert nodules.visible_boxes() == [title for title in ALL if title != "Nodule 2"]
    nodules.click_row("Nodule 2")
    nodules.press(Qt.Key.Key_Delete)
    assert nodules.visible_boxes() == ALL


def test_a_review_that_a_script_makes_is_shown(nodules: ResultsUser) -> None:
    result: Any = nodules.results[0]
    result.set_review(1, "accepted")
    nodules.harness.process_events()
    assert nodules.is_ticked("Nodule 1")
