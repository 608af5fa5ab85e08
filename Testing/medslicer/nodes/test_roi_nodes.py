"""What a ROI says of its finding, and that it stays where it is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from medinfer.findings import Findings, NoduleMeasures
from medinfer.manifest import Label
from medinfer.volume import Volume
from medslicer.export.saving import save_markups
from medslicer.headless import HeadlessSlicer
from medslicer.nodes.lookup import nodes_of
from medslicer.nodes.markups import VOLUME_ROLE, measured
from medslicer.nodes.rois import add_roi, box_from_roi
from medslicer.nodes.volumes import add_volume
from medslicer.pictures.box_pictures import caption_of
from medslicer.results.results import FindingNodes, add_findings


@pytest.fixture
def nodes(scene: Any, volume: Volume, findings: Findings, label: Label) -> FindingNodes:
    return add_findings(scene, findings, add_volume(scene, volume), name="Nodules", labels=[label])


def test_rois_are_called_by_label_and_rank(nodes: FindingNodes) -> None:
    assert [roi.GetName() for roi in nodes.rois] == ["Nodule 1", "Nodule 2", "Nodule 3"]


def test_score_and_diameter_are_measurements(nodes: FindingNodes, findings: Findings) -> None:
    assert [measured(roi, "confidence") for roi in nodes.rois] == [box.score for box in findings.boxes]
    assert [measured(roi, "diameter") for roi in nodes.rois] == [box.diameter_mm for box in findings.boxes]
    assert nodes.rois[0].GetMeasurement("diameter").GetValueWithUnitsAsPrintableString() == "7.1 mm"


def test_a_picture_says_in_which_lung_a_box_lies_where_that_is_known(nodes: FindingNodes) -> None:
    assert [caption_of(roi).split("   ") for roi in (*nodes.rois, None)] == [
        ["Nodule 1", "score 0.91", "7.1 mm, left lung"], ["Nodule 2", "score 0.50", "5.4 mm, right lung"],
        ["Nodule 3", "score 0.33", "1.5 mm"], ["nothing found"],
    ]


def test_what_was_measured_of_a_nodule_goes_with_its_box(
    scene: Any, volume: Volume, findings: Findings, tmp_path: Path
) -> None:
    box = replace(findings.boxes[0], measures=NoduleMeasures(512.4, 12.25, 8.55, "part-solid"))
    roi = add_roi(scene, box, "Nodule 1", add_volume(scene, volume))
    assert caption_of(roi) == "Nodule 1   score 0.91   12.2 × 8.6 mm, 512 mm³, left lung"
    save_markups([roi], tmp_path / "nodules.mrk.json")
    (written,) = json.loads((tmp_path / "nodules.mrk.json").read_text())["markups"]
    values = {one["name"]: (one.get("value"), one.get("units")) for one in written["measurements"]}
    assert values["nodule volume"] == (512.4, "mm³")
    assert values["longest axial"] == (12.25, "mm")


def test_an_absent_measurement_is_an_error_that_names_it(nodes: FindingNodes) -> None:
    with pytest.raises(ValueError, match="Nodule 1 has no measurement called malignancy"):
        measured(nodes.rois[0], "malignancy")


def test_boxes_cannot_be_dragged_by_accident(nodes: FindingNodes) -> None:
    for roi in nodes.rois:
        assert roi.GetLocked()
        assert not roi.GetDisplayNode().GetHandlesInteractive()


def test_the_image_shows_through_the_boxes(nodes: FindingNodes) -> None:
    assert not any(roi.GetDisplayNode().GetFillVisibility() for roi in nodes.rois)


def test_boxes_have_the_colour_of_their_label(nodes: FindingNodes, label: Label) -> None:
    display = nodes.rois[0].GetDisplayNode()
    assert display.GetColor() == pytest.approx(label.color)
    assert display.GetSelectedColor() == pytest.approx(label.color)


def test_boxes_know_the_volume_they_were_found_on(nodes: FindingNodes, scene: Any) -> None:
    (volume_node,) = nodes_of(scene, "vtkMRMLScalarVolumeNode")
    for roi in nodes.rois:
        assert roi.GetNodeReference(VOLUME_ROLE) is volume_node
        assert roi.GetNthControlPointAssociatedNodeID(0) == volume_node.GetID()


def test_outputs_get_the_transform_of_the_volume(scene: Any, volume: Volume, findings: Findings) -> None:
    volume_node = add_volume(scene, volume)
    volume_node.SetAndObserveTransformNodeID(scene.AddNewNodeByClass("vtkMRMLLinearTransformNode").GetID())
    nodes = add_findings(scene, findings, volume_node, name="Nodules")
    assert {roi.GetTransformNodeID() for roi in nodes.rois} == {volume_node.GetTransformNodeID()}


def test_one_markups_file_holds_all_findings_with_names_scores_and_looks(
    nodes: FindingNodes, findings: Findings, label: Label, tmp_path: Path
) -> None:
    path = tmp_path / "nodules.mrk.json"
    save_markups(nodes.rois, path)
    with HeadlessSlicer() as other:
        other.application_logic.GetModuleLogic("Markups").LoadMarkups(str(path))
        read = nodes_of(other.scene, "vtkMRMLMarkupsROINode")
        assert [roi.GetName() for roi in read] == ["Nodule 1", "Nodule 2", "Nodule 3"]
        for roi, box in zip(read, findings.boxes, strict=True):
            again = box_from_roi(roi)
            assert (again.label, again.score, again.side) == (box.label, box.score, box.side)
            assert again.diameter_mm == box.diameter_mm
            assert again.size_mm == pytest.approx(box.size_mm, abs=1e-9)
            assert again.center_ras == pytest.approx(box.center_ras, abs=1e-9)
            assert roi.GetLocked()
            assert not roi.GetDisplayNode().GetHandlesInteractive()
            assert roi.GetDisplayNode().GetColor() == pytest.approx(label.color)


def test_undo_takes_a_run_back_in_one_step(scene: Any, volume: Volume, findings: Findings) -> None:
    scene.SetUndoOn()
    volume_node = add_volume(scene, volume)
    add_findings(scene, findings, volume_node, name="Nodules")
    assert scene.GetNumberOfUndoLevels() == 1
    scene.Undo()
    assert nodes_of(scene, "vtkMRMLMarkupsROINode") == []
    assert nodes_of(scene, "vtkMRMLTableNode") == []
    assert nodes_of(scene, "vtkMRMLMarkupsDisplayNode") == []
    assert nodes_of(scene, "vtkMRMLScalarVolumeNode") == [volume_node]
    scene.Redo()
    assert len(nodes_of(scene, "vtkMRMLMarkupsROINode")) == len(findings.boxes)
