"""What comes from files without Slicer can be translated: each such word stands in `panel/spoken.py` as a literal."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from medslicer.jobs import course
from medslicer.models.dependencies import REQUIRED
from medslicer.profiles import PROFILES

SOURCE = Path(course.__file__).parents[1] / "panel" / "spoken.py"


def literals() -> set[str]:
    """What stands inside `_()` there."""
    calls = [node for node in ast.walk(ast.parse(SOURCE.read_text())) if isinstance(node, ast.Call)]
    return {
        argument.value for call in calls if isinstance(call.func, ast.Name) and call.func.id == "_"
        for argument in call.args if isinstance(argument, ast.Constant)
    }


def words() -> list[str]:
    stages = course._WORDS.values()
    profiles = [word for profile in PROFILES.values() for word in (profile.finding, profile.findings)]
    return sorted({*stages, *profiles, *(entry.purpose for entry in REQUIRED)})


@pytest.mark.parametrize("word", words())
def test_a_translator_is_given(word: str) -> None:
    assert word in literals()
