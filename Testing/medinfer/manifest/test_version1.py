"""Version 1 of `model.json` is read, to the same passes as the bundled packages have in version 2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from medinfer.library.package import load_package
from medinfer.library.places import bundled_folder

# As the packages were until passes had names; beside this folder's tests they serve as real files of version 1.
VERSION_1 = Path(__file__).resolve().parents[2] / "version1"
NAMES = {
    "chest-nodules": {"main": "nodules"},
    "vertebrae": {"coarse": "coarse", "main": "fine"},
    "teeth": {"coarse": "centroids", "main": "instances", "naming": "naming", "besides 1": "canal"},
}


def renamed(value: Any, names: dict[str, str]) -> Any:
    """A dumped manifest with the passes under other names, wherever they are named."""
    if isinstance(value, list | tuple):
        return [renamed(entry, names) for entry in value]
    if not isinstance(value, dict):
        return value
    changed = {key: renamed(entry, names) for key, entry in value.items()}
    if isinstance(value.get("of"), str):
        changed["of"] = names[value["of"]]
    if "prepare" in value:
        changed["name"] = names[value["name"]]
    return changed


@pytest.mark.parametrize("model", NAMES)
def test_a_bundled_package_of_version_1_has_the_same_passes(model: str) -> None:
    old = load_package(VERSION_1 / model).manifest.model_dump(mode="json", exclude={"card"})
    new = load_package(bundled_folder() / model).manifest.model_dump(mode="json", exclude={"card"})
    for one in (*old["passes"], *new["passes"]):
        # All labels, said by their names or not at all.
        one["labels"] = [label["name"] for label in old["labels"]] if one["labels"] is None else one["labels"]
    for entry in (*old["result"], *new["result"]):
        # Boxes are measured since version 2.
        del entry["measure"]
    assert renamed(old, NAMES[model]) == renamed(new, {name: name for name in NAMES[model].values()})
