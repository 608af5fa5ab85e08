"""A model's card as HTML: all that a user must know, nothing that could be taken for markup, no colours."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from medinfer.library.places import DEFAULT_MODELS
from medslicer.models.model_card import card_html
from medslicer.models.model_shelf import ShelfModel, shelf


class Reader(HTMLParser):
    """Reads what QTextBrowser would show, and checks that every element is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.links, self._open = "", [], []
        self.feed(html)
        assert not self._open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.links += [value for name, value in attributes if name == "href"]
        if tag != "br":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("task", DEFAULT_MODELS)
def test_a_bundled_card_says_everything(task: str) -> None:
    model = shelf(task)[0]
    text = Reader(card_html(model)).text
    card = model.card
    for field in ("summary", "intended_use", "limits", "training_data", "licence", "authors", "citation"):
        assert card[field] in text
    for figure in card["measured"]:
        assert figure["what"] in text
        assert figure["value"] in text
        assert figure["data"] in text
    assert f"{model.bytes / 1e6:.1f} MB" in text
    assert model.version in text
    assert "comes with MedInfer" in text


def test_everything_is_escaped() -> None:
    bad = "<b onclick='x'>&\"</b>"
    figure = {"what": bad, "value": bad, "data": bad}
    card = {
        **dict.fromkeys(("summary", "intended_use", "limits", "training_data", "licence", "authors", "citation"), bad),
        "measured": [figure], "homepage": f"https://x/{bad}",
    }
    model = ShelfModel(
        bad, "installed", bad, version=bad, problem=bad, card=card, labels=(bad,) * 7, names=(bad,), bytes=1
    )
    assert "onclick='x'" not in card_html(model)
    # Title, problem, version; seven fields of the card; one figure; the first three and the last label; home page.
    assert Reader(card_html(model)).text.count(bad) == 3 + 7 + 3 + 4 + 1


def test_only_addresses_of_the_web_become_links() -> None:
    def links(homepage: object) -> list[str | None]:
        return Reader(card_html(ShelfModel("x", "installed", "X", card={"homepage": homepage}))).links

    assert links("https://example.org/a?b=1&c=2") == ["https://example.org/a?b=1&c=2"]
    for homepage in ("javascript:alert(1)", "file:///etc/passwd", "", None, 3, ["https://example.org"]):
        assert links(homepage) == []


def test_no_colour_is_fixed_so_that_it_can_be_read_in_a_dark_theme() -> None:
    for model in shelf("detect"):
        assert not re.search(r"color|style|#[0-9a-fA-F]{3}", card_html(model))


def test_a_broken_or_odd_card_is_still_shown() -> None:
    for card in ({}, {"measured": 3}, {"measured": [1, {}, {"what": None}]}, {"summary": ["x"]}):
        assert "Odd" in Reader(card_html(ShelfModel("x", "installed", "Odd", card=card))).text
    broken = Reader(card_html(ShelfModel("x", "installed", "Odd", problem="It is damaged."))).text
    assert "It cannot be used. It is damaged." in broken


def test_a_download_says_that_it_is_not_here_yet() -> None:
    model = next(model for model in shelf("detect") if model.origin == "to fetch")
    text = Reader(card_html(model)).text
    assert "fetch it" in text
    assert "2.3 MB" in text
    assert Reader(card_html(model)).links == [model.card["homepage"]]


def test_what_it_says_itself_is_translated_and_what_the_card_says_is_not() -> None:
    model = replace(shelf("segment")[0], problem="")
    html = card_html(model, lambda text: f"[{text}]")
    assert "[Limits]" in html
    assert "[Not for clinical use" not in html
