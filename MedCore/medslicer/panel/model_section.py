"""The choice of the model, with its card, and changes to the library: fetch, add, remove."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from medinfer.errors import MedInferError

from ..jobs.errand import Errand
from ..jobs.shelf_errand import add, fetch, remove
from ..models.dependencies import consent_text, install
from ..models.model_card import card_html
from ..models.model_shelf import ShelfModel, shelf
from ..models.sources import is_bare_network
from ..profiles import Profile, profile_for
from .add_form import AddForm
from .errand_work import ErrandWork
from .form import add_action, confirmed, fill, plain
from .message import MessageLine
from .public_menu import PublicMenu
from .settings import Settings


class ModelSection:
    """The choice of the model and its card. on_change() is called when the library or what goes on in it changed."""

    def __init__(
        self, ui: Any, message: MessageLine, profile: Profile, settings: Settings, on_change: Callable[[], None]
    ) -> None:
        self._ui, self._message, self._profile, self._settings = ui, message, profile, settings
        self._on_change = on_change
        self._doing = ""
        self._locked = False
        self._before: set[str] = set()
        self._models: tuple[ShelfModel, ...] = ()
        self._carded: ShelfModel | None = None
        self._work = ErrandWork(self._tell_share, self._finish)
        self._then: Callable[[Errand], None] = self._changed
        self._form = AddForm(ui, profile, self._begin, self._changed)
        ui.modelSelector.connect("activated(int)", self._chosen)
        self._make_menu(ui.modelMenuButton)
        self.read_library()

    @property
    def chosen(self) -> ShelfModel | None:
        """The model that the panel shows."""
        wanted = self._settings.model or self._profile.default_model
        return next((model for model in self._models if model.id == wanted), self._models[0] if self._models else None)

    @property
    def busy(self) -> bool:
        """Whether the library is being changed."""
        return self._work.going_on

    def read_library(self) -> None:
        """Read the library again."""
        self._models = shelf(self._profile.task)

    def refresh(self) -> None:
        """Show the library, the chosen model and its card."""
        chosen = self.chosen
        fill(self._ui.modelSelector, [(_line(model), model.id) for model in self._models], chosen.id if chosen else "")
        if chosen != self._carded:
            self._carded = chosen
            self._ui.cardText.setHtml(card_html(chosen, _) if chosen else "")
            self._ui.modelSelector.setToolTip(plain(chosen.title) if chosen else "")
        self._enable()

    def lock(self, locked: bool) -> None:
        """While a model runs, the library is not to be changed: its result needs the model to the end."""
        self._locked = locked
        self._enable()

    def _enable(self) -> None:
        chosen, free = self.chosen, not self.busy and not self._locked
        self._fetch.setEnabled(free and chosen is not None and chosen.origin == "to fetch")
        self._remove.setEnabled(free and chosen is not None and chosen.origin == "installed")
        for action in (self._add_folder, self._add_file):
            action.setEnabled(free)
        self._public.set_free(free)
        self._form.set_free(free)
        self._stop.setEnabled(self.busy)

    def close(self) -> None:
        """End the running task."""
        self._work.close()

    def _make_menu(self, button: Any) -> None:
        self._menu = qt.QMenu(button)
        self._fetch = add_action(self._menu, _("Fetch this model"), self._fetch_model)
        self._public = PublicMenu(self._menu, self._profile.task, self._message, self._begin)
        self._stop = add_action(self._menu, _("Stop this"), self._work.cancel)
        self._menu.addSeparator()
        self._add_folder = add_action(self._menu, _("Add from a folder…"), self._add_from_folder)
        self._add_file = add_action(self._menu, _("Add from a file…"), self._add_from_file)
        self._menu.addSeparator()
        self._remove = add_action(self._menu, _("Delete this model from the disk"), self._remove_model)
        button.setMenu(self._menu)

    def _chosen(self, index: int) -> None:
        self._message.clear()
        self._settings.model = self._ui.modelSelector.itemData(index)

    def _fetch_model(self) -> None:
        model = self.chosen
        if model is None:
            return
        question = _("Fetch {title} ({size:.1f} MB) from its public source? None of your data is sent.").format(
            title=model.title, size=model.bytes / 1e6
        )
        if confirmed(question):
            self._begin(_("Fetching {title}").format(title=model.title), fetch(model.id, model.needs))

    def _add_from_folder(self) -> None:
        what = _("Folder of a model, of nnU-Net's results, or of a MONAI bundle")
        path = qt.QFileDialog.getExistingDirectory(self._ui.modelMenuButton, what)
        if path:
            self._add_from(path)

    def _add_from_file(self) -> None:
        kinds = _("Models and networks (*.zip *.onnx *.pt *.ts *.h5);;All files (*)")
        path = qt.QFileDialog.getOpenFileName(self._ui.modelMenuButton, _("Model or network"), "", kinds)
        if path:
            self._add_from(path)

    def _add_from(self, path: str) -> None:
        """At once, or after asking what a network does not tell."""
        if is_bare_network(path):
            self._form.ask(path)
        else:
            self._begin(_("Adding the model"), add(path, for_task=self._profile.task))

    def _remove_model(self) -> None:
        model = self.chosen
        if model is None:
            return
        question = _("Delete {title} from the disk ({size:.1f} MB)?").format(title=model.title, size=model.bytes / 1e6)
        if confirmed(question):
            self._begin(_("Deleting {title}").format(title=model.title), remove(model.id))

    def _begin(self, doing: str, errand: Errand, then: Callable[[Errand], None] | None = None) -> None:
        """Start an errand, after asking for what it needs to be installed. then(errand): after its success; None: it
        changed the library."""
        try:
            needs = errand.missing()
            if needs and not confirmed(consent_text(needs, _)):
                return
            install(needs)
            if self.busy or self._locked:
                # While packages were installed the window was live.
                self._message.say(_("The model library is in use; try again later."), "error")
                return
            self._work.begin(errand)
        except MedInferError as error:
            self._message.say(str(error), "error")
            return
        self._doing, self._then = doing, then or self._changed
        self._before = {model.id for model in self._models if model.folder is not None}
        self._tell_share(errand)
        self._on_change()

    def _tell_share(self, errand: Errand) -> None:
        share = errand.share
        self._ui.progressBar.setVisible(True)
        # Without a maximum it shows that something goes on, and not how far.
        self._ui.progressBar.setMaximum(0 if share is None else 1000)
        self._ui.progressBar.setValue(round(1000 * (share or 0)))
        self._message.say(f"{self._doing}…")

    def _finish(self, errand: Errand) -> None:
        """Go on with what it brought, or say what went wrong."""
        self._ui.progressBar.setMaximum(1000)
        self._ui.progressBar.setVisible(False)
        for line in (*errand.said, *filter(None, [errand.problem])):
            self._ui.logText.appendPlainText(line)
        if errand.cancelled:
            self._message.say(_(errand.stopped))
        elif errand.problem:
            self._message.say(errand.problem, "error")
        else:
            self._message.clear()
            self._then(errand)
        self._on_change()

    def _changed(self, errand: Errand) -> None:
        """Show the library as it is now, with what was added chosen."""
        self.read_library()
        added, task = errand.added
        if task and task != self._profile.task:
            where = _("{model} is installed. It is for {module}: choose it there.")
            self._message.say(where.format(model=added, module=profile_for(task).module), "done")
            return
        self._message.say(errand.said[-1] if errand.said else _("Done."), "done")
        fresh = [model.id for model in self._models if model.folder is not None and model.id not in self._before]
        if added or fresh:
            self._settings.model = added or fresh[0]


def _line(model: ShelfModel) -> str:
    """A model in the list: what it is called, and what hinders it."""
    if model.problem:
        return str(_("{title} – broken").format(title=model.title or model.id))
    if model.folder is None:
        size = max(1, model.bytes / 1e6)
        return str(_("{title} – to fetch, {size:.0f} MB").format(title=model.title, size=size))
    return str(model.title)
