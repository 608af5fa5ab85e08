"""The one entry from a run to the scene: ROI boxes, a table and a folder for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from medinfer.findings import Box, Findings

from .hierarchy import put_in_folder
from .rois import DEFAULT_COLOR, add_roi
from .tables import add_table
from .terminology import Terminology, set_terminology


class Label(Protocol):
    """How a class of findings looks and what it is in codes (a package's `medinfer.manifest.Label`)."""

    @property
    def name(self) -> str: ...
    @property
    def color(self) -> tuple[float, float, float]: ...
    @property
    def terminology(self) -> Terminology | None: ...


@dataclass(frozen=True)
class FindingNodes:
    """What a run added: ROI nodes in the findings' order, the table node, the folder's subject-hierarchy item."""

    rois: tuple[Any, ...]
    table: Any
    folder: int


def add_findings(
    scene: Any, findings: Findings, volume_node: Any, *, name: str, labels: Iterable[Label] = ()
) -> FindingNodes:
    """Add `findings`, made on `volume_node`, to `scene`, as one undoable step where the scene has undo switched on.

    name: of the folder and the table. labels: colour and terminology by the boxes' label; a box whose label is
    not among them gets the default colour and no codes. ROIs are called by label and rank: "Nodule 1".
    """
    known = {label.name: label for label in labels}
    scene.SaveStateForUndo()
    rois = []
    for rank, box in enumerate(findings.boxes, start=1):
        label = known.get(box.label)
        roi = add_roi(
            scene, box, _title(box, rank), volume_node, color=label.color if label else DEFAULT_COLOR
        )
        if label and label.terminology:
            set_terminology(roi, label.terminology)
        rois.append(roi)
    table = add_table(scene, findings, name)
    folder = put_in_folder(scene, volume_node, [*rois, table], name)
    return FindingNodes(tuple(rois), table, folder)


def _title(box: Box, rank: int) -> str:
    return f"{box.label[:1].upper()}{box.label[1:]} {rank}"
