"""The form for a network without a `model.json`: what it cannot tell, as the questions of `medinfer add` have it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from medinfer.errors import MedInferError

from ..jobs.errand import Errand, Preview
from ..jobs.handover import scan_of
from ..jobs.shelf_errand import add, look, preview
from ..profiles import Profile
from .form import plain, quiet
from .message import paint

if TYPE_CHECKING:
    from medinfer.importers.bare_fields import Field
    from medinfer.importers.bare_network import Facts
    from medinfer.importers.looking import LookedOver

Begin = Callable[[str, Errand, Callable[[Errand], None]], None]
# Of what the centres or the boxes of a network's labels are shown.
_INSTEAD = {"landmark": "Of its objects the centres are shown here.", "detect": "Around its objects boxes are shown."}


class AddForm:
    """Folded away until the network that was asked about was looked at. begin(doing, errand, then): starts an errand of
    the library; then(errand) comes after its success. added(errand): what follows when the network is installed."""

    def __init__(self, ui: Any, profile: Profile, begin: Begin, added: Callable[[Errand], None]) -> None:
        self._ui, self._profile, self._begin, self._added = ui, profile, begin, added
        self._path = Path()
        self._facts: Facts | None = None
        self._errand: Errand | None = None
        self._rows: dict[str, tuple[Any, Any, Any]] = {}
        # What must be said is a question, and no error before someone wanted to go on.
        self._all_needed = False
        # Not in a widget of its own, which would cut lines that wrap.
        self._grid = qt.QGridLayout()
        self._grid.setColumnStretch(1, 1)
        ui.addBox.layout().insertLayout(1, self._grid)
        ui.addButton.connect("clicked(bool)", self._add)
        ui.addPreviewButton.connect("clicked(bool)", self._look_through)
        ui.addCancelButton.connect("clicked(bool)", self._leave)

    def ask(self, path: Path | str) -> None:
        """Look at the network in a file, folder or .zip, and then show the form for it."""
        self.close()
        self._path = Path(path)
        self._do(_("Looking at {name}").format(name=self._path.name), look(path), self._show)

    def close(self) -> None:
        """Fold it away."""
        self._facts = None
        self._ui.addBox.setVisible(False)

    def _leave(self, checked: bool = False) -> None:
        """Fold it away, and stop what it began."""
        if self._errand is not None:
            self._errand.cancel()
        self.close()

    def _do(self, doing: str, errand: Errand, then: Callable[[Errand], None]) -> None:
        self._errand = errand
        self._begin(doing, errand, then)

    def set_free(self, free: bool) -> None:
        """Whether the library can be changed now."""
        for button in (self._ui.addButton, self._ui.addPreviewButton):
            button.setEnabled(free)

    def _show(self, errand: Errand) -> None:
        # Reads what pydantic declares, which was installed at the latest for the errand.
        from medinfer.importers.bare_network import Facts

        told = errand.network
        self._facts = Facts(
            Path(told["path"]), tuple(told["declared"]), told["channels"], told["edge"], told["activation"],
            told["images"],
        )
        instead = _(_INSTEAD[self._profile.task]) if self._profile.task in _INSTEAD else ""
        question = _("{name} does not tell this about itself. What is grey is usual and needs no answer.")
        lines = [question.format(name=self._path.name), instead]
        self._ui.addTitle.setText(plain(" ".join(filter(None, lines))))
        self._ui.addTitle.setToolTip(plain(errand.said[0]) if errand.said else "")
        self._make_rows()
        self._all_needed = False
        self._show_picture("", "")
        self._look_over()
        self._ui.addBox.setVisible(True)

    def _make_rows(self) -> None:
        """Empty rows, of those fields that apply to the network."""
        from medinfer.importers.bare_fields import FIELDS

        for field in FIELDS:
            if not field.label:
                continue
            if field.name not in self._rows:
                self._rows[field.name] = self._made(field)
            title, widget, _problem = self._rows[field.name]
            applies = self._facts is not None and field.applies(self._facts)
            title.setVisible(applies)
            widget.setVisible(applies)
            with quiet(widget):
                if not field.choices:
                    widget.setText("")
                    continue
                widget.clear()
                for word, shown in {"": "", **field.choices}.items():
                    widget.addItem(_(shown) if shown else "", word)

    def _made(self, field: Field) -> tuple[Any, Any, Any]:
        """A row: its title, a widget, and a line below for what is wrong."""
        widget, signal = (
            (qt.QComboBox(), "currentIndexChanged(int)") if field.choices
            else (qt.QLineEdit(), "textChanged(QString)")
        )
        title, problem = qt.QLabel(f"{_(field.label)}:"), qt.QLabel()
        widget.objectName, problem.objectName = f"add_{field.name}", f"add_{field.name}_problem"
        widget.toolTip = plain(field.words)
        widget.connect(signal, lambda changed=None: self._look_over())
        problem.setWordWrap(True)
        row = 2 * len(self._rows)
        self._grid.addWidget(title, row, 0)
        self._grid.addWidget(widget, row, 1)
        self._grid.addWidget(problem, row + 1, 0, 1, 2)
        return title, widget, problem

    def _words(self) -> dict[str, str]:
        """What was said, by fields."""
        from medinfer.importers.bare_fields import BY_NAME

        said = {}
        for name, (_title, widget, _problem) in self._rows.items():
            said[name] = str((widget.itemData(widget.currentIndex) if BY_NAME[name].choices else widget.text) or "")
        return {name: words.strip() for name, words in said.items() if words.strip()}

    def _look_over(self) -> LookedOver | None:
        """Show what is usual after what was said, and what is wrong with it."""
        from medinfer.importers.bare_fields import BY_NAME
        from medinfer.importers.looking import look_over

        if self._facts is None:
            return None
        words = self._words()
        seen = look_over(self._facts, words)
        for name, (_title, widget, problem) in self._rows.items():
            usual, choices = seen.usual[name], BY_NAME[name].choices
            if choices:
                widget.setItemText(0, _("{usual} (usual)").format(usual=_(choices[usual])) if usual else "")
            else:
                widget.setPlaceholderText(usual or "")
            wrong = seen.wrong.get(name, "")
            problem.setText(plain(self._spoken(wrong)))
            paint(problem, "error" if self._all_needed or name in words else "")
            problem.setVisible(bool(wrong))
        return seen

    def _spoken(self, sentence: str) -> str:
        """The sentence of an option about its row here."""
        from medinfer.importers.bare_fields import BY_NAME

        def label(option: re.Match[str]) -> str:
            known = BY_NAME.get(option[1])
            return f"“{_(known.label)}”" if known and known.label else option[0]

        said = re.sub(r"--(\w+)", label, sentence)
        return said if self._facts is None else said.replace(f"{self._facts.path} ", _("It") + " ")

    def _ready(self) -> bool:
        """Whether all of it can be read; from now on what is missing is an error too."""
        self._all_needed = True
        seen = self._look_over()
        return seen is not None and not seen.wrong

    def _add(self, checked: bool = False) -> None:
        if self._ready():
            errand = add(self._path, self._words(), for_task=self._profile.task)
            self._do(_("Adding the model"), errand, self._done)

    def _done(self, errand: Errand) -> None:
        self.close()
        self._added(errand)

    def _look_through(self, checked: bool = False) -> None:
        """Draw what the network would see of the scan that is chosen."""
        node = self._ui.scanSelector.currentNode()
        if node is None:
            self._show_picture("", _("Choose a scan above to see what the network would be given of it."))
        elif self._ready():
            try:
                errand = preview(self._path, self._words(), scan_of(node))
            except MedInferError as error:
                self._show_picture("", str(error))
                return
            self._do(_("Preparing the scan as the network gets it"), errand, self._draw)

    def _draw(self, errand: Errand) -> None:
        if isinstance(errand, Preview) and self._facts is not None:
            told = next((line for line in errand.said if " sees " in line), "")
            self._show_picture(str(errand.picture), told)

    def _show_picture(self, file: str, text: str) -> None:
        """A picture as wide as there is room for, and a line below it."""
        picture, line = self._ui.addPicture, self._ui.addSeen
        pixels = qt.QPixmap(file) if file else None
        picture.setVisible(pixels is not None)
        if pixels is not None:
            picture.setPixmap(pixels.scaledToWidth(max(200, self._ui.addTitle.width), qt.Qt.SmoothTransformation))
        line.setText(plain(text))
        line.setVisible(bool(text))
