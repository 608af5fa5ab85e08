"""qMRMLNodeComboBox: the nodes of the scene that match, kept up to date by the scene's own events."""

from __future__ import annotations

from typing import Any

import vtk
from PySide6 import QtCore, QtWidgets

from .ctk_widgets import ctkComboBox
from .stand_in import computed, stored

ID = QtCore.Qt.UserRole


class qMRMLNodeComboBox(QtWidgets.QWidget):
    """As in qMRMLNodeComboBox.h: what is no property, slot or Q_INVOKABLE there is no method here.

    Disabled until it has a scene. What it chooses by itself is what its QComboBox does in Slicer: with the scene comes
    the first node (or "None"), after the removal of the chosen one its neighbour below, at the end of the list that
    above (QComboBoxPrivate::_q_rowsRemoved). It tells of the current node also where only its row changed. A scene that
    was read or closed fills it anew (qMRMLSceneModel::updateScene), with nothing chosen, and it tells that too.
    nodeActivated comes with a choice of the user and with setCurrentNode. The entries to create, rename and delete
    nodes are not drawn here.
    """

    SIGNATURES = {  # noqa: RUF012
        "currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged(PyObject)",
        "currentNodeChanged(bool)": "_validChanged(bool)",
        "nodeActivated(vtkMRMLNode*)": "nodeActivated(PyObject)",
        "nodeAdded(vtkMRMLNode*)": "nodeAdded(PyObject)",
        "nodeAddedByUser(vtkMRMLNode*)": "nodeAddedByUser(PyObject)",
        "nodeAddedByUserAction(vtkMRMLNode*)": "nodeAddedByUserAction(PyObject)",
        "nodeAboutToBeRemoved(vtkMRMLNode*)": "nodeAboutToBeRemoved(PyObject)",
        "nodeAboutToBeEdited(vtkMRMLNode*)": "nodeAboutToBeEdited(PyObject)",
    }
    currentNodeChanged = QtCore.Signal(object)
    _validChanged = QtCore.Signal(bool)
    currentNodeIDChanged = QtCore.Signal(str)
    currentNodeRenamed = QtCore.Signal(str)
    nodeActivated = QtCore.Signal(object)
    nodeAdded = QtCore.Signal(object)
    nodeAddedByUser = QtCore.Signal(object)
    nodeAddedByUserAction = QtCore.Signal(object)
    nodeAboutToBeRemoved = QtCore.Signal(object)
    nodeAboutToBeEdited = QtCore.Signal(object)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None
        self._observed: list[tuple[Any, int]] = []
        self._requested = ""
        self._known: dict[str, Any] = {}
        self._attributes: dict[tuple[str, str], Any] = {}
        self._labels: dict[str, str] = {}
        self._combo = ctkComboBox(self)
        self._combo.setSizeAdjustPolicy(QtWidgets.QComboBox.AdjustToMinimumContentsLengthWithIcon)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo)
        self.setSizePolicy(QtWidgets.QSizePolicy.Preferred, QtWidgets.QSizePolicy.Fixed)
        self._last: tuple[str, int] | None = None
        self._combo.currentIndexChanged.connect(lambda _: self._on_index())
        self._combo.activated.connect(lambda _: self.nodeActivated.emit(self.currentNode()))
        observed = self._observed
        # Not a method of ours: Qt no longer calls those when it destroys us.
        self.destroyed.connect(lambda *_: _remove_observers(observed))
        self.setEnabled(False)

    # Slots and invokables --------------------------------------------------------------------------------------

    def setMRMLScene(self, scene: Any) -> None:
        if scene is self._scene:
            return
        _remove_observers(self._observed)
        self._scene = scene
        if scene is not None:
            for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndBatchProcessEvent,
                          scene.EndRestoreEvent):
                self._observe(scene, event, self._on_scene)
            for event in (scene.EndCloseEvent, scene.EndImportEvent):
                self._observe(scene, event, self._on_new_content)
            self._observe(scene, scene.NodeAboutToBeRemovedEvent, self._on_about_to_be_removed)
        wanted, self._requested = self._requested, ""
        self._fill(choose=wanted, first=not wanted)
        self.setEnabled(scene is not None)

    def mrmlScene(self) -> Any:
        return self._scene

    def currentNode(self) -> Any:
        return self._node(self._combo.currentData(ID))

    def setCurrentNode(self, node: Any) -> None:
        self.setCurrentNodeID(node if isinstance(node, str) else node.GetID() if node is not None else "")

    def setCurrentNodeID(self, node_id: str) -> None:
        """A node that is not in the list: none."""
        if self._scene is None:
            self._requested = node_id or ""
            return
        index, before = self._combo.findData(node_id, ID) if node_id else -1, self._combo.currentIndex()
        self._combo.setCurrentIndex(index if index >= 0 else 0 if self.property("noneEnabled") else -1)
        if index >= 0 and index != before:
            # As if Enter were pressed in the list.
            self.nodeActivated.emit(self.currentNode())

    def setCurrentNodeIndex(self, index: int) -> None:
        node = self.nodeFromIndex(index)
        self.setCurrentNodeID(node.GetID() if node is not None else "")

    def nodeCount(self) -> int:
        return len(self._known) if self._scene is not None else 0

    def nodeFromIndex(self, index: int) -> Any:
        return self._node(self._combo.itemData(index + (1 if self.property("noneEnabled") else 0), ID))

    def addAttribute(self, node_type: str, name: str, value: Any = None) -> None:
        self._attributes[node_type, name] = value
        self._fill()

    def removeAttribute(self, node_type: str, name: str) -> None:
        self._attributes.pop((node_type, name), None)
        self._fill()

    def setNodeTypeLabel(self, label: str, node_type: str) -> None:
        self._labels[node_type] = label
        self._update_default_text()

    def nodeTypeLabel(self, node_type: str) -> str:
        own = self._labels.get(node_type) or (
            self._scene.GetTypeDisplayNameByClassName(node_type) if self._scene is not None and node_type else ""
        )
        return own or "node"

    def addNode(self, node_type: str = "") -> Any:
        types = self.property("nodeTypes")
        if self._scene is None or not types:
            return None
        kind = node_type or types[0]
        if kind not in types:
            return None
        node = self._scene.AddNewNodeByClass(kind, self._scene.GenerateUniqueName(
            self.property("baseName") or self.nodeTypeLabel(kind)))
        if self.property("selectNodeUponCreation"):
            self.setCurrentNode(node)
        self.nodeAddedByUser.emit(node)
        return node

    def removeCurrentNode(self) -> None:
        node = self.currentNode()
        if node is not None:
            self._scene.RemoveNode(node)

    def editCurrentNode(self) -> None:
        self.nodeAboutToBeEdited.emit(self.currentNode())

    # Following the scene -----------------------------------------------------------------------------------------

    def _node(self, node_id: str | None) -> Any:
        return self._scene.GetNodeByID(node_id) if self._scene is not None and node_id else None

    def _observe(self, subject: Any, event: int | str, callback: Any) -> None:
        self._observed.append((subject, subject.AddObserver(event, callback)))

    def _on_scene(self, scene: Any, event: str) -> None:
        if not scene.IsBatchProcessing():
            self._fill()

    def _on_new_content(self, scene: Any, event: str) -> None:
        self._last = None
        self._fill(choose="")

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_about_to_be_removed(self, scene: Any, event: str, node: Any) -> None:
        if node.GetID() in self._known:
            self.nodeAboutToBeRemoved.emit(node)

    def _on_node(self, node: Any, event: str) -> None:
        index = self._combo.findData(node.GetID(), ID)
        if index >= 0:
            self._combo.setItemText(index, node.GetName())
        if bool(node.GetHideFromEditors()) == (index >= 0):
            self._fill()

    def _matches(self, node: Any) -> bool:
        types, hidden = self.property("nodeTypes"), self.property("hideChildNodeTypes")
        if node.GetHideFromEditors() and not self.property("showHidden"):
            return False
        if any(node.IsA(kind) for kind in hidden or []):
            return False
        exact = not self.property("showChildNodeTypes")
        if not any(node.GetClassName() == kind if exact else node.IsA(kind) for kind in types or []):
            return False
        return all(
            node.GetAttribute(name) is not None and (value is None or node.GetAttribute(name) == str(value))
            for (kind, name), value in self._attributes.items() if node.IsA(kind)
        )

    def _fill(self, choose: str | None = None, first: bool = False) -> None:
        """Make the list anew. The current node stays; where it is gone, another takes its place."""
        row = self._combo.currentIndex()
        scene = self._scene
        nodes = [scene.GetNthNode(n) for n in range(scene.GetNumberOfNodes())] if scene is not None else []
        now = {node.GetID(): node for node in nodes if self._matches(node)}
        before, current = self._known, choose if choose is not None else self._combo.currentData(ID) or ""
        self._known = now
        for node_id in now.keys() - before.keys():
            self._observe(now[node_id], "ModifiedEvent", self._on_node)
        none = bool(self.property("noneEnabled"))
        with QtCore.QSignalBlocker(self._combo):
            self._combo.clear()
            if none:
                self._combo.addItem(self.property("noneDisplay"), "")
            for node_id, node in now.items():
                self._combo.addItem(node.GetName() or "", node_id)
            self._combo.setCurrentIndex(self._index_after(current, row, first or self._nothing_above(before)))
        for node_id in now.keys() - before.keys():
            self.nodeAdded.emit(now[node_id])
        self._update_default_text()
        self._on_index()

    def _nothing_above(self, before: dict[str, Any]) -> bool:
        """A QComboBox chooses the first entry that comes into an empty list; entries for actions count as well."""
        actions = ("noneEnabled", "addEnabled", "removeEnabled", "editEnabled", "renameEnabled")
        return not before and not any(self.property(name) for name in actions)

    def _index_after(self, current: str, row: int, first: bool) -> int:
        """The row of the current node; that of what follows where it is gone; of "None" or nothing."""
        index = self._combo.findData(current, ID) if current else -1
        if index < 0 and current and row >= 0:
            index = row
        elif index < 0 and (first or self.property("noneEnabled")):
            index = 0
        return min(index, self._combo.count() - 1)

    def _on_index(self) -> None:
        node = self.currentNode()
        now = (node.GetID() if node is not None else "", self._combo.currentIndex())
        if now == self._last:
            return
        self._last = now
        self.currentNodeChanged.emit(node)
        self._validChanged.emit(node is not None)
        self.currentNodeIDChanged.emit(now[0])

    def _update_default_text(self) -> None:
        types = self.property("nodeTypes")
        self._combo.setPlaceholderText(f"Select a {self.nodeTypeLabel(types[0] if types else '')}")

    currentNodeID = computed(
        str, lambda self: self._combo.currentData(ID) or "", lambda self, node_id: self.setCurrentNodeID(node_id)
    )
    nodeTypes = stored("QStringList", [], _fill)
    showHidden = stored(bool, False, _fill)
    showChildNodeTypes = stored(bool, True, _fill)
    hideChildNodeTypes = stored("QStringList", [], _fill)
    baseName = stored(str, "")
    noneEnabled = stored(bool, False, _fill)
    addEnabled = stored(bool, True)
    removeEnabled = stored(bool, True)
    editEnabled = stored(bool, False)
    renameEnabled = stored(bool, False)
    interactionNodeSingletonTag = stored(str, "Singleton")
    selectNodeUponCreation = stored(bool, True)
    noneDisplay = stored(str, "None", _fill)
    sizeAdjustPolicy = stored(int, 0)


def _remove_observers(observed: list[tuple[Any, int]]) -> None:
    for subject, tag in observed:
        subject.RemoveObserver(tag)
    observed.clear()
