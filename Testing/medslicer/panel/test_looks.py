"""What a panel says and shows where Slicer's manners, narrow docks and dark grounds get into its way."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from harness import SlicerHarness
from PySide6 import QtCore, QtGui, QtWidgets
from results_user import NAME, SCORE, ResultsUser


def in_dock(user: ResultsUser, width: int = 320) -> None:
    """The panel in a dock of that width."""
    for _ in range(2):
        user.module.column.resize(width, 900)
        user.harness.process_events()


def hide_folder(user: ResultsUser) -> Any:
    """The eye of the result's folder in the Data module: Slicer gives it a display node and switches that off."""
    from medslicer.results.result_nodes import tree_of

    display = user.scene.AddNewNodeByClass("vtkMRMLFolderDisplayNode")
    tree_of(user.scene).SetItemDataNode(user.results[0].nodes.folder, display)
    display.SetVisibility(False)
    user.harness.process_events()
    return display


@pytest.mark.parametrize(("module", "count"), [("nodules", 6), ("landmarks", 3), ("teeth", 13)])
def test_what_a_hidden_folder_hides_is_not_counted_as_shown(
    request: pytest.FixtureRequest, module: str, count: int
) -> None:
    user: ResultsUser = request.getfixturevalue(module)
    display = hide_folder(user)
    assert user.summary[:2] == ["0 shown", f"{count} hidden"]
    display.SetVisibility(True)
    user.harness.process_events()
    assert user.summary[0] == f"{count} shown"
    user.harness.answer(confirm=True)
    user.click("removeResultButton")
    assert user.nodes("vtkMRMLFolderDisplayNode") == []


def test_points_that_are_switched_off_are_not_counted_either(landmarks: ResultsUser) -> None:
    landmarks.results[0].nodes.fiducials.GetDisplayNode().SetVisibility(False)
    landmarks.harness.process_events()
    assert landmarks.summary[:2] == ["0 shown", "3 hidden"]


def test_what_reads_as_the_sliders_own_number_is_shown(nodules: ResultsUser) -> None:
    (result,) = nodules.results
    column = result.table.GetTable().GetColumnByName("score")
    column.SetValue(0, 0.9967)
    column.SetValue(1, 0.4951)
    result.table.Modified()
    nodules.harness.process_events()
    for place in (1.0, 0.5):
        nodules.drag_to(place)
        shown = {title for title, score in zip(nodules.titles, nodules.column(SCORE), strict=True)
                 if float(score) >= place}
        assert shown == set(nodules.titles) == set(nodules.visible_boxes())
        assert "Nodule 1" in shown
    nodules.drag_to(0.0)
    assert [nodules.item(title, SCORE).text() for title in ("Nodule 1", "Nodule 2")] == ["1.00", "0.49"]


def test_the_titles_of_a_selected_row_are_not_bold_and_all_fit(nodules: ResultsUser) -> None:
    in_dock(nodules)
    nodules.click_row("Nodule 1")
    header = nodules.table.horizontalHeader()
    assert not header.highlightSections()
    for column in range(4):
        font = header.font()
        font.setBold(True)
        text = nodules.table.horizontalHeaderItem(column).text()
        assert QtGui.QFontMetrics(font).horizontalAdvance(text) < header.sectionSize(column)


def test_results_of_one_name_are_told_apart_by_their_scans(nodules: ResultsUser, found_before: dict[str, Any]) -> None:
    from medinfer.library.library import find_package
    from medslicer.nodes.volumes import add_volume, volume_from_node
    from medslicer.profiles import PROFILES
    from medslicer.results.result import add_result

    scan = volume_from_node(nodules.results[0].volume_node)
    other = add_volume(nodules.scene, scan)
    other.SetName("Follow-up")
    findings = found_before["lamps"]
    again = add_result(nodules.scene, findings, other, find_package("lamps").manifest, PROFILES["MedDetect"])
    again.table.SetName("Nodules")
    nodules.harness.process_events()
    first = nodules.results[0].volume_node.GetName()
    assert nodules.entries("resultSelector") == [f"Nodules – {first}", "Nodules – Follow-up"]
    assert nodules.entries("targetSelector")[2] == "Replace Nodules – Follow-up"
    other.SetName(first)
    nodules.module.widget.panel.refresh()
    assert nodules.entries("resultSelector") == [f"Nodules – {first} (1)", f"Nodules – {first} (2)"]


# The chart -----------------------------------------------------------------------------------------------------------


def contrast(one: str, other: str) -> float:
    """By WCAG."""
    def light(color: str) -> float:
        parts = [value / 255 for value in QtGui.QColor(color).getRgb()[:3]]
        linear = [value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4 for value in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, bright = sorted((light(one), light(other)))
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("ground", ["#f0f0f0", "#2d2d30"], ids=["light", "dark"])
def test_absent_teeth_are_readable_on_a_light_and_on_a_dark_ground(
    teeth: ResultsUser, harness: SlicerHarness, ground: str
) -> None:
    before = harness.app.palette()
    palette = QtGui.QPalette(before)
    palette.setColor(QtGui.QPalette.ColorRole.Window, QtGui.QColor(ground))
    harness.app.setPalette(palette)
    try:
        harness.process_events()
        teeth.module.widget.panel.refresh()
        sheet = teeth.ui("tooth18").styleSheet()
        colors = re.findall(r"(?:color|dashed):? (#[0-9a-f]{6})", sheet)
        assert colors
        assert min(contrast(color, ground) for color in colors) >= 4.5
        assert "palette(mid)" not in sheet
    finally:
        harness.app.setPalette(before)


def test_a_rejected_tooth_keeps_its_dashes_when_it_is_selected(teeth: ResultsUser) -> None:
    teeth.click("tooth21")
    assert "solid" in teeth.ui("tooth21").styleSheet().rpartition("2px")[2]
    teeth.click("rejectButton")
    frame = teeth.ui("tooth21").styleSheet().rpartition("2px")[2]
    assert "dashed" in frame
    assert "solid" not in frame


# Names in a narrow dock ----------------------------------------------------------------------------------------------


def elided(user: ResultsUser) -> list[str]:
    """The names that do not stand whole in their cells."""
    table, found = user.table, []
    for row in range(table.rowCount()):
        index = table.model().index(row, NAME)
        option = QtWidgets.QStyleOptionViewItem()
        option.initFrom(table)
        place = table.visualRect(index).adjusted(4, 0, -4, 0)
        flags = QtCore.Qt.TextFlag.TextWordWrap if table.wordWrap() else QtCore.Qt.TextFlag.TextSingleLine
        needed = table.fontMetrics().boundingRect(QtCore.QRect(0, 0, place.width(), 9999), flags, index.data())
        if needed.width() > place.width() or needed.height() > place.height() + 2:
            found.append(index.data())
    return found


@pytest.mark.parametrize("width", [320, 420, 640])
def test_anatomical_names_stand_whole(teeth: ResultsUser, width: int) -> None:
    (result,) = teeth.results
    for row in range(result.table.GetNumberOfRows()):
        name = "Permanent maxillary right central incisor tooth" if row % 2 else "Permanent mandibular left third molar"
        result.table.SetCellText(row, result.table.GetColumnIndex("label"), name)
    teeth.harness.process_events()
    in_dock(teeth, width)
    assert elided(teeth) == []
    assert teeth.table.horizontalScrollBar().maximum() == 0


def test_only_teeth_without_a_number_are_not_no_teeth(teeth: ResultsUser) -> None:
    run, row = teeth.module.widget.panel.run, teeth.results[0].rows[0]
    unsure = replace(row, fdi="", flags=("number unsure",), title="Tooth without number 1")
    assert run._count([unsure]) == "1 tooth without a number"
    assert run._count([unsure, unsure]) == "2 teeth without a number"
    assert run._count([]) == "No teeth"
