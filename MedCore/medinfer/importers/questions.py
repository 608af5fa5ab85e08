"""What must be said of a bare network: taken from options, asked on a terminal, or left to what is safe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from ..errors import PackageError
from .bare_fields import FIELDS, Field, Words
from .bare_network import BareNetwork

Ask = Callable[[str], str]
"""Shows a question on a terminal and returns the answer, which may be empty."""


@dataclass(frozen=True)
class Given:
    """What its user says of a network. words: by the fields' names. ask: where questions can be asked; None: nowhere.
    say: gets a line for the user. gives: what a network of labels is to give instead of objects, and of which labels;
    see `give_as`. xor_key: the file's bytes were combined with the key's, over and over; None: they were not."""

    words: Mapping[str, str]
    ask: Ask | None = None
    say: Callable[[str], None] = lambda text: None
    gives: Literal["points", "boxes"] | None = None
    only: tuple[str, ...] = ()
    xor_key: str | None = None


def answered(network: BareNetwork, given: Given) -> Words:
    """The words for all fields. Raises PackageError, in one sentence, for what is wrong or missing."""
    said: dict[str, str] = {}
    missing: list[Field] = []
    assumed: list[str] = []
    for field in FIELDS:
        words, default = given.words.get(field.name), field.default(network, said)
        if words is not None:
            field.read(words)
        elif given.ask is not None and field.asks and field.applies(network):
            words = _asked(field, field.question(network), default, given)
        elif default is not None:
            words = default
            assumed += [field.assumed.format(words=words)] if field.assumed else []
        else:
            missing.append(field)
            continue
        said[field.name] = words
    if missing:
        raise PackageError(_sentence(network, missing))
    if assumed:
        given.say(f"assumed: {', '.join(assumed)} (the options of `medinfer add` say otherwise)")
    return said


def _asked(field: Field, question: str, default: str | None, given: Given) -> str:
    """Asks until the answer can be read; an empty one is the default."""
    assert given.ask is not None
    while True:
        words = given.ask(f"{question} {f'[{default}] ' if default else ''}").strip() or default or ""
        try:
            field.read(words)
        except PackageError as error:
            given.say(str(error))
        else:
            return words


def _sentence(network: BareNetwork, missing: list[Field]) -> str:
    options = ", and ".join(f"--{field.name} {field.metavar} ({field.words})" for field in missing)
    count = f"{network.channels} channel{'s' if network.channels > 1 else ''}"
    taken = f"takes {network.images} channels, " if network.images > 1 else ""
    return f"{network.path} {taken}gives {count} and does not say what they mean; add {options}."
