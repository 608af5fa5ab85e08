"""Nodes, models and folders that go while someone looks at them or runs on them: no trace, no half result."""

from __future__ import annotations

import itertools
import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from harness import SlicerHarness
from panel_user import PanelUser, workers
from PySide6 import QtCore, QtTest, QtWidgets
from results_user import NAME, ResultsUser


def parameter_nodes(scene: Any) -> list[Any]:
    count = scene.GetNumberOfNodesByClass("vtkMRMLScriptedModuleNode")
    return [scene.GetNthNodeByClass(n, "vtkMRMLScriptedModuleNode") for n in range(count)]


def gone(user: ResultsUser, what: str) -> None:
    """Delete `what`, as a user of the Data and Tables modules can."""
    from medslicer.results.result_nodes import tree_of

    (result,) = user.results
    nodes, scene = result.nodes, user.scene
    if what == "scene":
        scene.Clear(0)
    elif what == "columns":
        while result.table.GetNumberOfColumns() > 1:
            result.table.RemoveColumn(1)
    elif what == "folder":
        tree_of(scene).RemoveItem(nodes.folder, False, False)
    else:
        displays = [node.GetDisplayNode() for node in nodes.made[1:]]
        chosen = {
            "findings": nodes.made[1:], "displays": filter(None, displays), "table": [result.table],
            "all of it": nodes.made, "scan": [nodes.volume], "parameters": parameter_nodes(scene),
        }
        for node in list(chosen[what]):
            scene.RemoveNode(node)


def use_everything(user: ResultsUser, folder: Path) -> None:
    """Click every enabled control once; what one of them deletes, the next ones go without."""
    for widget in user.module.column.findChildren(QtWidgets.QWidget):
        if not widget.objectName() or not widget.isVisible() or not widget.isEnabled():
            continue
        if isinstance(widget, QtWidgets.QTableWidget):
            for row in range(widget.rowCount()):
                user.harness.click_cell(widget, row, NAME)
            widget.setFocus()
            user.harness.press(widget, QtCore.Qt.Key.Key_Space)
        elif widget.objectName() == "scoreSlider":
            user.drag_to(0.9)
            user.drag_to(0.0)
        elif isinstance(widget, QtWidgets.QComboBox) and widget.objectName() in ("resultSelector", "targetSelector"):
            widget.activated.emit(widget.count() - 1)
        elif widget.objectName() == "exportButton":
            export_all(user, folder)
        elif widget.objectName() in ("acceptButton", "rejectButton", "addMeasureButton"):
            widget.click()
        user.harness.process_events()
        user.harness.errors.raise_if_any()


def export_all(user: ResultsUser, folder: Path) -> None:
    for entry in [action.text() for action in user.ui("exportButton").menu().actions()]:
        user.export(entry, folder if entry.startswith("Surfaces") else folder / "file")


@pytest.mark.parametrize(("module", "what"), [
    *(("nodules", what) for what in ("table", "all of it", "scan", "parameters", "folder", "scene")),
    *itertools.product(("nodules", "landmarks", "teeth"), ("findings", "displays", "columns")),
])
def test_every_control_does_without(
    request: pytest.FixtureRequest, tmp_path: Path, module: str, what: str
) -> None:
    user: ResultsUser = request.getfixturevalue(module)
    user.table.setCurrentCell(0, NAME)
    gone(user, what)
    # Before the panel has heard of it, and after.
    use_everything(user, tmp_path)
    user.harness.process_events()
    use_everything(user, tmp_path)
    if what in ("table", "all of it", "columns", "scene"):
        assert user.rows == []
        assert not user.ui("exportButton").isEnabled()
    else:
        assert len(user.results) == 1


def test_a_deleted_parameter_node_is_made_anew(user: PanelUser, harness: SlicerHarness) -> None:
    user.run()
    for node in parameter_nodes(harness.scene):
        harness.scene.RemoveNode(node)
    user.wait(lambda: not workers() and not user.running)
    user.choose("scanSelector", "blobs")
    user.choose("modelSelector", "Bright blobs")
    user.run_to_the_end()
    assert user.message.startswith("2 nodules found")
    assert parameter_nodes(harness.scene)


# A result of another version ----------------------------------------------------------------------------------------


def test_what_a_later_version_notes_of_a_run_is_left_alone(nodules: ResultsUser) -> None:
    (result,) = nodules.results
    newer = {**asdict(result.record), "format": 2, "dose": {"mGy": 3}}
    newer["model"]["kind"] = "new"
    text = json.dumps(newer)
    result.table.SetAttribute("MedInfer.run", text)
    nodules.harness.process_events()
    nodules.click_row("Nodule 1")
    nodules.click("acceptButton")
    assert (len(nodules.rows), nodules.is_ticked("Nodule 1")) == (6, True)
    assert result.table.GetAttribute("MedInfer.run") == text


@pytest.mark.parametrize("changed", [
    {"task": "follow-up"}, {"notes": "text"}, {"names": 5}, {"seconds": "long"}, {"made": None}, {"model": {"id": 1}},
], ids=str)
def test_a_record_that_this_version_cannot_read_is_an_ordinary_table(
    nodules: ResultsUser, changed: dict[str, Any]
) -> None:
    (result,) = nodules.results
    result.table.SetAttribute("MedInfer.run", json.dumps({**asdict(result.record), **changed}))
    nodules.harness.process_events()
    assert nodules.rows == []
    assert nodules.chosen("resultSelector") == "No results yet"
    assert result.table.GetNumberOfRows() == 6


# Models ------------------------------------------------------------------------------------------------------------


def manifest_of(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "model.json").read_text())
    return read


@pytest.mark.parametrize(("change", "words"), [
    (None, "There is no model 'blobs'"), ({"task": "landmark"}, "its fields contradict each other"),
    ({"schema_version": 99}, "update MedInfer"), ({"id": "renamed"}, "There is no model 'blobs'"),
], ids=["deleted", "of another task", "of a later version", "renamed"])
def test_a_model_that_changes_between_choice_and_run_is_one_sentence(
    user: PanelUser, own_library: Path, change: dict[str, Any] | None, words: str
) -> None:
    folder = own_library / "blobs"
    changed = {**manifest_of(folder), **(change or {})}
    (folder / "model.json").write_text(json.dumps(changed))
    if change is None:
        shutil.rmtree(folder)
    user.run()
    user.wait_for_the_end()
    assert user.complains
    assert words in user.message
    assert "\n" not in user.message
    assert user.rows == []


def test_a_model_exchanged_while_it_runs_signs_no_result(
    user: PanelUser, harness: SlicerHarness, own_library: Path
) -> None:
    from medinfer.errors import PackageError
    from medinfer.findings import Findings
    from medslicer.jobs.job import Job, RunSettings
    from medslicer.jobs.processing import result_of
    from medslicer.profiles import PROFILES

    node = harness.scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    job = Job(node, RunSettings("blobs"))
    job.findings = Findings(scan="blobs", model="blobs 1.0.0")
    changed = {**manifest_of(own_library / "blobs"), "version": "2.0.0"}
    (own_library / "blobs" / "model.json").write_text(json.dumps(changed))
    with pytest.raises(PackageError, match="The model blobs was replaced during the run; run it again"):
        result_of(job, PROFILES["MedDetect"], node)
    job.close()


# Clicks in haste ---------------------------------------------------------------------------------------------------


def test_a_double_click_on_run_runs_once(user: PanelUser, harness: SlicerHarness) -> None:
    from medslicer.jobs.job_queue import job_queue
    from medslicer.results.result import results_in

    button = user.ui("runButton")
    for click in (QtTest.QTest.mouseClick, QtTest.QTest.mouseDClick, QtTest.QTest.mouseClick):
        click(button, QtCore.Qt.MouseButton.LeftButton)
    assert len(job_queue().jobs) == 1
    for _ in range(3):
        harness.leave(user.module)
        harness.enter(user.module)
    user.wait_for_the_end()
    assert len(results_in(harness.scene)) == 1
