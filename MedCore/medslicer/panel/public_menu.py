"""The menu of other people's public models: each is fetched on a click, after its conditions were shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from medinfer.library.catalogue import Download

from ..jobs.errand import Errand
from ..jobs.shelf_errand import fetch
from ..models.model_shelf import public_models
from .form import add_action, confirmed
from .message import MessageLine


class PublicMenu:
    """begin(doing, errand): starts an errand of the library."""

    def __init__(self, menu: Any, task: str, message: MessageLine, begin: Callable[[str, Errand], None]) -> None:
        self._message, self._begin = message, begin
        self._menu = menu.addMenu(_("Public models"))
        self._entries = [self._added(offer) for offer in public_models(task)]
        self._menu.setEnabled(bool(self._entries))

    def set_free(self, free: bool) -> None:
        """Whether the library can be changed now."""
        for entry in self._entries:
            entry.setEnabled(free)

    def _added(self, offer: Download) -> Any:
        title = _("{title} (cannot be fetched)") if offer.how else "{title}"
        entry = add_action(self._menu, title.format(title=offer.title), lambda: self._chosen(offer))
        entry.setToolTip(offer.purpose)
        return entry

    def _chosen(self, offer: Download) -> None:
        if offer.how:
            self._message.say(offer.how, "error")
            return
        if confirmed(_question(offer)):
            doing = _("Fetching {title}").format(title=offer.title)
            self._begin(doing, fetch(offer.id, offer.needs.split(", "), agreed=True))


def _question(offer: Download) -> str:
    """What a user must know before it is fetched."""
    lines = [offer.title, offer.purpose, "", _("From {url}").format(url=offer.url)]
    lines.append(_("Licence: {licence} ({homepage})").format(licence=offer.licence, homepage=offer.homepage))
    if offer.size:
        lines.append(_("Size: {megabytes:.0f} MB").format(megabytes=offer.size / 1e6))
    if offer.doubt:
        lines.append(offer.doubt)
    lines += ["", _("None of your data is sent. Fetch it?")]
    return "\n".join(lines)
