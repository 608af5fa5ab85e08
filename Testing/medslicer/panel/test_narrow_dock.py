"""A dock of 320 pixels shows every control whole, whatever stands in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import SlicerHarness
from PySide6 import QtCore, QtWidgets
from results_user import ResultsUser

NARROW = 320
MODULES = ("MedDetect", "MedLandmark", "MedToothSeg")
FINDINGS = {"MedDetect": "nodules", "MedLandmark": "landmarks", "MedToothSeg": "teeth"}
LONG = "CT 2026-11-21 14:03 thorax low dose 1.0 mm B50f " * 4
# The parts of widgets that scroll or that Qt draws inside others are theirs to place.
WITHIN = (QtWidgets.QAbstractScrollArea, QtWidgets.QComboBox, QtWidgets.QAbstractSpinBox)


def in_dock(user: Any, width: int = NARROW) -> QtWidgets.QWidget:
    """The panel with all its sections unfolded in a dock of that width."""
    column: QtWidgets.QWidget = user.module.column
    for section in column.findChildren(QtWidgets.QAbstractButton):
        if section.property("collapsed"):
            section.setProperty("collapsed", False)
    # Twice: the height of texts that wrap follows from the width.
    for _ in range(2):
        column.resize(width, max(column.minimumSizeHint().height(), column.sizeHint().height()))
        user.harness.process_events()
    return column


def controls(column: QtWidgets.QWidget) -> list[QtWidgets.QWidget]:
    found = []
    for widget in column.findChildren(QtWidgets.QWidget):
        above = widget.parentWidget()
        while above is not None and above is not column and not isinstance(above, WITHIN):
            above = above.parentWidget()
        if widget.isVisible() and above is column and widget.window() is column.window():
            found.append(widget)
    return found


def cut(column: QtWidgets.QWidget) -> list[str]:
    """What reaches out of the column, or is too narrow for its own words."""
    faults = []
    for widget in controls(column):
        left = widget.mapTo(column, QtCore.QPoint(0, 0)).x()
        if left < 0 or left + widget.width() > column.width():
            faults.append(f"{widget.objectName()} reaches from {left} to {left + widget.width()}")
        needed = 0
        if isinstance(widget, QtWidgets.QPushButton | QtWidgets.QToolButton | QtWidgets.QCheckBox):
            needed = widget.fontMetrics().horizontalAdvance(widget.text())
        elif isinstance(widget, QtWidgets.QLabel) and not widget.wordWrap():
            needed = widget.sizeHint().width()
        if needed > widget.width():
            faults.append(f"{widget.objectName()} needs {needed} and has {widget.width()}")
    return faults


@pytest.mark.parametrize("name", MODULES)
def test_an_empty_panel_fits(open_panel: Callable[..., Any], name: str) -> None:
    column = in_dock(open_panel(name))
    assert len(controls(column)) > 25
    assert column.minimumSizeHint().width() <= NARROW
    assert cut(column) == []


@pytest.mark.parametrize("name", MODULES)
def test_a_panel_full_of_results_fits(request: pytest.FixtureRequest, name: str) -> None:
    user: ResultsUser = request.getfixturevalue(FINDINGS[name])
    user.ui("progressBar").setVisible(True)
    user.click_row(user.titles[0])
    user.click("rejectButton")
    user.drag_to(0.1)
    column = in_dock(user)
    assert column.minimumSizeHint().width() <= NARROW
    assert cut(column) == []


@pytest.mark.parametrize("name", MODULES)
def test_long_names_and_messages_fit(
    request: pytest.FixtureRequest, harness: SlicerHarness, tmp_path: Path, name: str
) -> None:
    user: ResultsUser = request.getfixturevalue(FINDINGS[name])
    (tmp_path / "nowhere").write_text("a file where a folder should be")
    (scan,) = user.nodes("vtkMRMLScalarVolumeNode")
    scan.SetName(LONG)
    user.node(user.results[0].name).SetName(LONG)
    user.results[0].table.SetName(LONG)
    region = harness.scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", LONG)
    harness.process_events()
    user.choose("scanSelector", LONG[:20])
    user.unfold("advancedSection")
    user.choose("regionSelector", LONG[:20])
    user.choose("targetSelector", "Replace")
    # A path has no place where it could be broken.
    user.export("Table", tmp_path / "nowhere" / f"{'Thorax_' * 30}.csv")
    assert user.complains
    column = in_dock(user)
    assert "Thorax_Thorax_" in user.outcome
    assert region.GetName() == LONG
    assert column.minimumSizeHint().width() <= NARROW
    assert cut(column) == []


@pytest.mark.parametrize("name", MODULES)
def test_names_take_what_a_wider_dock_gives(request: pytest.FixtureRequest, name: str) -> None:
    user: ResultsUser = request.getfixturevalue(FINDINGS[name])
    widths = []
    for dock in (NARROW, 500):
        in_dock(user, dock)
        table = user.table
        assert table.horizontalScrollBar().maximum() == 0
        widths.append(table.columnWidth(1))
    assert widths[1] - widths[0] == 500 - NARROW


def test_every_tooth_of_the_chart_shows_its_number(teeth: ResultsUser) -> None:
    in_dock(teeth)
    for cell in teeth.ui("chartPlace").findChildren(QtWidgets.QPushButton):
        font = cell.fontMetrics()
        assert font.horizontalAdvance(cell.text()) <= cell.width() - 2, cell.text()
