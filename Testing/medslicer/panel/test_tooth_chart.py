"""The tooth chart: 32 cells that say what became of each tooth; a click leads there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from panel_user import PanelUser
from peas import HEIGHTS, LOWER, UPPER, draw_peas, pea_centers, pea_grid
from PySide6 import QtWidgets
from PySide6.QtCore import Qt
from results_user import ResultsUser

EVERY = [f"{quadrant}{tooth}" for quadrant in (1, 2, 3, 4) for tooth in range(1, 9)]
FOUND = [*UPPER, *LOWER]


def states(user: ResultsUser) -> dict[str, str]:
    return {tooth: user.ui(f"tooth{tooth}").property("state") for tooth in EVERY}


def of_state(user: ResultsUser, state: str) -> set[str]:
    return {tooth for tooth, one in states(user).items() if one == state}


def framed(user: ResultsUser) -> list[str]:
    return [tooth for tooth in EVERY if "2px" in user.ui(f"tooth{tooth}").styleSheet()]


def test_there_is_a_cell_for_each_permanent_tooth_and_no_other(teeth: ResultsUser) -> None:
    cells = teeth.ui("chartPlace").findChildren(QtWidgets.QPushButton)
    assert sorted(cell.text() for cell in cells) == sorted(EVERY)


def test_found_teeth_are_found_and_all_others_missing(teeth: ResultsUser) -> None:
    assert of_state(teeth, "found") == set(FOUND)
    assert of_state(teeth, "missing") == set(EVERY) - set(FOUND)
    assert not teeth.ui("tooth18").isEnabled()
    assert teeth.ui("tooth18").toolTip() == "18: not found"


def test_the_patients_right_is_on_the_left_and_the_upper_jaw_above(teeth: ResultsUser) -> None:
    """In the order in which the teeth stand in the scan, from the patient's right (R is positive)."""
    for names in (UPPER, LOWER):
        by_place = sorted(names, key=lambda name: -pea_centers()[name][0])
        by_cell = sorted(names, key=lambda name: teeth.ui(f"tooth{name}").x())
        assert by_cell == by_place
        assert len({teeth.ui(f"tooth{name}").y() for name in names}) == 1
    assert teeth.ui("tooth11").y() < teeth.ui("tooth41").y()
    assert teeth.ui("tooth11").x() == teeth.ui("tooth41").x()


@pytest.mark.parametrize("tooth", ["13", "31"])
def test_a_click_on_a_tooth_selects_its_row_and_shows_it(teeth: ResultsUser, tooth: str) -> None:
    teeth.click(f"tooth{tooth}")
    assert teeth.selected == tooth
    assert np.linalg.norm(teeth.looked_at() - pea_centers()[tooth]) < 0.5
    assert framed(teeth) == [tooth]


def test_the_selected_row_is_framed_in_the_chart(teeth: ResultsUser) -> None:
    teeth.click_row("42")
    assert framed(teeth) == ["42"]
    teeth.press(Qt.Key.Key_Down)
    assert framed(teeth) == [teeth.selected]
    teeth.click_row("Mandibular canal")
    assert framed(teeth) == []


def test_a_rejected_tooth_is_shown_as_such_and_back(teeth: ResultsUser) -> None:
    teeth.click("tooth22")
    teeth.click("rejectButton")
    assert of_state(teeth, "rejected") == {"22"}
    assert teeth.ui("tooth22").isEnabled()
    teeth.click("rejectButton")
    assert of_state(teeth, "rejected") == set()
    assert "22" in of_state(teeth, "found")


def test_a_tooth_below_the_score_is_hidden_in_the_chart_too(teeth: ResultsUser) -> None:
    weakest = min((row for row in teeth.results[0].rows if row.fdi), key=lambda row: row.score)
    others = [row.score for row in teeth.results[0].rows if row.fdi and row.score > weakest.score]
    teeth.drag_to(min(*others, np.ceil(100 * weakest.score + 0.5) / 100))
    hidden = {row.fdi for row in teeth.results[0].rows if row.fdi and not teeth.results[0].shows(row)}
    assert of_state(teeth, "hidden") == hidden
    teeth.drag_to(0)
    assert of_state(teeth, "hidden") == set()


def test_a_tooth_that_was_deleted_by_hand_is_missing(teeth: ResultsUser) -> None:
    (node,) = teeth.nodes("vtkMRMLSegmentationNode")
    segmentation = node.GetSegmentation()
    segmentation.RemoveSegment(segmentation.GetSegmentIdBySegmentName("12"))
    teeth.module.widget.enter()
    assert "12" in of_state(teeth, "missing")


def test_a_tooth_of_which_the_number_is_unsure_is_to_check_where_it_may_belong(
    show_findings: Callable[..., ResultsUser], peas_package: Callable[..., Path]
) -> None:
    """13 and 12 in each other's place: the engine gives one a number and leaves the other's open."""
    scan = draw_peas(pea_grid(), heights={**HEIGHTS, "12": HEIGHTS["13"], "13": HEIGHTS["12"]})
    user = show_findings("MedToothSeg", replace(scan, name="exchanged"), peas_package())
    assert of_state(user, "flagged") == {"12"}
    assert "number unsure" in user.ui("tooth12").toolTip()
    user.click("tooth12")
    assert user.selected.startswith("Tooth without number")
    assert "number unsure" in user.ui("flagsLabel").text()
    assert user.item(user.selected).text().endswith("⚠")
    assert framed(user) == ["12"]
    assert "1 to check" in user.summary
    user.click("tooth11")
    assert not user.ui("flagsLabel").isVisible()
    user.click("tooth12")
    user.click("rejectButton")
    assert of_state(user, "rejected") == {"12"}


def test_with_the_result_the_chart_is_emptied(teeth: ResultsUser) -> None:
    teeth.harness.answer(confirm=True)
    teeth.click("removeResultButton")
    assert of_state(teeth, "missing") == set(EVERY)
    assert framed(teeth) == []


def test_a_model_without_teeth_has_no_chart(
    open_panel: Callable[..., PanelUser], install_blobs: Callable[..., Path]
) -> None:
    def segments(manifest: dict[str, Any]) -> None:
        manifest.update(task="segment", decoder={"kind": "segments"})

    install_blobs(segments)
    user = open_panel("MedToothSeg")
    assert not user.ui("chartSection").isHidden()
    user.choose("modelSelector", "Bright blobs")
    assert user.ui("chartSection").isHidden()
    user.choose("modelSelector", "eeth")
    assert not user.ui("chartSection").isHidden()
