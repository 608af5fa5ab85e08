"""Forms (`.ui`) that lie beside this package, put into their place in a module's own form."""

from __future__ import annotations

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
