"""A model of version 2 that contradicts itself is refused with the field, and all that is wrong is said at once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from voxelwise import one_pass, voxelwise, write_package

from medinfer.errors import PackageError
from medinfer.library.package import load_package
from medinfer.manifest import Manifest
from medinfer.manifest.reading import parse_manifest

NETWORK = voxelwise([[1]], [-0.5])
Change = Callable[[dict[str, Any]], None]


def model(folder: Path) -> dict[str, Any]:
    """Three passes: an organ, what is in its box, and a copy of the organ's label."""
    two = voxelwise([[0, 1]], [-0.5])
    write_package(folder, {"organ": NETWORK, "spots": NETWORK, "copy": two}, [
        one_pass("organ", NETWORK, {"kind": "segments"}, labels=["organ"]),
        one_pass("spots", NETWORK, {"kind": "segments"}, labels=["spot"], region={"kind": "found", "of": "organ"}),
        one_pass("copy", two, {"kind": "segments"}, labels=["copy"], fed=[{"role": "labels", "of": "organ"}]),
    ], task="segment", result=[{"of": "spots", "as": "objects"}], labels=["organ", "spot", "copy"])
    data: dict[str, Any] = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    return data


def put(value: Any, *path: Any) -> Change:
    def change(manifest: dict[str, Any]) -> None:
        target: Any = manifest
        for part in path[:-1]:
            target = target[part]
        target[path[-1]] = value

    return change


def refused(folder: Path, *changes: Change) -> str:
    data = model(folder)
    for change in changes:
        change(data)
    with pytest.raises(PackageError) as error:
        parse_manifest(json.dumps(data), "model.json")
    return str(error.value)


REGION = ("prepare", "region", "of")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put(3, "schema_version"), "schema_version 3, but this MedInfer reads up to 2: update MedInfer"),
        (put(0, "schema_version"), "schema_version must be 1 or 2, not 0"),
        (put("spots", "passes", 1, *REGION), "passes.1.prepare.region.of is wrong: it is 'spots', the pass itself"),
        (put("copy", "passes", 1, *REGION),
         "passes.1.prepare.region.of is wrong: it is 'copy', a later pass"),
        (put("liver", "passes", 1, *REGION), "it is 'liver', which is not a pass; name an earlier one"),
        (put(["spot"], "passes", 1, "prepare", "region", "labels"),
         "passes.1.prepare.region.labels is wrong: it has 'spot', which the pass 'organ' does not give"),
        (put("spot", "passes", 2, "network", "inputs", 1, "of"),
         "passes.2.network.inputs.1.of is wrong: it is 'spot', which is not a pass"),
        (put(["spot"], "passes", 2, "network", "inputs", 1, "labels"),
         "passes.2.network.inputs.1.labels is wrong: it has 'spot', which the pass 'organ' does not give"),
        (put("points", "passes", 0, "gives"),
         "passes.2.network.inputs.1.of is wrong: it is 'organ', which gives points"),
        (put("nothing", "result", 0, "of"), "result.0.of is wrong: it is 'nothing', which is not a pass"),
        (put("points", "result", 0, "as"), "result.0.as is wrong: it is points, but task segment shows objects"),
        (put("nodule", "result", 0, "measure"),
         "result.0.measure is wrong: it is nodule, but objects have no box to measure in"),
        (put("detect", "task"), "result.0.as is wrong: it is objects, but task detect shows boxes"),
        (put("organ", "passes", 1, "name"), "passes.1.name is wrong: it is 'organ', the name of an earlier pass"),
        (put(["liver"], "passes", 0, "labels"),
         "passes.0.labels is wrong: it has 'liver', which is not one of the model's"),
        (put(["organ", "organ"], "passes", 0, "labels"), "passes.0.labels is wrong: it has 'organ' twice"),
        (put(4, "passes", 0, "network", "channels"),
         "passes.0.network.channels is wrong: it is 4, but 1 labels need 2"),
        (put("organ", "unnamed"), "unnamed is wrong: it is 'organ', which is one of the labels"),
        (put({"join": "patches", "patch": [4, 4, 4]}, "passes", 0, "tiling"), "patches lie around findings"),
        (put("boxes", "passes", 0, "gives"), "which gives boxes; one-hot labels need objects"),
        (put([], "passes"), "passes is wrong"),
        (put([], "result"), "result is wrong"),
    ],
)
def test_a_contradiction_is_one_sentence_that_names_the_field(tmp_path: Path, change: Change, words: str) -> None:
    assert words in refused(tmp_path, change)


def test_all_problems_are_listed_at_once(tmp_path: Path) -> None:
    """Fields that are missing, misspelt or wrong, in several passes, and what the sound ones contradict."""
    text = refused(
        tmp_path,
        lambda data: data["card"].pop("licence"), put(1, "titel"), put("LPX", "passes", 1, "prepare", "orientation"),
        put("loud", "passes", 2, "decoder", "threshold"), put(2, "passes", 0, "decoder", "threshold"),
    )
    for words in (
        "card.licence is missing", "titel is unknown", "passes.1.prepare.orientation is wrong",
        "passes.2.decoder.threshold is wrong", "passes.0.decoder.threshold is wrong",
    ):
        assert words in text
    assert "more problem" not in text


def test_contradictions_are_listed_beside_wrong_fields(tmp_path: Path) -> None:
    text = refused(
        tmp_path, put("", "title"), put("liver", "passes", 1, *REGION), put("nothing", "result", 0, "of"),
        put("x", "passes", 2, "network", "inputs", 1, "of"),
    )
    for words in ("title is wrong", "passes.1.prepare.region.of", "result.0.of", "passes.2.network.inputs.1.of"):
        assert words in text


def test_a_sound_model_survives_being_written(tmp_path: Path) -> None:
    model(tmp_path)
    manifest = load_package(tmp_path).manifest
    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest
    assert manifest.leading.name == "spots"


def test_the_example_of_the_documentation_is_sound() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "models.md").read_text(encoding="utf-8")
    (example,) = re.findall(r'(?ms)^    \{\n      "schema_version".*?^    \}\n', text)
    example = example.replace('"sha256": "…"', f'"sha256": "{"0" * 64}"')
    manifest = parse_manifest(example, "docs/models.md")
    assert [one.name for one in manifest.passes] == ["organs", "lesions"]
    assert manifest.passes[1].looks_at == "organs"
