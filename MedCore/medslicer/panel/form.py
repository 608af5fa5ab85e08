"""The forms (`.ui`) next to this package, and helpers for their controls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

import slicer

# Of a row in a table.
ROW_PIXELS = 24
_FORMS = Path(__file__).resolve().parents[2] / "Resources" / "UI"


def add_form(name: str, place: Any) -> Any:
    """Load the form `name` into the layout of the widget `place`; return its widgets as attributes by object name."""
    form = slicer.util.loadUI(str(_FORMS / f"{name}.ui"))
    place.layout().addWidget(form)
    form.setMRMLScene(slicer.mrmlScene)
    return slicer.util.childWidgetVariables(form)


def show_node(selector: Any, node: Any | None) -> None:
    """Show `node` in a qMRMLNodeComboBox without a signal; from then on it signals the user's choices.

    Listen to its nodeActivated: currentNodeChanged also comes when a deleted node's neighbour takes its place, when the
    rows shift, and with None while a scene is read.
    """
    selector.blockSignals(True)
    selector.setCurrentNode(node)
    selector.blockSignals(False)


def plain(text: str) -> str:
    """`text` for a tooltip or a dialog, which take what looks like HTML for HTML: names come from models and scans."""
    return f"<qt>{escape(text)}</qt>".replace("\n", "<br>") if "<" in text else text


@contextmanager
def quiet(widget: Any) -> Iterator[None]:
    """Suppress the signals of `widget` during the block."""
    before = widget.blockSignals(True)
    try:
        yield
    finally:
        widget.blockSignals(before)


def confirmed(question: str) -> bool:
    """Whether the user confirms."""
    return bool(slicer.util.confirmOkCancelDisplay(plain(question), windowTitle="MedInfer"))


def add_action(menu: Any, text: str, does: Callable[[], None]) -> Any:
    """Add an entry to `menu` that calls does(); return its QAction."""
    action = menu.addAction(text)
    action.connect("triggered(bool)", lambda checked=False: does())
    return action


def fill(combo: Any, entries: list[tuple[str, str]], chosen: str) -> None:
    """Give `combo` these entries (text, what it stands for) and show the one that stands for `chosen`."""
    with quiet(combo):
        combo.clear()
        for text, data in entries:
            combo.addItem(text, data)
        combo.setCurrentIndex(max(0, combo.findData(chosen)))
