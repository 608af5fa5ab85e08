"""The one entry from a run to the scene: boxes or landmarks as markups, segments as a segmentation; a table, a folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from medinfer.findings import Box, Findings, Landmark

from ..nodes.curves import add_curve
from ..nodes.fiducials import add_fiducials
from ..nodes.hierarchy import list_segments, put_in_folder, put_in_subfolder
from ..nodes.labels import Label
from ..nodes.markups import DEFAULT_COLOR
from ..nodes.named_segments import named_segments
from ..nodes.rois import add_roi, roi_title
from ..nodes.segments import add_segmentation
from ..nodes.tables import add_box_table, add_landmark_table, add_segment_table
from ..nodes.terminology import common_terminology, set_terminology
from ..views.numbers_in_views import add_numbers

if TYPE_CHECKING:
    from medinfer.manifest import Task


@dataclass(frozen=True)
class FindingNodes:
    """What a run added to the scene: rois, a node a box in the findings' order, weaker candidates last; fiducials, one
    node for all landmarks; curve, the line through them; segmentation, one node for all segments; numbers, by group,
    the point lists with their names; folder, the item of the folder that holds them all in the subject hierarchy.
    """

    table: Any
    folder: int
    rois: tuple[Any, ...] = ()
    fiducials: Any | None = None
    curve: Any | None = None
    segmentation: Any | None = None
    numbers: dict[str, Any] = field(default_factory=dict)

    @property
    def markups(self) -> tuple[Any, ...]:
        """All markups nodes, in the order in which a file lists them."""
        return (*self.rois, *filter(None, (self.fiducials, self.curve)))


def add_findings(
    scene: Any, findings: Findings, volume_node: Any, *,
    name: str, task: Task = "detect", labels: Sequence[Label] = (), chain: bool = False, surfaces: bool = True,
) -> FindingNodes:
    """Add `findings`, made on `volume_node`, to `scene`, as one undoable step where the scene has undo switched on.

    name: of the folder, the table, the list of landmarks and the segmentation. task: which kind of findings ("detect":
    boxes, "landmark", "segment"); a list of landmarks or a segmentation is there also where it is empty. labels:
    colours, terminology, groups. chain: the landmarks follow each other along a line, and it is drawn as a curve.
    surfaces: of segments; else they are left to `surface_steps`.
    Raises ValueError for segments without their label map.
    """
    scene.SaveStateForUndo()
    if task == "segment":
        return _segment_nodes(scene, findings, volume_node, name, labels, surfaces)
    rois: tuple[Any, ...] = ()
    fiducials = curve = None
    # The table comes first: Slicer's undo takes nodes away in the order in which they were made, and a node that loses
    # one that it refers to (`result_nodes`) while it is still there forgets it for good.
    if task == "landmark":
        table = add_landmark_table(scene, findings.landmarks, name)
        fiducials, curve = _landmark_nodes(scene, findings.landmarks, volume_node, name, labels, chain)
    else:
        boxes = (*findings.boxes, *findings.candidates)
        table = add_box_table(scene, boxes, name)
        rois = tuple(_rois(scene, boxes, volume_node, labels))
    markups = [*rois, *filter(None, (fiducials, curve))]
    folder = put_in_folder(scene, volume_node, [*markups, table], name)
    return FindingNodes(table, folder, rois, fiducials, curve)


def _rois(scene: Any, boxes: Sequence[Box], volume_node: Any, labels: Sequence[Label]) -> Iterator[Any]:
    """A node a box, called by label and rank: "Nodule 1". A box of no known label has the default colour, no codes."""
    known = {label.name: label for label in labels}
    for rank, box in enumerate(boxes, start=1):
        label = known.get(box.label)
        color = label.color if label else DEFAULT_COLOR
        roi = add_roi(scene, box, roi_title(box.label, rank), volume_node, color=color)
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


def _segment_nodes(
    scene: Any, findings: Findings, volume_node: Any, name: str, labels: Sequence[Label], surfaces: bool
) -> FindingNodes:
    """The segmentation, its table and, in a folder a group, the names of its segments."""
    segments = named_segments(findings.segments, labels)
    table = add_segment_table(scene, segments, name)
    segmentation = add_segmentation(scene, segments, findings.label_map, name, volume_node, surfaces=surfaces)
    numbers = add_numbers(scene, segments, volume_node)
    folder = put_in_folder(scene, volume_node, [segmentation, table], name)
    list_segments(scene, segmentation)
    for group, points in numbers.items():
        put_in_subfolder(scene, folder, [points], group)
    return FindingNodes(table, folder, segmentation=segmentation, numbers=numbers)
