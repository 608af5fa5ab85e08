"""The results: one row per finding, which a click jumps to; accept, reject, filter by score, export."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _

from ..pictures.overview import show_overview
from ..results.alone import show_alone
from ..results.result import Result, results_in
from ..results.result_rows import ACCEPTED, REJECTED, Row
from .export_menu import ExportMenu
from .findings_table import FindingsTable
from .form import confirmed, fill, quiet
from .message import MessageLine
from .result_titles import titles_of
from .settings import Settings

if TYPE_CHECKING:
    from ..profiles import Profile


class ResultsSection:
    """The lower part of a panel. listeners: called when another finding was selected, or what is shown, accepted or
    rejected changed."""

    def __init__(self, ui: Any, message: MessageLine, profile: Profile, settings: Settings) -> None:
        self._ui, self._message, self._profile, self._settings = ui, message, profile, settings
        self.listeners: list[Callable[[], None]] = []
        self._table = FindingsTable(ui.findingsTable, profile, self.jump, self._accepted_by_tick)
        self._export = ExportMenu(ui.exportButton, self._message, profile, lambda: self.result)
        ui.resultSelector.connect("activated(int)", self._result_chosen)
        ui.removeResultButton.connect("clicked(bool)", self._remove)
        ui.scoreSlider.connect("valueChanged(double)", self._score_changed)
        ui.acceptButton.connect("clicked(bool)", lambda checked=False: self.review(ACCEPTED))
        ui.rejectButton.connect("clicked(bool)", lambda checked=False: self.review(REJECTED))
        # What a Mac's keyboard calls Delete is Backspace.
        keys = {"Del": REJECTED, "Backspace": REJECTED, "Space": ACCEPTED}
        self._keys = [self._key(key, word) for key, word in keys.items()]

    @property
    def result(self) -> Result | None:
        """The result that is shown: the chosen one, else the last one of this module in the scene."""
        return self._chosen_of(results_in(slicer.mrmlScene, self._profile.module))

    @property
    def selected(self) -> int | None:
        """The number of the selected finding."""
        return self._table.selected

    def refresh(self) -> None:
        """Show the chosen result as it is now in the scene."""
        results, ui = results_in(slicer.mrmlScene, self._profile.module), self._ui
        result = self._chosen_of(results)
        titles = titles_of(results, self._settings.scan)
        entries = [(title, entry.table.GetID()) for title, entry in zip(titles, results, strict=True)]
        fill(ui.resultSelector, entries or [(_("No results yet"), "")], result.table.GetID() if result else "")
        for widget in (
            ui.resultSelector, ui.removeResultButton, ui.exportButton, ui.filterLabel, ui.scoreSlider, ui.findingsTable,
        ):
            widget.setEnabled(result is not None)
        with quiet(ui.scoreSlider):
            ui.scoreSlider.setValue(result.shown_score if result else 0.0)
        self._table.show(result)
        self._tell(result)

    def complain(self, text: str) -> None:
        """Say what could not be done with a result."""
        self._message.say(text, "error")

    def jump(self, number: int) -> None:
        """Show a finding in the slice views, on its own scan, and in 3-D."""
        result = self.result
        if result is not None:
            show_alone(result)
            result.jump(number)
        self._tell(result)

    def select(self, number: int) -> None:
        """Select a finding's row and jump to it."""
        self._table.select(number)
        self.jump(number)

    def review(self, word: str) -> None:
        """Accept or reject the selected finding; the same once more takes it back."""
        result, number = self.result, self._table.selected
        if result is None or number is None:
            return
        row = result.row(number)
        if not _can_be_judged(row):
            return
        result.set_review(number, "" if row.review == word else word)
        self._changed(result)

    def _chosen_of(self, results: Sequence[Result]) -> Result | None:
        shown = self._settings.shown
        chosen = [result for result in results if shown is not None and result.table.GetID() == shown.GetID()]
        return next(iter((*chosen, *results[-1:])), None)

    def _accepted_by_tick(self, number: int, ticked: bool) -> None:
        result = self.result
        if result is not None:
            result.set_review(number, ACCEPTED if ticked else "")
            self._changed(result)

    def _score_changed(self, score: float) -> None:
        result = self.result
        if result is not None:
            result.show_from(score)
            self._changed(result)

    def _changed(self, result: Result) -> None:
        self._message.clear()
        self._table.show(result)
        self._tell(result)

    def _result_chosen(self, index: int) -> None:
        self._message.clear()
        node_id = self._ui.resultSelector.itemData(index)
        self._settings.shown = slicer.mrmlScene.GetNodeByID(node_id) if node_id else None
        self._show_in_views()

    def _show_in_views(self) -> None:
        """Let the views show what the panel shows, and no other patient's findings; without a result what is left."""
        left = results_in(slicer.mrmlScene)
        result = self.result or (left[-1] if left else None)
        if result is not None:
            show_alone(result)
            show_overview(result)

    def _remove(self, checked: bool = False) -> None:
        result = self.result
        if result is None:
            return
        question = _("Delete {name} and everything that belongs to it from the scene?").format(name=result.name)
        if confirmed(question):
            result.remove()
            self._show_in_views()

    def _key(self, sequence: str, word: str) -> Any:
        shortcut = qt.QShortcut(qt.QKeySequence(sequence), self._ui.findingsTable)
        shortcut.setContext(qt.Qt.WidgetShortcut)
        shortcut.connect("activated()", lambda: self.review(word))
        return shortcut

    def _tell(self, result: Result | None) -> None:
        """One line on what is shown, and what the buttons would do now."""
        number, rows = self._table.selected, result.rows if result is not None else ()
        row = next((entry for entry in rows if entry.number == number), None)
        for button in (self._ui.acceptButton, self._ui.rejectButton):
            button.setEnabled(row is not None and _can_be_judged(row))
        self._ui.acceptButton.setText(_("Accepted") if row and row.review == ACCEPTED else _("Accept"))
        self._ui.rejectButton.setText(_("Rejected") if row and row.review == REJECTED else _("Reject"))
        if result is None:
            text = _("Results appear here after a run or when a scene with results is opened.")
        else:
            text = _counts(result, rows)
        self._ui.summaryLabel.setText(text)
        flags = "; ".join(row.flags) if row is not None else ""
        self._ui.flagsLabel.setText(f"⚠ {row.title}: {flags}" if row is not None and flags else "")
        self._ui.flagsLabel.setVisible(bool(flags))
        for listener in self.listeners:
            listener()


def _counts(result: Result, rows: Sequence[Row]) -> str:
    """The numbers of rows that are shown, hidden, reviewed, missing or to check."""
    shown = sum(result.shows(row) for row in rows)
    hidden = sum(not result.passes(row) and not row.review for row in rows if row.status != "missing")
    # Switched off as a whole, in the Data module or for another result.
    off = 0 if result.in_views else shown
    parts = [_("{n} shown").format(n=shown - off)]
    for count, words in (
        (off, _("{n} hidden")),
        (hidden, _("{n} below {score:.2f}")),
        (sum(row.review == ACCEPTED for row in rows), _("{n} accepted")),
        (sum(row.review == REJECTED for row in rows), _("{n} rejected")),
        (sum(row.status == "missing" for row in rows), _("{n} not found")),
        (sum(row.status == "removed" for row in rows), _("{n} removed")),
        (sum(row.status == "flagged" for row in rows), _("{n} to check")),
    ):
        if count:
            parts.append(words.format(n=count, score=result.shown_score))
    return " · ".join(parts)


def _can_be_judged(row: Row) -> bool:
    """Whether there is something to accept or reject, or to take back."""
    return row.position_world is not None or bool(row.review)
