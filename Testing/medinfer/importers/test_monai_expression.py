"""Expressions of bundles that write down values: read without Python running anything."""

from __future__ import annotations

from typing import Any

import pytest

from medinfer.importers.monai_expression import channel_values, value_of

PLACES: dict[str, Any] = {"size": [96, 96, 64], "high": True, "a::b": {"c": 3}, "name": "liver"}
# As it stands in the bundle of BraTS.
BRATS = "lambda x: torch.where(x[[2]] > 0, 4, torch.where(x[[0]] > 0, 1, torch.where(x[[1]] > 0, 2, 0)))"


@pytest.mark.parametrize(("expression", "value"), [
    ("3", 3), ("-1.5", -1.5), ("'a'", "a"), ("[1, (2, None)]", [1, (2, None)]), ("{'a': 1}", {"a": 1}),
    ("[1.5, 1.5, 1.5] if @high else [3.0, 3.0, 3.0]", [1.5, 1.5, 1.5]), ("not @high", False),
    ("len(@size)", 3), ("@a::b['c'] * 2 + 1", 7), ("@name + '.pt'", "liver.pt"), ("[0] + @size", [0, 96, 96, 64]),
    ("@size[0] // 2 - 8 / 4", 46), ("list(@size)", [96, 96, 64]), ("1 if len(@size) == 3 else 2", 1),
])
def test_what_writes_down_a_value_is_read(expression: str, value: Any) -> None:
    assert value_of(expression, PLACES.__getitem__) == value


@pytest.mark.parametrize("expression", [
    "__import__('os').system('true')", "os.system('true')", "open('a')", "(lambda: 1)()", "@name.__class__", "x",
    "[n for n in @size]", "'a' * 10**9", "9**9**9", "[1] * 10", "1 / 0", "@size[9]", "len(3)", "f'{1}'", "1 +",
    "print(1)", "len(@size, 1)", "~1", "1 < 2 < 3", "@nowhere",
])
def test_anything_else_is_no_value(expression: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        value_of(expression, PLACES.__getitem__)


def test_the_channels_of_one_label_map_have_their_values_in_the_order_in_which_they_win() -> None:
    assert list(channel_values(BRATS).items()) == [(2, 4), (0, 1), (1, 2)]


@pytest.mark.parametrize("expression", [
    "lambda x: x", "lambda x: torch.where(x[[0]] > 0, 1, 2)", "lambda x: torch.where(x[[0]] > 1, 1, 0)",
    "lambda x: torch.where(x[[0]] < 0, 1, 0)", "lambda x: torch.where(y[[0]] > 0, 1, 0)",
    "lambda x: torch.where(x[[0]] > 0, 1, torch.where(x[[0]] > 0, 2, 0))", "lambda x: os.system(x)", "1", "lambda",
    "lambda x: torch.where(x[[0]] > 0, print(1), 0)", "lambda x, y: torch.where(x[[0]] > 0, 1, 0)",
])
def test_any_other_function_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        channel_values(expression)
