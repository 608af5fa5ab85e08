"""The place of new nodes in the Data module's tree: a folder next to the scan, under its study.

In the application plugins make an item for every node. Without it nobody does, so the items are made here, with
the owners that the application would name; a `.mrb` written by slicer-core then opens with the same tree.

The items of segments must be children of their segmentation's item, not of a folder in it: Slicer looks for a segment
at the item's parent (vtkSlicerSegmentationsModuleLogic::GetSegmentForSegmentSubjectHierarchyItem), and its plugin would
make second items beside those in folders.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .segments import shown_segments

_OWNERS = {
    "vtkMRMLVolumeNode": "Volumes",
    "vtkMRMLMarkupsNode": "Markups",
    "vtkMRMLTableNode": "Tables",
    "vtkMRMLSegmentationNode": "Segmentations",
}


def put_in_folder(scene: Any, volume_node: Any | None, nodes: Sequence[Any], name: str) -> int:
    """Make a folder called `name` beside `volume_node` and move `nodes` into it; return its item.

    If the scan has no study, or there is no scan, the folder is at the root of the tree.
    """
    import slicer

    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    parent = tree.GetSceneItemID() if volume_node is None else tree.GetItemParent(item_of(tree, volume_node))
    return _add_folder(tree, parent, nodes, name)


def put_in_subfolder(scene: Any, folder: int, nodes: Sequence[Any], name: str) -> int:
    """Make a folder called `name` in the one whose item is `folder` and move `nodes` into it; return its item."""
    import slicer

    return _add_folder(slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene), folder, nodes, name)


def move_into(scene: Any, folder: int, nodes: Sequence[Any]) -> None:
    """Move `nodes` into the folder whose item is `folder`; 0: to the root of the tree."""
    import slicer

    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    for node in nodes:
        tree.SetItemParent(item_of(tree, node), folder or tree.GetSceneItemID())


def list_segments(scene: Any, segmentation_node: Any) -> tuple[int, ...]:
    """See to it that every segment has an item under that of `segmentation_node`; return them in its order."""
    import slicer

    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    branch = slicer.vtkMRMLSubjectHierarchyConstants.GetSubjectHierarchyVirtualBranchAttributeName()
    parent = item_of(tree, segmentation_node)
    tree.SetItemAttribute(parent, branch, "1")
    attribute = segmentation_node.GetSegmentIDAttributeName()
    there = {tree.GetItemAttribute(item, attribute): item for item in children_of(tree, parent)}
    items = []
    for segment in shown_segments(segmentation_node):
        item = there.get(segment.id) or tree.CreateHierarchyItem(parent, segment.name, branch)
        tree.SetItemAttribute(item, attribute, segment.id)
        if not tree.GetItemOwnerPluginName(item):
            tree.SetItemOwnerPluginName(item, "Segments")
        items.append(int(item))
    return tuple(items)


def children_of(tree: Any, item: int) -> tuple[int, ...]:
    """The items right under `item`, in their order."""
    import vtk

    children = vtk.vtkIdList()
    tree.GetItemChildren(item, children, False)
    return tuple(children.GetId(number) for number in range(children.GetNumberOfIds()))


def item_of(tree: Any, node: Any) -> int:
    """The item of `node`, created at the root of the tree if missing."""
    item = tree.GetItemByDataNode(node)
    if item == tree.GetInvalidItemID():
        item = tree.CreateItem(tree.GetSceneItemID(), node)
        owner = next((plugin for kind, plugin in _OWNERS.items() if node.IsA(kind)), None)
        if owner and not tree.GetItemOwnerPluginName(item):
            tree.SetItemOwnerPluginName(item, owner)
    return int(item)


def _add_folder(tree: Any, parent: int, nodes: Sequence[Any], name: str) -> int:
    folder = tree.CreateFolderItem(parent, name)
    if not tree.GetItemOwnerPluginName(folder):
        tree.SetItemOwnerPluginName(folder, "Folder")
    for node in nodes:
        tree.SetItemParent(item_of(tree, node), folder)
    return int(folder)
