"""The one entry from a run to the scene: boxes or landmarks as markups, a table and a folder for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from medinfer.findings import Box, Findings, Landmark

from .curves import add_curve
from .fiducials import add_fiducials
from .hierarchy import put_in_folder
from .markups import DEFAULT_COLOR
from .rois import add_roi
from .tables import add_box_table, add_landmark_table
from .terminology import Terminology, common_terminology, set_terminology

if TYPE_CHECKING:
    from medinfer.manifest import Task


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
    """What a run added to the scene: rois, a node a box in the findings' order; fiducials, one node for all landmarks;
    curve, the line through them; folder, the item of the folder that holds them all in the subject hierarchy.
    """

    table: Any
    folder: int
    rois: tuple[Any, ...] = ()
    fiducials: Any | None = None
    curve: Any | None = None

    @property
    def markups(self) -> tuple[Any, ...]:
        """All markups nodes, in the order in which a file lists them."""
        return (*self.rois, *filter(None, (self.fiducials, self.curve)))


def add_findings(
    scene: Any, findings: Findings, volume_node: Any, *,
    name: str, task: Task = "detect", labels: Sequence[Label] = (), chain: bool = False,
) -> FindingNodes:
    """Add `findings`, made on `volume_node`, to `scene`, as one undoable step where the scene has undo switched on.

    name: of the folder, the table and the list of landmarks. task: which kind of findings ("detect": boxes,
    "landmark"); a list of landmarks is there also where it is empty. labels: colours and terminology. chain: the
    landmarks follow each other along a line, and it is drawn as a curve.
    """
    scene.SaveStateForUndo()
    rois: tuple[Any, ...] = ()
    fiducials = curve = None
    if task == "landmark":
        fiducials, curve = _landmark_nodes(scene, findings.landmarks, volume_node, name, labels, chain)
        table = add_landmark_table(scene, findings.landmarks, name)
    else:
        rois = tuple(_rois(scene, findings.boxes, volume_node, labels))
        table = add_box_table(scene, findings.boxes, name)
    markups = [*rois, *filter(None, (fiducials, curve))]
    folder = put_in_folder(scene, volume_node, [*markups, table], name)
    return FindingNodes(table, folder, rois, fiducials, curve)


def _rois(scene: Any, boxes: Sequence[Box], volume_node: Any, labels: Sequence[Label]) -> Iterator[Any]:
    """A node a box, called by label and rank: "Nodule 1". A box of no known label has the default colour, no codes."""
    known = {label.name: label for label in labels}
    for rank, box in enumerate(boxes, start=1):
        label = known.get(box.label)
        title = f"{box.label[:1].upper()}{box.label[1:]} {rank}"
        roi = add_roi(scene, box, title, volume_node, color=label.color if label else DEFAULT_COLOR)
        if label and label.terminology:
            set_terminology(roi, label.terminology)
        yield roi


def _landmark_nodes(
    scene: Any, landmarks: Sequence[Landmark], volume_node: Any, name: str, labels: Sequence[Label], chain: bool
) -> tuple[Any, Any | None]:
    """The point list and, of a chain with two points at least, the curve. One node has one colour: the first label's.

    Its codes are what the labels have in common: the vertebrae are all structures of the spine.
    """
    color = labels[0].color if labels else DEFAULT_COLOR
    fiducials = add_fiducials(scene, landmarks, name, volume_node, color=color)
    common = common_terminology([label.terminology for label in labels])
    if common:
        set_terminology(fiducials, common)
    curve = add_curve(scene, landmarks, f"{name} curve", volume_node, color=color) if chain else None
    return fiducials, curve
