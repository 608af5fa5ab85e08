"""The chart of 32 teeth as a dentist draws it: the patient's right on the left, upper row above."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import qt
from slicer.i18n import tr as _

from ..results.result import Result
from ..results.result_rows import REJECTED, Row
from .form import plain

UPPER = (18, 17, 16, 15, 14, 13, 12, 11, 21, 22, 23, 24, 25, 26, 27, 28)
LOWER = (48, 47, 46, 45, 44, 43, 42, 41, 31, 32, 33, 34, 35, 36, 37, 38)
# Of a cell by what became of the tooth: light ground with dark words, or none at all.
_STYLES = {
    "found": "background: #cfe8d5; color: #1d3b27; border: 1px solid #7fb08e;",
    "flagged": "background: #f7d9a8; color: #553300; border: 1px solid #d08a1d;",
}
# Of one that is not there, on a light and on a dark ground: each with a contrast of at least 4.5 to it.
_ABSENT = "background: transparent; color: {grey}; border: 1px dashed {grey};"
_GREYS, _DARK = ("#626262", "#b8b8b8"), 128
_STRUCK = " text-decoration: line-through;"
# As in the flag "number unsure: 14 or 15".
_NUMBER = re.compile(r"\b[1-4][1-8]\b")
_CHOSEN = " border: 2px {line} palette(highlight);"
_CELL = "QPushButton {{ border-radius: 3px; padding: 0; font-size: 10px; {style} }}"
LEGEND = _(
    '<span style="background:#cfe8d5; color:#1d3b27;">&nbsp;found&nbsp;</span> '
    '<span style="background:#f7d9a8; color:#553300;">&nbsp;to check&nbsp;</span> '
    "&nbsp;dashed: not found, hidden or rejected. The patient's right is on the left."
)


class ToothChart:
    """32 cells in `place`. on_click(number): the tooth of that finding was clicked."""

    def __init__(self, place: Any, on_click: Callable[[int], None]) -> None:
        self._place, self._on_click = place, on_click
        self._numbers: dict[int, int] = {}
        self._cells: dict[int, Any] = {}
        # What each cell shows: Qt is slow to be told again, and this is asked for while the slider moves.
        self._shown: dict[int, tuple[str, str, str]] = {}
        grid = qt.QGridLayout(place)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(1)
        # A gap at the midline and one between the jaws parts the quadrants.
        grid.setColumnMinimumWidth(8, 6)
        grid.setRowMinimumHeight(1, 6)
        for line, teeth in ((0, UPPER), (2, LOWER)):
            for column, fdi in enumerate(teeth):
                cell = self._cells[fdi] = self._new_cell(place, fdi)
                grid.addWidget(cell, line, column + (column > 7))

    def show(self, result: Result | None, selected: int | None) -> None:
        """Paint the cells by the findings of `result`; the selected one has a frame."""
        rows = _by_number(result.rows) if result else {}
        shown = {row.number for row in result.shown_rows} if result else set()
        dark = self._place.palette.color(qt.QPalette.Window).lightness() < _DARK
        self._numbers.clear()
        for fdi, cell in self._cells.items():
            row = rows.get(str(fdi))
            state, words = "missing", _("not found")
            if row is not None:
                self._numbers[fdi] = row.number
                state = "flagged" if row.flags else "found"
                if row.number not in shown:
                    state = "rejected" if row.review == REJECTED else "hidden"
                why = _("hidden: low score") if state == "hidden" else ""
                words = ", ".join(filter(None, [row.title, row.detail, *row.flags, why]))
            now = (state, words, _style(state, dark, chosen=row is not None and row.number == selected))
            if self._shown.get(fdi) != now:
                self._shown[fdi] = now
                _paint(cell, f"{fdi}: {words}", state, now[-1])

    def _new_cell(self, place: Any, fdi: int) -> Any:
        cell = qt.QPushButton(place)
        cell.setObjectName(f"tooth{fdi}")
        cell.setText(str(fdi))
        # Sixteen in a row must fit into a dock of 320 pixels.
        cell.setMinimumSize(qt.QSize(14, 24))
        cell.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Fixed)
        cell.connect("clicked(bool)", lambda checked=False: self._clicked(fdi))
        return cell

    def _clicked(self, fdi: int) -> None:
        if fdi in self._numbers:
            self._on_click(self._numbers[fdi])


def _paint(cell: Any, tip: str, state: str, style: str) -> None:
    sheet = _CELL.format(style=style)
    if cell.styleSheet != sheet:
        # Qt styles a widget anew each time.
        cell.setStyleSheet(sheet)
    cell.setToolTip(plain(tip))
    cell.setEnabled(state != "missing")
    cell.setProperty("state", state)


def _style(state: str, dark: bool, *, chosen: bool) -> str:
    absent = _ABSENT.format(grey=_GREYS[dark]) + (_STRUCK if state == "rejected" else "")
    # Chosen or not, what is dashed is not there.
    frame = _CHOSEN.format(line="solid" if state in _STYLES else "dashed") if chosen else ""
    return _STYLES.get(state, absent) + frame


def _by_number(rows: Sequence[Row]) -> dict[str, Row]:
    """The findings that are there by their FDI number; one of which that is unsure stands at all it may have."""
    there = [row for row in rows if row.status != "removed"]
    unsure = {number: row for row in there if not row.fdi for flag in row.flags for number in _NUMBER.findall(flag)}
    return {**unsure, **{row.fdi: row for row in there if row.fdi}}
