"""Where findings stand in the Data module's tree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medinfer.findings import Findings
from medinfer.volume import Volume
from medslicer.headless import HeadlessSlicer
from medslicer.lookup import nodes_of
from medslicer.results import add_findings
from medslicer.saving import save_scene
from medslicer.volumes import add_volume


def tree_of(scene: Any) -> Any:
    import slicer

    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)


def path_to(scene: Any, node: Any) -> list[str]:
    """The names from the root of the tree down to `node`."""
    tree = tree_of(scene)
    item, names = tree.GetItemByDataNode(node), []
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
