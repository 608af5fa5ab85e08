"""The form for a network without a `model.json`: what it cannot tell, as the questions of `medinfer add` have it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from medinfer.errors import PackageError

from ..jobs.shelf_errand import Errand, add
from .form import plain


class AddForm:
    """Folded away until `ask`. begin(doing, errand): starts an errand of the library."""

    def __init__(self, ui: Any, begin: Callable[[str, Errand], None]) -> None:
        self._box, self._fields, self._title, self._begin = ui.addBox, ui.addFields, ui.addTitle, begin
        self._path: Path | None = None
        self._rows: dict[str, tuple[Any, Any]] = {}
        ui.addButton.connect("clicked(bool)", self._add)
        ui.addCancelButton.connect("clicked(bool)", lambda checked=False: self.close())

    def ask(self, path: Path | str) -> None:
        """Show the form for a network in a file or folder."""
        self._path = Path(path)
        self._title.setText(plain(
            _("What {name} does not tell. Leave out what is as usual; what must be said is asked for.")
            .format(name=self._path.name)
        ))
        self._make_rows()
        for _widget, problem in self._rows.values():
            problem.setVisible(False)
        self._box.setVisible(True)

    def close(self) -> None:
        """Fold it away."""
        self._path = None
        self._box.setVisible(False)

    def _make_rows(self) -> None:
        if self._rows:
            return
        # Reads what pydantic declares, which is installed only when something is added.
        from medinfer.importers.bare_fields import FIELDS

        layout = self._fields.layout()
        for field in FIELDS:
            if not field.label:
                continue
            widget = qt.QComboBox() if field.choices else qt.QLineEdit()
            widget.objectName = f"add_{field.name}"
            widget.toolTip = plain(field.words)
            if field.choices:
                for word in ("", *field.choices):
                    widget.addItem(word or _("as usual"), word)
            else:
                widget.setPlaceholderText(_("as usual"))
            problem = qt.QLabel()
            problem.objectName = f"add_{field.name}_problem"
            problem.setWordWrap(True)
            problem.setVisible(False)
            layout.addRow(f"{_(field.label)}:", widget)
            layout.addRow(problem)
            self._rows[field.name] = (widget, problem)

    def _add(self, checked: bool = False) -> None:
        """Check what was said, and add the network where all of it can be read."""
        from medinfer.importers.bare_fields import BY_NAME, read_field

        words, wrong = {}, False
        for name, (widget, problem) in self._rows.items():
            said = widget.itemData(widget.currentIndex) if BY_NAME[name].choices else widget.text
            said, why = str(said or "").strip(), ""
            if said:
                try:
                    read_field(name, said)
                    words[name] = said
                except PackageError as error:
                    why, wrong = str(error).removeprefix(f"--{name} "), True
            problem.setText(plain(why))
            problem.setVisible(bool(why))
        if not wrong and self._path is not None:
            self._begin(_("Adding the model"), add(self._path, words))
