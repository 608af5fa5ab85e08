"""Run and what is around it: why it is disabled, progress, the result in the scene, a result in place of another."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import SlicerHarness
from panel_user import PanelUser

from medinfer.volume import Volume

Open = Callable[..., PanelUser]


def scan_node(harness: SlicerHarness) -> Any:
    return harness.scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")


def boxes(harness: SlicerHarness) -> list[Any]:
    count = harness.scene.GetNumberOfNodesByClass("vtkMRMLMarkupsROINode")
    return [harness.scene.GetNthNodeByClass(n, "vtkMRMLMarkupsROINode") for n in range(count)]


def results(harness: SlicerHarness) -> list[Any]:
    from medslicer.results.result import results_in

    return list(results_in(harness.scene, "MedDetect"))


def hinders(user: PanelUser, words: str) -> bool:
    return not user.may_run and words in user.message and words in user.ui("runButton").toolTip()


def test_without_a_scan_the_panel_asks_for_one(open_panel: Open) -> None:
    user = open_panel()
    assert hinders(user, "Choose a scan to run on.")
    assert not user.running
    assert not user.complains


def test_choosing_the_scan_is_enough_to_run(harness: SlicerHarness, open_panel: Open, blob_scan: Any) -> None:
    from medslicer.nodes.volumes import add_volume

    user = open_panel()
    add_volume(harness.scene, blob_scan[0])
    harness.process_events()
    # Loaded while none was chosen, it is.
    assert (user.may_run, user.message) == (True, "")
    user.choose("scanSelector", "None")
    assert hinders(user, "Choose a scan")
    user.choose("scanSelector", "blobs")
    assert (user.may_run, user.message) == (True, "")


def test_a_broken_model_is_the_reason(user: PanelUser, own_library: Path) -> None:
    (own_library / "blobs" / "model.json").write_text("{")
    user.harness.leave(user.module)
    user.harness.enter(user.module)
    assert "broken" in user.chosen("modelSelector")
    assert hinders(user, "it is not JSON")
    user.choose("modelSelector", "odule")
    assert user.may_run


def test_a_model_that_is_not_here_yet_is_the_reason(user: PanelUser) -> None:
    user.choose("modelSelector", "to fetch")
    assert hinders(user, "not on this computer yet: fetch it")


def test_a_run_shows_its_progress_puts_its_findings_into_the_scene_and_shows_the_best(
    user: PanelUser, harness: SlicerHarness, blob_scan: Any, temporary: Path
) -> None:
    bar, shares, messages = user.ui("progressBar"), [], []
    assert not bar.isVisible()
    user.run()
    assert (user.running, user.may_run, bar.isVisible()) == (True, False, True)

    def look() -> bool:
        shares.append(bar.value())
        messages.append(user.message)
        return not user.running

    user.wait(look)
    harness.process_events()
    assert shares[:-1] == sorted(shares[:-1])
    assert max(shares) > 0
    assert "Handing over the scan" in messages
    assert not bar.isVisible()
    assert user.message.startswith("2 nodules found in ")
    (result,) = results(harness)
    centers = np.array([roi.GetCenterWorld() for roi in boxes(harness)])
    assert len(centers) == 2
    for center, _diameter in blob_scan[1]:
        assert np.linalg.norm(centers - center, axis=1).min() < 1.8
    assert result.volume_node is scan_node(harness)
    assert [score for _, score, _ in user.rows] == sorted((score for _, score, _ in user.rows), reverse=True)
    assert [title for title, _, _ in user.rows] == [row.title for row in result.rows]
    assert not list(temporary.iterdir())
    assert user.may_run
    the_best_finding_is_selected_and_shown(user, result.rows[0])


def the_best_finding_is_selected_and_shown(user: PanelUser, best: Any) -> None:
    table, harness = user.ui("findingsTable"), user.harness
    assert table.currentRow() == 0
    assert table.item(0, 1).text() == best.title
    for name in ("Red", "Green", "Yellow"):
        node = harness.scene.GetNodeByID(f"vtkMRMLSliceNode{name}")
        to_ras = node.GetSliceToRAS()
        normal = np.array([to_ras.GetElement(row, 2) for row in range(3)])
        origin = np.array([to_ras.GetElement(row, 3) for row in range(3)])
        assert abs((np.array(best.position_world) - origin) @ normal) < 1e-3


def test_running_again_makes_a_second_result(user_with_result: PanelUser, harness: SlicerHarness) -> None:
    user = user_with_result
    assert user.entries("targetSelector") == ["New result", "Replace Nodules"]
    user.run_to_the_end()
    assert [result.name for result in results(harness)] == ["Nodules", "Nodules 2"]
    assert user.chosen("resultSelector") == "Nodules 2"
    assert len(boxes(harness)) == 4


def test_a_run_in_place_of_a_result_replaces_it(user_with_result: PanelUser, harness: SlicerHarness) -> None:
    user = user_with_result
    (before,) = results(harness)
    user.ui("findingsTable").setCurrentCell(0, 1)
    harness.click(user.ui("rejectButton"))
    assert before.rows[0].review == "rejected"
    user.choose("targetSelector", "Replace Nodules")
    user.run_to_the_end()
    (after,) = results(harness)
    assert (after.name, before.there, len(boxes(harness))) == ("Nodules", False, 2)
    assert [row.review for row in after.rows] == ["", ""]
    assert user.chosen("targetSelector") == "Replace Nodules"
    assert user.chosen("resultSelector") == "Nodules"


def test_a_result_that_was_deleted_meanwhile_is_not_replaced(
    user_with_result: PanelUser, harness: SlicerHarness
) -> None:
    user = user_with_result
    user.choose("targetSelector", "Replace Nodules")
    user.run()
    harness.answer(True)
    user.click("removeResultButton")
    assert user.rows == []
    user.wait_for_the_end()
    assert user.message.startswith("2 nodules found")
    assert len(results(harness)) == 1
    assert user.chosen("targetSelector") == "New result"


def test_another_scans_run_does_not_replace_the_result_unasked(
    user_with_result: PanelUser, harness: SlicerHarness, blob_scan: Any
) -> None:
    from medslicer.nodes.volumes import add_volume

    user = user_with_result
    user.choose("targetSelector", "Replace Nodules")
    other = add_volume(harness.scene, blob_scan[0])
    other.SetName("another")
    harness.process_events()
    user.choose("scanSelector", "another")
    assert user.chosen("targetSelector").startswith("New")
    user.run_to_the_end()
    assert [result.volume_node.GetName() for result in results(harness)] == ["blobs", "another"]


def test_a_result_that_cannot_be_shown_is_told(
    user: PanelUser, harness: SlicerHarness, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug of ours, or a Slicer to come."""

    def of_a_later_slicer(*arguments: Any, **options: Any) -> Any:
        raise AttributeError("GetSubjectHierarchyNode")

    monkeypatch.setattr("medslicer.results.results.put_in_folder", of_a_later_slicer)
    user.run()
    # The log has it with its trace, on which the harness insists.
    with pytest.raises(AssertionError, match="AttributeError: GetSubjectHierarchyNode"):
        user.wait_for_the_end()
    harness.process_events()
    assert user.complains
    assert "The result could not be shown (GetSubjectHierarchyNode)" in user.message
    assert (boxes(harness), list(temporary.iterdir())) == ([], [])
    assert user.may_run


def test_a_failed_run_replaces_nothing(
    user_with_result: PanelUser, harness: SlicerHarness, own_library: Path
) -> None:
    user = user_with_result
    user.choose("targetSelector", "Replace Nodules")
    (own_library / "blobs" / "network.onnx").write_bytes(b"exchanged")
    user.run_to_the_end()
    assert user.complains
    assert len(results(harness)) == 1
    assert len(boxes(harness)) == 2


def test_the_threshold_that_was_set_is_the_runs(user: PanelUser, harness: SlicerHarness, blob_scan: Any) -> None:
    volume, _ = blob_scan
    faint = volume.with_voxels(np.where(volume.voxels == 0, np.int16(-465), volume.voxels))
    import slicer

    slicer.util.updateVolumeFromArray(scan_node(harness), faint.voxels)
    user.unfold("advancedSection")
    assert not user.ui("thresholdSpin").isEnabled()
    user.click("ownThreshold")
    user.type_number("thresholdSpin", "0.9")
    user.run_to_the_end()
    (result,) = results(harness)
    assert result.record.threshold == pytest.approx(0.9)
    assert user.message.startswith("No nodules found")
    assert user.rows == []
    user.click("ownThreshold")
    assert user.ui("thresholdSpin").value() == pytest.approx(0.5)
    user.run_to_the_end()
    assert user.message.startswith("2 nodules found")


def test_device_precision_and_overlap_reach_the_run(user: PanelUser, harness: SlicerHarness, temporary: Path) -> None:
    user.unfold("advancedSection")
    user.wait(lambda: len(user.entries("deviceSelector")) > 1)
    user.choose("deviceSelector", "onnxruntime – cpu")
    user.choose("precisionSelector", "float32")
    user.click("ownOverlap")
    user.type_number("overlapSpin", "60")
    user.run()
    told = json.loads(user.wait(lambda: [path.read_text() for path in temporary.glob("*/job.json")])[0])
    user.wait_for_the_end()
    (result,) = results(harness)
    assert (result.record.runtime, result.record.device, result.record.precision) == ("onnxruntime", "cpu", "float32")
    assert told["overlap"] == pytest.approx(0.6)
    assert "cpu, onnxruntime, float32" in user.log


def test_mirrored_tiles_can_be_left_out_where_the_model_has_them(
    harness: SlicerHarness, install_blobs: Callable[..., Path], blob_scan: Any, temporary: Path, open_panel: Open
) -> None:
    from medslicer.nodes.volumes import add_volume

    install_blobs(lambda manifest: manifest["network"].update(mirror=["i"]))
    add_volume(harness.scene, blob_scan[0])
    user = open_panel()
    user.unfold("advancedSection")
    assert user.ui("mirrorBox").isHidden()
    user.choose("modelSelector", "Bright blobs")
    assert not user.ui("mirrorBox").isHidden()
    user.click("mirrorBox")
    user.run()
    told = json.loads(user.wait(lambda: [path.read_text() for path in temporary.glob("*/job.json")])[0])
    user.wait_for_the_end()
    assert told["mirroring"] is False
    assert user.message.startswith("2 nodules found")


def test_only_inside_a_region(user: PanelUser, harness: SlicerHarness, blob_scan: Any) -> None:
    center, _ = blob_scan[1][1]
    region = harness.scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "lesion")
    region.SetSize(24, 24, 24)
    region.SetCenterWorld(*center)
    harness.process_events()
    user.unfold("advancedSection")
    user.choose("regionSelector", "lesion")
    user.run_to_the_end()
    assert user.message.startswith("1 nodule found")
    assert "Only a region of" in user.message
    (row,) = results(harness)[0].rows
    assert np.linalg.norm(np.array(row.position_world) - center) < 1.8
    region.SetCenterWorld(900, 900, 900)
    user.run()
    assert not user.running
    assert user.complains
    assert "lesion lies outside blobs" in user.message


def test_a_scan_with_a_very_long_name_runs_as_any(user: PanelUser, harness: SlicerHarness) -> None:
    scan_node(harness).SetName("Thorax nativ 1.0 B70f " * 12 + "ÄÖ/…<b>")
    user.run_to_the_end()
    assert user.message.startswith("2 nodules found")


def test_a_scan_that_cannot_be_looked_at_is_one_sentence(
    user: PanelUser, harness: SlicerHarness, blob_scan: Any
) -> None:
    from medslicer.nodes.volumes import add_volume

    voxels = blob_scan[0].voxels[:1]
    add_volume(harness.scene, Volume(voxels, blob_scan[0].grid.cropped((0, 0, 0), voxels.shape), "flat"))
    harness.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    harness.process_events()
    user.choose("scanSelector", "flat")
    user.run_to_the_end()
    assert user.complains
    assert user.message.startswith("flat ")
    user.choose("scanSelector", "empty")
    user.run()
    assert (user.running, user.complains) == (False, True)
    assert "empty contains no voxels" in user.message
    assert results(harness) == []
