"""`medinfer check`: every problem of a package at once, and a dry run on a scan."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from two_balls import draw_balls

from medinfer.command.cli import OK, REFUSED, SCAN_FAILED, main
from medinfer.importers.adding import add
from medinfer.importers.questions import Given
from medinfer.library.places import user_folder
from medinfer.manifest import Prepare
from medinfer.preparation.prepare import prepare
from medinfer.scans.writing import write_volume

Make = Callable[..., Path]
WORDS = {
    "labels": "liver,spleen", "modality": "MR", "spacing": "2", "orientation": "RAS", "axes": "xyz",
    "intensity": "clip -1000 1000 to -1..1", "id": "balls",
}


@pytest.fixture
def balls(default_export: Path) -> Path:
    """An installed package, in its folder."""
    return add(default_export, given=Given(WORDS)).folder


def edit(package: Path, change: Callable[[dict[str, Any]], None]) -> None:
    manifest = json.loads((package / "model.json").read_text(encoding="utf-8"))
    change(manifest)
    (package / "model.json").write_text(json.dumps(manifest))


def problems_of(model: object, capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert main(["check", str(model), "--json"]) == SCAN_FAILED
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [event["text"] for event in events if event["event"] == "problem"]


@pytest.mark.parametrize("how", ["id", "folder", "zip"])
def test_a_sound_package_is_in_order(
    balls: Path, how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = {"id": "balls", "folder": str(balls), "zip": str(tmp_path / "balls.zip")}[how]
    if how == "zip":
        shutil.make_archive(str(tmp_path / "balls"), "zip", balls.parent, balls.name)
    assert main(["check", model]) == OK
    assert capsys.readouterr().out == (
        "balls 1.0.0 is in order: its files are the declared ones, and its networks run\n"
    )


def test_packages_of_several_passes_are_in_order(
    peas_package: Make, blob_package: Make, dots_package: Make
) -> None:
    assert [main(["check", str(make())]) for make in (peas_package, blob_package, dots_package)] == [OK] * 3


def test_every_problem_is_said_in_a_sentence_of_its_own(balls: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def spoil(manifest: dict[str, Any]) -> None:
        del manifest["card"]["licence"]
        manifest["titel"] = "Two balls"
        manifest["passes"][0]["prepare"]["orientation"] = "RAX"
        manifest["passes"][0]["network"]["files"].append({"path": "gone.onnx", "format": "onnx", "sha256": "0" * 64})

    edit(balls, spoil)
    (balls / "model.onnx.data").write_bytes(b"other")
    found = problems_of("balls", capsys)
    for words in ("card.licence is missing", "titel is unknown", "prepare.orientation is wrong",
                  "gone.onnx is missing", "model.onnx.data is not the file that model.json declares"):
        assert len([problem for problem in found if words in problem]) == 1
    assert len(found) == 5, found
    assert all(problem.startswith(str(balls)) and problem.endswith(".") for problem in found)


def put(value: Any, *path: Any) -> Callable[[dict[str, Any]], None]:
    def change(manifest: dict[str, Any]) -> None:
        target: Any = manifest["passes"][0]
        for part in path[:-1]:
            target = target[part]
        target[path[-1]] = value

    return change


@pytest.mark.parametrize(("change", "words"), [
    (put([48, 48, 48], "tiling", "patch"), "takes 1×1×32×32×32 for its input"),
    (put("scores", "network", "output"), "has the outputs “conv3d_2”, but model.json declares “scores”"),
    (put("none", "decoder", "activation"), "with decoder.activation = none they must be probabilities"),
    (put(2, "tiling", "stride"), "correct the tiling"),
    (put("channels_last", "network", "layout"), "correct network.channels or network.layout"),
])
def test_what_only_a_run_shows_is_found(
    balls: Path, change: Callable[[dict[str, Any]], None], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(balls, change)
    (problem,) = problems_of("balls", capsys)
    assert words in problem


def test_what_is_no_model_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "nothing"]) == REFUSED
    assert "There is no model 'nothing'" in capsys.readouterr().err
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04")
    assert main(["check", str(tmp_path / "broken.zip")]) == REFUSED
    assert "is not a complete .zip archive" in capsys.readouterr().err


def test_a_dry_run_shows_what_the_network_sees_and_says_what_it_answers(
    balls: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = pytest.importorskip("matplotlib.image")
    scan = draw_balls()
    write_volume(scan, tmp_path / "scan.nii.gz")
    picture = tmp_path / "seen.png"
    assert main(["check", "balls", "--scan", str(tmp_path / "scan.nii.gz"), "--picture", str(picture)]) == OK
    said = capsys.readouterr().out
    seen = prepare(scan, Prepare.model_validate(
        {"modality": ["MR"], "orientation": "RAS", "spacing": [2, 2, 2]}
    )).voxels.transpose(2, 1, 0)
    size = " × ".join(map(str, seen.shape))
    assert f"network sees {size} voxels of 2 × 2 × 2 mm (x, y, z), values -1 to 1, median 0" in said
    assert "  liver: 2" in said
    assert " ml, confidence 0.9" in said
    # The first slice: across the network's first axis, enlarged by a whole number.
    middle = (np.clip(seen[seen.shape[0] // 2] / 1000, -1, 1) + 1) / 2
    times = 192 // max(middle.shape)
    drawn = image.imread(picture)[: middle.shape[0] * times : times, : middle.shape[1] * times : times]
    np.testing.assert_allclose(drawn, middle, atol=1.5 / 255)
    assert {path.name for path in user_folder().iterdir()} == {"balls"}
