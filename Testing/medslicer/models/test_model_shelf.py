"""The models of a task from plain JSON: shown as the engine reads them, and nothing spoils the list."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medinfer.command.label_names import schemes
from medinfer.library.library import entries
from medinfer.library.package import load_package
from medinfer.library.places import DEFAULT_MODELS, bundled_folder
from medinfer.manifest import SCHEMA_VERSION, decoding
from medslicer.models import model_shelf
from medslicer.models.model_shelf import ShelfModel, model_in, shelf

Make = Callable[..., Path]

# What the panel needs before anything is installed, and what it must not load before Run.
LIGHT = (
    "models.model_shelf", "models.model_card", "models.dependencies", "jobs.shelf_errand", "jobs.child", "jobs.job",
    "jobs.job_queue", "results.result", "profiles",
)
HEAVY = ("onnxruntime", "openvino", "torch", "scipy", "pydantic", "SimpleITK", "pydicom", "cc3d", "rich")


def by_id(task: str) -> dict[str, ShelfModel]:
    return {model.id: model for model in shelf(task)}


def put(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "model.json").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("task", DEFAULT_MODELS)
def test_the_default_model_stands_first_and_is_as_the_engine_reads_it(task: str) -> None:
    model = shelf(task)[0]
    manifest = load_package(bundled_folder() / DEFAULT_MODELS[task]).manifest
    assert (model.id, model.origin, model.problem) == (manifest.id, "bundled", "")
    assert (model.title, model.version, model.task) == (manifest.title, manifest.version, task)
    assert model.threshold == manifest.leading.decoder.threshold
    assert model.join == manifest.leading.tiling.join
    assert model.labels == tuple(label.name for label in manifest.labels)
    assert list(model.names) == schemes(manifest)
    assert model.card["limits"] == manifest.card.limits
    assert not model.needs_torch
    named = {file.path for one in manifest.passes for file in one.network.files}
    assert model.bytes == sum((model.folder / path).stat().st_size for path in named)


def test_the_shelves_together_hold_what_the_library_lists(blob_package: Make, own_library: Path) -> None:
    blob_package().rename(own_library / "blobs")
    put(own_library / "broken", "{")
    listed = {(entry.id, entry.origin, bool(entry.problem)) for entry in entries()}
    shown = {(model.id, model.origin, bool(model.problem)) for task in DEFAULT_MODELS for model in shelf(task)}
    assert shown == listed


def test_bundled_models_come_before_installed_ones_and_these_before_broken_ones_and_downloads(
    blob_package: Make, own_library: Path
) -> None:
    blob_package().rename(own_library / "blobs")
    put(own_library / "a-broken-one", "{")
    assert [model.id for model in shelf("detect")] == ["chest-nodules", "blobs", "a-broken-one", "nodule-slab-2mm"]


def test_an_installed_model_stands_in_for_the_bundled_one_of_its_id(blob_package: Make, own_library: Path) -> None:
    blob_package(lambda manifest: manifest.update(id="chest-nodules")).rename(own_library / "chest-nodules")
    first = shelf("detect")[0]
    assert (first.id, first.origin, first.title) == ("chest-nodules", "installed", "Bright blobs")


def test_a_download_says_its_size_and_what_it_needs_to_become_a_model() -> None:
    model = by_id("detect")["nodule-slab-2mm"]
    assert (model.origin, model.folder, model.bytes, model.needs) == ("to fetch", None, 2313040, ("h5py", "onnx"))
    assert "nodule-slab-2mm" not in by_id("segment")


def test_what_is_broken_is_told_in_one_sentence(blob_package: Make, own_library: Path) -> None:
    def spoiled(name: str, change: Callable[[dict[str, Any]], Any]) -> None:
        blob_package(lambda manifest: change(manifest) and None, name).rename(own_library / name)

    spoiled("newer", lambda manifest: manifest.update(schema_version=99))
    spoiled("no-card", lambda manifest: manifest.pop("card"))
    spoiled("sure", lambda manifest: manifest["decoder"].update(threshold=float("nan")))
    spoiled("elsewhere", lambda manifest: manifest["network"]["files"][0].update(path="gone.onnx"))
    found = by_id("detect")
    assert "update MedInfer" in found["newer"].problem
    assert "the field card is missing" in found["no-card"].problem
    assert "decoder.threshold must be a number between 0 and 1" in found["sure"].problem
    assert "gone.onnx is missing" in found["elsewhere"].problem
    assert found["elsewhere"].title == "Bright blobs"
    for name in ("newer", "no-card", "sure", "elsewhere"):
        assert str(own_library / name) in found[name].problem
        assert found[name].problem.endswith(".")


@pytest.mark.parametrize("text", [
    "", "[]", "null", "[" * 100_000, '"' + "x" * 10, "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    '{"schema_version": 1, "task": ["detect"]}', '{"schema_version": ' + "9" * 5000 + "}",
    '{"schema_version": 1, "task": "detect", "title": "\\ud800"}', " " * (5 << 20),
])
def test_no_text_of_a_model_json_raises(text: str, own_library: Path) -> None:
    put(own_library / "odd", text)
    (odd,) = (model for model in shelf("detect") if model.id == "odd")
    assert odd.problem
    assert odd.title.encode()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=6,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_field_of_any_type_anywhere_gives_a_model_or_a_problem(
    data: st.DataObject, blob_package: Make, tmp_path: Path
) -> None:
    folder = blob_package()
    manifest = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    place: Any = manifest
    while True:
        key = data.draw(st.sampled_from(sorted(place))) if isinstance(place, dict) else 0
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(_JSON)
    (folder / "model.json").write_text(json.dumps(manifest), encoding="utf-8")
    model = model_in(folder)
    assert model is not None
    assert model.problem or model.title
    blob_package()


def test_a_folder_named_by_the_user_is_read_and_any_other_name_is_none(blob_package: Make, tmp_path: Path) -> None:
    folder = blob_package()
    assert model_in(folder).id == model_in(folder / "model.json").id == model_in(str(folder)).id == "blobs"
    for name in ("chest-nodules", "", "\0", "x" * 5000, tmp_path):
        assert model_in(name) is None


def test_a_network_that_only_torch_reads_is_known_as_such(blob_package: Make) -> None:
    folder = blob_package(lambda manifest: manifest["network"]["files"][0].update(format="torchscript"))
    assert model_in(folder).needs_torch


def test_a_catalogue_that_is_none_leaves_the_other_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_size = (bundled_folder() / "catalogue.json").read_text().replace("2313040", '"x"')
    for text in ("{", "[1]", '[{"id": []}]', no_size):
        (tmp_path / "catalogue.json").write_text(text)
        monkeypatch.setenv("MEDINFER_CATALOGUE", str(tmp_path / "catalogue.json"))
        assert [model.id for model in shelf("detect")] == ["chest-nodules"]


def test_missing_bundled_models_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def gone() -> Path:
        return load_package(tmp_path).folder

    monkeypatch.setattr(model_shelf, "bundled_folder", gone)
    (only,) = shelf("segment")
    assert "is not a model package" in only.problem


def test_thresholds_that_are_left_out_are_those_of_the_schema() -> None:
    for decoder in vars(decoding).values():
        if isinstance(decoder, type) and "threshold" in getattr(decoder, "model_fields", {}):
            (kind,) = decoder.model_fields["kind"].annotation.__args__
            assert model_shelf._threshold({"kind": kind}) == decoder.model_fields["threshold"].default
    assert model_shelf.SCHEMA_VERSION == SCHEMA_VERSION


def test_the_panels_parts_are_imported_without_anything_heavy() -> None:
    here = Path(model_shelf.__file__).parents[1]
    names = [f"medslicer.{name}" for name in LIGHT]
    script = f"""
import importlib, sys
for name in {names}: importlib.import_module(name)
from medslicer.models.model_shelf import shelf
from medslicer.models.model_card import card_html
from medslicer.models.dependencies import missing
for task in ("detect", "landmark", "segment"):
    for model in shelf(task): card_html(model); missing(model)
print(*[name for name in {HEAVY} if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=here.parent, capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.returncode) == ("", 0), done.stderr
