"""What reaches a terminal: one line for each sentence, and nothing that the terminal obeys."""

from __future__ import annotations

import io

import pytest

from medinfer.command.console import PlainConsole, on_one_line


def test_names_with_line_ends_and_escapes_stay_on_their_line(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    console = PlainConsole(stream)
    console.say("a\nerror: b\x1b[2J.nii.gz: 2 found")
    console.error("c\r\x9b2J", "it cannot be read.")
    assert stream.getvalue() == "a\\nerror: b\\x1b[2J.nii.gz: 2 found\n"
    assert capsys.readouterr().err == "error: c\\r\\x9b2J: it cannot be read.\n"


def test_letters_of_any_language_stay() -> None:
    assert on_one_line("山田太郎 – é ³ −1000") == "山田太郎 – é ³ −1000"
