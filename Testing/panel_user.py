"""A user in front of a module's panel: clicks what a person clicks, reads what a person reads, knows no internals."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness import LoadedModule, SlicerHarness
from PySide6 import QtCore, QtTest, QtWidgets

_LEFT, _PLAIN = QtCore.Qt.MouseButton.LeftButton, QtCore.Qt.KeyboardModifier.NoModifier
PATIENCE_S = 60.0


class PanelUser:
    """Someone who has opened the panel of one module."""

    def __init__(self, harness: SlicerHarness, module: LoadedModule) -> None:
        self.harness, self.module = harness, module

    # Clicking -----------------------------------------------------------------------------------------------------

    def ui(self, name: str) -> Any:
        return self.module.ui(name)

    def click(self, name: str) -> None:
        self.harness.click(self.ui(name))

    def choose(self, name: str, text: str) -> None:
        """Click the entry of a combo box that is, begins with or contains `text`, in this order of preference. Raises
        LookupError where there is none."""
        combo = self._combo(name)
        assert combo.isEnabled(), f"'{name}' is disabled"
        entries = self.entries(name)
        fits = [n for n, entry in enumerate(entries) if text in entry]
        fits.sort(key=lambda n: (entries[n] != text, not entries[n].startswith(text), n))
        if not fits:
            raise LookupError(f"'{name}' has no entry with {text!r}, only {self.entries(name)}")
        # A popup takes the click that opened it for a slip where it follows within a double click's time.
        before = QtWidgets.QApplication.doubleClickInterval()
        QtWidgets.QApplication.setDoubleClickInterval(0)
        combo.showPopup()
        QtWidgets.QApplication.setDoubleClickInterval(before)
        self.harness.process_events()
        view = combo.view()
        index = combo.model().index(fits[0], combo.modelColumn(), combo.rootModelIndex())
        view.scrollTo(index)
        place = view.visualRect(index).center()
        QtTest.QTest.mouseMove(view.viewport(), place)
        QtTest.QTest.mouseClick(view.viewport(), _LEFT, _PLAIN, place)
        self.harness.process_events()

    def menu(self, button: str, *texts: str) -> None:
        """Click an enabled entry of the menu of a button; texts: of the submenus that lead to it, and its own."""
        menu = self.ui(button).menu()
        for text in texts[:-1]:
            menu = next(one for one in menu.findChildren(QtWidgets.QMenu) if one.title().startswith(text))
        entry = next(one for one in menu.actions() if one.text().startswith(texts[-1]))
        assert entry.isEnabled(), f"{texts[-1]!r} of the menu is disabled"
        menu.popup(QtCore.QPoint(0, 0))
        QtTest.QTest.mouseClick(menu, _LEFT, _PLAIN, menu.actionGeometry(entry).center())
        self.harness.process_events()
        self.harness.errors.raise_if_any()

    def menu_entry(self, button: str, text: str) -> Any:
        entries = self.ui(button).menu().actions()
        return next(entry for entry in entries if entry.text().startswith(text))

    def unfold(self, name: str) -> None:
        section = self.ui(name)
        if section.property("collapsed"):
            self.harness.click(section)

    def type_number(self, name: str, number: str) -> None:
        """Type into a spin box, and Return."""
        box = self.ui(name)
        box.setFocus()
        box.selectAll()
        QtTest.QTest.keyClicks(box, number)
        self.harness.press(box, QtCore.Qt.Key.Key_Return)

    def run(self) -> None:
        self.click("runButton")

    # Reading ------------------------------------------------------------------------------------------------------

    def _combo(self, name: str) -> Any:
        widget = self.ui(name)
        return widget if isinstance(widget, QtWidgets.QComboBox) else widget.findChild(QtWidgets.QComboBox)

    def entries(self, name: str) -> list[str]:
        combo = self._combo(name)
        return [combo.itemText(n) for n in range(combo.count())]

    def chosen(self, name: str) -> str:
        return str(self._combo(name).currentText())

    @property
    def message(self) -> str:
        return self.shown_in("messageLabel")

    def shown_in(self, line: str) -> str:
        """What a line of the panel says; nothing where it is hidden."""
        label = self.ui(line)
        # Spaces of no width, where a long path may be broken, are not seen.
        return "" if label.isHidden() else str(label.text()).replace("\u200b", "")

    @property
    def complains(self) -> bool:
        """Whether one of the lines tells of an error, and not a remark."""
        lines = [self.ui(name) for name in ("messageLabel", "resultsMessage")]
        return any(line.property("kind") == "error" for line in lines if not line.isHidden())

    @property
    def log(self) -> str:
        return str(self.ui("logText").toPlainText())

    @property
    def card(self) -> str:
        return str(self.ui("cardText").toPlainText())

    @property
    def rows(self) -> list[list[str]]:
        """The table of findings as text, top down, without the ticks."""
        table = self.ui("findingsTable")
        return [[table.item(row, column).text() for column in range(1, 4)] for row in range(table.rowCount())]

    @property
    def may_run(self) -> bool:
        return bool(self.ui("runButton").isEnabled())

    @property
    def running(self) -> bool:
        return bool(self.ui("cancelButton").isEnabled())

    # Waiting ------------------------------------------------------------------------------------------------------

    def wait(self, until: Callable[[], Any], what: str = "the condition") -> Any:
        try:
            return self.harness.wait_until(until, PATIENCE_S, what)
        except AssertionError as error:
            raise AssertionError(f"{error}; the panel says: {self.message}") from error

    def wait_for_the_end(self) -> None:
        self.wait(lambda: not self.running, "the run's end")
        self.harness.process_events()

    def run_to_the_end(self) -> None:
        self.run()
        assert self.running, self.message
        self.wait_for_the_end()

    def wait_for_the_middle(self) -> None:
        """Until tiles are being worked on."""
        self.wait(lambda: not self.running or "about" in self.message, "the first tiles")
        assert self.running, self.message


def workers() -> list[int]:
    """The living processes that this test has started, and theirs: all that inherited its library's place."""
    mark = f"MEDINFER_LIBRARY={os.environ['MEDINFER_LIBRARY']}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            # What is gone meanwhile, or another user's, is none of ours; a zombie has no environment.
            with suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found
