"""Expressions in a bundle's configuration that only write down a value, or which channel wins: read, not run.

Known are literals, references, sums and other arithmetic of numbers, sums of texts and of lists, comparisons, `a if b
else c`, `len`, and entries of lists and dictionaries. Nothing else has any meaning here.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

_REFERENCE = re.compile(r"@([\w:#]+)")
_PLACE = "reference_"

Named = Callable[[str], Any]
_Sides = Callable[[Any, Any], Any]
_ARITHMETIC: Mapping[type[ast.operator], _Sides] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}
_COMPARISONS: Mapping[type[ast.cmpop], _Sides] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_FUNCTIONS: Mapping[str, Callable[[Any], Any]] = {"len": len, "list": list, "tuple": tuple, "int": int, "float": float}
# What a sum may be of, besides numbers.
_SUMMED = (str, list, tuple)


def value_of(expression: str, refer: Callable[[str], Any]) -> Any:
    """The value that an expression writes down.

    refer(place): the plain value that `@place` refers to. Raises ValueError for any other expression.
    """
    places: list[str] = []

    def named(reference: re.Match[str]) -> str:
        places.append(reference[1])
        return f"{_PLACE}{len(places) - 1}"

    try:
        tree = ast.parse(_REFERENCE.sub(named, expression), mode="eval")
        return _value(tree.body, lambda name: refer(places[int(name.removeprefix(_PLACE))]))
    except (SyntaxError, TypeError, ArithmeticError, LookupError, MemoryError, RecursionError) as error:
        raise ValueError(str(error)) from error


def _value(node: ast.expr, named: Named) -> Any:
    read = _READ.get(type(node))
    if read is None:
        raise ValueError(f"{type(node).__name__} is no value")
    return read(node, named)


def _sides(node: ast.BinOp, named: Named) -> Any:
    done = _ARITHMETIC.get(type(node.op))
    left, right = _value(node.left, named), _value(node.right, named)
    numbers = all(isinstance(side, int | float) for side in (left, right))
    summed = isinstance(node.op, ast.Add) and type(left) is type(right) and isinstance(left, _SUMMED)
    if done is None or not (numbers or summed):
        raise ValueError("only numbers, and sums of texts and lists")
    return done(left, right)


def _compared(node: ast.Compare, named: Named) -> bool:
    done = [_COMPARISONS.get(type(op)) for op in node.ops]
    sides = [_value(side, named) for side in (node.left, *node.comparators)]
    if len(done) != 1 or done[0] is None:
        raise ValueError("only one comparison")
    return bool(done[0](*sides))


def _called(node: ast.Call, named: Named) -> Any:
    function = _FUNCTIONS.get(node.func.id) if isinstance(node.func, ast.Name) else None
    if function is None or len(node.args) != 1 or node.keywords:
        raise ValueError("a call")
    return function(_value(node.args[0], named))


def _name(node: ast.Name, named: Named) -> Any:
    if not re.fullmatch(rf"{_PLACE}\d+", node.id):
        raise ValueError(f"the name {node.id}")
    return named(node.id)


def _one_sided(node: ast.UnaryOp, named: Named) -> Any:
    value = _value(node.operand, named)
    if isinstance(node.op, ast.Not):
        return not value
    if isinstance(node.op, ast.USub) and isinstance(value, int | float):
        return -value
    raise ValueError("an operator")


_READ: Mapping[type[ast.expr], Callable[[Any, Named], Any]] = {
    ast.Constant: lambda node, named: node.value,
    ast.List: lambda node, named: [_value(entry, named) for entry in node.elts],
    ast.Tuple: lambda node, named: tuple(_value(entry, named) for entry in node.elts),
    ast.Dict: lambda node, named: {
        _value(key, named): _value(value, named) for key, value in zip(node.keys, node.values, strict=True)
    },
    ast.IfExp: lambda node, named: _value(node.body if _value(node.test, named) else node.orelse, named),
    ast.Subscript: lambda node, named: _value(node.value, named)[_value(node.slice, named)],
    ast.BinOp: _sides, ast.Compare: _compared, ast.Call: _called, ast.Name: _name, ast.UnaryOp: _one_sided,
}


def channel_values(expression: str) -> dict[int, int]:
    """The value of each channel, the one that wins over all others first, from what makes one label map of channels:
    `lambda x: torch.where(x[[2]] > 0, 4, torch.where(x[[0]] > 0, 1, 0))`.

    Raises ValueError for any other expression.
    """
    try:
        tree = ast.parse(expression, mode="eval").body
    except (SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if not isinstance(tree, ast.Lambda) or len(tree.args.args) != 1:
        raise ValueError("no function of one thing")
    name, rest = tree.args.args[0].arg, tree.body
    found: dict[int, int] = {}
    while isinstance(rest, ast.Call):
        channel, value, rest = _where(rest, name)
        if channel in found:
            raise ValueError("a channel twice")
        found[channel] = value
    if not found or not isinstance(rest, ast.Constant) or rest.value != 0:
        raise ValueError("no background of 0")
    return found


def _where(call: ast.Call, name: str) -> tuple[int, int, ast.expr]:
    """The channel, its value, and what counts elsewhere, of torch.where(name[[channel]] > 0, value, elsewhere)."""
    form = ast.parse(f"torch.where({name}[[0]] > 0, 0, 0)", mode="eval").body
    assert isinstance(form, ast.Call)
    if ast.dump(call.func) != ast.dump(form.func) or len(call.args) != 3 or call.keywords:
        raise ValueError("no torch.where")
    test, value, rest = call.args
    constants = [node for node in ast.walk(test) if isinstance(node, ast.Constant)]
    numbers = sorted(constants, key=lambda constant: constant.col_offset)
    if len(numbers) != 2 or not isinstance(value, ast.Constant) or type(value.value) is not int:
        raise ValueError("no channel with a value")
    channel, numbers[0].value = numbers[0].value, 0
    if type(channel) is not int or channel < 0 or ast.dump(test) != ast.dump(form.args[0]):
        raise ValueError("no channel with a value")
    return channel, value.value, rest
