"""The rooms of the three packages: imports run one way between them, and every file has its place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
HOMES = {"medinfer": "MedCore/medinfer", "medslicer": "MedCore/medslicer", "medtrain": "Training/medtrain"}

# From the ground up: a room imports rooms below it, and files of its own. What stands in one entry are files of the
# root that know nothing of each other's rooms.
ORDER = {
    "medinfer": (
        "version", "spelling", "errors", "arrays", "png", "volume", "label_map", "findings", "orientation",
        "living_lock", "atomic_files", "manifest", "scans", "anatomy", "preparation", "tiles", "backends", "decoders",
        "library", "inference", "importers", "scoring", "command", "__init__", "__main__",
    ),
    "medslicer": (
        "__init__", "address", "quiet", "profiles", "headless", "sample_scans", "nodes", "views", "models", "results",
        "jobs", "pictures", "export", "panel", "slicer_batch", "scripted_module",
    ),
    "medtrain": (
        "__init__", "phantoms", "augmentation", "targets", "datasets", "losses", "networks", "metrics", "training",
        "evaluation", "export", "__main__",
    ),
}
# Which package may import which; medtrain and medslicer never meet.
PACKAGES = {"medinfer": {"medinfer"}, "medslicer": {"medinfer", "medslicer"}, "medtrain": {"medinfer", "medtrain"}}
EMPTY_NAMES = ("util", "utils", "helper", "helpers", "common", "manager", "misc")
LONGEST = 350


@cache
def modules() -> dict[str, Path]:
    """Every module by its dotted name."""
    found = {}
    for package, home in HOMES.items():
        folder = REPOSITORY / home
        for path in folder.rglob("*.py"):
            parts = [package, *path.relative_to(folder).with_suffix("").parts]
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(name: str) -> Iterator[str]:
    """The modules of ours that a module imports, at file scope or inside functions."""
    path = modules()[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules())
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                inside = f"{source}.{alias.name}"
                if inside in modules() or source in modules():
                    yield inside if inside in modules() else source


def room_of(name: str) -> str:
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


@pytest.mark.parametrize("package", HOMES)
def test_imports_run_one_way_between_rooms(package: str) -> None:
    order = ORDER[package]
    wrong = [
        f"{name} imports {other}"
        for name in modules() if name.split(".")[0] == package
        for other in imports_of(name) if other.split(".")[0] == package and room_of(other) != room_of(name)
        if order.index(room_of(other)) > order.index(room_of(name))
    ]
    assert wrong == []


def test_packages_import_only_what_they_may() -> None:
    wrong = [
        f"{name} imports {other}" for name in modules() for other in imports_of(name)
        if other.split(".")[0] not in PACKAGES[name.split(".")[0]]
    ]
    assert wrong == []


def test_no_file_imports_itself_by_a_detour() -> None:
    graph = {name: sorted(set(imports_of(name)) - {name}) for name in modules()}
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, f"a circle: {' -> '.join((*way[way.index(name):], name))}"
        if name not in done:
            for other in graph[name]:
                # A package's __init__ gathers what its files define: no circle, as long as they don't ask it back.
                if not name.startswith(f"{other}."):
                    visit(other, (*way, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_the_order_names_every_room_and_no_other() -> None:
    for package, home in HOMES.items():
        there = {room_of(name) for name in modules() if name.split(".")[0] == package and name != package}
        assert there == set(ORDER[package]) - {"__init__"}, home


def test_files_are_short_and_their_names_say_something() -> None:
    for name, path in modules().items():
        assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST, f"{name} is too long"
        assert not set(path.stem.split("_")) & set(EMPTY_NAMES), f"{name} says nothing"


def test_tests_lie_in_folders_named_as_the_rooms_they_test() -> None:
    for package in HOMES:
        folder = REPOSITORY / "Testing" / package
        rooms = {path.name for path in folder.iterdir() if path.is_dir() and path.name != "__pycache__"}
        assert rooms <= set(ORDER[package]), package


def test_every_folder_of_code_is_installed() -> None:
    """setuptools takes the packages that pyproject.toml lists, and no others."""
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    packages = {name for name, path in modules().items() if path.name == "__init__.py"}
    missing = [name for name in sorted(packages) if f'"{name}"' not in text]
    assert missing == []
