"""The three lines of a script: `logic = MedDetectLogic(); result = logic.process(volumeNode, model="…")`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import SlicerHarness
from panel_user import PanelUser, workers

from medinfer.errors import Cancelled, MedInferError, PackageError
from medinfer.volume import Volume

Make = Callable[..., Path]


@pytest.fixture
def volume_node(user: PanelUser, harness: SlicerHarness) -> Any:
    """The scan "blobs"; the model "blobs" is in the library, the panel of MedDetect is open."""
    return harness.scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")


def logic(module: str = "MedDetect") -> Any:
    return getattr(sys.modules[module], f"{module}Logic")()


def names(scene: Any) -> list[str]:
    return [scene.GetNthNode(n).GetID() for n in range(scene.GetNumberOfNodes())]


def test_a_script_gets_what_the_panel_then_shows(user: PanelUser, volume_node: Any, blob_scan: Any) -> None:
    told: list[tuple[str, float]] = []
    result = logic().process(volume_node, model="blobs", progress=lambda stage, share: told.append((stage, share)))
    places = np.array([row.position_world for row in result.rows])
    for center, _diameter in blob_scan[1]:
        assert np.linalg.norm(places - center, axis=1).min() < 1.8
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert all(isinstance(stage, str) and stage for stage, _ in told)
    user.harness.process_events()
    assert [title for title, _, _ in user.rows] == [row.title for row in result.rows]
    assert user.chosen("resultSelector") == "Nodules"


def test_a_folder_is_a_model_as_well_and_settings_and_a_region_are_kept(
    harness: SlicerHarness, volume_node: Any, blob_scan: Any, own_library: Path, tmp_path: Path
) -> None:
    center, _ = blob_scan[1][1]
    region = harness.scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "lesion")
    region.SetSize(24, 24, 24)
    region.SetCenterWorld(*center)
    folder = shutil.copytree(own_library / "blobs", tmp_path / "elsewhere")
    where = {"backend": "onnxruntime", "device": "cpu", "precision": "float32"}
    result = logic().process(volume_node, model=folder, region=region, threshold=0.6, **where)
    (row,) = result.rows
    assert np.linalg.norm(np.array(row.position_world) - center) < 1.8
    record = result.record
    assert (record.runtime, record.device, record.precision) == ("onnxruntime", "cpu", "float32")
    assert record.threshold == pytest.approx(0.6)


def test_a_result_takes_anothers_place(volume_node: Any, user_with_result: PanelUser) -> None:
    from medslicer.results.result import results_in

    (first,) = results_in(volume_node.GetScene(), "MedDetect")
    second = logic().process(volume_node, model="blobs", replace=first)
    assert results_in(volume_node.GetScene(), "MedDetect") == (second,)
    assert second.name == "Nodules"


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("nothing", "There is no model 'nothing' for MedDetect: give a folder with a model.json, or one of chest-nod"),
        ("vertebrae", "for MedDetect"), ("nodule-slab-2mm", "is not on this computer; fetch it in MedDetect's panel"),
    ],
)
def test_a_model_that_cannot_be_run_is_one_sentence(volume_node: Any, model: str, words: str) -> None:
    before = names(volume_node.GetScene())
    with pytest.raises(PackageError) as told:
        logic().process(volume_node, model=model)
    assert words in str(told.value)
    assert names(volume_node.GetScene()) == before
    assert not workers()


@pytest.mark.parametrize("settings", [{"threshold": 50}, {"threshold": float("nan")}, {"overlap": 1.0}])
def test_a_number_that_makes_no_sense_is_one_sentence(volume_node: Any, settings: dict[str, float]) -> None:
    (name,) = settings
    with pytest.raises(MedInferError, match=f"{name}.* must be .*, not {settings[name]}"):
        logic().process(volume_node, model="blobs", **settings)


def test_a_folder_that_merely_has_the_models_name_is_passed_over(
    volume_node: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Someone starts Slicer in a folder with scans of blobs."""
    (tmp_path / "blobs").mkdir()
    monkeypatch.chdir(tmp_path)
    assert len(logic().process(volume_node, model="blobs").rows) == 2


def test_no_scan_is_one_sentence(volume_node: Any) -> None:
    with pytest.raises(MedInferError, match="contains no voxels"):
        logic().process(None, model="blobs")


def test_what_fails_in_the_run_is_raised_and_the_scene_is_as_it_was(volume_node: Any, own_library: Path) -> None:
    (own_library / "blobs" / "network.onnx").write_bytes(b"exchanged")
    before = names(volume_node.GetScene())
    with pytest.raises(MedInferError, match="is damaged or was replaced"):
        logic().process(volume_node, model="blobs")
    assert names(volume_node.GetScene()) == before


def test_cancelled_is_raised_as_such_and_leaves_nothing(volume_node: Any, temporary: Path) -> None:
    from medslicer.jobs.job_queue import job_queue

    def cancel(stage: str, share: float) -> None:
        for job in job_queue().jobs:
            job.cancel()

    before = names(volume_node.GetScene())
    with pytest.raises(Cancelled):
        logic().process(volume_node, model="blobs", progress=cancel)
    assert names(volume_node.GetScene()) == before
    assert not workers()
    assert not list(temporary.iterdir())


def test_what_the_scripts_own_progress_function_raises_ends_the_run_and_is_raised(
    volume_node: Any, temporary: Path
) -> None:
    def broken(stage: str, share: float) -> None:
        raise KeyError(stage)

    before = names(volume_node.GetScene())
    with pytest.raises(KeyError):
        logic().process(volume_node, model="blobs", progress=broken)
    assert names(volume_node.GetScene()) == before
    assert not workers()
    assert not list(temporary.iterdir())


def test_deleting_the_scan_while_a_script_runs_is_one_sentence(harness: SlicerHarness, volume_node: Any) -> None:
    def delete(stage: str, share: float) -> None:
        if volume_node.GetScene() is not None:
            harness.scene.RemoveNode(volume_node)

    with pytest.raises(MedInferError, match="The scan was removed"):
        logic().process(volume_node, model="blobs", progress=delete)
    assert harness.scene.GetNumberOfNodesByClass("vtkMRMLMarkupsROINode") == 0


def test_the_other_two_modules_do_the_same(
    harness: SlicerHarness, dots_package: Make, dots_scan: Any, peas_package: Make, peas_scan: Volume
) -> None:
    from medslicer.nodes.volumes import add_volume

    for module in ("MedLandmark", "MedToothSeg"):
        harness.load_module(module)
    dots = logic("MedLandmark").process(add_volume(harness.scene, dots_scan[0]), model=dots_package())
    assert {row.title for row in dots.rows if row.position_world is not None} == set(dots_scan[1])
    teeth = logic("MedToothSeg").process(add_volume(harness.scene, peas_scan), model=peas_package())
    assert len([row for row in teeth.rows if row.fdi]) == 12
