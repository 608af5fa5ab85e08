"""Several images of one patient on the command line, and cases in a folder as nnU-Net names them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from two_images import HERE, THERE, image, write_package

from medinfer.command.cli import OK, REFUSED, SCAN_FAILED, main
from medinfer.scans.writing import write_volume


@pytest.fixture
def two_images(tmp_path: Path) -> Path:
    return write_package(tmp_path / "package")


def write_case(folder: Path, name: str, *, whole: bool = True) -> None:
    folder.mkdir(exist_ok=True)
    write_volume(image(HERE, value=40 + len(list(folder.iterdir()))), folder / f"{name}_0000.nii.gz")
    if whole:
        write_volume(image(HERE, THERE), folder / f"{name}_0001.nii.gz")


def found_in(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "findings.json").read_text())
    return found


def test_a_further_image_is_given_by_its_name(two_images: Path, tmp_path: Path) -> None:
    write_volume(image(HERE), tmp_path / "t1.nii.gz")
    write_volume(image(HERE, THERE), tmp_path / "t2.nii.gz")
    ran = ["segment", str(tmp_path / "t1.nii.gz"), "-o", str(tmp_path / "out"), "--model", str(two_images)]
    assert main([*ran, "--input", f"T2={tmp_path / 't2.nii.gz'}"], outputs={}) == OK
    found = found_in(tmp_path / "out" / "t1")
    # Half of the second image less the first: only what is bright in the second alone stays.
    (segment,) = found["segments"]
    assert segment["volume_mm3"] == pytest.approx(64)
    assert found["run"]["images"] == {"T1": "t1.nii.gz", "T2": "t2.nii.gz"}


def test_cases_of_a_folder_are_put_together_and_an_incomplete_one_is_reported(
    two_images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_case(tmp_path / "scans", "anna")
    write_case(tmp_path / "scans", "bert", whole=False)
    write_case(tmp_path / "scans", "carl")
    ran = ["segment", str(tmp_path / "scans"), "-o", str(tmp_path / "out"), "--model", str(two_images)]
    assert main(ran, outputs={}) == SCAN_FAILED
    said = capsys.readouterr()
    assert "bert_0000.nii.gz belongs to a case without bert_0001.nii.gz" in said.err + said.out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["scans-anna", "scans-carl"]
    assert len(found_in(tmp_path / "out" / "scans-carl")["segments"]) == 1


def test_another_second_image_is_another_scan(
    two_images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_case(tmp_path / "scans", "anna")
    ran = ["segment", str(tmp_path / "scans"), "-o", str(tmp_path / "out"), "--model", str(two_images)]
    assert main(ran, outputs={}) == OK
    assert main(ran, outputs={}) == OK
    assert "already done" in capsys.readouterr().out
    write_volume(image(HERE), tmp_path / "scans" / "anna_0001.nii.gz")
    assert main(ran, outputs={}) == OK
    assert len(list((tmp_path / "out").iterdir())) == 2


@pytest.mark.parametrize(("more", "code", "said"), [
    ([], SCAN_FAILED, "is not enough for this model: give its T2 too, with --input T2=FILE."),
    (["--input", "T2"], REFUSED, "--input must be NAME=FILE (T2=t2.nii.gz), not 'T2'."),
    (["--input", "T2=a", "--input", "T2=b"], REFUSED, "--input names T2 twice."),
    (["--input", "T2=nowhere.nii.gz"], SCAN_FAILED, "nowhere.nii.gz"),
    (["--input", "FLAIR={scan}"], SCAN_FAILED, "was given FLAIR, but this model takes only T2"),
])
def test_what_is_missing_or_wrong_is_one_sentence(
    two_images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], code: int, said: str
) -> None:
    write_volume(image(HERE), tmp_path / "t1.nii.gz")
    ran = ["segment", str(tmp_path / "t1.nii.gz"), "-o", str(tmp_path / "out"), "--model", str(two_images)]
    assert main([*ran, *(word.replace("{scan}", str(tmp_path / "t1.nii.gz")) for word in more)], outputs={}) == code
    assert said in capsys.readouterr().err


def test_check_shows_both_images(two_images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_volume(image(HERE), tmp_path / "t1.nii.gz")
    write_volume(image(HERE, THERE), tmp_path / "t2.nii.gz")
    asked = ["check", str(two_images), "--scan", str(tmp_path / "t1.nii.gz"), "--picture", str(tmp_path / "seen.png")]
    assert main([*asked, "--input", f"T2={tmp_path / 't2.nii.gz'}"]) == OK
    said = capsys.readouterr().out
    assert "one, T1, sees 12 × 14 × 16 voxels" in said
    assert "one, T2, sees" in said
    assert "values 0 to 20" in said


@pytest.mark.parametrize(("change", "said"), [
    (lambda model: model["passes"][0]["network"]["inputs"][1].update(image="T3"),
     "is 'T3', which is not one of images"),
    (lambda model: model["images"].append({"name": "FLAIR"}), "has 'FLAIR', which no pass looks at"),
    (lambda model: model["images"].append({"name": "T1"}), "must have distinct names"),
    (lambda model: model["passes"][0]["prepare"].update(region={"kind": "lungs", "clean": True}),
     "region.clean is wrong: it is true, but it paints the scan alone"),
])
def test_images_that_contradict_the_passes_are_told(
    two_images: Path, capsys: pytest.CaptureFixture[str], change: Callable[[dict[str, Any]], None], said: str
) -> None:
    model = json.loads((two_images / "model.json").read_text())
    change(model)
    (two_images / "model.json").write_text(json.dumps(model))
    assert main(["check", str(two_images)]) != OK
    assert said in capsys.readouterr().out
