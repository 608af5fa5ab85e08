"""A network of labels given as points or boxes: against the centres and sizes of what was drawn."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from two_balls import BALLS, draw_balls

from medinfer.command.cli import OK, REFUSED, main
from medinfer.errors import PackageError
from medinfer.importers.adding import add
from medinfer.importers.questions import Given
from medinfer.inference.pipeline import open_package, run
from medinfer.library.places import user_folder
from medinfer.scans.writing import write_volume

# The network answers one voxel (2 mm) too far along its first axis, which is x here.
WORDS = {
    "modality": "MR", "spacing": "2", "orientation": "RAS", "axes": "xyz", "intensity": "clip -1000 1000 to -1..1",
    "overlap": "0.2", "id": "spine",
}
MOVED = np.array([2 * np.cos(0.2), 2 * np.sin(0.2), 0])


def test_landmarks_are_the_labels_centres_under_the_names_that_people_use(default_export: Path) -> None:
    words = {**WORDS, "labels": "vertebrae_L5,vertebrae_L4"}
    package = add(default_export, given=Given(words, gives="points", only=("vertebrae_*",)))
    assert (package.id, package.manifest.task) == ("spine-points", "landmark")
    with open_package(package, threads=1) as session:
        landmarks = run(draw_balls(), package, session).landmarks
    assert [entry.label for entry in landmarks] == ["L5", "L4"]
    for entry, (center, _, _) in zip(landmarks, BALLS.values(), strict=True):
        np.testing.assert_allclose(entry.position_ras, np.array(center) + MOVED, atol=0.3)


def test_only_the_labels_that_were_asked_for_are_given(default_export: Path) -> None:
    package = add(default_export, given=Given({**WORDS, "labels": "liver,spleen"}, gives="points", only=("spleen",)))
    with open_package(package, threads=1) as session:
        landmarks = run(draw_balls(), package, session).landmarks
    assert [entry.label for entry in landmarks] == ["spleen"]


def test_of_all_labels_the_vertebrae_have_their_own_names(default_export: Path) -> None:
    package = add(default_export, given=Given({**WORDS, "labels": "liver,vertebrae_L4"}, gives="points"))
    assert [label.name for label in package.manifest.labels] == ["liver", "L4"]
    both = add(default_export, given=Given({**WORDS, "labels": "L4,vertebrae_L4"}, gives="points"))
    assert [label.name for label in both.manifest.labels] == ["L4", "vertebrae_L4"]


def test_each_object_of_a_label_has_a_box_of_its_own_and_the_largest_one_is_the_point(default_export: Path) -> None:
    """Against the components of the labels themselves."""
    balls = {"large": ((18.0, -10.0, 20.0), 14.0), "small": ((-22.0, 12.0, -6.0), 11.0)}
    scan = draw_balls()
    voxels = np.zeros_like(scan.voxels)
    world = scan.grid.to_ras(np.stack(np.meshgrid(*map(np.arange, scan.shape), indexing="ij"), axis=-1))
    for center, radius in balls.values():
        voxels[np.linalg.norm(world - np.array(center), axis=-1) <= radius] = 1000
    scan = replace(scan, voxels=voxels)
    given = {**WORDS, "labels": "nodule,other"}
    packages = {
        kind: add(default_export, given=Given(given, gives=kind)) for kind in (None, "boxes", "points")
    }
    found = {}
    for kind, package in packages.items():
        with open_package(package, threads=1) as session:
            found[kind] = run(scan, package, session)
    parts, count = ndimage.label(found[None].label_map.whole(scan).voxels == 1)
    assert count == 2
    expected = [world[parts == n] for n in (1, 2)]
    boxes = sorted(found["boxes"].boxes, key=lambda box: box.center_ras[0])
    assert len(boxes) == 2
    for box, inside in zip(boxes, sorted(expected, key=lambda part: part[:, 0].mean()), strict=True):
        # A box lies along the network's axes, which are RAS here.
        np.testing.assert_allclose(box.center_ras, (inside.min(axis=0) + inside.max(axis=0)) / 2, atol=2)
        np.testing.assert_allclose(box.size_mm, np.ptp(inside, axis=0), atol=4)
    (nodule,) = [entry for entry in found["points"].landmarks if entry.label == "nodule"]
    np.testing.assert_allclose(nodule.position_ras, max(expected, key=len).mean(axis=0), atol=0.5)


def test_a_box_lies_around_each_object_and_not_around_all_of_a_label(default_export: Path) -> None:
    package = add(default_export, given=Given({**WORDS, "labels": "nodule,other"}, gives="boxes"))
    assert package.manifest.task == "detect"
    scan = draw_balls()
    with open_package(package, threads=1) as session:
        boxes = run(scan, package, session).boxes
    ((center, radius, _), *_) = BALLS.values()
    (box,) = [box for box in boxes if box.label == "nodule"]
    np.testing.assert_allclose(box.center_ras, np.array(center) + MOVED, atol=1.5)
    np.testing.assert_allclose(box.size_mm, 2 * radius, atol=4)
    assert box.diameter_mm == pytest.approx(2 * radius, rel=0.05)


def test_the_command_says_how_to_run_it_and_results_are_points(
    default_export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = [part for name, word in {**WORDS, "labels": "a,b"}.items() for part in (f"--{name}", word)]
    assert main(["add", str(default_export), *said, "--gives", "points", "--only", "b"]) == OK
    assert "medinfer landmark SCAN -o FOLDER --model spine-points" in capsys.readouterr().out
    write_volume(draw_balls(), tmp_path / "balls.nii.gz")
    ran = ["landmark", str(tmp_path / "balls.nii.gz"), "-o", str(tmp_path / "out"), "--model", "spine-points"]
    assert main([*ran, "--threads", "1"], outputs={}) == OK
    found = json.loads((tmp_path / "out" / "balls" / "findings.json").read_text())
    assert [entry["label"] for entry in found["landmarks"]] == ["b"]


@pytest.mark.parametrize(
    ("words", "given", "said"),
    [
        ({"labels": "a,b"}, {"gives": "points", "only": ("c*",)}, "spine has no label 'c*' for --only; it has a, b."),
        (
            {"labels": "a,b,c", "task": "landmark"}, {"gives": "points"},
            "spine gives points already; --gives is for networks of labels",
        ),
    ],
)
def test_what_cannot_be_given_is_refused_and_nothing_is_installed(
    default_export: Path, words: dict[str, str], given: dict[str, object], said: str
) -> None:
    with pytest.raises(PackageError) as refused:
        add(default_export, given=Given({**WORDS, **words}, **given))
    assert said in str(refused.value)
    assert not list(user_folder().glob("*"))


def test_only_without_gives_is_refused(default_export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["add", str(default_export), "--only", "a"]) == REFUSED
    assert "--gives" in capsys.readouterr().err
