"""`medinfer landmark`: the same manners as `detect`, points instead of boxes."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medinfer.command.cli import OK, REFUSED, SCAN_FAILED, main
from medinfer.findings import Findings
from medinfer.scans.writing import write_volume
from medinfer.volume import Volume

Make = Callable[..., Path]


def landmark(*arguments: Any, outputs: Any = None) -> int:
    return main(["landmark", *map(str, arguments)], outputs={} if outputs is None else outputs)


@pytest.fixture
def scan(dots_scan: Any, tmp_path: Path) -> Path:
    write_volume(dots_scan[0], tmp_path / "dots.nrrd")
    return tmp_path / "dots.nrrd"


def test_a_scan_gives_named_points_in_json_and_csv(
    scan: Path, dots_package: Make, dots_scan: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert landmark(scan, "-o", tmp_path / "out", "--model", dots_package()) == OK
    folder = tmp_path / "out" / "dots"
    assert {path.name for path in folder.iterdir()} == {"findings.json", "landmarks.csv"}
    findings = Findings.from_json((folder / "findings.json").read_text())
    rows = list(csv.DictReader((folder / "landmarks.csv").open()))
    assert [row["label"] for row in rows] == ["head", "chest", "foot", "tail"]
    assert [row["status"] for row in rows] == ["found", "found", "found", "missing"]
    places = np.array([[float(row[axis]) for axis in ("r_mm", "a_mm", "s_mm")] for row in rows[:3]])
    np.testing.assert_allclose(places, [entry.position_ras for entry in findings.landmarks[:3]], atol=1e-3)
    steps = [float(row["to_next_mm"]) for row in rows[:2]]
    np.testing.assert_allclose(steps, np.linalg.norm(np.diff(places, axis=0), axis=1), atol=0.01)
    assert rows[2]["to_next_mm"] == rows[3]["r_mm"] == ""
    said = capsys.readouterr().out
    for words in ("3 of 4 found", "not found: tail", "coarse network", "landmarks.csv"):
        assert words in said


def test_json_lines_tell_how_many_were_found(
    scan: Path, dots_package: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert landmark(scan, "-o", tmp_path / "out", "--model", dots_package(), "--json") == OK
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (result,) = [event for event in events if event["event"] == "result"]
    assert result["found"] == 3


def test_a_scan_without_the_anatomy_says_so_and_is_no_failure(
    dots_scan: Any, dots_package: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    volume = dots_scan[0]
    write_volume(Volume(np.full(volume.shape, -1000, np.int16), volume.grid, "air"), tmp_path / "air.nrrd")
    assert landmark(tmp_path / "air.nrrd", "-o", tmp_path / "out", "--model", dots_package()) == OK
    said = capsys.readouterr().out
    assert "0 of 4 found" in said
    assert "no landmark was found" in said


@pytest.mark.parametrize(("task", "make"), [("detect", "dots_package"), ("landmark", "blob_package")])
def test_a_model_for_the_other_task_is_refused_with_the_right_command(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest, task: str, make: str
) -> None:
    folder = request.getfixturevalue(make)()
    assert main([task, str(scan), "-o", str(tmp_path / "out"), "--model", str(folder)], outputs={}) == REFUSED
    other = "landmark" if task == "detect" else "detect"
    assert f"is a model for `medinfer {other}`" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_thin_slab_fails_with_a_sentence_and_the_others_go_on(
    scan: Path, dots_scan: Any, dots_package: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    volume = dots_scan[0]
    one = Volume(volume.voxels[:1], volume.grid.cropped((0, 0, 0), (1, *volume.shape[1:])), "one")
    write_volume(one, tmp_path / "one.nrrd")
    out = tmp_path / "out"
    assert landmark(tmp_path / "one.nrrd", scan, "-o", out, "--model", dots_package()) == SCAN_FAILED
    assert "but this model needs at least" in capsys.readouterr().err
    assert (out / "dots" / "landmarks.csv").exists()
    assert not (out / "one").exists()


def test_slicer_s_files_come_with_it(scan: Path, dots_package: Make, tmp_path: Path) -> None:
    from medinfer.command.results import installed_outputs

    assert landmark(scan, "-o", tmp_path / "out", "--model", dots_package(), outputs=installed_outputs()) == OK
    folder = tmp_path / "out" / "dots"
    assert {path.name for path in folder.iterdir()} >= {"landmarks.mrk.json", "scene.mrb"}
    markups = json.loads((folder / "landmarks.mrk.json").read_text())["markups"]
    points = markups[0]["controlPoints"]
    assert [point["label"] for point in points] == ["head", "chest", "foot", "tail"]
    assert [point["positionStatus"] for point in points] == ["defined"] * 3 + ["missing"]
    found = Findings.from_json((folder / "findings.json").read_text()).landmarks
    for point, entry in zip(points[:3], found[:3], strict=True):
        np.testing.assert_allclose(np.array(point["position"]) * [-1, -1, 1], entry.position_ras, atol=1e-4)
