"""The whole line with two stages on small real networks: a scan goes in, named points in the world come out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medinfer.errors import PackageError, ScanError
from medinfer.findings import Findings
from medinfer.inference.pipeline import open_package, run
from medinfer.library.package import load_package
from medinfer.orientation import reorient
from medinfer.volume import Grid, Volume

Make = Callable[..., Path]


def find(folder: Path, volume: Volume, **options: Any) -> Findings:
    package = load_package(folder)
    with open_package(package) as session:
        return run(volume, package, session, **options)


def places(findings: Findings) -> dict[str, Any]:
    return {landmark.label: landmark.position_ras for landmark in findings.landmarks}


def one_stage(manifest: dict[str, Any]) -> None:
    coarse = manifest.pop("coarse")
    manifest.update({**coarse, "prepare": {**coarse["prepare"], "spacing": [2, 2, 2], "antialias": False}})


@pytest.mark.parametrize("change", [lambda manifest: None, one_stage])
def test_each_ball_is_found_by_its_name_and_the_absent_one_is_missing(
    dots_package: Make, dots_scan: Any, change: Any
) -> None:
    volume, truth = dots_scan
    findings = find(dots_package(change), volume)
    found = places(findings)
    assert list(found) == ["head", "chest", "foot", "tail"]
    assert found.pop("tail") is None
    for name, place in found.items():
        # A quarter of the network's voxel: balls on a lattice of 1.1–2.1 mm are themselves no better defined.
        assert np.linalg.norm(np.array(place) - truth[name]) < 0.5, name
    assert all(landmark.flags == () for landmark in findings.landmarks)
    assert findings.found == 3


def test_a_place_in_the_world_does_not_depend_on_how_the_scan_is_stored(dots_package: Make, dots_scan: Any) -> None:
    """The same patient in another axis order: the networks see the same, so the answers differ by rounding only."""
    volume, _ = dots_scan
    straight = reorient(volume, "LPS")
    moved = np.ascontiguousarray(straight.voxels.transpose(2, 0, 1)[::-1])
    matrix = straight.grid.ijk_to_ras.copy()
    matrix[:3, :3] = straight.grid.ijk_to_ras[:3, [1, 2, 0]]
    matrix[:3, 3] += matrix[:3, 2] * (moved.shape[0] - 1)
    matrix[:3, 2] *= -1
    other = Volume(moved, Grid((moved.shape[0], moved.shape[1], moved.shape[2]), matrix), "moved")
    folder = dots_package()
    one, two = places(find(folder, volume)), places(find(folder, other))
    for name in ("head", "chest", "foot"):
        np.testing.assert_allclose(one[name], two[name], atol=1e-3)


def test_a_scan_without_the_anatomy_gives_no_landmarks_and_says_so(dots_package: Make, dots_scan: Any) -> None:
    volume, _ = dots_scan
    empty = Volume(np.full(volume.shape, -1000, np.int16), volume.grid, "empty")
    findings = find(dots_package(), empty)
    assert (findings.found, len(findings.landmarks)) == (0, 4)
    assert "no landmark was found" in findings.notes[-1]


def test_an_upside_down_scan_is_told(dots_package: Make, dots_scan: Any) -> None:
    volume, _ = dots_scan
    upright = reorient(volume, "LPS")
    turned = Volume(np.ascontiguousarray(upright.voxels[::-1]), upright.grid, "turned")
    folder = dots_package()
    findings = find(folder, turned)
    assert findings.found == 3
    assert "upside down" in findings.notes[-1]
    assert find(folder, upright).notes == ()


def test_a_threshold_leaves_out_what_is_less_sure(dots_package: Make, dots_scan: Any) -> None:
    folder = dots_package()
    sure = [landmark.confidence for landmark in find(folder, dots_scan[0]).landmarks[:3]]
    few = find(folder, dots_scan[0], threshold=(min(sure) + max(sure)) / 2)
    assert 0 < few.found < 3
    assert [landmark.confidence for landmark in few.landmarks[:3]] == sure


def test_a_landmark_beyond_the_border_is_missing(dots_package: Make, dots_scan: Any) -> None:
    """Only a cap of the upper ball is in view: its middle lies outside the scan."""
    volume, truth = dots_scan
    first = int(volume.grid.to_index(truth["head"])[0]) + 3
    part = Volume(np.ascontiguousarray(volume.voxels[first:]), volume.grid.cropped(
        (first, 0, 0), (volume.shape[0] - first, volume.shape[1], volume.shape[2])), "part")
    findings = find(dots_package(), part)
    assert places(findings)["head"] is None
    assert findings.found == 2


def test_every_stage_is_told_and_timed(dots_package: Make, dots_scan: Any) -> None:
    told = []
    findings = find(dots_package(), dots_scan[0], progress=lambda stage, done, total: told.append(stage))
    stages = [f"{name} {step}" for name in ("coarse", "main") for step in ("prepare", "network", "findings")]
    assert list(dict.fromkeys(told)) == stages
    assert list(findings.run["seconds"]) == stages
    assert findings.run["tiles"] > 3


def change_in(*path: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(manifest: dict[str, Any]) -> None:
        for part in path[:-1]:
            manifest = manifest[part]
        manifest[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (change_in("coarse", "network", "channels", value=3), "3, but must be 4, one per label"),
        (change_in("coarse", value=None), "need a coarse stage"),
        (change_in("task", value="detect"), "task detect needs"),
        (change_in("tiling", value={"join": "crop", "patch": [16, 16, 16], "margin": [2, 2, 2]}), "point input"),
        (change_in("decoder", "chain", "spacing_mm", value=[80, 20]), "smallest distance"),
        (change_in("decoder", "position", value="middle"), "decoder.position"),
        (change_in("decoder", "activation", value="softmax"), "softmax"),
        (change_in("labels", 1, "name", value="head"), "distinct"),
        (change_in("coarse", "prepare", "region", value={"kind": "points"}), "the scan itself"),
        (change_in("coarse", "prepare", "orientation", value="LPI"), "k axis up"),
    ],
)
def test_a_package_that_contradicts_itself_is_refused_with_the_field(
    dots_package: Make, change: Any, words: str
) -> None:
    with pytest.raises(PackageError, match=words):
        load_package(dots_package(change))


def test_each_stage_has_its_weights_checked(dots_package: Make) -> None:
    folder = dots_package()
    (folder / "coarse.onnx").write_bytes(b"exchanged")
    with pytest.raises(PackageError, match=r"coarse\.onnx is not the file"):
        open_package(load_package(folder))


def test_channels_that_the_network_does_not_have_are_told(dots_package: Make, dots_scan: Any) -> None:
    def five(manifest: dict[str, Any]) -> None:
        manifest["labels"].append({"value": 5, "name": "fifth"})
        manifest["coarse"]["network"]["channels"] = 5

    with pytest.raises(PackageError, match="declares 5 channels"):
        find(dots_package(five), dots_scan[0])


def test_a_single_slice_is_refused_in_a_sentence(dots_package: Make, dots_scan: Any) -> None:
    volume, _ = dots_scan
    slice_ = Volume(volume.voxels[:1], volume.grid.cropped((0, 0, 0), (1, *volume.shape[1:])), "slice")
    with pytest.raises(ScanError, match="but this model needs at least"):
        find(dots_package(), slice_)
