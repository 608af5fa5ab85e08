"""Landmarks as one point list: where they are, what it says of them, and that all of it comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medinfer.findings import Findings, Landmark
from medinfer.manifest import Code, Label, Terminology
from medinfer.volume import Grid, Volume
from medslicer.export.saving import save_markups, save_scene
from medslicer.headless import HeadlessSlicer
from medslicer.nodes.fiducials import defined_points, landmarks_from_fiducials, points_world
from medslicer.nodes.lookup import nodes_of
from medslicer.nodes.markups import VOLUME_ROLE
from medslicer.nodes.terminology import terminology_attribute
from medslicer.nodes.volumes import add_volume
from medslicer.results.results import FindingNodes, add_findings

TOLERANCE_MM = 1e-6
INDICES = ((0, 0, 0), (3.25, 7.5, 9.125), (11, 15, 19))


@pytest.fixture
def nodes(scene: Any, volume: Volume, landmarks: tuple[Landmark, ...]) -> FindingNodes:
    return add_findings(
        scene, Findings(landmarks=landmarks), add_volume(scene, volume),
        name="Landmarks", task="landmark", labels=[vertebra("T12"), vertebra("L1")], chain=True,
    )


def vertebra(name: str) -> Label:
    spine = Code(scheme="SCT", value="421060004", meaning="Vertebral column")
    return Label(
        value=1, name=name, color=(0.2, 0.8, 0.4),
        terminology=Terminology(
            category=Code(scheme="SCT", value="123037004", meaning="Anatomical Structure"),
            type=Code(scheme="99TEST", value=name, meaning=f"{name} vertebra"), region=spine,
        ),
    )


def transformed(scene: Any, volume_node: Any) -> None:
    import vtk

    moved = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    rigid = vtk.vtkTransform()
    rigid.Translate(11, -7, 5)
    rigid.RotateWXYZ(33, 0.3, 0.5, 0.8)
    moved.SetMatrixTransformToParent(rigid.GetMatrix())
    volume_node.SetAndObserveTransformNodeID(moved.GetID())


def by_volume_node(volume_node: Any, *, world: bool) -> NDArray[np.float64]:
    """INDICES by the volume node's own IJKToRAS and, for `world`, its parent transform."""
    import vtk

    ijk_to_ras = vtk.vtkMatrix4x4()
    volume_node.GetIJKToRASMatrix(ijk_to_ras)
    places = []
    for k, j, i in INDICES:
        place = list(ijk_to_ras.MultiplyPoint((i, j, k, 1.0))[:3])
        if world:
            volume_node.TransformPointToWorld(place, place)
        places.append(place)
    return np.array(places)


def with_a_gap(grid: Grid) -> Findings:
    """Landmarks at INDICES, and a missing one after the first."""
    first, *others = (Landmark(str(kji), tuple(map(float, grid.to_ras(kji))), 0.5) for kji in INDICES)  # type: ignore
    return Findings(landmarks=(first, Landmark("missing", None, 0.125), *others))


def test_points_in_any_scan_under_any_transform_survive_every_file(scene: Any, grid: Grid, tmp_path: Path) -> None:
    volume_node = add_volume(scene, Volume(np.zeros(grid.shape, np.int16), grid))
    transformed(scene, volume_node)
    nodes = add_findings(scene, with_a_gap(grid), volume_node, name="Landmarks", task="landmark")
    expected = by_volume_node(volume_node, world=True)
    assert points_world(nodes.fiducials) == pytest.approx(expected, abs=TOLERANCE_MM)
    save_markups(nodes.markups, tmp_path / "landmarks.mrk.json")
    save_scene(scene, tmp_path / "scene.mrb")
    with HeadlessSlicer() as other:
        assert other.scene.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
        (read,) = nodes_of(other.scene, "vtkMRMLMarkupsFiducialNode")
        assert points_world(read) == pytest.approx(expected, abs=TOLERANCE_MM)
        assert defined_points(read) == (0, 2, 3)
    with HeadlessSlicer() as other:
        other.application_logic.GetModuleLogic("Markups").LoadMarkups(str(tmp_path / "landmarks.mrk.json"))
        (read,) = nodes_of(other.scene, "vtkMRMLMarkupsFiducialNode")
        # A markups file holds the node's own coordinates: it belongs under the scan's transform.
        assert points_world(read) == pytest.approx(by_volume_node(volume_node, world=False), abs=TOLERANCE_MM)
        assert defined_points(read) == (0, 2, 3)


def test_on_disk_coordinates_are_lps(nodes: FindingNodes, landmarks: tuple[Landmark, ...], tmp_path: Path) -> None:
    import json

    save_markups(nodes.markups, tmp_path / "landmarks.mrk.json")
    points, curve = json.loads((tmp_path / "landmarks.mrk.json").read_text())["markups"]
    assert (points["type"], points["name"], points["coordinateSystem"]) == ("Fiducial", "Landmarks", "LPS")
    assert (curve["type"], curve["name"], curve["coordinateSystem"]) == ("Curve", "Landmarks curve", "LPS")
    assert landmarks[0].position_ras is not None
    r, a, s = landmarks[0].position_ras
    assert points["controlPoints"][0]["position"] == pytest.approx([-r, -a, s], abs=1e-9)
    assert [point["positionStatus"] for point in points["controlPoints"]] == [
        "defined", "defined", "missing", "defined", "defined", "missing",
    ]


def test_order_labels_confidences_and_flags_come_back_from_node_file_and_bundle(
    scene: Any, nodes: FindingNodes, landmarks: tuple[Landmark, ...], tmp_path: Path
) -> None:
    assert landmarks_from_fiducials(nodes.fiducials) == landmarks
    save_markups(nodes.markups, tmp_path / "landmarks.mrk.json")
    save_scene(scene, tmp_path / "scene.mrb")
    for read in ("file", "bundle"):
        with HeadlessSlicer() as other:
            if read == "file":
                other.application_logic.GetModuleLogic("Markups").LoadMarkups(str(tmp_path / "landmarks.mrk.json"))
            else:
                assert other.scene.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
            (fiducials,) = nodes_of(other.scene, "vtkMRMLMarkupsFiducialNode")
            again = landmarks_from_fiducials(fiducials)
            assert [(one.label, one.status, one.confidence, one.flags) for one in again] == [
                (one.label, one.status, one.confidence, one.flags) for one in landmarks
            ]
            assert fiducials.GetName() == "Landmarks"
            assert fiducials.GetLocked()
            assert fiducials.GetFixedNumberOfControlPoints()


def test_slicers_own_function_reads_the_confidences(nodes: FindingNodes, landmarks: tuple[Landmark, ...]) -> None:
    import slicer

    confidences = slicer.util.arrayFromMarkupsControlPointData(nodes.fiducials, "confidence")
    assert list(confidences) == [landmark.confidence for landmark in landmarks]


def test_flagged_points_have_another_colour_and_say_why(nodes: FindingNodes) -> None:
    fiducials = nodes.fiducials
    assert [fiducials.GetNthControlPointSelected(n) for n in range(6)] == [True, True, True, False, True, True]
    assert fiducials.GetNthControlPointDescription(3) == "above L1; too near L4"
    display = fiducials.GetDisplayNode()
    assert display.GetSelectedColor() == pytest.approx((0.2, 0.8, 0.4))
    assert np.abs(np.subtract(display.GetColor(), display.GetSelectedColor())).max() > 0.5


def test_points_cannot_be_dragged_by_accident_and_show_through_bone(nodes: FindingNodes) -> None:
    assert nodes.fiducials.GetLocked()
    display = nodes.fiducials.GetDisplayNode()
    assert not display.GetHandlesInteractive()
    assert display.GetOccludedVisibility()


def test_points_and_curve_know_their_scan_and_lie_under_its_transform(
    scene: Any, volume: Volume, landmarks: tuple[Landmark, ...]
) -> None:
    volume_node = add_volume(scene, volume)
    transformed(scene, volume_node)
    findings = Findings(landmarks=landmarks)
    nodes = add_findings(scene, findings, volume_node, name="Landmarks", task="landmark", chain=True)
    for markup in nodes.markups:
        assert markup.GetNodeReference(VOLUME_ROLE) is volume_node
        assert markup.GetTransformNodeID() == volume_node.GetTransformNodeID()
        assert {
            markup.GetNthControlPointAssociatedNodeID(n) for n in range(markup.GetNumberOfControlPoints())
        } == {volume_node.GetID()}


def test_the_node_has_the_codes_that_all_labels_share(nodes: FindingNodes) -> None:
    assert nodes.fiducials.GetAttribute(terminology_attribute()) == (
        "Segmentation category and type - DICOM master list"
        "~SCT^123037004^Anatomical Structure~SCT^421060004^Vertebral column~^^~~^^~^^"
    )


def test_undo_takes_landmarks_curve_and_table_back_in_one_step(
    scene: Any, volume: Volume, landmarks: tuple[Landmark, ...]
) -> None:
    scene.SetUndoOn()
    volume_node = add_volume(scene, volume)
    findings = Findings(landmarks=landmarks)
    add_findings(scene, findings, volume_node, name="Landmarks", task="landmark", chain=True)
    assert scene.GetNumberOfUndoLevels() == 1
    scene.Undo()
    for kind in ("vtkMRMLMarkupsNode", "vtkMRMLTableNode", "vtkMRMLMarkupsDisplayNode"):
        assert nodes_of(scene, kind) == []
    scene.Redo()
    (fiducials,) = nodes_of(scene, "vtkMRMLMarkupsFiducialNode")
    assert landmarks_from_fiducials(fiducials) == landmarks
    assert len(nodes_of(scene, "vtkMRMLMarkupsCurveNode")) == 1


def test_a_run_without_any_landmark_has_an_empty_list_and_table(scene: Any, volume: Volume, tmp_path: Path) -> None:
    volume_node = add_volume(scene, volume)
    nodes = add_findings(scene, Findings(), volume_node, name="Landmarks", task="landmark", chain=True)
    assert landmarks_from_fiducials(nodes.fiducials) == ()
    assert nodes.curve is None
    save_markups(nodes.markups, tmp_path / "landmarks.mrk.json")
    with HeadlessSlicer() as other:
        other.application_logic.GetModuleLogic("Markups").LoadMarkups(str(tmp_path / "landmarks.mrk.json"))
        (read,) = nodes_of(other.scene, "vtkMRMLMarkupsFiducialNode")
        assert landmarks_from_fiducials(read) == ()
        assert len(points_world(read)) == 0
