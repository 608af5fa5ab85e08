"""The name, look and group of each segment of a run, by the labels of the package."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medinfer.findings import Segment

from .labels import Label
from .terminology import Terminology

# What has no label: grey, in a folder of its own.
UNSURE_COLOR = (0.62, 0.62, 0.62)
UNSURE_GROUP = "Without number"


@dataclass(frozen=True)
class NamedSegment:
    """A segment as a scene shows it.

    title: its name there, which no other segment of the run has. fdi: its FDI number, name: its name in words, group:
    the folder it belongs to; each empty where there is none.
    """

    segment: Segment
    title: str
    color: tuple[float, float, float]
    terminology: Terminology | None = None
    fdi: str = ""
    name: str = ""
    group: str = ""


def named_segments(segments: Sequence[Segment], labels: Sequence[Label]) -> tuple[NamedSegment, ...]:
    """`segments` in their order. One whose label is not in `labels` is a "Tooth without number 1", in grey."""
    known = {label.name: label for label in labels}
    total, seen = Counter(segment.label for segment in segments), Counter[str]()
    named = []
    for segment in segments:
        seen[segment.label] += 1
        rank = f" {seen[segment.label]}"
        label = known.get(segment.label)
        if label is None:
            word = f"{segment.label[:1].upper()}{segment.label[1:]} without number"
            named.append(NamedSegment(segment, word + rank, UNSURE_COLOR, group=UNSURE_GROUP))
            continue
        named.append(NamedSegment(
            segment, label.name + (rank if total[segment.label] > 1 else ""), label.color, label.terminology,
            label.names.get("FDI", ""), label.names.get("anatomical", ""), label.group,
        ))
    return tuple(named)


def names_in_schemes(segments: Sequence[Segment], labels: Sequence[Label]) -> tuple[Mapping[str, str], ...]:
    """Of each of `segments` its title by the scheme of names ("FDI", "Universal", …), counted as `named_segments` does.

    Schemes in which its label has no name are left out; so a segment without a label has none.
    """
    known = {label.name: label for label in labels}
    titled = named_segments(segments, labels)
    names = []
    for named in titled:
        label = known.get(named.segment.label)
        rank = "" if label is None else named.title.removeprefix(label.name)
        names.append({} if label is None else {scheme: name + rank for scheme, name in label.names.items()})
    return tuple(names)
