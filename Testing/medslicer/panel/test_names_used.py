"""Every name that the modules use from Slicer, Qt and CTK is in a list that a reader can check against their documents.

    python Testing/medslicer/panel/test_names_used.py         writes names_used.txt anew
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

REPOSITORY = Path(__file__).resolve().parents[3]
LIST = Path(__file__).with_name("names_used.txt")
ROOTS = ("slicer", "qt", "ctk")
HEADER = """\
# What the modules use from Slicer, Qt and CTK, so that a reader can check each name against their documentation:
# names of the Python modules slicer, qt and ctk; signals by the signature that connect() is given; and what is read,
# set or called of the widgets in the .ui files, by the widget's class. "()" stands for a call.
# test_names_used.py compares this list with the source; it is written anew by
#     python Testing/medslicer/panel/test_names_used.py
"""


def sources() -> list[Path]:
    modules = [path for path in REPOSITORY.glob("Med*/Med*.py") if path.stem == path.parent.name]
    return sorted([*modules, *(REPOSITORY / "MedCore" / "medslicer").rglob("*.py")])


def widget_classes() -> dict[str, str]:
    """Object name -> class, of all widgets in the forms."""
    forms = [*REPOSITORY.glob("Med*/Resources/UI/*.ui")]
    return {
        widget.get("name", ""): widget.get("class", "")
        for form in forms for widget in ElementTree.parse(form).iter("widget")
    }


def dotted(node: ast.AST) -> list[str]:
    """`slicer.app.layoutManager().sliceWidget` as its parts; [] for what does not begin with a plain name."""
    match node:
        case ast.Name(id=name):
            return [name]
        case ast.Attribute(value=value, attr=name):
            before = dotted(value)
            return [*before, name] if before else []
        case ast.Call(func=function):
            before = dotted(function)
            return [*before[:-1], f"{before[-1]}()"] if before else []
    return []


def plain(chain: list[str]) -> list[str]:
    """The chain up to where it gives text or an array: what follows is Python's."""
    for place, name in enumerate(chain):
        if name.endswith(("FileName()", "Directory()", "AsString()")) or name.startswith("arrayFrom"):
            return [*chain[:place], name.removesuffix("()")]
    return chain


def aliases_in(tree: ast.AST) -> dict[str, list[str]]:
    """`self._timer = qt.QTimer()`: what a variable of this file stands for, as far as it says so."""
    found: dict[str, list[str]] = {}
    for node in ast.walk(tree):
        pairs: list[tuple[ast.AST, ast.AST]] = []
        match node:
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                pairs = list(zip(targets, values, strict=True))
            case ast.Assign(targets=targets, value=value):
                pairs = [(target, value) for target in targets]
        for target, value in pairs:
            chain = dotted(value)
            if chain and chain[0] in ROOTS and dotted(target):
                found[".".join(dotted(target))] = chain
    return found


def names_in(tree: ast.AST, widgets: dict[str, str]) -> Iterator[str]:
    aliases = aliases_in(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Attribute():
                yield from _names_of_chain(dotted(node), widgets, aliases)
            case ast.ImportFrom(module=str(module), names=names, level=0) if module.partition(".")[0] in ROOTS:
                yield from (f"{module}.{name.name}" for name in names)
            case ast.Import(names=names):
                yield from (name.name for name in names if name.name.partition(".")[0] in ROOTS)
            case ast.Call(func=ast.Attribute(attr="connect" | "disconnect"), args=[ast.Constant(str(signal)), *_]):
                yield f"signal {signal}"


def _names_of_chain(chain: list[str], widgets: dict[str, str], aliases: dict[str, list[str]]) -> Iterator[str]:
    for length in range(1, len(chain)):
        known = aliases.get(".".join(chain[:length]))
        if known and chain[0] not in ROOTS:
            yield ".".join(plain([*known, *chain[length:]]))
    if chain and chain[0] in ROOTS:
        yield ".".join(plain(chain))
    for before, name in pairwise(chain):
        # `ui.runButton.setEnabled`: what is before it is a widget of a form.
        if before in widgets and chain[0] in ("ui", "self", "own", "run_ui", "results_ui"):
            yield f"{widgets[before]}.{name.removesuffix('()')}"


def names_used() -> list[str]:
    widgets = widget_classes()
    found = {name for path in sources() for name in names_in(ast.parse(path.read_text(encoding="utf-8")), widgets)}
    # Of a chain its whole length is enough.
    return sorted(name for name in found if not any(f"{name}{end}" in other for other in found for end in (".", "().")))


def test_the_list_of_names_is_as_the_source() -> None:
    listed = [line for line in LIST.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    used = names_used()
    new, gone = sorted(set(used) - set(listed)), sorted(set(listed) - set(used))
    assert not new, f"not in {LIST.name} (look each up in Slicer's documentation, then write the list anew): {new}"
    assert not gone, f"no longer used; write {LIST.name} anew: {gone}"
    assert listed == used


def test_the_reader_of_names_misses_none() -> None:
    code = (
        "import qt\nfrom slicer.util import VTKObservationMixin\n"
        "slicer.app.layoutManager().sliceWidget('Red').show()\nself._ui.runButton.setEnabled(qt.Qt.Checked)\n"
        "ui.runButton.connect('clicked(bool)', f)\nctk.ctkSliderWidget()\nother.slicer.no\n"
        "self._timer = qt.QTimer()\nself._timer.setInterval(9)\nscene = slicer.mrmlScene\nscene.EndCloseEvent"
    )
    assert set(names_in(ast.parse(code), {"runButton": "QPushButton"})) >= {
        "qt", "slicer.util.VTKObservationMixin", "slicer.app.layoutManager().sliceWidget().show", "qt.Qt.Checked",
        "QPushButton.setEnabled", "QPushButton.connect", "qt.QTimer().setInterval", "slicer.mrmlScene.EndCloseEvent",
        "signal clicked(bool)", "ctk.ctkSliderWidget",
    }
    assert not any("other" in name for name in names_in(ast.parse(code), {}))


if __name__ == "__main__":
    LIST.write_text(HEADER + "".join(f"{name}\n" for name in names_used()), encoding="utf-8")
