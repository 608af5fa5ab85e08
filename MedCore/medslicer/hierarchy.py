"""Where new nodes stand in the Data module's tree: in a folder beside the scan, under its study.

In the application plugins make an item for every node. Without it nobody does, so the items are made here, with
the owners that the application would name; a `.mrb` written by slicer-core then opens with the same tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_OWNERS = {
    "vtkMRMLVolumeNode": "Volumes",
    "vtkMRMLMarkupsNode": "Markups",
    "vtkMRMLTableNode": "Tables",
}


def put_in_folder(scene: Any, volume_node: Any, nodes: Sequence[Any], name: str) -> int:
    """Make a folder called `name` beside `volume_node` and move `nodes` into it; return its item.

    A scan without a study stands at the root of the tree, and so does the folder.
    """
    import slicer

    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    parent = tree.GetItemParent(_item(tree, volume_node))
    folder = tree.CreateFolderItem(parent, name)
    if not tree.GetItemOwnerPluginName(folder):
        tree.SetItemOwnerPluginName(folder, "Folder")
    for node in nodes:
        tree.SetItemParent(_item(tree, node), folder)
    return int(folder)


def _item(tree: Any, node: Any) -> int:
    """The item of `node`, made at the root of the tree where there is none."""
    item = tree.GetItemByDataNode(node)
    if item == tree.GetInvalidItemID():
        item = tree.CreateItem(tree.GetSceneItemID(), node)
        owner = next((plugin for kind, plugin in _OWNERS.items() if node.IsA(kind)), None)
        if owner and not tree.GetItemOwnerPluginName(item):
            tree.SetItemOwnerPluginName(item, owner)
    return int(item)
