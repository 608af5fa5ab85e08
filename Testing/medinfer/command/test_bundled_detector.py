"""The bundled detector, end to end: a chest CT goes in, what a user gets comes out.

One run from the shell, of the module's sample scan, serves every test that looks at what such a run leaves.
"""

from __future__ import annotations

import json
from dataclasses import replace
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
from medinfer.preparation.focus import focused_on
from medinfer.volume import Volume
from medslicer.sample_scans import SAMPLE_SCANS

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
def block(chest: Any) -> Volume:
    """The same scan, to be searched around its nodules only."""
    places = chest.volume.grid.to_index([nodule.center_ras for nodule in chest.nodules])
    low, high = np.rint(places.min(axis=0)).astype(int), np.rint(places.max(axis=0)).astype(int) + 1
    return focused_on(chest.volume, low - 1, high + 1)


@pytest.fixture(scope="module")
def found(block: Volume) -> Findings:
    """What the bundled package finds in it."""
    return find(block)


@pytest.fixture(scope="module")
def sample_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a run from the shell leaves of the module's sample scan."""
    out = tmp_path_factory.mktemp("detect") / "out"
    assert main(["detect", str(SAMPLE_SCANS["MedDetect"].file), "-o", str(out)]) == OK
    return out / "chest"


def find(volume: Volume) -> Findings:
    package = find_package(DEFAULT_MODELS["detect"])
    with open_package(package) as session:
        return run(volume, package, session)


def findings_of(folder: Path) -> Findings:
    return Findings.from_json((folder / "findings.json").read_text(encoding="utf-8"))


def test_the_package_is_small_whole_and_honest() -> None:
    package = find_package(DEFAULT_MODELS["detect"])
    files = package.verified_files()
    assert {file.format for file, _ in files} == {"onnx", "torchscript"}
    size = sum(path.stat().st_size for path in (bundled_folder() / DEFAULT_MODELS["detect"]).iterdir())
    assert size <= 8e6
    assert "not for clinical use" in package.manifest.card.limits.lower()
    assert package.manifest.card.measured


def test_it_gives_the_same_findings_on_all_three_runtimes(block: Volume) -> None:
    """In the block around the nodules: the runtimes have as many tiles to agree on as they need."""
    package = find_package(DEFAULT_MODELS["detect"])
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


def test_a_scan_stored_mirrored_gives_the_same_nodules_in_the_world(block: Volume, found: Findings) -> None:
    """The same scan with its axes permuted and flipped on disk: nothing in the world may move or change sides."""
    turned = reorient(block, "SAR")
    stored = replace(turned, voxels=np.ascontiguousarray(turned.voxels), name="turned", focus=block.focus)
    one, other = found.boxes, find(stored).boxes
    assert len(one) == len(other) > 0
    assert {box.side for box in one} == {"left", "right"}
    for mine, theirs in zip(one, other, strict=True):
        np.testing.assert_allclose(mine.center_ras, theirs.center_ras, atol=1e-3)
        assert mine.side == theirs.side == ("right" if mine.center_ras[0] > 0 else "left")


def test_most_of_the_large_nodules_are_found(chest: Any, found: Findings) -> None:
    hits = [
        any(
            np.linalg.norm(np.subtract(box.center_ras, nodule.center_ras)) <= nodule.diameter_mm / 2
            for box in found.boxes
        )
        for nodule in chest.nodules
    ]
    assert sum(hits) >= 3


def test_a_run_from_the_shell_leaves_boxes_table_scene_and_pictures(sample_run: Path) -> None:
    files = {path.name for path in sample_run.iterdir()}
    assert files >= {"findings.json", "nodules.csv", "nodules.mrk.json", "scene.mrb", "axial.png", "view3d.png"}
    found = findings_of(sample_run)
    markups = json.loads((sample_run / "nodules.mrk.json").read_text(encoding="utf-8"))["markups"]
    assert len(markups) == len(found.boxes) > 0
    # Markups files are LPS on disk.
    for markup, box in zip(markups, found.boxes, strict=True):
        assert markup["coordinateSystem"] == "LPS"
        np.testing.assert_allclose(np.array(markup["center"]) * [-1, -1, 1], box.center_ras, atol=1e-4)


def test_every_nodule_drawn_into_the_sample_scan_is_found_and_nothing_else(sample_run: Path) -> None:
    from medtrain.phantoms.sample_data import draw_chest

    drawn, found = draw_chest().nodules, findings_of(sample_run).boxes
    assert len(drawn) >= 3
    # LUNA16's rule: the box's centre lies within the nodule's radius.
    for nodule in drawn:
        off = [np.linalg.norm(np.subtract(box.center_ras, nodule.center_ras)) for box in found]
        assert min(off) <= nodule.diameter_mm / 2
    assert len(found) == len(drawn)
