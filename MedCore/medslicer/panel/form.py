"""Forms (`.ui`) that lie beside this package, put into their place in a module's own form."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import slicer

_FORMS = Path(__file__).resolve().parents[2] / "Resources" / "UI"


def add_form(name: str, place: Any) -> Any:
    """Load the form `name` into the layout of the widget `place`; return its widgets as attributes by object name."""
    form = slicer.util.loadUI(str(_FORMS / f"{name}.ui"))
    place.layout().addWidget(form)
    form.setMRMLScene(slicer.mrmlScene)
    return slicer.util.childWidgetVariables(form)


def show_node(selector: Any, node: Any | None) -> None:
    """Show `node` in a qMRMLNodeComboBox without telling anyone; from here on it tells what a user chooses.

    Listen to its nodeActivated: currentNodeChanged also comes when a deleted node's neighbour takes its place, when the
    rows shift, and with None while a scene is read.
    """
    selector.blockSignals(True)
    selector.setCurrentNode(node)
    selector.blockSignals(False)


def plain(text: str) -> str:
    """`text` for a tooltip or a dialog, which take what looks like HTML for HTML: names come from models and scans."""
    return f"<qt>{escape(text)}</qt>".replace("\n", "<br>") if "<" in text else text


def choose(combo: Any, data: str) -> None:
    """Show the entry of `combo` that stands for `data`, without telling anyone; the first where there is none."""
    before = combo.blockSignals(True)
    combo.setCurrentIndex(max(0, combo.findData(data)))
    combo.blockSignals(before)


def fill(combo: Any, entries: list[tuple[str, str]], chosen: str) -> None:
    """Give `combo` these entries (text, what it stands for) and show the one that stands for `chosen`."""
    before = combo.blockSignals(True)
    combo.clear()
    for text, data in entries:
        combo.addItem(text, data)
    combo.setCurrentIndex(max(0, combo.findData(chosen)))
    combo.blockSignals(before)
