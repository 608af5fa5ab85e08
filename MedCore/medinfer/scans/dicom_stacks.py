"""Several reconstructions, echoes or acquisitions under one SeriesInstanceUID: which slices belong to which.

Two images at one position are two stacks, and so are two convolution kernels over the same part of the body. The tag
that tells them apart may be any of `STACK_TAGS`, several of them together, or the order of InstanceNumber or of a time
(DICOM PS3.3: C.7.6.1 general image, C.8.2.1 CT image, C.8.3.1 MR image).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from .dicom import Series, Slice
from .dicom_copies import without_copies
from .dicom_headers import KIND_TAGS, SERIES_TAGS, STACK_TAGS

# Fewer doubled positions than this are a place where two acquisitions meet, and no reason to cut.
_CROWDED = 0.1
_MOST_TAGS = 3  # that are tried together
_ORDERED = ("InstanceNumber", "TriggerTime", "AcquisitionNumber", "SeriesTime", "AcquisitionTime", "ContentTime")

Part = tuple[Slice, ...]


@dataclass(frozen=True)
class Cut:
    """A series cut into parts. tags: what tells them apart; values: what it says of each part."""

    tags: str
    values: tuple[str, ...]
    parts: tuple[Part, ...]


def separated(series: Series) -> list[Series]:
    """The stacks of a series, each with a note of what tells it apart; the series itself where it is one stack.

    Copies (same position, same pixels) are left out of what no tag tells apart. Where more than a tenth of the
    positions then still hold several images, the series gets a `problem`: nothing may be mixed.
    """
    if not series.slices[0].normal.any():
        return [series]  # without directions there are no heights; it is refused when it is read
    cut = _cut(series.slices)
    if cut is not None:
        return [one for part in _parts(series, cut) for one in separated(part)]
    if _crowding(series.slices)[0] == 1:
        return [series]
    slices, copies = without_copies(series.slices, same_uid=False)
    series = replace(series, slices=slices, notes=(*series.notes, *copies))
    if copies and _cut(slices) is not None:
        return separated(series)
    if not _crowded(slices):
        return [series]
    heights = _crowding(slices)[1]
    return [replace(series, problem=(
        f"holds {len(slices)} images at {heights} positions, and nothing in their headers tells the reconstructions "
        "apart; export each of them as a series of its own"
    ))]


def _parts(series: Series, cut: Cut) -> list[Series]:
    """The series of each part, called by the value that tells it apart where there is a short one."""
    parts = []
    for number, (value, slices) in enumerate(zip(cut.values, cut.parts, strict=True), start=1):
        name = value if cut.tags == "ConvolutionKernel" and 0 < len(value) <= 16 else str(number)
        note = (f"its series holds {len(cut.parts)} scans that overlap and was cut by {cut.tags}; this one has "
                f"{value or 'none'}")
        parts.append(replace(
            series, slices=slices, description=f"{series.description} {name}".strip(), notes=(*series.notes, note)
        ))
    return parts


def _cut(slices: Part) -> Cut | None:
    """The first way to cut these slices that says what belongs together; None where none does, or they are one."""
    varying = [
        tag for tag, values in zip(STACK_TAGS, zip(*(image.stack for image in slices), strict=True), strict=True)
        if 1 < len(set(values)) <= max(2, len(slices) // 2)
    ]
    for tag in (tag for tag in SERIES_TAGS if tag in varying):
        cut = _by_tags(slices, (tag,))
        if all(cut.values) and all(len(part) >= 2 for part in cut.parts):
            return cut
    crowded, even = _crowded(slices), _even(slices)
    for tag in (tag for tag in KIND_TAGS if tag in varying and not crowded):
        cut = _by_tags(slices, (tag,))
        if all(cut.values) and _overlap(cut.parts):  # a missing value tells nothing
            return cut
    if not crowded and even:
        return None
    most = 2 * _crowding(slices)[0]
    for count in range(1, _MOST_TAGS + 1):
        for tags in combinations(varying, count):
            cut = _by_tags(slices, tags)
            if 1 < len(cut.parts) <= most and all(_single(part, even=not crowded) for part in cut.parts) and (
                crowded or _meet(cut.parts)
            ):
                return cut
    return _by_order(slices) if crowded else None


def _by_tags(slices: Part, tags: Sequence[str]) -> Cut:
    indices = [STACK_TAGS.index(tag) for tag in tags]
    groups: dict[tuple[str, ...], list[Slice]] = defaultdict(list)
    for image in slices:
        groups[tuple(image.stack[index] for index in indices)].append(image)
    ordered = sorted(groups, key=lambda values: [(len(value), value) for value in values])
    return Cut(
        " and ".join(tags), tuple(", ".join(filter(None, values)) for values in ordered),
        tuple(tuple(groups[values]) for values in ordered),
    )


def _by_order(slices: Part) -> Cut | None:
    """Windows of InstanceNumber, or of a time, or taking turns in it: each part must run one way through the body."""
    for tag in _ORDERED:
        known = {id(image): _number(image, tag) for image in slices}
        numbers = [number for number in known.values() if number is not None]
        if len(set(numbers)) < len(slices):
            continue
        ordered = sorted(slices, key=lambda image: known[id(image)] or 0.0)
        deep = _crowding(slices)[0]
        for parts in (_windows(ordered), [tuple(ordered[turn::deep]) for turn in range(deep)]):
            if 1 < len(parts) <= 2 * deep and all(_one_way(part) for part in parts):
                ends = [(known[id(part[0])], known[id(part[-1])]) for part in parts]
                return Cut(tag, tuple(f"{first:g} to {last:g}" for first, last in ends), tuple(parts))
    return None


def _windows(ordered: Sequence[Slice]) -> list[Part]:
    """The slices cut each time that a position comes again; where two could meet anywhere, at the widest jump."""
    heights = [round(image.height, 2) for image in ordered]
    starts, seen = [0], set[float]()
    for index, height in enumerate(heights):
        if height in seen:
            earliest = index
            later = {height}
            while earliest - 1 > starts[-1] and heights[earliest - 1] not in later:
                earliest -= 1
                later.add(heights[earliest])
            start = max(range(earliest, index + 1), key=lambda place: abs(heights[place] - heights[place - 1]))
            starts.append(start)
            seen = set(heights[start:index])
        seen.add(height)
    return [tuple(ordered[start:end]) for start, end in zip(starts, [*starts[1:], len(ordered)], strict=True)]


def _number(image: Slice, tag: str) -> float | None:
    if tag == "InstanceNumber":
        return image.number
    try:
        return float(image.stack[STACK_TAGS.index(tag)])
    except ValueError:
        return None


def _one_way(part: Part) -> bool:
    """Whether these slices, in this order, run up or down without turning back, two at least."""
    steps = np.diff([image.height for image in part])
    return len(part) >= 2 and bool((steps > 0.01).all() or (steps < -0.01).all())


def _crowding(slices: Sequence[Slice]) -> tuple[int, int]:
    """The most slices at one height (0.01 mm), and how many heights there are."""
    counts = Counter(round(image.height, 2) for image in slices)
    return max(counts.values()), len(counts)


def _crowded(slices: Sequence[Slice]) -> bool:
    return len(slices) - _crowding(slices)[1] > _CROWDED * len(slices)


def _single(part: Part, *, even: bool) -> bool:
    """Whether a part holds one image at each position, two at least, and lies evenly where that is asked for."""
    return len(part) >= 2 and _crowding(part)[0] == 1 and (not even or _even(part))


def _even(slices: Sequence[Slice]) -> bool:
    """Whether the slices lie at multiples of one distance, some maybe missing."""
    gaps = np.diff(np.unique(np.round([image.height for image in slices], 2)))
    if len(gaps) < 2:
        return True
    places = gaps / np.median(gaps)
    return bool(np.all(np.abs(places - np.rint(places)) < 0.1) and (np.rint(places) > 0).all())


def _overlap(parts: Sequence[Part]) -> bool:
    """Whether every part is a good share of all, and lies over at least half of the shorter of it and any other."""
    total = sum(len(part) for part in parts)
    if any(len(part) < max(3, total // 10) for part in parts):
        return False
    return all(
        min(a[1], b[1]) - max(a[0], b[0]) > 0.5 * min(a[1] - a[0], b[1] - b[0])
        for a, b in combinations(_reach(parts), 2)
    )


def _meet(parts: Sequence[Part]) -> bool:
    """Whether some two parts lie over one another, by whatever length."""
    return any(min(a[1], b[1]) > max(a[0], b[0]) for a, b in combinations(_reach(parts), 2))


def _reach(parts: Sequence[Part]) -> list[tuple[float, float]]:
    """The lowest and highest slice of each part, mm along the normal."""
    return [(min(heights), max(heights)) for heights in ([image.height for image in part] for part in parts)]
