"""The bundled detector, end to end: a chest CT goes in, what a user gets comes out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medinfer.command.cli import main
from medinfer.findings import Findings
from medinfer.inference.pipeline import open_package, run
from medinfer.library.library import find_package
from medinfer.library.places import DEFAULT_MODELS, bundled_folder
from medinfer.preparation.focus import focused_on
from medinfer.scans.writing import write_volume
from medinfer.volume import Volume

# How far apart the runtimes may be in float32: their convolutions add up in other orders.
SCORE_TOLERANCE = 1e-3
POSITION_TOLERANCE_MM = 0.02


@pytest.fixture(scope="module")
def chest() -> Any:
    """A coarse phantom (quick to draw and to search) with large nodules."""
    from medtrain.phantoms.chest import ChestSpec, make_chest

    spec = ChestSpec(
        nodules=(4, 4), diameter_mm=(12, 25), pixel_mm=1.4, slice_spacing_mm=3.0, slice_thickness_mm=3.0, size=0.8
    )
    return make_chest(9901, spec)


@pytest.fixture(scope="module")
def found(chest: Any) -> Findings:
    """What the bundled package finds in it."""
    package = find_package(DEFAULT_MODELS["detect"])
    with open_package(package) as session:
        return run(chest.volume, package, session)


def test_the_package_is_small_whole_and_honest() -> None:
    package = find_package(DEFAULT_MODELS["detect"])
    files = package.verified_files()
    assert {file.format for file, _ in files} == {"onnx", "torchscript"}
    size = sum(path.stat().st_size for path in (bundled_folder() / DEFAULT_MODELS["detect"]).iterdir())
    assert size <= 8e6
    assert "not for clinical use" in package.manifest.card.limits.lower()
    assert package.manifest.card.measured


def test_it_gives_the_same_findings_on_all_three_runtimes(chest: Any) -> None:
    """In the block around the nodules: the runtimes have as many tiles to agree on as they need."""
    package = find_package(DEFAULT_MODELS["detect"])
    places = chest.volume.grid.to_index([nodule.center_ras for nodule in chest.nodules])
    low, high = np.rint(places.min(axis=0)).astype(int), np.rint(places.max(axis=0)).astype(int) + 1
    block = focused_on(chest.volume, low, high)
    found = {}
    for backend in ("onnxruntime", "openvino", "torch"):
        with open_package(package, backend=backend, precision="float32") as session:
            assert (session.runtime, session.precision) == (backend, "float32")
            found[backend] = run(block, package, session, threshold=0.3).boxes
    reference = found["onnxruntime"]
    assert len(reference) >= 3
    for boxes in found.values():
        assert len(boxes) == len(reference)
        for one, other in zip(boxes, reference, strict=True):
            assert one.score == pytest.approx(other.score, abs=SCORE_TOLERANCE)
            np.testing.assert_allclose(one.center_ras, other.center_ras, atol=POSITION_TOLERANCE_MM)
            np.testing.assert_allclose(one.size_mm, other.size_mm, atol=POSITION_TOLERANCE_MM)


def test_a_scan_stored_mirrored_gives_the_same_nodules_in_the_world(chest: Any, found: Findings) -> None:
    """The same scan with its axes permuted and flipped on disk: nothing in the world may move or change sides."""
    from medinfer.orientation import reorient

    package = find_package(DEFAULT_MODELS["detect"])
    turned = reorient(chest.volume, "SAR")
    stored = Volume(np.ascontiguousarray(turned.voxels), turned.grid, "turned")
    with open_package(package) as session:
        other = run(stored, package, session).boxes
    one = found.boxes
    assert len(one) == len(other) > 0
    for mine, theirs in zip(one, other, strict=True):
        np.testing.assert_allclose(mine.center_ras, theirs.center_ras, atol=1e-3)
        assert mine.side == theirs.side == ("right" if mine.center_ras[0] > 0 else "left")


def test_a_run_from_the_shell_leaves_boxes_table_scene_and_pictures(chest: Any, tmp_path: Path) -> None:
    write_volume(chest.volume, tmp_path / "chest.nrrd")
    assert main(["detect", str(tmp_path / "chest.nrrd"), "-o", str(tmp_path / "out")]) == 0
    folder = tmp_path / "out" / "chest"
    files = {path.name for path in folder.iterdir()}
    assert files >= {"findings.json", "nodules.csv", "nodules.mrk.json", "scene.mrb", "axial.png", "view3d.png"}
    findings = Findings.from_json((folder / "findings.json").read_text(encoding="utf-8"))
    markups = json.loads((folder / "nodules.mrk.json").read_text(encoding="utf-8"))["markups"]
    assert len(markups) == len(findings.boxes) > 0
    # Markups files are LPS on disk.
    for markup, box in zip(markups, findings.boxes, strict=True):
        assert markup["coordinateSystem"] == "LPS"
        np.testing.assert_allclose(np.array(markup["center"]) * [-1, -1, 1], box.center_ras, atol=1e-4)


def test_most_of_the_large_nodules_are_found(chest: Any, found: Findings) -> None:
    hits = [
        any(
            np.linalg.norm(np.subtract(box.center_ras, nodule.center_ras)) <= nodule.diameter_mm / 2
            for box in found.boxes
        )
        for nodule in chest.nodules
    ]
    assert sum(hits) >= 3
