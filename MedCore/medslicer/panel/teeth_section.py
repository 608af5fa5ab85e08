"""The tooth chart, and the scheme by which teeth are called."""

from __future__ import annotations

from typing import Any

from medinfer.errors import MedInferError

from ..results.renaming import rename_segments
from ..results.result import Result
from .form import fill
from .model_section import ModelSection
from .results_section import ResultsSection
from .settings import Settings
from .tooth_chart import LEGEND, ToothChart

DEFAULT_SCHEME = "FDI"


class TeethSection:
    """MedToothSeg's own part."""

    def __init__(self, ui: Any, settings: Settings, models: ModelSection, results: ResultsSection) -> None:
        self._ui, self._settings, self._models, self._results = ui, settings, models, results
        self._chart = ToothChart(ui.chartPlace, results.select)
        ui.chartLegend.setText(LEGEND)
        ui.namesSelector.connect("activated(int)", self._scheme_chosen)
        results.listeners.append(self._show_chart)

    def refresh(self) -> None:
        """Show the scheme and the chart of the chosen result; without one, the scheme that the next will have."""
        result, model = self._results.result, self._models.chosen
        known = result.schemes if result is not None else model.names if model is not None else ()
        # Other models of segments run here too, and have no teeth to chart.
        teeth = DEFAULT_SCHEME in known or (result is not None and any(row.fdi for row in result.rows))
        self._ui.chartSection.setVisible(teeth or (result is None and model is None))
        entries = [(scheme, scheme) for scheme in known or (DEFAULT_SCHEME,)]
        scheme = self._settings.names if result is None else result.scheme
        fill(self._ui.namesSelector, entries, scheme or DEFAULT_SCHEME)
        self._show_chart()

    def name(self, result: Result) -> None:
        """Call the teeth of a new result as the user chose last, where its model knows those names."""
        scheme = self._settings.names or DEFAULT_SCHEME
        if (result.scheme or DEFAULT_SCHEME) == scheme or scheme not in result.schemes:
            return
        try:
            rename_segments(result, scheme)
        except MedInferError as error:
            self._results.complain(str(error))

    def _show_chart(self) -> None:
        self._chart.show(self._results.result, self._results.selected)

    def _scheme_chosen(self, index: int) -> None:
        self._settings.names = self._ui.namesSelector.itemData(index)
        if self._results.result is not None:
            self.name(self._results.result)
        self._results.refresh()
