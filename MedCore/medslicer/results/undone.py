"""What undo has brought back of a result: what it doesn't know of is put right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..nodes.hierarchy import children_of, item_of, list_segments, move_into, put_in_folder, put_in_subfolder
from ..nodes.markups import DISPLAY_ROLE
from .result import Result
from .result_nodes import FOLDER_ATTRIBUTE, tree_of


def put_back(result: Result, came: Sequence[Any]) -> None:
    """Let what `came` back of `result` stand in its folder and look as its run made it.

    Slicer's undo knows no folders, and brings a markup back with a display node of Slicer's own choice.
    """
    for node in came:
        _show_by_its_own(node)
    _put_in_folder(result, came)
    result.update_views()


def _show_by_its_own(node: Any) -> None:
    own = node.GetNodeReference(DISPLAY_ROLE)
    if own is None or node.GetDisplayNode() is own:
        return
    scene = node.GetScene()
    others = [node.GetNthDisplayNode(number) for number in range(node.GetNumberOfDisplayNodes())]
    node.RemoveAllDisplayNodeIDs()
    node.SetAndObserveDisplayNodeID(own.GetID())
    for other in others:
        if other is not None and other is not own and scene.IsNodePresent(other):
            scene.RemoveNode(other)


def _put_in_folder(result: Result, came: Sequence[Any]) -> None:
    """Its own, or what is left of it with what a user put there; else a new one beside the scan."""
    scene, nodes = result.table.GetScene(), result.nodes
    numbers = [node for node in came if node in nodes.numbers]
    inside = [node for node in (*came[1:], came[0]) if node not in numbers]
    folder = nodes.folder or _left_folder(result)
    if folder:
        move_into(scene, folder, inside)
    else:
        folder = put_in_folder(scene, nodes.volume, inside, result.name)
        tree_of(scene).SetItemAttribute(folder, FOLDER_ATTRIBUTE, "1")
    for points in numbers:
        put_in_subfolder(scene, folder, [points], points.GetName())
    if nodes.segmentation in came:
        list_segments(scene, nodes.segmentation)


def _left_folder(result: Result) -> int:
    """The folder of that name beside the scan in which no result stands; 0 where there is none."""
    tree = tree_of(result.table.GetScene())
    scan = result.volume_node
    parent = tree.GetItemParent(item_of(tree, scan)) if scan is not None else tree.GetSceneItemID()
    for item in children_of(tree, parent):
        tables = (tree.GetItemDataNode(child) for child in children_of(tree, item))
        free = not any(node is not None and node.IsA("vtkMRMLTableNode") for node in tables)
        if tree.GetItemAttribute(item, FOLDER_ATTRIBUTE) and tree.GetItemName(item) == result.name and free:
            return int(item)
    return 0
