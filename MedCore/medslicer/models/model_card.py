"""A model's card as simple HTML, for a QTextBrowser of any width, in a light or a dark theme."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from .model_shelf import BUNDLED, INSTALLED, TO_FETCH, ShelfModel

_FEW = 4


def card_html(model: ShelfModel, _: Callable[[str], str] = str) -> str:
    """The facts that a user needs before trusting `model`; all text is escaped, and no colour is set.

    _: translates what this function says itself.
    """
    card = model.card
    parts = [f"<h3>{_line(model.title)}</h3>"]
    if model.problem:
        parts.append(f"<p><b>{_('It cannot be used.')}</b> {_line(model.problem)}</p>")
    if model.origin == TO_FETCH:
        parts.append(f"<p>{_('Not on this computer yet: fetch it to use it.')}</p>")
    parts.append(_paragraph("", card.get("summary")))
    parts.append(_paragraph(_("Use"), card.get("intended_use")))
    parts.append(_paragraph(_("Limits"), card.get("limits")))
    parts.append(_paragraph(_("Trained on"), card.get("training_data")))
    parts.append(_figures(_("Measured"), card.get("measured"), _))
    facts = {
        _("Version"): _line(model.version),
        _("Size"): _size(model.bytes),
        _("Origin"): _line(_origin(model, _)),
        _("Labels"): _line(_short(model.labels)),
        _("Licence"): _line(card.get("licence")),
        _("Authors"): _line(card.get("authors")),
        _("Citation"): _line(card.get("citation")),
        _("Home page"): _link(card.get("homepage")),
    }
    rows = "".join(_row(f"<b>{name}</b>", value) for name, value in facts.items() if value)
    return "".join((*parts, _table(rows)))


def _figures(title: str, figures: Any, _: Callable[[str], str]) -> str:
    """Each figure a row: what was measured, and beside it how much, on what."""
    if not isinstance(figures, list):
        return ""
    rows = [
        _row(_line(figure.get("what")), f"{_line(figure.get('value'))}<br><i>{_line(figure.get('data'))}</i>")
        for figure in figures if isinstance(figure, Mapping)
    ]
    return f"<h4>{title}</h4>{_table(''.join(rows))}" if rows else ""


def _origin(model: ShelfModel, _: Callable[[str], str]) -> str:
    words = {
        BUNDLED: _("comes with MedInfer"), INSTALLED: _("installed by you"), TO_FETCH: _("can be fetched"),
    }
    return words.get(model.origin, model.origin)


def _short(labels: tuple[str, ...]) -> str:
    """A few names, or the first ones, the last and how many they are."""
    if len(labels) <= _FEW:
        return ", ".join(labels)
    return f"{', '.join(labels[: _FEW - 1])} … {labels[-1]} ({len(labels)})"


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count else ""


def _paragraph(title: str, text: Any) -> str:
    heading = f"<h4>{title}</h4>" if title else ""
    return f"{heading}<p>{_line(text)}</p>" if _line(text) else ""


def _table(rows: str) -> str:
    return f'<table width="100%" cellspacing="0" cellpadding="3">{rows}</table>' if rows else ""


def _row(name: str, value: str) -> str:
    return f'<tr><td valign="top">{name}</td><td valign="top">{value}</td></tr>'


def _line(text: Any) -> str:
    """Escaped text; "" for what is none (a card is shown as it is found, right or wrong)."""
    return escape(text.strip()) if isinstance(text, str) else ""


def _link(address: Any) -> str:
    """A link where the address is one of the web; any other stays text."""
    text = _line(address)
    return f'<a href="{text}">{text}</a>' if text.startswith(("https://", "http://")) else text
