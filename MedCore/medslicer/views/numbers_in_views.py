"""The segments' names at their centres, a vtkMRMLMarkupsFiducialNode a group.

Slicer writes no names beside segments, and its tree has no folders for them; point lists have both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from medinfer.findings import Landmark

from ..nodes.fiducials import add_fiducials
from ..nodes.named_segments import NamedSegment

COLOR = (1.0, 1.0, 1.0)
GLYPH_PERCENT = 0.8
# On a list: the values of the segments that its points name, in their order.
VALUES_ATTRIBUTE = "MedInfer.values"


def add_numbers(scene: Any, segments: Sequence[NamedSegment], volume_node: Any) -> dict[str, Any]:
    """Add a locked point list for each group of `segments` to `scene`; return them by the group's name, in its order.

    One point per segment, at its centre of mass, called by its FDI number if its title is longer; confidence and flags
    are kept as those of landmarks are. A segment without a group has no point.
    """
    groups: dict[str, list[Landmark]] = {}
    values: dict[str, list[str]] = {}
    for named in segments:
        if named.group:
            segment = named.segment
            point = Landmark(short_name(named.title, named.fdi), segment.center_ras, segment.confidence, segment.flags)
            groups.setdefault(named.group, []).append(point)
            values.setdefault(named.group, []).append(str(segment.value))
    lists = {}
    for group, points in groups.items():
        lists[group] = add_fiducials(scene, points, group, volume_node, color=COLOR)
        display = lists[group].GetDisplayNode()
        display.SetGlyphScale(GLYPH_PERCENT)
        # Seen from any side some teeth stand behind others, and so would their names.
        display.SetVisibility3D(False)
        lists[group].SetAttribute(VALUES_ATTRIBUTE, " ".join(values[group]))
    return lists


def values_of_points(node: Any) -> tuple[int, ...]:
    """The values of the segments that the points of `node`, a list made by `add_numbers`, name, in their order."""
    return tuple(int(value) for value in (node.GetAttribute(VALUES_ATTRIBUTE) or "").split())


def short_name(title: str, fdi: str) -> str:
    """What can stand beside a tooth: its title, or its FDI number where that is shorter."""
    return fdi if fdi and len(fdi) < len(title) else title
