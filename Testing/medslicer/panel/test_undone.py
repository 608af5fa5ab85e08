"""Deleting a result and undoing that, in a Slicer whose Data module removes what shows a node with it."""

from __future__ import annotations

from typing import Any

import pytest
from harness.slicer_log import slicer_log
from results_user import ResultsUser


def looks(result: Any) -> list[Any]:
    """Colour and visibility of all that the result made, and of its findings."""
    found: list[Any] = []
    for node in result.nodes.made[1:]:
        display = node.GetDisplayNode()
        found.append((node.GetName(), display.GetVisibility()))
        if node.IsA("vtkMRMLMarkupsNode"):
            points = range(node.GetNumberOfControlPoints())
            found.append((display.GetSelectedColor(), display.GetTextScale(), display.GetHandlesInteractive()))
            found.append([node.GetNthControlPointVisibility(point) for point in points])
        else:
            found.append(display.GetOpacity2DFill())
    return found


def places(result: Any) -> list[tuple[str, str]]:
    """What stands in which folder of the tree."""
    from medslicer.results.result_nodes import tree_of

    tree = tree_of(result.table.GetScene())
    items = [tree.GetItemByDataNode(node) for node in result.nodes.made]
    return sorted((tree.GetItemName(item), tree.GetItemName(tree.GetItemParent(item))) for item in items)


def delete(user: ResultsUser) -> None:
    user.harness.answer(confirm=True)
    user.click("removeResultButton")
    assert user.results == ()


@pytest.mark.parametrize("module", ["nodules", "landmarks", "teeth"])
@pytest.mark.parametrize("undo", [False, True], ids=["without undo", "with undo"])
def test_deleting_a_result_leaves_no_error_in_slicers_log(
    request: pytest.FixtureRequest, module: str, undo: bool
) -> None:
    user: ResultsUser = request.getfixturevalue(module)
    if undo:
        user.scene.SetUndoOn()
    with slicer_log() as log:
        delete(user)
    assert log.errors == []


@pytest.mark.parametrize("module", ["nodules", "landmarks", "teeth"])
def test_a_result_that_undo_brings_back_is_as_it_was(request: pytest.FixtureRequest, module: str) -> None:
    user: ResultsUser = request.getfixturevalue(module)
    user.scene.SetUndoOn()
    user.click_row(user.titles[1])
    user.click("rejectButton")
    user.drag_to(0.6)
    (result,) = user.results
    before = looks(result), places(result), user.titles, user.summary
    for _ in range(2):
        delete(user)
        user.scene.Undo()
        user.harness.process_events()
        (again,) = user.results
        assert (looks(again), places(again), user.titles, user.summary) == before
        assert again.nodes.folder
    displays = [node for node in user.nodes("vtkMRMLMarkupsDisplayNode") if not node.GetDisplayableNode()]
    assert displays == []


def test_it_comes_back_beside_what_a_user_had_put_into_its_folder(nodules: ResultsUser) -> None:
    from medslicer.results.result_nodes import tree_of

    nodules.scene.SetUndoOn()
    own = nodules.scene.AddNewNodeByClass("vtkMRMLMarkupsLineNode", "My line")
    tree = tree_of(nodules.scene)
    tree.CreateItem(nodules.results[0].nodes.folder, own)
    delete(nodules)
    nodules.scene.Undo()
    nodules.harness.process_events()
    folder = tree.GetItemParent(tree.GetItemByDataNode(own))
    assert folder == nodules.results[0].nodes.folder


def test_a_measure_that_undo_brings_back_stands_in_the_folder_in_its_colour(landmarks: ResultsUser) -> None:
    from medslicer.results.measures import add_distance, measures_of, remove_measure

    (result,) = landmarks.results
    add_distance(result, 1, 3)
    result.update_views()
    landmarks.scene.SetUndoOn()
    before = looks(result), places(result)
    remove_measure(measures_of(result)[0])
    landmarks.scene.Undo()
    landmarks.harness.process_events()
    assert (looks(landmarks.results[0]), places(landmarks.results[0])) == before


def test_a_run_that_redo_brings_again_stands_in_its_folder(landmarks: ResultsUser) -> None:
    """Undone and redone: a run is brought back as a deletion is."""
    (result,) = landmarks.results
    result.update_views()
    before = looks(result), places(result)
    landmarks.scene.SetUndoOn()
    landmarks.scene.SaveStateForUndo()
    landmarks.scene.RemoveNode(result.nodes.curve)
    landmarks.scene.Undo()
    landmarks.scene.Redo()
    landmarks.scene.Undo()
    landmarks.harness.process_events()
    assert (looks(landmarks.results[0]), places(landmarks.results[0])) == before
