"""Segments of a run as one segmentation, in the scene and through Slicer's files."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medinfer.findings import Findings, Segment
from medinfer.label_map import LabelMap
from medinfer.manifest import Code, Label, Terminology
from medinfer.volume import Grid, Volume
from medslicer.export.saving import save_scene, save_segmentation
from medslicer.headless import HeadlessSlicer
from medslicer.nodes.labelmaps import layers_of, segment_id
from medslicer.nodes.lookup import nodes_of
from medslicer.nodes.named_segments import named_segments
from medslicer.nodes.segment_surfaces import surface_steps, surfaces_world
from medslicer.nodes.segments import add_segmentation, shown_segments
from medslicer.nodes.terminology import terminology_entry
from medslicer.nodes.volumes import add_volume, volume_from_node
from medslicer.results.results import add_findings

TOLERANCE_MM = 1e-6
TITLES = ["16", "11", "26", "36", "46", "Tooth without number 1", "Mandibular canal"]
CODES = Path(__file__).resolve().parents[3] / "Training" / "medtrain" / "datasets" / "fdi_sct_cid4018_4019.csv"


def segmentation_of(scene: Any, jaw: Any, volume_node: Any | None = None) -> Any:
    node = volume_node or add_volume(scene, jaw.volume)
    return add_findings(scene, jaw.findings, node, name="Teeth", task="segment", labels=jaw.labels).segmentation


def read_file(scene: Any, path: Path) -> Any:
    """What Slicer's own reader makes of a `.seg.nrrd`."""
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    storage = scene.CreateNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.UnRegister(None)
    storage.SetFileName(str(path))
    assert storage.ReadData(node)
    return node


def exported(scene: Any, node: Any, volume_node: Any) -> NDArray[np.uint8]:
    """The segments as Slicer's own logic draws them on the scan's grid, `[k, j, i]`: 1 for the first one, and so on."""
    import slicer

    labelmap = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    assert logic.ExportAllSegmentsToLabelmapNode(node, labelmap, slicer.vtkSegmentation.EXTENT_REFERENCE_GEOMETRY)
    assert labelmap.GetImageData().GetDimensions() == volume_node.GetImageData().GetDimensions()
    return volume_from_node(labelmap).voxels


def check(node: Any, jaw: Any) -> None:
    """All that a segmentation tells of the jaw's findings."""
    shown = shown_segments(node)
    known = {label.name: label for label in jaw.labels}
    assert [segment.name for segment in shown] == TITLES
    assert [segment.value for segment in shown] == [segment.value for segment in jaw.findings.segments]
    assert [segment.fdi for segment in shown] == ["16", "11", "26", "36", "46", "", ""]
    assert [segment.confidence for segment in shown] == pytest.approx(
        [segment.confidence for segment in jaw.findings.segments], abs=1e-4
    )
    assert [segment.flags for segment in shown] == [segment.flags for segment in jaw.findings.segments]
    for segment in shown:
        terminology = node.GetSegmentation().GetSegment(segment.id).GetTerminology()
        label = known.get(segment.name)
        assert segment.color == pytest.approx(label.color if label else (0.62, 0.62, 0.62), abs=1e-6)
        if label and label.terminology:
            assert terminology == terminology_entry(label.terminology)


def test_a_segment_each_with_name_colour_terminology_and_tags(scene: Any, jaw: Any) -> None:
    check(segmentation_of(scene, jaw), jaw)


def test_all_segments_share_one_labelmap_with_the_values_of_the_findings(scene: Any, jaw: Any) -> None:
    node = segmentation_of(scene, jaw)
    assert node.GetSegmentation().GetNumberOfLayers() == 1
    check_places(node, jaw)


def test_on_any_grid_the_segments_lie_on_the_voxels_of_the_scan(scene: Any, grid: Grid) -> None:
    block = np.zeros((4, 5, 6), np.uint8)
    block[1:3, 1:4, 2:5], block[3, 0, 0] = 11, 48
    start = (3, 7, 9)
    segments = tuple(Segment(str(n), n, 0.5, (0, 0, 0), 1, 1) for n in (11, 48))
    findings = Findings(segments=segments, label_map=LabelMap(block, grid.cropped(start, block.shape)))
    volume_node = add_volume(scene, Volume(np.zeros(grid.shape, np.int16), grid))
    node = add_findings(scene, findings, volume_node, name="Teeth", task="segment").segmentation
    expected = np.zeros(grid.shape, np.uint8)
    inside = tuple(slice(a, a + n) for a, n in zip(start, block.shape, strict=True))
    expected[inside] = np.select([block == 11, block == 48], [1, 2])
    assert np.array_equal(exported(scene, node, volume_node), expected)


def test_under_a_transform_the_segments_move_with_the_scan(scene: Any, jaw: Any) -> None:
    import vtk

    volume_node = add_volume(scene, jaw.volume)
    before = centers(segmentation_of(scene, jaw, volume_node))
    moved = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    rigid = vtk.vtkTransform()
    rigid.Translate(11, -7, 5)
    rigid.RotateWXYZ(33, 0.3, 0.5, 0.8)
    moved.SetMatrixTransformToParent(rigid.GetMatrix())
    volume_node.SetAndObserveTransformNodeID(moved.GetID())
    node = segmentation_of(scene, jaw, volume_node)
    for place, expected in zip(centers(node), before, strict=True):
        assert place == pytest.approx(rigid.TransformPoint(expected), abs=1e-4)
    # In the editor it is drawn on the scan's voxels: the geometry of reference is the scan's, in the same coordinates.
    assert np.array_equal(exported(scene, node, volume_node) > 0, jaw.label_map.whole(jaw.volume).voxels > 0)


def centers(node: Any) -> list[NDArray[np.float64]]:
    """The means of the surfaces' corners in the world."""
    return [triangles(surface).mean(axis=(0, 1)) for surface in surfaces_world(node).values()]


def test_closed_surfaces_hold_the_volume_of_their_voxels(scene: Any, any_jaw: Any) -> None:
    node = segmentation_of(scene, any_jaw)
    assert node.GetSegmentation().ContainsRepresentation("Closed surface")
    surfaces = surfaces_world(node)
    for segment in any_jaw.findings.segments:
        corners = triangles(surfaces[segment_id(segment.value)])
        # Signed: its faces look outwards in left-handed scans too. A thin tube loses more to smoothing than a tooth.
        loss = 0.12 if segment.label == "Mandibular canal" else 0.03
        assert enclosed(corners) == pytest.approx(segment.volume_mm3, rel=loss)
        assert edges_without_partner(corners) == 0
        if segment.label != "Mandibular canal":
            assert corners.mean(axis=(0, 1)) == pytest.approx(any_jaw.centers_ras[segment.value], abs=0.15)


def test_surfaces_made_one_by_one_are_those_that_slicer_makes_of_all(scene: Any, any_jaw: Any) -> None:
    node = segmentation_of(scene, any_jaw)
    ours = surfaces_world(node)
    node.RemoveClosedSurfaceRepresentation()
    node.CreateClosedSurfaceRepresentation()
    slicers = surfaces_world(node)
    assert list(ours) == list(slicers)
    for segment, surface in slicers.items():
        np.testing.assert_allclose(triangles(ours[segment]), triangles(surface), rtol=0, atol=1e-4)


def test_surfaces_can_be_left_for_later_and_be_made_in_steps(scene: Any, jaw: Any) -> None:
    segments = named_segments(jaw.findings.segments, jaw.labels)
    node = add_segmentation(
        scene, segments, jaw.label_map, "Teeth", add_volume(scene, jaw.volume), surfaces=False
    )
    assert not node.GetSegmentation().ContainsRepresentation("Closed surface")
    assert sum(1 for _ in surface_steps(node)) == len(segments)
    assert len(surfaces_world(node)) == len(segments)


def triangles(surface: Any) -> NDArray[np.float64]:
    """The corners `[n, 3, 3]` of a surface of triangles."""
    from vtk.util.numpy_support import vtk_to_numpy

    points = vtk_to_numpy(surface.GetPoints().GetData()).astype(float)
    return points[vtk_to_numpy(surface.GetPolys().GetConnectivityArray()).reshape(-1, 3)]


def enclosed(corners: NDArray[np.float64]) -> float:
    """The volume in a closed surface, by the divergence theorem; negative where its faces look inwards."""
    a, b, c = np.moveaxis(corners - corners.mean(axis=(0, 1)), 1, 0)
    return float((a * np.cross(b, c)).sum() / 6)


def edges_without_partner(corners: NDArray[np.float64]) -> int:
    """How many edges of triangles are not run through once in each direction."""
    _, numbers = np.unique(corners.reshape(-1, 3), axis=0, return_inverse=True)
    faces = numbers.reshape(-1, 3)
    edges = np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1).reshape(-1, 2)
    there = set(map(tuple, edges.tolist()))
    return sum((b, a) not in there for a, b in there)


def test_a_seg_nrrd_read_by_slicer_has_all_of_it(scene: Any, any_jaw: Any, tmp_path: Path) -> None:
    save_segmentation(segmentation_of(scene, any_jaw), tmp_path / "teeth.seg.nrrd")
    with HeadlessSlicer() as other:
        node = read_file(other.scene, tmp_path / "teeth.seg.nrrd")
        check(node, any_jaw)
        assert node.GetSegmentation().GetNumberOfLayers() == 1
        check_places(node, any_jaw)


def check_places(node: Any, jaw: Any) -> None:
    """The voxels of every segment lie where they did; the slices of a left-handed labelmap are turned round."""
    (layer,) = layers_of(node)
    read = layer.label_map
    for value in jaw.centers_ras:
        where = np.argwhere(read.voxels == value)
        assert len(where) == (jaw.label_map.voxels == value).sum()
        assert read.grid.to_ras(where).mean(axis=0) == pytest.approx(jaw.centers_ras[value], abs=TOLERANCE_MM)


def test_other_programs_find_values_names_and_colours_in_its_header(scene: Any, jaw: Any, tmp_path: Path) -> None:
    import SimpleITK as sitk

    save_segmentation(segmentation_of(scene, jaw), tmp_path / "teeth.seg.nrrd")
    image = sitk.ReadImage(str(tmp_path / "teeth.seg.nrrd"))
    voxels = sitk.GetArrayFromImage(image)
    assert voxels.dtype == np.uint8
    for number, segment in enumerate(jaw.findings.segments):
        assert image.GetMetaData(f"Segment{number}_Name") == TITLES[number]
        assert image.GetMetaData(f"Segment{number}_LabelValue") == str(segment.value)
        assert image.GetMetaData(f"Segment{number}_Layer") == "0"
        assert image.GetMetaData(f"Segment{number}_ColorAutoGenerated") == "0"
        assert (voxels == segment.value).sum() == (jaw.label_map.voxels == segment.value).sum()
        k, j, i = np.argwhere(voxels == segment.value).mean(axis=0)
        left, posterior, up = image.TransformContinuousIndexToPhysicalPoint((i, j, k))
        assert (-left, -posterior, up) == pytest.approx(jaw.centers_ras[segment.value], abs=TOLERANCE_MM)
    assert "FDI:11|" in image.GetMetaData("Segment1_Tags")
    assert "SCT^422653006^Permanent maxillary right central incisor tooth" in image.GetMetaData("Segment1_Tags")


def test_a_scene_bundle_has_all_of_it_under_its_transform(scene: Any, any_jaw: Any, tmp_path: Path) -> None:
    import slicer
    import vtk

    volume_node = add_volume(scene, any_jaw.volume)
    moved = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    rigid = vtk.vtkTransform()
    rigid.Translate(3, 4, 5)
    moved.SetMatrixTransformToParent(rigid.GetMatrix())
    volume_node.SetAndObserveTransformNodeID(moved.GetID())
    before = centers(segmentation_of(scene, any_jaw, volume_node))
    save_scene(scene, tmp_path / "scene.mrb")
    with HeadlessSlicer() as other:
        assert other.scene.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
        (node,) = nodes_of(other.scene, "vtkMRMLSegmentationNode")
        (read,) = nodes_of(other.scene, "vtkMRMLScalarVolumeNode")
        check(node, any_jaw)
        check_places(node, any_jaw)
        assert node.GetTransformNodeID() == read.GetTransformNodeID()
        assert node.GetTransformNodeID() is not None
        role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
        assert node.GetNodeReferenceID(role) == read.GetID()
        # The surface is made anew from voxels in another order.
        assert np.array(centers(node)) == pytest.approx(np.array(before), abs=0.02)


def test_all_52_teeth_keep_their_own_code_through_a_file(scene: Any, tmp_path: Path) -> None:
    with CODES.open(encoding="utf-8", newline="") as rows:
        teeth = list(csv.DictReader(rows))
    grid = Grid((1, 1, len(teeth)), np.diag([0.5, 0.5, 0.5, 1]))
    structure = Code(scheme="SCT", value="123037004", meaning="Anatomical Structure")
    labels = [
        Label(value=int(row["FDI"]), name=row["FDI"], names={"FDI": row["FDI"]}, terminology=Terminology(
            category=structure, type=Code(scheme="SCT", value=row["CodeValue"], meaning=row["CodeMeaning"])
        ))
        for row in teeth
    ]
    segments = tuple(Segment(label.name, label.value, 1, (0, 0, 0), 1, 1) for label in labels)
    values = np.array([[[label.value for label in labels]]], np.uint8)
    volume_node = add_volume(scene, Volume(values.astype(np.int16), grid))
    node = add_segmentation(scene, named_segments(segments, labels), LabelMap(values, grid), "Teeth", volume_node)
    save_segmentation(node, tmp_path / "teeth.seg.nrrd")
    with HeadlessSlicer() as other:
        read = read_file(other.scene, tmp_path / "teeth.seg.nrrd")
        codes = {
            segment.fdi: type_code(read.GetSegmentation().GetSegment(segment.id)) for segment in shown_segments(read)
        }
    assert codes == {row["FDI"]: row["CodeValue"] for row in teeth}
    assert len(set(codes.values())) == 52


def type_code(segment: Any) -> str:
    """The code that Slicer itself reads from a segment's terminology."""
    import slicer

    entry = slicer.vtkSlicerTerminologyEntry()
    assert slicer.vtkSlicerTerminologiesModuleLogic().DeserializeTerminologyEntry(segment.GetTerminology(), entry)
    return str(entry.GetTypeObject().GetCodeValue())


def test_names_of_another_scheme_are_shown_and_the_fdi_number_stays_a_tag(scene: Any, jaw: Any) -> None:
    labels = [label.model_copy(update={"name": f"U{label.name}"}) for label in jaw.labels]
    renamed = tuple(Segment("U11", 11, 0.9, (0, 0, 0), 1, 1) for _ in range(1))
    (named,) = named_segments(renamed, labels)
    assert (named.title, named.fdi, named.group) == ("U11", "11", "Upper right")


def test_several_without_a_number_are_counted_and_a_label_used_twice_is_told_apart(jaw: Any) -> None:
    labels = ["tooth", "11", "tooth", "11"]
    segments = [Segment(label, value, 0.5, (0, 0, 0), 1, 1) for value, label in enumerate(labels, start=1)]
    titles = [named.title for named in named_segments(segments, jaw.labels)]
    assert titles == ["Tooth without number 1", "11 1", "Tooth without number 2", "11 2"]


def test_a_run_that_found_nothing_has_an_empty_segmentation_that_can_be_saved(
    scene: Any, jaw: Any, tmp_path: Path
) -> None:
    nodes = add_findings(scene, Findings(), add_volume(scene, jaw.volume), name="Teeth", task="segment")
    assert shown_segments(nodes.segmentation) == ()
    assert layers_of(nodes.segmentation) == ()
    assert nodes.table.GetNumberOfRows() == 0
    assert nodes.numbers == {}
    save_segmentation(nodes.segmentation, tmp_path / "teeth.seg.nrrd")
    save_scene(scene, tmp_path / "scene.mrb")
    with HeadlessSlicer() as other:
        assert other.scene.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
        (node,) = nodes_of(other.scene, "vtkMRMLSegmentationNode")
        assert shown_segments(node) == ()


def test_segments_without_their_label_map_are_refused(scene: Any, jaw: Any) -> None:
    bare = Findings.from_json(jaw.findings.to_json())
    with pytest.raises(ValueError, match="segments need a label map"):
        segmentation_of_findings(scene, jaw, bare)


def test_two_segments_of_one_value_are_refused(scene: Any, jaw: Any) -> None:
    twice = Findings(segments=jaw.findings.segments[:1] * 2, label_map=jaw.label_map)
    with pytest.raises(ValueError, match="two segments have the same value"):
        segmentation_of_findings(scene, jaw, twice)


def segmentation_of_findings(scene: Any, jaw: Any, findings: Findings) -> None:
    add_findings(scene, findings, add_volume(scene, jaw.volume), name="Teeth", task="segment", labels=jaw.labels)


def test_an_edited_segment_that_overlaps_others_has_a_layer_of_its_own(scene: Any, jaw: Any) -> None:
    import slicer

    node = segmentation_of(scene, jaw)
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    grown = node.GetSegmentation().GetNthSegmentID(0)
    image = slicer.vtkOrientedImageData()
    image.DeepCopy(node.GetBinaryLabelmapInternalRepresentation(grown))
    image.GetPointData().GetScalars().Fill(1)
    assert logic.SetBinaryLabelmapToSegment(image, node, grown, logic.MODE_REPLACE)
    layers = layers_of(node)
    (own,) = (layer for layer in layers if grown in layer.values)
    assert len(layers) == 2
    assert list(own.values) == [grown]
    assert (own.label_map.voxels == own.values[grown]).all()
    assert len(surfaces_world(node)) == len(jaw.findings.segments)


def test_a_run_is_one_step_that_undo_takes_back(scene: Any, jaw: Any) -> None:
    volume_node = add_volume(scene, jaw.volume)
    scene.SetUndoOn()
    segmentation_of(scene, jaw, volume_node)
    scene.Undo()
    assert nodes_of(scene, "vtkMRMLSegmentationNode") == []
    assert nodes_of(scene, "vtkMRMLTableNode") == []
    scene.Redo()
    (node,) = nodes_of(scene, "vtkMRMLSegmentationNode")
    check(node, jaw)
