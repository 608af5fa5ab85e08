"""Which nodes of the scene belong to a result: its table refers to them, so they are found again in a loaded scene.

A node that was deleted in the meantime is None or left out; nothing here minds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..nodes.markups import VOLUME_ROLE
from .results import FindingNodes

FIDUCIALS_ROLE, CURVE_ROLE, SEGMENTATION_ROLE = "MedInfer.fiducials", "MedInfer.curve", "MedInfer.segmentation"
NUMBERS_ROLE, MEASURES_ROLE = "MedInfer.numbers", "MedInfer.measures"
# On the item of a result's folder in the subject hierarchy.
FOLDER_ATTRIBUTE = "MedInfer.folder"


@dataclass(frozen=True)
class ResultNodes:
    """What the `table` of a result refers to."""

    table: Any

    @property
    def volume(self) -> Any | None:
        """The scan."""
        return self.table.GetNodeReference(VOLUME_ROLE)

    def roi(self, number: int) -> Any | None:
        """The box of row `number` (from 1)."""
        return self.table.GetNodeReference(_roi_role(number))

    @property
    def rois(self) -> tuple[Any, ...]:
        """The boxes that are still there, in the rows' order."""
        return tuple(filter(None, (self.roi(row + 1) for row in range(self.table.GetNumberOfRows()))))

    @property
    def fiducials(self) -> Any | None:
        return self.table.GetNodeReference(FIDUCIALS_ROLE)

    @property
    def curve(self) -> Any | None:
        return self.table.GetNodeReference(CURVE_ROLE)

    @property
    def segmentation(self) -> Any | None:
        return self.table.GetNodeReference(SEGMENTATION_ROLE)

    @property
    def numbers(self) -> tuple[Any, ...]:
        """The point lists with the segments' names."""
        return self._all(NUMBERS_ROLE)

    @property
    def measures(self) -> tuple[Any, ...]:
        """The lines and angles between landmarks."""
        return self._all(MEASURES_ROLE)

    @property
    def markups(self) -> tuple[Any, ...]:
        """What a file of markups lists, in its order: the boxes, or the landmarks and the curve through them."""
        return (*self.rois, *filter(None, (self.fiducials, self.curve)))

    @property
    def made(self) -> tuple[Any, ...]:
        """All that belongs to the result and not to the scan; the table is the first."""
        single = filter(None, (self.fiducials, self.curve, self.segmentation))
        return (self.table, *self.rois, *single, *self.numbers, *self.measures)

    @property
    def folder(self) -> int:
        """The item of the result's folder in the subject hierarchy; 0 where it has none any more."""
        tree = tree_of(self.table.GetScene())
        own = tree.GetItemByDataNode(self.table)
        parent = tree.GetItemParent(own) if own else 0
        return int(parent) if parent and tree.GetItemAttribute(parent, FOLDER_ATTRIBUTE) else 0

    def add_measure(self, node: Any) -> None:
        """From now on `node` belongs to the result."""
        self.table.AddNodeReferenceID(MEASURES_ROLE, node.GetID())

    def _all(self, role: str) -> tuple[Any, ...]:
        count = self.table.GetNumberOfNodeReferences(role)
        return tuple(filter(None, (self.table.GetNthNodeReference(role, number) for number in range(count))))


def refer_to(nodes: FindingNodes, volume_node: Any) -> ResultNodes:
    """Let the table of `nodes` refer to all of them and to the scan, and mark their folder."""
    table = nodes.table
    table.SetNodeReferenceID(VOLUME_ROLE, volume_node.GetID())
    for number, roi in enumerate(nodes.rois, start=1):
        table.SetNodeReferenceID(_roi_role(number), roi.GetID())
    single = {FIDUCIALS_ROLE: nodes.fiducials, CURVE_ROLE: nodes.curve, SEGMENTATION_ROLE: nodes.segmentation}
    for role, node in single.items():
        if node is not None:
            table.SetNodeReferenceID(role, node.GetID())
    for points in nodes.numbers.values():
        table.AddNodeReferenceID(NUMBERS_ROLE, points.GetID())
    tree_of(table.GetScene()).SetItemAttribute(nodes.folder, FOLDER_ATTRIBUTE, "1")
    return ResultNodes(table)


def remove_nodes(nodes: ResultNodes) -> None:
    """Remove all that the result made: nodes, what shows and stores them, folders. What a user put into them stays.

    Where the scene has undo switched on, what shows and stores the nodes is left, unseen: a markup that undo brings
    back before its display node would get another one.
    """
    tree, folder = tree_of(nodes.table.GetScene()), nodes.folder
    # What refers to others goes before them: only so undo can bring the references back.
    for node in nodes.made:
        remove_node(node)
    if folder:
        _remove_empty_folders(tree, folder)


def remove_node(node: Any) -> None:
    """Remove one node that a result made: as `remove_nodes`, but for the folders."""
    scene = node.GetScene()
    tree = tree_of(scene)
    belongings = [] if scene.GetUndoFlag() else [*_displays(node), *_storages(node)]
    for one in [node, *belongings]:
        # In the application its Data module has removed what shows and stores the node with it.
        if scene.IsNodePresent(one):
            scene.RemoveNode(one)
    # In the application its plugins have removed the item already.
    item = tree.GetItemByDataNode(node)
    if item:
        tree.RemoveItem(item, False, True)


def tree_of(scene: Any) -> Any:
    """The scene's subject hierarchy."""
    import slicer

    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)


def _roi_role(number: int) -> str:
    """A role a row: the place in a list of references is lost when one of them is deleted and the scene saved."""
    return f"MedInfer.finding.{number}"


def _displays(node: Any) -> Iterator[Any]:
    if node.IsA("vtkMRMLDisplayableNode"):
        yield from filter(None, [node.GetNthDisplayNode(number) for number in range(node.GetNumberOfDisplayNodes())])


def _storages(node: Any) -> Iterator[Any]:
    if node.IsA("vtkMRMLStorableNode"):
        yield from filter(None, [node.GetNthStorageNode(number) for number in range(node.GetNumberOfStorageNodes())])


def _remove_empty_folders(tree: Any, folder: int) -> None:
    from ..nodes.hierarchy import children_of

    for child in children_of(tree, folder):
        # A folder that was once switched off has a display node.
        node = tree.GetItemDataNode(child)
        if tree.IsItemLevel(child, "Folder") and (node is None or node.IsA("vtkMRMLFolderDisplayNode")):
            _remove_empty_folders(tree, child)
    if not children_of(tree, folder):
        tree.RemoveItem(folder, True, False)
