"""The slider: weaker findings come and go live, without another run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vtk
from harness import SlicerHarness
from lamps import LAMPS, draw_lamps, lamps_package, score_of
from panel_user import PanelUser
from PySide6 import QtCore, QtTest
from results_user import ResultsUser

ALL = [f"Nodule {n}" for n in range(1, 7)]


def test_dragging_hides_weaker_findings_from_table_and_scene(nodules: ResultsUser) -> None:
    nodules.click_row("Nodule 1")
    nodules.drag_to(0.5)
    assert nodules.titles == nodules.visible_boxes() == ALL[:4]
    assert nodules.summary == ["4 shown", "2 below 0.50"]
    nodules.drag_to(0.9)
    assert nodules.titles == nodules.visible_boxes() == ["Nodule 1"]
    assert nodules.selected == "Nodule 1"
    nodules.drag_to(1.0)
    assert nodules.titles == nodules.visible_boxes() == []
    assert nodules.summary == ["0 shown", "6 below 1.00"]
    assert not nodules.ui("acceptButton").isEnabled()
    nodules.drag_to(0.0)
    assert nodules.titles == nodules.visible_boxes() == ALL
    assert nodules.summary == ["6 shown"]


def test_a_selected_finding_that_is_filtered_away_leaves_nothing_selected(nodules: ResultsUser) -> None:
    """Or a key would judge the finding that has come into its row."""
    nodules.click_row("Nodule 5")
    nodules.drag_to(0.5)
    assert nodules.table.currentRow() == -1
    assert not nodules.ui("rejectButton").isEnabled()
    nodules.press(QtCore.Qt.Key.Key_Delete)
    assert [row.review for row in nodules.results[0].rows] == [""] * 6


def test_every_value_on_the_way_takes_effect(nodules: ResultsUser) -> None:
    slider, seen = nodules.slider, []
    slider.setSliderDown(True)
    for position in range(0, 101, 10):
        slider.setSliderPosition(position)
        seen.append(len(nodules.visible_boxes()))
    slider.setSliderDown(False)
    scores = [row.score for row in nodules.results[0].rows]
    assert seen == [sum(score >= position / 100 for score in scores) for position in range(0, 101, 10)]


def test_a_number_can_be_typed_instead(nodules: ResultsUser) -> None:
    box = nodules.ui("scoreSlider").findChild(QtCore.QObject, "SpinBox")
    box.setFocus()
    box.selectAll()
    QtTest.QTest.keyClicks(box, "0.7")
    nodules.harness.press(box, QtCore.Qt.Key.Key_Return)
    assert nodules.titles == nodules.visible_boxes() == ALL[:3]


def test_what_was_accepted_stays_and_what_was_rejected_stays_hidden(nodules: ResultsUser) -> None:
    nodules.tick("Nodule 6")
    nodules.click_row("Nodule 5")
    nodules.click("rejectButton")
    nodules.drag_to(0.8)
    assert nodules.titles == ["Nodule 1", "Nodule 2", "Nodule 5", "Nodule 6"]
    assert nodules.visible_boxes() == ["Nodule 1", "Nodule 2", "Nodule 6"]
    assert nodules.summary == ["3 shown", "2 below 0.80", "1 accepted", "1 rejected"]
    nodules.drag_to(0.0)
    assert nodules.visible_boxes() == [title for title in ALL if title != "Nodule 5"]


def test_each_result_has_its_own_score_and_keeps_it_with_the_scene(
    nodules: ResultsUser, harness: SlicerHarness, tmp_path: Path
) -> None:
    from medslicer.export.saving import save_scene

    nodules.drag_to(0.7)
    save_scene(nodules.scene, tmp_path / "scene.mrb")
    harness.scene.Clear(False)
    harness.process_events()
    assert nodules.ui("scoreSlider").property("value") == 0
    assert harness.scene.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
    harness.process_events()
    assert nodules.ui("scoreSlider").property("value") == pytest.approx(0.7)
    assert nodules.titles == nodules.visible_boxes() == ALL[:3]
    nodules.drag_to(0.0)
    assert nodules.titles == nodules.visible_boxes() == ALL


def test_landmarks_and_teeth_are_filtered_as_well(landmarks: ResultsUser, teeth: ResultsUser) -> None:
    harness = teeth.harness
    scores = [float(score) for _, score, _ in teeth.rows]
    middle = round(float(np.median(scores)), 2)
    teeth.drag_to(middle)
    (segmentation,) = teeth.nodes("vtkMRMLSegmentationNode")
    ids = vtk.vtkStringArray()
    segmentation.GetDisplayNode().GetVisibleSegmentIDs(ids)
    exact = [row.score for row in teeth.results[0].rows]
    assert ids.GetNumberOfValues() == len(teeth.titles) == sum(score >= middle for score in exact)
    harness.enter(landmarks.module)
    landmarks.drag_to(1.0)
    (points,) = [node for node in landmarks.nodes("vtkMRMLMarkupsFiducialNode") if node.GetName() == "Landmarks"]
    sure = [row.score >= 1 for row in landmarks.results[0].rows]
    assert [bool(points.GetNthControlPointVisibility(n)) for n in range(3)] == sure[:3]
    # What was not found is told whatever the score.
    assert landmarks.titles[-1] == "tail"


def lamps_panel(harness: SlicerHarness, open_panel: Any, grid: Any, folder: Path) -> PanelUser:
    from medslicer.nodes.volumes import add_volume

    add_volume(harness.scene, draw_lamps(grid)[0])
    lamps_package(folder / "lamps")
    user = open_panel()
    user.choose("modelSelector", "Lamps")
    return user


def test_a_run_shows_what_the_model_reports_and_the_slider_gives_weaker_candidates(
    harness: SlicerHarness, open_panel: Any, blob_scan: Any, own_library: Path
) -> None:
    user = lamps_panel(harness, open_panel, blob_scan[0].grid, own_library)
    user.run_to_the_end()
    reported = sum(score_of(brightness) > 0.5 for brightness in LAMPS)
    assert user.message.startswith(f"{reported} nodules found")
    assert user.ui("scoreSlider").property("value") == pytest.approx(0.5)
    reader = ResultsUser(harness, user.module)
    assert reader.titles == reader.visible_boxes() == ALL[:reported]
    assert reader.summary == ["4 shown", "2 below 0.50"]
    reader.drag_to(0.0)
    assert reader.titles == reader.visible_boxes() == ALL
    assert min(float(score) for _, score, _ in reader.rows) >= 0.25


def test_a_detector_that_draws_boxes_around_regions_keeps_its_threshold(user: PanelUser) -> None:
    """Below it a blob would be larger and touch its neighbours."""
    user.run_to_the_end()
    reader = ResultsUser(user.harness, user.module)
    assert reader.results[0].record.threshold == pytest.approx(0.5)
    assert reader.ui("scoreSlider").property("value") == 0
    assert len(reader.titles) == 2
