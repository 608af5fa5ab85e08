"""The table of findings: its order, and that a row leads to its own finding however it is sorted."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lamps import LAMPS, diameter_of, draw_lamps, score_of
from PySide6.QtCore import Qt
from results_user import DETAIL, NAME, SCORE, TICK, ResultsUser

BRIGHTNESS = dict(zip([f"Nodule {n}" for n in range(1, 7)], LAMPS, strict=False))


@pytest.fixture
def centers(blob_scan: Any) -> dict[str, np.ndarray]:
    """Where each nodule was drawn, RAS mm."""
    _, truth = draw_lamps(blob_scan[0].grid)
    return {title: truth[brightness] for title, brightness in BRIGHTNESS.items()}


def test_a_row_says_what_was_drawn_and_the_best_stands_first(nodules: ResultsUser) -> None:
    assert nodules.titles == list(BRIGHTNESS)
    scores = [float(text) for text in nodules.column(SCORE)]
    assert scores == pytest.approx([score_of(brightness) for brightness in BRIGHTNESS.values()], abs=0.07)
    sizes = [float(text.split(" mm")[0]) for text in nodules.column(DETAIL)]
    assert sizes == pytest.approx([diameter_of(brightness) for brightness in BRIGHTNESS.values()], abs=0.8)
    assert nodules.summary == ["6 shown"]


def test_a_click_on_a_row_turns_slices_and_camera_to_it(nodules: ResultsUser, centers: dict[str, Any]) -> None:
    for title in ("Nodule 4", "Nodule 2"):
        nodules.click_row(title)
        # Half of the network's voxel is 1 mm on each axis.
        assert np.linalg.norm(nodules.looked_at() - centers[title]) < 1.5


def test_arrow_keys_lead_from_finding_to_finding(nodules: ResultsUser, centers: dict[str, Any]) -> None:
    nodules.click_row("Nodule 1")
    nodules.press(Qt.Key.Key_Down)
    nodules.press(Qt.Key.Key_Down)
    assert np.linalg.norm(nodules.looked_at() - centers["Nodule 3"]) < 1.5
    nodules.press(Qt.Key.Key_Up)
    assert nodules.selected == "Nodule 2"
    assert np.linalg.norm(nodules.looked_at() - centers["Nodule 2"]) < 1.5


def test_a_second_click_on_the_same_row_leads_back_to_it(nodules: ResultsUser, centers: dict[str, Any]) -> None:
    nodules.click_row("Nodule 3")
    nodules.look_away()
    nodules.click_row("Nodule 3", DETAIL)
    assert np.linalg.norm(nodules.looked_at() - centers["Nodule 3"]) < 1.5


def test_headers_sort_by_numbers_and_not_by_text(nodules: ResultsUser) -> None:
    # "11.8 mm" is text before "9.1 mm".
    by_size = sorted(BRIGHTNESS, key=lambda title: diameter_of(BRIGHTNESS[title]))
    nodules.click_header(DETAIL)
    assert nodules.titles == by_size
    nodules.click_header(DETAIL)
    assert nodules.titles == by_size[::-1]
    nodules.click_header(SCORE)
    assert nodules.titles == list(BRIGHTNESS)[::-1]
    nodules.click_header(NAME)
    assert nodules.titles == list(BRIGHTNESS)


def test_sorting_keeps_the_selection_and_each_row_its_finding(nodules: ResultsUser, centers: dict[str, Any]) -> None:
    nodules.click_row("Nodule 5")
    nodules.look_away()
    for column in (DETAIL, DETAIL, SCORE, SCORE, NAME):
        nodules.click_header(column)
        assert nodules.selected == "Nodule 5"
    # To sort is not to go anywhere.
    assert np.linalg.norm(nodules.looked_at() - centers["Nodule 5"]) > 100
    nodules.click_header(DETAIL)
    nodules.click_header(DETAIL)
    for title in nodules.titles:
        nodules.click_row(title)
        assert np.linalg.norm(nodules.looked_at() - centers[title]) < 1.5
    nodules.tick("Nodule 6")
    assert [row.review for row in nodules.results[0].rows] == [""] * 5 + ["accepted"]


def test_the_column_of_ticks_sorts_what_was_judged_apart(nodules: ResultsUser) -> None:
    nodules.tick("Nodule 4")
    nodules.click_row("Nodule 1")
    nodules.click("rejectButton")
    nodules.click_header(TICK)
    assert nodules.titles == ["Nodule 4", "Nodule 2", "Nodule 3", "Nodule 5", "Nodule 6", "Nodule 1"]


def test_a_box_that_was_moved_by_hand_is_where_its_row_leads(nodules: ResultsUser) -> None:
    nodules.node("Nodule 2").SetCenterWorld(1, 2, 3)
    nodules.click_row("Nodule 2")
    assert nodules.looked_at() == pytest.approx([1, 2, 3], abs=1e-3)


def test_a_box_that_was_deleted_by_hand_is_said_to_be_gone_and_leads_nowhere(nodules: ResultsUser) -> None:
    nodules.click_row("Nodule 1")
    before = nodules.looked_at()
    nodules.scene.RemoveNode(nodules.node("Nodule 3"))
    nodules.harness.process_events()
    assert nodules.item("Nodule 3", DETAIL).text() == "removed from the scene"
    assert nodules.summary == ["5 shown", "1 removed"]
    nodules.click_row("Nodule 3")
    assert nodules.looked_at() == pytest.approx(before)
    assert nodules.item("Nodule 3", TICK).data(Qt.ItemDataRole.CheckStateRole) is None


def test_landmarks_stand_in_the_order_of_the_body_and_what_was_not_found_last(
    landmarks: ResultsUser, dots_scan: Any
) -> None:
    _, truth = dots_scan
    assert landmarks.rows[-1] == ["tail", "", "not found"]
    assert landmarks.titles == ["head", "chest", "foot", "tail"]
    for title in ("foot", "head"):
        landmarks.click_row(title)
        assert np.linalg.norm(landmarks.looked_at() - truth[title]) < 0.5
    landmarks.click_row("tail")
    assert np.linalg.norm(landmarks.looked_at() - truth["head"]) < 0.5
    steps = [float(text.removesuffix(" mm")) for text in landmarks.column(DETAIL)[:2]]
    assert steps == pytest.approx(
        [np.linalg.norm(truth[one] - truth[next]) for one, next in (("head", "chest"), ("chest", "foot"))], abs=0.6
    )
    landmarks.click_header(NAME)
    landmarks.click_header(NAME)
    assert landmarks.titles == ["foot", "chest", "head", "tail"]


def test_a_landmark_that_is_placed_by_hand_is_found(landmarks: ResultsUser) -> None:
    landmarks.nodes("vtkMRMLMarkupsFiducialNode")[0].SetNthControlPointPositionWorld(3, 10, 20, 30)
    landmarks.module.widget.enter()
    assert landmarks.item("tail", DETAIL).text() == "placed by hand"
    landmarks.click_row("tail")
    assert landmarks.looked_at() == pytest.approx([10, 20, 30], abs=1e-3)


@pytest.fixture
def two_results(nodules: ResultsUser, found_before: dict[str, Any], own_library: Path) -> None:
    """A second result of the same scan, with only the two best of the balls."""
    from medinfer.library.package import load_package
    from medslicer.profiles import PROFILES
    from medslicer.results.result import add_result

    findings = found_before["lamps"]
    add_result(
        nodules.scene, dataclasses.replace(findings, boxes=findings.boxes[:2]), nodules.results[0].volume_node,
        load_package(own_library / "lamps").manifest, PROFILES["MedDetect"],
    )
    nodules.harness.process_events()


@pytest.mark.usefixtures("two_results")
def test_another_result_is_shown_when_it_is_chosen(nodules: ResultsUser) -> None:
    assert nodules.entries("resultSelector") == ["Nodules", "Nodules 2"]
    nodules.choose("resultSelector", "Nodules 2")
    assert nodules.titles == ["Nodule 1", "Nodule 2"]
    nodules.click_row("Nodule 2")
    nodules.click("rejectButton")
    nodules.choose("resultSelector", "Nodules")
    assert len(nodules.titles) == 6
    assert not nodules.item("Nodule 2").font().strikeOut()
    # The finding of the same number has not been looked at: no key may judge it.
    assert not nodules.ui("rejectButton").isEnabled()
    nodules.harness.leave(nodules.module)
    nodules.harness.enter(nodules.module)
    assert nodules.chosen("resultSelector") == "Nodules"


def test_deleting_asks_and_takes_all_of_one_result_only(
    nodules: ResultsUser, request: pytest.FixtureRequest
) -> None:
    before = nodules.scene.GetNumberOfNodes()
    request.getfixturevalue("two_results")
    nodules.choose("resultSelector", "Nodules 2")
    nodules.harness.answer(confirm=False)
    nodules.click("removeResultButton")
    assert "Delete Nodules 2 and everything that belongs to it" in nodules.harness.shown_dialogs[-1].text
    assert nodules.titles == ["Nodule 1", "Nodule 2"]
    nodules.harness.answer(confirm=True)
    nodules.click("removeResultButton")
    assert nodules.entries("resultSelector") == ["Nodules"]
    assert len(nodules.titles) == 6
    assert nodules.scene.GetNumberOfNodes() == before
    nodules.harness.answer(confirm=True)
    nodules.click("removeResultButton")
    assert (nodules.titles, nodules.entries("resultSelector")) == ([], ["No results yet"])
    for name in ("removeResultButton", "exportButton", "scoreSlider", "acceptButton", "rejectButton", "filterLabel"):
        assert not nodules.ui(name).isEnabled(), name
    assert nodules.nodes("vtkMRMLMarkupsROINode") == nodules.nodes("vtkMRMLTableNode") == []


def test_two_panels_show_each_its_own_results(nodules: ResultsUser, landmarks: ResultsUser) -> None:
    assert landmarks.module is not nodules.module
    assert landmarks.entries("resultSelector") == ["Landmarks"]
    nodules.harness.enter(nodules.module)
    assert nodules.entries("resultSelector") == ["Nodules"]
    assert nodules.titles == list(BRIGHTNESS)
    assert landmarks.titles == ["head", "chest", "foot", "tail"]
    nodules.click_row("Nodule 3")
    nodules.click("rejectButton")
    nodules.harness.answer(confirm=True)
    nodules.click("removeResultButton")
    assert landmarks.titles == ["head", "chest", "foot", "tail"]
    assert landmarks.summary == ["3 shown", "1 not found"]
