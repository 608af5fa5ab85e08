"""Evaluating a landmark package: truth from label maps and points, and a real package run on a folder of scans."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from medinfer.errors import ScanError
from medinfer.findings import Findings, Landmark
from medinfer.library.package import load_package
from medtrain.datasets.landmark_truth import LandmarkTruth, read_truth
from medtrain.evaluation.evaluate_landmarks import compare, main, phantom_trials, scan_trials

NAMES = {1: "L1", 2: "L2", 3: "L3"}


def as_landmarks(*labels: str, **decoder: Any) -> Callable[[dict[str, Any]], None]:
    """Turns the blob package into one that finds landmarks: the probability is the heatmap."""

    def change(manifest: dict[str, Any]) -> None:
        manifest["task"] = "landmark"
        manifest["decoder"] = {"kind": "heatmap", "threshold": 0.3, **decoder}
        manifest["labels"] = [{"value": n, "name": name} for n, name in enumerate(labels, start=1)]

    return change


def write_balls(folder: Path, name: str, places: dict[int, tuple[int, int, int]]) -> None:
    """A 2 mm CT of air with balls of 3 voxels' radius, and its label map; axes LPS, origin 0."""
    index = np.indices((32, 30, 34))
    hu, labels = np.full(index.shape[1:], -1000, np.int16), np.zeros(index.shape[1:], np.uint8)
    for value, place in places.items():
        ball = np.linalg.norm(index - np.reshape(place, (3, 1, 1, 1)), axis=0) <= 3
        hu[ball], labels[ball] = 0, value
    for voxels, file in ((hu, f"{name}_ct.nii.gz"), (labels, f"{name}_seg.nii.gz")):
        image = sitk.GetImageFromArray(voxels)
        image.SetSpacing((2, 2, 2))
        sitk.WriteImage(image, folder / file)


@pytest.fixture
def names(tmp_path: Path) -> str:
    path = tmp_path / "names.json"
    path.write_text(json.dumps({str(value): name for value, name in NAMES.items()}))
    return str(path)


# --- truth -----------------------------------------------------------------------------------------------------------


def test_a_label_map_gives_whole_labels_as_truth_and_those_at_its_faces_as_cut(tmp_path: Path) -> None:
    write_balls(tmp_path, "a", {1: (20, 15, 10), 2: (2, 15, 20)})
    truth = read_truth(tmp_path / "a_seg.nii.gz", NAMES)
    assert truth.points == {"L1": pytest.approx((-20, -30, 40))}
    assert set(truth.cut) == {"L2"}
    with pytest.raises(ScanError, match="check --label-names"):
        read_truth(tmp_path / "a_seg.nii.gz", {9: "C1"})


@pytest.mark.parametrize(("system", "sign"), [("LPS", -1), ("RAS", 1), ("1", -1), (0, 1)])
def test_slicers_markups_are_read_in_their_own_frame(tmp_path: Path, system: str | int, sign: int) -> None:
    points = [
        {"label": "L1", "position": [1, 2, 3], "positionStatus": "defined"},
        {"label": "L2", "position": [0, 0, 0], "positionStatus": "undefined"},
    ]
    markups = [{"type": "Fiducial", "coordinateSystem": system, "controlPoints": points}]
    (tmp_path / "a.mrk.json").write_text(json.dumps({"markups": markups}))
    assert read_truth(tmp_path / "a.mrk.json", {}) == LandmarkTruth({"L1": (sign * 1.0, sign * 2.0, 3.0)})


def test_tables_are_read_in_ras_as_medinfer_writes_them_and_in_lps(tmp_path: Path) -> None:
    landmarks = (Landmark("L1", (1.0, 2.0, 3.0), 0.9), Landmark("L2", None, 0.1))
    (tmp_path / "a.csv").write_text(Findings(landmarks=landmarks).landmarks_csv())
    (tmp_path / "b.csv").write_text("label,x_lps_mm,y_lps_mm,z_lps_mm\nL1,-1,-2,3\n")
    for name in ("a.csv", "b.csv"):
        assert read_truth(tmp_path / name, {}).points == {"L1": (1.0, 2.0, 3.0)}


@pytest.mark.parametrize(("name", "text"), [("a.mrk.json", "{}"), ("a.mrk.json", "x"), ("a.csv", "label\nL1\n")])
def test_a_file_without_landmarks_is_told_by_name(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ScanError, match=rf"{name} contains no readable landmarks"):
        read_truth(tmp_path / name, {})


# --- a package on scans ----------------------------------------------------------------------------------------------


def test_a_package_that_names_its_points_is_compared_by_name(blob_package: Callable[..., Path]) -> None:
    package = load_package(blob_package(as_landmarks("L1")))
    truth = LandmarkTruth({"L1": (0.0, 0.0, 0.0), "C1": (0.0, 0.0, 200.0)}, {"L2": (0.0, 0.0, -30.0)})
    trial = compare("a", truth, Findings(landmarks=(Landmark("L1", (0.0, 0.0, 1.0), 0.8),)), package)
    # C1 is none of the package's labels, so it is not missed.
    assert trial.truth == {"L1": (0.0, 0.0, 0.0)}
    assert trial.found == {"L1": (0.0, 0.0, 1.0)}
    assert trial.excluded == {"L2"}


def test_many_points_of_one_label_are_named_by_what_they_lie_at(blob_package: Callable[..., Path]) -> None:
    package = load_package(blob_package(as_landmarks("vertebra", peaks=9)))
    truth = LandmarkTruth({"L1": (0.0, 0.0, 0.0)}, {"L2": (0.0, 0.0, -30.0)})
    places = [(0.0, 0.0, -29.0), (0.0, 0.0, 2.0), (90.0, 0.0, 0.0)]
    found = Findings(landmarks=tuple(Landmark("vertebra", place, 0.9) for place in places))
    trial = compare("a", truth, found, package)
    assert trial.found == {"L2": places[0], "L1": places[1], "unnamed 1": places[2]}


def test_the_command_runs_a_package_on_a_folder_and_prints_what_can_be_counted(
    blob_package: Callable[..., Path], tmp_path: Path, names: str, capsys: pytest.CaptureFixture[str]
) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    # One scan with one ball, one with the ball of another label only.
    write_balls(scans, "first", {1: (16, 15, 10)})
    write_balls(scans, "second", {2: (12, 14, 18)})
    package = blob_package(as_landmarks("L1"))
    assert main([str(package), "--scans", str(scans), "--label-names", names]) == 0
    printed = capsys.readouterr().out
    assert "first: 1 of 1 identified, mean error" in printed
    assert "second: 0 of 0 identified, false: L1" in printed
    row = next(line for line in printed.splitlines() if line.startswith("all")).split()
    assert row[1] == "1"
    # The ball is symmetric about a voxel, so its heatmap's middle is that voxel's: the 2 mm that are left at most.
    assert float(row[2]) <= 2
    assert row[-3:] == ["100.0%", "0", "1"]


def test_a_package_that_finds_boxes_and_an_empty_folder_are_refused(
    blob_package: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(blob_package()), "--scans", str(tmp_path)]) == 2
    assert "blobs finds no landmarks" in capsys.readouterr().err
    assert main([str(blob_package(as_landmarks("L1"), name="landmarks")), "--scans", str(tmp_path)]) == 2
    assert "contains no scan with its truth" in capsys.readouterr().err


def test_a_phantom_trial_has_its_truth_in_the_volume() -> None:
    (trial,) = phantom_trials(1, voxels_mm=3.0)
    assert trial.volume.spacing == pytest.approx((3, 3, 3))
    assert len(trial.truth.points) > 1
    assert not set(trial.truth.points) & set(trial.truth.cut)
    places = trial.volume.grid.to_index(list(trial.truth.points.values()))
    assert (places >= 0).all()
    assert (places <= np.array(trial.volume.shape) - 1).all()


@pytest.mark.real
def test_the_example_scan_has_its_truth(test_data: Path) -> None:
    (trial,) = scan_trials(test_data / "spine")
    assert list(trial.truth.points) == ["S1", "L5", "L4", "L3", "L2", "L1"]
    assert set(trial.truth.cut) == {"T11", "T12"}
    heights = [point[2] for point in trial.truth.points.values()]
    assert heights == sorted(heights)
