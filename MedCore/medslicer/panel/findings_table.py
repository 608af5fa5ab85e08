"""Rows of findings in a QTableWidget: tick, name, score, size."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from ..results.result import Result
from ..results.result_rows import ACCEPTED, REJECTED, Row, read_score
from .form import ROW_PIXELS, plain, quiet
from .spoken import spoken

if TYPE_CHECKING:
    from ..profiles import Profile

TICK, NAME, SCORE, DETAIL = range(4)
# Of an item: the number of its finding.
_NUMBER = 0x0100
# Of the columns beside the name, which takes what is left; of the details at most so many, in a narrow dock.
_TICK_PIXELS, _SCORE_PIXELS, _DETAIL_PIXELS = 28, 55, 142
_SHORT_NAME_PIXELS = 130
# Of the columns together in a dock of 320 pixels, beside a scroll bar.
_NARROW_PIXELS = 264
# Left and right of a cell's text, together.
_CELL_MARGINS = 14
# Before which others stand in the column of ticks.
_REVIEWS = (ACCEPTED, "", REJECTED)


class FindingsTable:
    """The table's life: on_jump(number) when a row is clicked or reached by key, on_tick(number, on) for its box."""

    def __init__(
        self, table: Any, profile: Profile, on_jump: Callable[[int], None], on_tick: Callable[[int, bool], None]
    ) -> None:
        self._table, self._on_jump, self._on_tick = table, on_jump, on_tick
        self._key: Any = "nothing shown yet"
        self._result: Result | None = None
        # A child of the table: it must not outlive it.
        self._soon = qt.QTimer(table)
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.connect("timeout()", table.resizeRowsToContents)
        finding = spoken(profile.finding)
        name = f"{finding[:1].upper()}{finding[1:]}"
        detail = _("To next") if profile.task == "landmark" else _("Size")
        titles = ["✓", name, _("Score"), detail]
        table.setColumnCount(len(titles))
        table.setHorizontalHeaderLabels(titles)
        header = table.horizontalHeader()
        header.setMinimumSectionSize(24)
        # The whole row is selected: bold titles say nothing, and are wider.
        header.setHighlightSections(False)
        header.setSectionResizeMode(NAME, qt.QHeaderView.Stretch)
        table.setColumnWidth(TICK, _TICK_PIXELS)
        table.setColumnWidth(SCORE, max(_SCORE_PIXELS, header.sectionSizeHint(SCORE)))
        # Sorted here: the table's own sorting takes "10.0 mm" for less than "9.0 mm".
        header.setSortIndicatorShown(True)
        # Nodules by score; landmarks and teeth in the order of the body, until a header is clicked.
        header.setSortIndicator(SCORE if profile.task == "detect" else -1, qt.Qt.DescendingOrder)
        table.verticalHeader().setVisible(False)
        table.verticalHeader().setDefaultSectionSize(ROW_PIXELS)
        table.verticalHeader().setMinimumSectionSize(ROW_PIXELS)
        header.connect("sectionResized(int,int,int)", self._resized)
        header.connect("sectionClicked(int)", lambda column: self.show(self._result))
        table.connect("currentCellChanged(int,int,int,int)", self._moved)
        table.connect("cellClicked(int,int)", self._clicked)
        table.connect("itemChanged(QTableWidgetItem*)", self._item_changed)

    @property
    def selected(self) -> int | None:
        """The number of the finding whose row is selected."""
        item = self._table.item(self._table.currentRow(), NAME)
        return None if item is None else int(item.data(_NUMBER))

    def show(self, result: Result | None) -> None:
        """Fill the table with the findings of `result` that are shown, and those that were rejected or not found."""
        self._result = result
        rows = [] if result is None else self._sorted([row for row in result.rows if _listed(result, row)])
        # Filling it anew at every event would take the user's place in it away.
        key = (result.table.GetID(), rows) if result is not None else None
        if key == self._key:
            return
        table_before, rows_before = self._key if isinstance(self._key, tuple) else ("", [])
        same = result is not None and table_before == result.table.GetID()
        self._key = key
        # Another result's finding of the same number is not the one that the user looked at.
        selected = self.selected if same else None
        table = self._table
        with quiet(table):
            table.setRowCount(len(rows))
            for place, row in enumerate(rows):
                for column, item in enumerate(_items(row)):
                    table.setItem(place, column, item)
            if not (same and rows_before):
                # Once: a user may drag the columns' borders.
                self._share_columns()
            table.resizeRowsToContents()
            self._select(selected)

    def select(self, number: int) -> None:
        """Select the row of a finding, without jumping."""
        with quiet(self._table):
            self._select(number)

    def _share_columns(self) -> None:
        """Names come before details: these take two lines where in a narrow dock names would need more than that."""
        table, details = self._table, self._widest(DETAIL)
        room = _NARROW_PIXELS - table.columnWidth(TICK) - table.columnWidth(SCORE)
        if room - details < self._least_name_pixels():
            details = self._widest(DETAIL, ", ")
        least = table.horizontalHeader().sectionSizeHint(DETAIL)
        table.setColumnWidth(DETAIL, max(min(details, _DETAIL_PIXELS), least))

    def _least_name_pixels(self) -> int:
        """What names need to be read well: a short one its line, a long one two."""
        whole = self._widest(NAME)
        return whole if whole <= _SHORT_NAME_PIXELS else max(round(0.6 * whole), self._widest(NAME, " "))

    def _widest(self, column: int, between: str = "\n") -> int:
        """What the widest cell of a column takes, where its text is broken at `between`."""
        metrics = self._table.fontMetrics()
        texts = [self._table.item(place, column).text() for place in range(self._table.rowCount)]
        parts = [part for text in texts for part in text.split(between)]
        return max((metrics.horizontalAdvance(f"{part},") for part in parts), default=0) + _CELL_MARGINS

    def _resized(self, column: int, before: int, after: int) -> None:
        # Later: within the resizing the new widths are not all there.
        if column == NAME and self._result is not None:
            self._soon.start()

    def _sorted(self, rows: list[Row]) -> list[Row]:
        """By the column whose header was clicked last; by name is the order of the result."""
        header = self._table.horizontalHeader()
        by = {
            TICK: lambda row: _REVIEWS.index(row.review), NAME: lambda row: row.number,
            SCORE: lambda row: row.score, DETAIL: lambda row: _first_number(row.detail),
        }.get(header.sortIndicatorSection())
        if by is not None:
            rows = sorted(rows, key=by, reverse=header.sortIndicatorOrder() == qt.Qt.DescendingOrder)
        # What was not found is worth knowing, but after what was.
        return sorted(rows, key=lambda row: row.status == "missing")

    def _select(self, number: int | None) -> None:
        for place in range(self._table.rowCount):
            if int(self._table.item(place, NAME).data(_NUMBER)) == number:
                self._table.setCurrentCell(place, NAME)
                return
        # Not the row that has come into its place: a key would judge what nobody has looked at.
        self._table.setCurrentCell(-1, -1)

    def _moved(self, row: int, column: int, row_before: int, column_before: int) -> None:
        if row != row_before and self.selected is not None:
            self._on_jump(self.selected)

    def _clicked(self, row: int, column: int) -> None:
        # A second click on the same row leads back to it.
        if column != TICK and self.selected is not None:
            self._on_jump(self.selected)

    def _item_changed(self, item: Any) -> None:
        if item.column() == TICK:
            self._on_tick(int(item.data(_NUMBER)), item.checkState() == qt.Qt.Checked)


def _listed(result: Result, row: Row) -> bool:
    """Whether a finding has a row: everything but what the score hides; what a user has judged, it doesn't."""
    return result.passes(row) or bool(row.review) or row.status == "missing"


def _in_lines(text: str) -> str:
    """Two parts on a line, in a narrow dock: "11.1 mm, 661 mm³" and, below, "right lung"."""
    *sizes, last = text.split(", ")
    return f"{', '.join(sizes)}\n{last}" if len(sizes) > 1 else text


def _first_number(text: str) -> float:
    found = re.search(r"[0-9.]+", text)
    return float(found[0]) if found else 0.0


def _items(row: Row) -> list[Any]:
    tick = qt.QTableWidgetItem()
    if row.position_world is not None:
        tick.setCheckState(qt.Qt.Checked if row.review == ACCEPTED else qt.Qt.Unchecked)
    name = qt.QTableWidgetItem(f"{row.title} ⚠" if row.flags else row.title)
    name.setToolTip(plain("\n".join([row.title, *row.flags])))
    score = qt.QTableWidgetItem("" if row.status == "missing" else f"{read_score(row.score):.2f}")
    absent = {"missing": _("not found"), "removed": _("removed from the scene")}
    detail = qt.QTableWidgetItem(absent.get(row.status, _in_lines(row.detail)))
    detail.setToolTip(plain(row.measured))
    items = [tick, name, score, detail]
    for item in items:
        item.setData(_NUMBER, row.number)
        if row.review == REJECTED or row.status == "missing":
            font = item.font()
            font.setItalic(True)
            font.setStrikeOut(row.review == REJECTED)
            item.setFont(font)
    return items
