"""Distances and angles between landmarks."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

from medinfer.errors import MedInferError

from ..results.measures import add_angle, add_distance, measures_of, remove_measure
from .form import ROW_PIXELS, fill
from .results_section import ResultsSection

NONE = ""


class MeasuresSection:
    """MedLandmark's own part."""

    def __init__(self, ui: Any, results: ResultsSection) -> None:
        self._ui, self._results = ui, results
        self._labels: list[tuple[str, str]] = []
        ui.measuresTable.setColumnCount(2)
        ui.measuresTable.setHorizontalHeaderLabels([_("Measure"), _("Value")])
        ui.measuresTable.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.Stretch)
        ui.measuresTable.verticalHeader().setVisible(False)
        ui.measuresTable.verticalHeader().setDefaultSectionSize(ROW_PIXELS)
        ui.measuresTable.connect("itemSelectionChanged()", self._enable)
        ui.addMeasureButton.connect("clicked(bool)", self._add)
        ui.removeMeasureButton.connect("clicked(bool)", self._remove)
        for combo in self._combos:
            combo.connect("activated(int)", lambda index: self._enable())

    def refresh(self) -> None:
        """Offer the landmarks that were found, and list the existing measurements."""
        result = self._results.result
        rows = [row for row in result.rows if row.position_world is not None] if result else []
        labels = [(row.title, str(row.number)) for row in rows]
        if labels != self._labels:
            self._labels = labels
            fill(self._ui.fromSelector, labels, labels[0][1] if labels else NONE)
            fill(self._ui.viaSelector, [(_("None (distance)"), NONE), *labels], NONE)
            fill(self._ui.toSelector, labels, labels[-1][1] if labels else NONE)
        table, measures = self._ui.measuresTable, measures_of(result) if result else ()
        table.setRowCount(len(measures))
        for place, measure in enumerate(measures):
            table.setItem(place, 0, qt.QTableWidgetItem(measure.name))
            table.setItem(place, 1, qt.QTableWidgetItem(measure.words))
        table.resizeColumnToContents(1)
        self._enable()

    @property
    def _combos(self) -> tuple[Any, Any, Any]:
        return self._ui.fromSelector, self._ui.viaSelector, self._ui.toSelector

    def _chosen(self) -> list[int]:
        """The numbers of the chosen landmarks: from, via, to, without a via that is “None”."""
        return [int(combo.currentData) for combo in self._combos if combo.currentData]

    def _enable(self) -> None:
        chosen = self._chosen()
        distinct = len(chosen) >= 2 and len(set(chosen)) == len(chosen)
        self._ui.addMeasureButton.setEnabled(distinct)
        self._ui.addMeasureButton.setToolTip("" if distinct else _("Choose different landmarks."))
        self._ui.removeMeasureButton.setEnabled(self._ui.measuresTable.currentRow() >= 0)

    def _add(self, checked: bool = False) -> None:
        result, chosen = self._results.result, self._chosen()
        if result is None:
            return
        try:
            node = (add_angle if len(chosen) == 3 else add_distance)(result, *chosen)
        except MedInferError as error:
            self._results.complain(str(error))
            return
        self.refresh()
        nodes = [measure.node for measure in measures_of(result)]
        self._ui.measuresTable.setCurrentCell(nodes.index(node), 0)

    def _remove(self, checked: bool = False) -> None:
        result, place = self._results.result, self._ui.measuresTable.currentRow()
        if result is None:
            return
        measures = measures_of(result)
        if 0 <= place < len(measures):
            remove_measure(measures[place])
        self.refresh()
