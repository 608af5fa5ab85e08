"""A user in front of findings: clicks rows, ticks, headers and keys; reads the table, the views and the scene."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from panel_user import PanelUser
from PySide6 import QtCore, QtTest

TICK, NAME, SCORE, DETAIL = range(4)
_LEFT, _PLAIN = QtCore.Qt.MouseButton.LeftButton, QtCore.Qt.KeyboardModifier.NoModifier


class ResultsUser(PanelUser):
    """Someone whose panel shows a result."""

    # The table ----------------------------------------------------------------------------------------------------

    @property
    def table(self) -> Any:
        return self.ui("findingsTable")

    def column(self, number: int) -> list[str]:
        return [self.table.item(row, number).text() for row in range(self.table.rowCount())]

    @property
    def titles(self) -> list[str]:
        """The findings from top to bottom, without the sign of those to check."""
        return [text.removesuffix(" ⚠") for text in self.column(NAME)]

    @property
    def selected(self) -> str:
        return self.titles[self.table.currentRow()]

    def item(self, title: str, column: int = NAME) -> Any:
        return self.table.item(self.titles.index(title), column)

    def click_row(self, title: str, column: int = NAME) -> None:
        self.harness.click_cell(self.table, self.titles.index(title), column)

    def tick(self, title: str) -> None:
        """Click the little box at the left of a row."""
        index = self.table.model().index(self.titles.index(title), TICK)
        self.table.scrollTo(index)
        place = self.table.visualRect(index).center()
        place.setX(self.table.visualRect(index).left() + 9)
        QtTest.QTest.mouseClick(self.table.viewport(), _LEFT, _PLAIN, place)
        self.harness.process_events()
        self.harness.errors.raise_if_any()

    def is_ticked(self, title: str) -> bool:
        return bool(self.item(title, TICK).checkState() == QtCore.Qt.CheckState.Checked)

    def click_header(self, column: int) -> None:
        header = self.table.horizontalHeader()
        place = QtCore.QPoint(header.sectionViewportPosition(column) + 12, header.height() // 2)
        QtTest.QTest.mouseClick(header.viewport(), _LEFT, _PLAIN, place)
        self.harness.process_events()
        self.harness.errors.raise_if_any()

    def press(self, key: Any) -> None:
        """A key, with the table in front."""
        self.module.column.activateWindow()
        self.table.setFocus()
        self.harness.process_events()
        self.harness.press(self.table, key)

    @property
    def slider(self) -> Any:
        """Of the score: its handle, 0 to 100."""
        return self.ui("scoreSlider").findChild(QtCore.QObject, "Slider")

    def drag_to(self, score: float) -> None:
        """Drag the slider, with every value on the way."""
        slider = self.slider
        slider.setSliderDown(True)
        for value in np.linspace(slider.value(), round(100 * score), 4):
            slider.setSliderPosition(round(value))
            self.harness.process_events()
        slider.setSliderDown(False)
        self.harness.process_events()
        self.harness.errors.raise_if_any()

    @property
    def outcome(self) -> str:
        """The line under the results: what came of an export, a measure, a change of names."""
        return self.shown_in("resultsMessage")

    @property
    def summary(self) -> list[str]:
        return str(self.ui("summaryLabel").text()).split(" · ")

    # The scene ----------------------------------------------------------------------------------------------------

    @property
    def scene(self) -> Any:
        return self.harness.scene

    @property
    def results(self) -> tuple[Any, ...]:
        """The results of this module in the scene."""
        from medslicer.results.result import results_in

        return results_in(self.scene, self.module.name)

    def node(self, name: str) -> Any:
        return self.scene.GetFirstNodeByName(name)

    def nodes(self, kind: str) -> list[Any]:
        return [self.scene.GetNthNodeByClass(n, kind) for n in range(self.scene.GetNumberOfNodesByClass(kind))]

    def visible_boxes(self) -> list[str]:
        """The ROIs that the views show, by their own display nodes' word."""
        boxes = self.nodes("vtkMRMLMarkupsROINode")
        return [box.GetName() for box in boxes if box.GetDisplayNode().GetVisibility()]

    def look_away(self) -> None:
        for node in self.nodes("vtkMRMLSliceNode"):
            node.JumpSliceByCentering(500, 500, 500)
        for camera in self.nodes("vtkMRMLCameraNode"):
            camera.SetFocalPoint(500, 500, 500)

    def looked_at(self) -> np.ndarray:
        """The one place (RAS mm) in the middle of all slice views, at which the camera looks too."""
        places = [
            [node.GetSliceToRAS().GetElement(axis, 3) for axis in range(3)] for node in self.nodes("vtkMRMLSliceNode")
        ]
        places += [camera.GetFocalPoint() for camera in self.nodes("vtkMRMLCameraNode")]
        assert len(places) >= 4
        np.testing.assert_allclose(places, [places[0]] * len(places), atol=1e-3)
        return np.array(places[0])

    # Files --------------------------------------------------------------------------------------------------------

    def export(self, entry: str, path: Path | str) -> None:
        """Choose an entry of the Export menu and, in the dialog, `path`; "" cancels it."""
        self.harness.choose_file(path)
        self.menu("exportButton", entry)
