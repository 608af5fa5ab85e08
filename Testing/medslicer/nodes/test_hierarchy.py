"""Where findings stand in the Data module's tree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medinfer.findings import Findings
from medinfer.volume import Volume
from medslicer.export.saving import save_scene
from medslicer.headless import HeadlessSlicer
from medslicer.nodes.hierarchy import children_of, list_segments
from medslicer.nodes.lookup import nodes_of
from medslicer.nodes.volumes import add_volume
from medslicer.quiet import quiet_libraries
from medslicer.results.results import add_findings


def tree_of(scene: Any) -> Any:
    import slicer

    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)


def path_to(scene: Any, node: Any) -> list[str]:
    """The names from the root of the tree down to `node`."""
    return path_to_item(scene, tree_of(scene).GetItemByDataNode(node))


def path_to_item(scene: Any, item: int) -> list[str]:
    tree, names = tree_of(scene), []
    while item and item != tree.GetSceneItemID():
        names.insert(0, tree.GetItemName(item))
        item = tree.GetItemParent(item)
    return names


def test_findings_stand_in_a_folder_under_the_study_of_their_scan(
    scene: Any, volume: Volume, findings: Findings
) -> None:
    volume_node = add_volume(scene, volume)
    tree = tree_of(scene)
    patient = tree.CreateSubjectItem(tree.GetSceneItemID(), "Patient")
    study = tree.CreateStudyItem(patient, "Study")
    tree.CreateItem(study, volume_node)
    nodes = add_findings(scene, findings, volume_node, name="Nodules")
    assert tree.GetItemParent(nodes.folder) == study
    assert path_to(scene, nodes.rois[0]) == ["Patient", "Study", "Nodules", "Nodule 1"]
    assert path_to(scene, nodes.table) == ["Patient", "Study", "Nodules", "Nodules"]
    assert path_to(scene, volume_node) == ["Patient", "Study", "CHEST 1"]


def test_where_nobody_made_items_the_folder_stands_beside_the_scan(
    scene: Any, volume: Volume, findings: Findings
) -> None:
    volume_node = add_volume(scene, volume)
    nodes = add_findings(scene, findings, volume_node, name="Nodules")
    assert path_to(scene, volume_node) == ["CHEST 1"]
    assert path_to(scene, nodes.rois[2]) == ["Nodules", "Nodule 3"]


def test_a_second_run_gets_a_folder_of_its_own(scene: Any, volume: Volume, findings: Findings) -> None:
    volume_node = add_volume(scene, volume)
    first = add_findings(scene, findings, volume_node, name="Nodules")
    second = add_findings(scene, findings, volume_node, name="Nodules")
    assert first.folder != second.folder
    tree = tree_of(scene)
    assert tree.GetNumberOfItemChildren(first.folder) == tree.GetNumberOfItemChildren(second.folder) == 4


def test_a_scene_bundle_keeps_the_tree_with_owners_the_application_knows(
    scene: Any, volume: Volume, findings: Findings, tmp_path: Path
) -> None:
    add_findings(scene, findings, add_volume(scene, volume), name="Nodules")
    save_scene(scene, tmp_path / "scene.mrb")
    with HeadlessSlicer() as other:
        assert other.scene.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
        tree = tree_of(other.scene)
        roi = nodes_of(other.scene, "vtkMRMLMarkupsROINode")[0]
        assert path_to(other.scene, roi) == ["Nodules", "Nodule 1"]
        item = tree.GetItemByDataNode(roi)
        assert tree.GetItemOwnerPluginName(item) == "Markups"
        assert tree.GetItemOwnerPluginName(tree.GetItemParent(item)) == "Folder"


def teeth_of(scene: Any, jaw: Any) -> Any:
    volume_node = add_volume(scene, jaw.volume)
    return add_findings(scene, jaw.findings, volume_node, name="Teeth", task="segment", labels=jaw.labels)


def check_teeth(scene: Any, segmentation: Any) -> None:
    """The tree of the jaw's segments: each under the segmentation, each quadrant a folder with its numbers."""
    import slicer

    tree = tree_of(scene)
    item = tree.GetItemByDataNode(segmentation)
    assert path_to_item(scene, item) == ["Teeth", "Teeth"]
    assert tree.GetItemOwnerPluginName(item) == "Segmentations"
    items = children_of(tree, item)
    names = ["16", "11", "26", "36", "46", "Tooth without number 1", "Mandibular canal"]
    assert [tree.GetItemName(child) for child in items] == names
    assert {tree.GetItemOwnerPluginName(child) for child in items} == {"Segments"}
    # Slicer itself finds the segment that an item stands for.
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    assert [logic.GetSegmentForSegmentSubjectHierarchyItem(child, scene).GetName() for child in items] == names
    lists = {node.GetName(): node for node in nodes_of(scene, "vtkMRMLMarkupsFiducialNode")}
    assert {group: path_to(scene, node) for group, node in lists.items()} == {
        group: ["Teeth", group, group]
        for group in ("Upper right", "Upper left", "Lower left", "Lower right", "Without number")
    }
    assert numbers_of(lists["Upper right"]) == ["16", "11"]
    assert numbers_of(lists["Without number"]) == ["Tooth without number 1"]


def numbers_of(fiducials: Any) -> list[str]:
    return [fiducials.GetNthControlPointLabel(number) for number in range(fiducials.GetNumberOfControlPoints())]


def test_segments_stand_under_their_segmentation_and_quadrants_are_folders(scene: Any, jaw: Any) -> None:
    nodes = teeth_of(scene, jaw)
    check_teeth(scene, nodes.segmentation)
    for point, segment in enumerate(jaw.findings.segments[:2]):
        assert nodes.numbers["Upper right"].GetNthControlPointPosition(point) == segment.center_ras


def test_a_scene_bundle_keeps_the_tree_of_segments(scene: Any, jaw: Any, tmp_path: Path) -> None:
    teeth_of(scene, jaw)
    save_scene(scene, tmp_path / "scene.mrb")
    with HeadlessSlicer() as other:
        assert other.scene.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
        check_teeth(other.scene, *nodes_of(other.scene, "vtkMRMLSegmentationNode"))


def test_segments_that_the_application_has_listed_already_are_not_listed_twice(scene: Any, jaw: Any) -> None:
    nodes = teeth_of(scene, jaw)
    tree = tree_of(scene)
    before = children_of(tree, tree.GetItemByDataNode(nodes.segmentation))
    assert list_segments(scene, nodes.segmentation) == before
    assert children_of(tree, tree.GetItemByDataNode(nodes.segmentation)) == before


def test_slicer_knows_no_segment_whose_item_is_in_a_folder(scene: Any, jaw: Any) -> None:
    # Why quadrants are folders of numbers and not of segments.
    import slicer

    nodes = teeth_of(scene, jaw)
    tree = tree_of(scene)
    parent = tree.GetItemByDataNode(nodes.segmentation)
    item = children_of(tree, parent)[0]
    tree.SetItemParent(item, tree.CreateFolderItem(parent, "Upper right"))
    with quiet_libraries():
        found = slicer.vtkSlicerSegmentationsModuleLogic.GetSegmentForSegmentSubjectHierarchyItem(item, scene)
    assert found is None
