"""model.json is validated when read, and an error names the file, the field and what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import medinfer
from medinfer.errors import PackageError
from medinfer.library.package import load_package
from medinfer.manifest import Manifest, json_schema

Make = Callable[..., Path]


def test_a_sound_package_loads_and_its_files_are_verified(blob_package: Make) -> None:
    package = load_package(blob_package())
    assert package.id == "blobs"
    ((file, path),) = package.verified_files()
    assert (file.format, path.name) == ("onnx", "network.onnx")


def test_the_published_schema_is_the_one_in_force() -> None:
    published = Path(medinfer.__file__).with_name("model.schema.json")
    assert published.read_text(encoding="utf-8") == json_schema(), "run: make schema"


def test_every_field_of_the_schema_is_documented() -> None:
    schema = json.loads(json_schema())
    definitions = {"Manifest": schema, **schema["$defs"]}
    bare = [
        f"{name}.{field}"
        for name, definition in definitions.items()
        for field, entry in definition.get("properties", {}).items()
        # A tag such as "op": "clip" says what it is by its one value.
        if "description" not in entry and "const" not in entry
    ]
    assert bare == []


def drop(*path: str) -> Callable[[dict[str, Any]], None]:
    def change(manifest: dict[str, Any]) -> None:
        *parents, last = path
        for part in parents:
            manifest = manifest[part]
        del manifest[last]

    return change


def put(value: Any, *path: Any) -> Callable[[dict[str, Any]], None]:
    def change(manifest: dict[str, Any]) -> None:
        target: Any = manifest
        *parents, last = path
        for part in parents:
            target = target[part]
        target[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (drop("card", "licence"), ["card.licence", "missing", "add it"]),
        (drop("tiling"), ["tiling", "missing"]),
        (put(1, "card", "licens"), ["card.licens", "unknown", "spelling"]),
        (put("bright", "prepare", "spacing"), ["prepare.spacing", "wrong"]),
        (put([2, 0, 2], "prepare", "spacing"), ["prepare.spacing", "greater than 0"]),
        (put("LPX", "prepare", "orientation"), ["prepare.orientation", "three letters"]),
        (put("LRS", "prepare", "orientation"), ["prepare.orientation", "three letters"]),
        (put([4, 4, 4], "tiling", "patch"), ["tiling", "leaves no voxels"]),
        (put("../evil.onnx", "network", "files", 0, "path"), ["network.files.0.path", "inside the package"]),
        (put("/etc/passwd", "network", "files", 0, "path"), ["network.files.0.path", "inside the package"]),
        (put("1234", "network", "files", 0, "sha256"), ["network.files.0.sha256"]),
        (put("medium", "decoder", "threshold"), ["the field decoder.threshold is wrong"]),
        (put(1, "decoder", "treshold"), ["the field decoder.treshold is unknown"]),
        (put("low", "prepare", "intensity", 0, "high"), ["the field prepare.intensity.0.high is wrong"]),
        (put("guess", "decoder", "kind"), ["decoder", "guess"]),
        (put(99, "schema_version"), ["schema_version 99", "update MedInfer"]),
        (put("1", "schema_version"), ["schema_version", "must be 1"]),
        (put([{"value": 7, "name": "x"}], "labels"), ["labels include a value"]),
    ],
)
def test_a_wrong_field_is_named_with_what_to_do(blob_package: Make, change: Any, words: list[str]) -> None:
    folder = blob_package(change)
    with pytest.raises(PackageError) as caught:
        load_package(folder)
    for word in ["model.json", *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize("text", ["", "not json", "[]", "{", '{"schema_version": NaN}', "[" * 100_000])
def test_what_is_no_model_json_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(PackageError, match=r"model\.json"):
        load_package(tmp_path)


def test_a_model_json_in_another_encoding_is_told_what_to_do(blob_package: Make) -> None:
    path = blob_package() / "model.json"
    path.write_text(path.read_text(), encoding="utf-16")
    with pytest.raises(PackageError, match=r"model\.json is not text in UTF-8; save it so, or copy the"):
        load_package(path.parent)


def test_a_folder_without_model_json_is_no_package(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"it has no model\.json"):
        load_package(tmp_path)


def test_weights_that_were_exchanged_are_never_opened(blob_package: Make) -> None:
    folder = blob_package()
    (folder / "network.onnx").write_bytes(b"something else")
    with pytest.raises(PackageError, match=r"is not the file that model\.json declares"):
        load_package(folder).verified_files()


def test_missing_weights_are_named(blob_package: Make) -> None:
    folder = blob_package()
    (folder / "network.onnx").unlink()
    with pytest.raises(PackageError, match=r"network\.onnx is missing"):
        load_package(folder).verified_files()


def test_a_link_out_of_the_package_is_refused(blob_package: Make, tmp_path: Path) -> None:
    folder = blob_package()
    outside = tmp_path / "outside.onnx"
    (folder / "network.onnx").rename(outside)
    (folder / "network.onnx").symlink_to(outside)
    with pytest.raises(PackageError, match="points outside its package"):
        load_package(folder).verified_files()


def test_a_manifest_is_data_and_cannot_be_changed(blob_package: Make) -> None:
    manifest = load_package(blob_package()).manifest
    with pytest.raises(ValueError, match="frozen"):
        manifest.title = "other"  # type: ignore[misc]
    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest
