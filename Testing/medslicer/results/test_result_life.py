"""How results come, are replaced and go: one undoable step each, whole or not at all."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from medinfer.errors import ScanError
from medslicer.nodes.lookup import nodes_of
from medslicer.nodes.segment_surfaces import surfaces_world
from medslicer.nodes.volumes import add_volume
from medslicer.profiles import PROFILES
from medslicer.results.result import results_in
from medslicer.results.result_nodes import tree_of


def names(scene: Any) -> list[str]:
    """All nodes of the scene but colours, by class and name; the names of display nodes are Slicer's."""
    nodes = [node for node in nodes_of(scene, "vtkMRMLNode") if not node.IsA("vtkMRMLColorNode")]
    return sorted(
        node.GetClassName() if node.IsA("vtkMRMLDisplayNode") else f"{node.GetClassName()} {node.GetName()}"
        for node in nodes
    )


def tree_names(scene: Any) -> list[str]:
    import vtk

    tree, items = tree_of(scene), vtk.vtkIdList()
    tree.GetItemChildren(tree.GetSceneItemID(), items, True)
    return sorted(tree.GetItemName(items.GetId(number)) for number in range(items.GetNumberOfIds()))


def test_after_the_scene_was_closed_there_is_nothing_left_and_nothing_breaks(scene: Any, any_case: Any) -> None:
    result = any_case.add(scene)
    scene.Clear(0)
    assert not result.there
    assert (result.rows, result.shown_rows, result.volume_node) == ((), (), None)
    assert (result.module, result.record.task) == (any_case.profile.module, any_case.profile.task)
    result.show_from(0.5)
    result.remove()
    assert list(result.surface_steps()) == []
    with pytest.raises(ValueError, match="no finding number 1"):
        result.set_review(1, "accepted")


def test_a_scan_removed_while_its_model_ran_is_one_sentence(scene: Any, any_case: Any) -> None:
    volume_node = add_volume(scene, any_case.volume)
    scene.RemoveNode(volume_node)
    before = names(scene)
    with pytest.raises(ScanError, match=r"^CHEST 1 was removed while .+ ran; load it again and press Run\.$"):
        dataclasses.replace(
            any_case, findings=dataclasses.replace(any_case.findings, scan="CHEST 1")
        ).add_to(scene, volume_node)
    assert names(scene) == before


def test_a_second_run_has_a_name_of_its_own(scene: Any, any_case: Any) -> None:
    volume_node = add_volume(scene, any_case.volume)
    word = any_case.profile.results
    results = [any_case.add_to(scene, volume_node) for _ in range(3)]
    assert [one.name for one in results] == [word, f"{word} 2", f"{word} 3"]
    results[1].remove()
    assert any_case.add_to(scene, volume_node).name == f"{word} 2"
    assert any_case.add_to(scene, volume_node, name="Follow-up").name == "Follow-up"


def test_a_run_in_place_of_another_takes_its_name_and_leaves_none_of_its_nodes(scene: Any, any_case: Any) -> None:
    volume_node = add_volume(scene, any_case.volume)
    first, second = any_case.add_to(scene, volume_node), any_case.add_to(scene, volume_node)
    before, tree = names(scene), tree_names(scene)
    third = any_case.add_to(scene, volume_node, replace=second)
    assert not second.there
    assert results_in(scene) == (first, third)
    assert third.name == f"{any_case.profile.results} 2"
    assert (names(scene), tree_names(scene)) == (before, tree)
    # A result that is gone cannot be replaced: it is an ordinary new one.
    assert any_case.add_to(scene, volume_node, replace=second).name == f"{any_case.profile.results} 3"


def test_removing_a_result_leaves_the_scene_as_it_was_before(scene: Any, any_case: Any) -> None:
    volume_node = add_volume(scene, any_case.volume)
    any_case.add_to(scene, volume_node).remove()
    before, tree = names(scene), tree_names(scene)
    result = any_case.add_to(scene, volume_node)
    result.remove()
    assert (names(scene), tree_names(scene)) == (before, tree)
    assert before == names_of_scan(before)
    result.remove()


def names_of_scan(before: list[str]) -> list[str]:
    """Without anything that a run makes."""
    made = ("Markups", "Table", "Segmentation")
    return [name for name in before if not any(f"vtkMRML{word}" in name for word in made)]


def test_what_a_user_put_into_the_folder_is_not_removed_with_it(scene: Any, nodule_case: Any) -> None:
    result = nodule_case.add(scene)
    own = scene.AddNewNodeByClass("vtkMRMLMarkupsLineNode", "My line")
    tree = tree_of(scene)
    tree.CreateItem(result.nodes.folder, own)
    result.remove()
    assert own.GetScene() is scene
    assert "Nodules" in tree_names(scene)


def test_an_error_in_the_middle_leaves_nothing_in_the_scene_and_keeps_the_old_result(
    scene: Any, any_case: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = any_case.add(scene)
    before, tree, rows = names(scene), tree_names(scene), old.rows

    def no_memory(*_: Any) -> None:
        raise MemoryError("of a machine that is too small")

    monkeypatch.setattr("medslicer.results.result.record_of", no_memory)
    with pytest.raises(MemoryError):
        any_case.add_to(scene, old.volume_node, replace=old)
    assert (names(scene), tree_names(scene), old.rows) == (before, tree, rows)


def test_a_run_is_one_step_that_undo_takes_back_and_redo_brings_again(scene: Any, any_case: Any) -> None:
    volume_node = add_volume(scene, any_case.volume)
    before = names(scene)
    scene.SetUndoOn()
    result = any_case.add_to(scene, volume_node)
    rows = result.rows
    assert scene.GetNumberOfUndoLevels() == 1
    scene.Undo()
    assert names(scene) == before
    assert not result.there
    assert results_in(scene) == ()
    scene.Redo()
    (again,) = results_in(scene)
    assert again.rows == rows
    assert again.volume_node is volume_node


def test_replacing_is_one_step_and_undo_brings_the_old_result_back(scene: Any, any_case: Any) -> None:
    volume_node = add_volume(scene, any_case.volume)
    old = any_case.add_to(scene, volume_node)
    old.set_review(1, "accepted")
    before, rows = names(scene), old.rows
    scene.SetUndoOn()
    any_case.add_to(scene, volume_node, replace=old)
    assert scene.GetNumberOfUndoLevels() == 1
    scene.Undo()
    (again,) = results_in(scene)
    assert names(scene) == before
    # A ROI that comes back has its centre in single precision.
    for row, earlier in zip(again.rows, rows, strict=True):
        place = earlier.position_world
        assert row.position_world == (None if place is None else pytest.approx(place, abs=2e-5))
        assert dataclasses.replace(row, position_world=place) == earlier


def test_surfaces_of_teeth_can_be_made_after_the_result_a_step_each(scene: Any, any_case: Any) -> None:
    result = any_case.add(scene, surfaces=False)
    segmentation = result.nodes.segmentation
    count = 0 if segmentation is None else segmentation.GetSegmentation().GetNumberOfSegments()
    assert segmentation is None or not segmentation.GetSegmentation().ContainsRepresentation("Closed surface")
    assert sum(1 for _ in result.surface_steps()) == count
    assert segmentation is None or len(surfaces_world(segmentation)) == count


def test_results_of_each_module_are_told_apart_and_other_tables_are_none(
    scene: Any, nodule_case: Any, teeth_case: Any
) -> None:
    scene.AddNewNodeByClass("vtkMRMLTableNode", "Mine")
    broken = scene.AddNewNodeByClass("vtkMRMLTableNode", "Broken")
    broken.SetAttribute("MedInfer.module", "MedDetect")
    broken.SetAttribute("MedInfer.run", '{"format": 1')
    nodules, teeth = nodule_case.add(scene), teeth_case.add(scene)
    assert results_in(scene, "MedDetect") == (nodules,)
    assert results_in(scene, "MedToothSeg") == (teeth,)
    assert results_in(scene, "MedLandmark") == ()
    assert results_in(scene) == (nodules, teeth)
    assert {result.module for result in results_in(scene)} <= set(PROFILES)
