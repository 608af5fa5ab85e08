"""The bundled vertebra package on a held-out phantom and on real CT: whole, the same everywhere, and right.

One run from the shell, of the module's sample scan, serves every test that looks at what such a run leaves.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medinfer.command.cli import OK, main
from medinfer.findings import Findings
from medinfer.inference.pipeline import open_package, run
from medinfer.library.library import find_package
from medinfer.library.places import DEFAULT_MODELS, bundled_folder
from medinfer.orientation import reorient
from medinfer.scans.reading import read_volume
from medinfer.volume import Volume
from medslicer.sample_scans import SAMPLE_SCANS
from medtrain.metrics.landmark_metrics import LandmarkTrial, score_trial, total
from medtrain.phantoms.spine import LEVELS, ScanSpec, SpineScan, draw_patient, scan_patient

ID = DEFAULT_MODELS["landmark"]


@pytest.fixture(scope="module")
def abdomen() -> SpineScan:
    """A held-out patient (training ends below seed 9000), not among those of the card."""
    return scan_patient(draw_patient(9900, spacing=3.0), 9900, ScanSpec(view="abdomen", spacing_mm=3.0, noise_hu=15))


@pytest.fixture(scope="module")
def found(abdomen: SpineScan) -> Findings:
    return find(abdomen.volume)


@pytest.fixture(scope="module")
def sample_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a run from the shell leaves of the module's sample scan."""
    out = tmp_path_factory.mktemp("landmark") / "out"
    assert main(["landmark", str(SAMPLE_SCANS["MedLandmark"].file), "-o", str(out)]) == OK
    return out / "spine"


def find(volume: Volume, **options: Any) -> Findings:
    package = find_package(ID)
    with open_package(package, **options) as session:
        return run(volume, package, session)


def places(findings: Findings) -> dict[str, Any]:
    return {landmark.label: landmark.position_ras for landmark in findings.landmarks}


def test_the_package_is_small_whole_and_honest() -> None:
    package = find_package(ID)
    assert [label.name for label in package.manifest.labels] == list(LEVELS)
    assert [len(package.verified_files(one.network)) for one in package.manifest.passes] == [1, 1]
    assert sum(path.stat().st_size for path in (bundled_folder() / ID).iterdir()) <= 10e6
    assert "not for clinical use" in package.manifest.card.limits.lower()
    assert package.manifest.card.measured
    for label in package.manifest.labels:
        assert label.terminology is not None


def test_the_vertebrae_of_a_held_out_phantom_are_found_by_their_names(abdomen: SpineScan, found: Findings) -> None:
    trial = LandmarkTrial("phantom", abdomen.truth, places(found), frozenset(abdomen.cut))
    everything = total(score_trial(trial).values())
    assert everything.identified >= len(abdomen.truth) - 1
    # 3 mm voxels and 15 HU of noise: two thirds of a voxel.
    assert everything.mean_mm <= 2


def test_runtimes_agree(abdomen: SpineScan) -> None:
    one, other = (
        find(abdomen.volume, backend=backend, precision="float32") for backend in ("onnxruntime", "openvino")
    )
    assert one.found == other.found > 0
    for mine, theirs in zip(one.landmarks, other.landmarks, strict=True):
        assert mine.confidence == pytest.approx(theirs.confidence, abs=1e-3)
        if mine.position_ras is not None:
            np.testing.assert_allclose(mine.position_ras, theirs.position_ras, atol=0.02)


def test_a_scan_stored_otherwise_gives_the_same_places(abdomen: SpineScan, found: Findings) -> None:
    turned = reorient(abdomen.volume, "SAR")
    stored = Volume(np.ascontiguousarray(turned.voxels), turned.grid, "turned")
    one, other = places(found), places(find(stored))
    for name, place in one.items():
        if place is None:
            assert other[name] is None
        else:
            np.testing.assert_allclose(place, other[name], atol=1e-3)


def test_a_scan_stored_upside_down_is_told_and_every_landmark_flagged(abdomen: SpineScan, found: Findings) -> None:
    """Voxels in the wrong order under the right header, mirrored or not. Turned face down too, nothing may be found."""
    voxels = abdomen.volume.voxels
    assert found.notes == ()
    for turned in (voxels[::-1], voxels[::-1, :, ::-1]):
        findings = find(Volume(np.ascontiguousarray(turned), abdomen.volume.grid, "turned"))
        assert "upside down" in findings.notes[-1]
        assert all("upside down" in " ".join(landmark.flags) for landmark in findings.landmarks)
    face_down = find(Volume(np.ascontiguousarray(voxels[::-1, ::-1]), abdomen.volume.grid, "face down"))
    assert "upside down" in face_down.notes[-1] or face_down.found == 0


def test_a_mirrored_scan_keeps_its_names(abdomen: SpineScan, found: Findings) -> None:
    """Left and right exchanged: the spine is nearly the same, and so are the names and heights."""
    mirrored = Volume(np.ascontiguousarray(abdomen.volume.voxels[:, :, ::-1]), abdomen.volume.grid, "mirrored")
    one, other = places(found), places(find(mirrored))
    both = [name for name, place in one.items() if place is not None and other[name] is not None]
    assert len(both) >= sum(place is not None for place in one.values()) - 1
    for name in both:
        assert abs(one[name][2] - other[name][2]) < 5


def test_air_holds_no_vertebrae_and_the_run_says_so() -> None:
    grid = reorient(Volume(np.zeros((60, 60, 60), np.int16), _grid()), "LPS").grid
    findings = find(Volume(np.full((60, 60, 60), -1000, np.int16), grid, "air"))
    assert findings.found == 0
    assert "no landmark was found" in findings.notes[-1]


def _grid() -> Any:
    from medinfer.volume import Grid

    return Grid((60, 60, 60), np.diag([-3.0, -3.0, 3.0, 1.0]))


def test_a_run_from_the_shell_leaves_points_table_scene_and_pictures(sample_run: Path) -> None:
    files = {path.name for path in sample_run.iterdir()}
    assert files >= {"findings.json", "landmarks.csv", "landmarks.mrk.json", "scene.mrb", "sagittal.png", "view3d.png"}
    rows = list(csv.DictReader((sample_run / "landmarks.csv").open()))
    assert [row["label"] for row in rows] == list(LEVELS)
    points, curve = json.loads((sample_run / "landmarks.mrk.json").read_text(encoding="utf-8"))["markups"]
    assert (points["type"], curve["type"]) == ("Fiducial", "Curve")
    assert [point["label"] for point in points["controlPoints"]] == list(LEVELS)
    found = Findings.from_json((sample_run / "findings.json").read_text(encoding="utf-8"))
    for point, landmark in zip(points["controlPoints"], found.landmarks, strict=True):
        assert (point["positionStatus"] == "missing") == (landmark.position_ras is None)


def test_every_vertebra_wholly_in_view_of_the_sample_scan_is_found_by_its_name(sample_run: Path) -> None:
    from medtrain.phantoms.sample_data import scan_spine

    found = places(Findings.from_json((sample_run / "findings.json").read_text(encoding="utf-8")))
    drawn = scan_spine().truth
    assert {"L1", "L2", "L3", "L4", "L5"} <= set(drawn)
    for name, place in drawn.items():
        assert found[name] is not None, name
        assert np.linalg.norm(np.subtract(found[name], place)) <= 5, name


def test_real_ct_of_the_lumbar_spine(test_data: Path) -> None:
    """No real image was in training: the aim of the issue on the one real scan with truth that is at hand."""
    from medtrain.evaluation.evaluate_landmarks import compare, scan_trials

    package = find_package(ID)
    (trial,) = scan_trials(test_data / "spine", "totalsegmentator")
    judged = compare(trial.name, trial.truth, find(trial.volume), package)
    everything = total(score_trial(judged).values())
    assert everything.identified >= 0.8 * everything.truths
    assert everything.mean_mm <= 8


def test_real_ct_of_a_chest_gives_thoracic_vertebrae_in_order(test_data: Path) -> None:
    volume = read_volume(test_data / "chest" / "LIDC-IDRI-0001.nii.gz")
    found = places(find(volume))
    heights = [found[f"T{n}"][2] for n in range(1, 13) if found[f"T{n}"] is not None]
    assert len(heights) >= 8
    assert heights == sorted(heights, reverse=True)


@pytest.mark.real
def test_values_without_their_rescaling_give_the_same_vertebrae_and_a_note(test_data: Path) -> None:
    """HU + 1024 with −2000 outside the field of view: T12 to S1, where the plain scan has them."""
    raw, plain = (find(read_volume(test_data / name)) for name in ("cases/raw_pad.nii.gz", "spine/example_ct.nii.gz"))
    assert any("Hounsfield units + 1024" in note for note in raw.notes)
    assert not plain.notes
    for label, place in places(plain).items():
        found = places(raw)[label]
        assert (found is None) == (place is None), label
        if place is not None:
            assert np.linalg.norm(np.subtract(found, place)) < 3, label
