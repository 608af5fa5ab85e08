"""Settings live in the scene; a scene that was saved and loaded shows the same; the last choices begin the next one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import SlicerHarness
from panel_user import PanelUser


def parameters(harness: SlicerHarness, module: str = "MedDetect") -> Any:
    return harness.scene.GetSingletonNode(module, "vtkMRMLScriptedModuleNode")


def set_everything(user: PanelUser) -> None:
    user.unfold("advancedSection")
    user.wait(lambda: len(user.entries("deviceSelector")) > 1)
    user.choose("deviceSelector", "onnxruntime – cpu")
    user.choose("precisionSelector", "float32")
    user.click("ownThreshold")
    user.type_number("thresholdSpin", "0.4")
    user.click("ownOverlap")
    user.type_number("overlapSpin", "35")


CONTROLS = ("scanSelector", "modelSelector", "targetSelector", "regionSelector", "deviceSelector", "precisionSelector",
            "resultSelector")


def shown(user: PanelUser) -> dict[str, Any]:
    """All that the panel shows of its settings and its results."""
    table = user.ui("findingsTable")
    return {
        **{name: user.chosen(name) for name in CONTROLS},
        "threshold": (user.ui("ownThreshold").isChecked(), user.ui("thresholdSpin").value()),
        "overlap": (user.ui("ownOverlap").isChecked(), user.ui("overlapSpin").value()),
        "rows": user.rows,
        "ticks": [table.item(row, 0).checkState().value for row in range(table.rowCount())],
        "struck": [table.item(row, 1).font().strikeOut() for row in range(table.rowCount())],
        "score": user.ui("scoreSlider").property("value"),
        "summary": user.ui("summaryLabel").text(),
    }


def test_each_choice_stands_in_the_scene_and_the_last_ones_begin_the_next_but_not_the_numbers(
    user: PanelUser, harness: SlicerHarness
) -> None:
    set_everything(user)
    node = parameters(harness)
    assert node.GetAttribute("ModuleName") == "MedDetect"
    assert node.GetNodeReference("scan").GetName() == "blobs"
    said = {name: node.GetParameter(name) for name in ("model", "device", "precision", "threshold", "overlap")}
    assert said == {
        "model": "blobs", "device": "onnxruntime:cpu", "precision": "float32", "threshold": "0.4", "overlap": "0.35"
    }
    harness.scene.Clear(0)
    harness.process_events()
    assert user.chosen("modelSelector") == "Bright blobs"
    assert user.chosen("deviceSelector").startswith("onnxruntime – cpu")
    assert user.chosen("precisionSelector") == "float32"
    assert not user.ui("ownThreshold").isChecked()
    assert not user.ui("ownOverlap").isChecked()


def test_what_a_script_sets_is_shown(user: PanelUser, harness: SlicerHarness) -> None:
    parameters(harness).SetParameter("threshold", "0.7")
    parameters(harness).SetParameter("model", "chest-nodules")
    parameters(harness).SetNodeReferenceID("scan", None)
    harness.process_events()
    assert user.ui("thresholdSpin").value() == pytest.approx(0.7)
    assert user.chosen("modelSelector") != "Bright blobs"
    assert user.chosen("scanSelector") == "None"
    assert not user.may_run
    for nonsense in ("no number", "5", "-1", "nan", "inf"):
        for name, box in (("threshold", "ownThreshold"), ("overlap", "ownOverlap")):
            parameters(harness).SetParameter(name, nonsense)
            harness.process_events()
            assert not user.ui(box).isChecked()


def test_a_scene_that_was_saved_and_loaded_shows_the_same(
    user_with_result: PanelUser, harness: SlicerHarness, tmp_path: Path, blob_scan: Any
) -> None:
    from medslicer.export.saving import save_scene

    user = user_with_result
    region = harness.scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "whole chest")
    region.SetSize(900, 900, 900)
    region.SetCenterWorld(*blob_scan[1][0][0])
    harness.process_events()
    set_everything(user)
    user.choose("regionSelector", "whole chest")
    user.choose("targetSelector", "Replace Nodules")
    user.run_to_the_end()
    user.click("rejectButton")
    user.ui("findingsTable").setCurrentCell(1, 1)
    user.click("acceptButton")
    user.ui("scoreSlider").setProperty("value", 0.6)
    harness.process_events()
    before = shown(user)
    assert before["struck"] == [True, False]
    assert before["ticks"] == [0, 2]
    assert before["targetSelector"] == "Replace Nodules"
    save_scene(harness.scene, tmp_path / "case.mrb")

    harness.scene.Clear(0)
    harness.process_events()
    assert user.rows == []
    assert user.chosen("scanSelector") == "None"
    load(harness, tmp_path / "case.mrb")
    assert shown(user) == before
    user.run_to_the_end()
    assert user.entries("resultSelector") == ["Nodules"]


def load(harness: SlicerHarness, bundle: Path) -> None:
    harness.scene.ReadFromMRB(str(bundle), True)
    harness.process_events()


def test_a_scene_without_the_model_is_shown_and_says_what_is_missing(
    user_with_result: PanelUser, harness: SlicerHarness, tmp_path: Path, own_library: Path
) -> None:
    """A colleague opens the scene, who has not that model."""
    import shutil

    from medslicer.export.saving import save_scene

    user, rows = user_with_result, user_with_result.rows
    assert len(rows) == 2
    save_scene(harness.scene, tmp_path / "case.mrb")
    harness.scene.Clear(0)
    shutil.rmtree(own_library / "blobs")
    load(harness, tmp_path / "case.mrb")
    harness.leave(user.module)
    harness.enter(user.module)
    assert user.rows == rows
    assert parameters(harness).GetParameter("model") == "blobs"
    assert user.chosen("modelSelector") == user.entries("modelSelector")[0]
    assert user.may_run


def test_the_last_choices_begin_the_next_start_of_slicer(tmp_path: Path, install_blobs: Callable[..., Path]) -> None:
    install_blobs()
    for start in range(2):
        with SlicerHarness(tmp_path / "settings") as harness:
            user = PanelUser(harness, harness.load_module("MedDetect"))
            assert (user.chosen("modelSelector") == "Bright blobs") == (start > 0)
            user.choose("modelSelector", "Bright blobs")


def test_the_scan_in_the_views_is_proposed(
    harness: SlicerHarness, open_panel: Callable[..., PanelUser], blob_scan: Any
) -> None:
    import slicer

    from medslicer.nodes.volumes import add_volume

    add_volume(harness.scene, blob_scan[0]).SetName("first")
    viewed = add_volume(harness.scene, blob_scan[0])
    viewed.SetName("viewed")
    slicer.util.setSliceViewerLayers(background=viewed)
    assert open_panel().chosen("scanSelector") == "viewed"


def test_a_panel_that_a_reload_has_replaced_says_nothing_more(
    user: PanelUser, harness: SlicerHarness, blob_scan: Any
) -> None:
    """Slicer only hides it, and its selectors go on to follow the scene."""
    from medslicer.nodes.volumes import add_volume

    first, second = (add_volume(harness.scene, blob_scan[0]) for _ in range(2))
    first.SetName("first")
    second.SetName("second")
    harness.process_events()
    user.choose("scanSelector", "first")
    harness.reload(user.module)
    user.choose("scanSelector", "second")
    harness.scene.RemoveNode(first)
    harness.process_events()
    assert user.chosen("scanSelector") == "second"


def test_undo_is_seen_in_the_table(user: PanelUser, harness: SlicerHarness) -> None:
    harness.scene.SetUndoOn()
    user.run_to_the_end()
    user.click("rejectButton")
    assert "1 rejected" in user.ui("summaryLabel").text()
    harness.scene.Undo()
    harness.process_events()
    assert user.ui("summaryLabel").text() == "2 shown"
    harness.scene.Undo()
    harness.process_events()
    assert user.rows == []
    assert user.chosen("resultSelector") == "No results yet"
