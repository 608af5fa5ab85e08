"""Landmarks along a line in a known order, such as the vertebrae.

A network answers for each label by itself. Where it is torn between two vertebrae it answers with both places for
both labels; the order and the distances of all together tell which is which. The line may lean, bend and run either
way: nothing is assumed of its direction but that it turns by less than a right angle from one landmark to the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Vector = tuple[float, float, float]
Floats = NDArray[np.float64]

# A label left out between two found ones costs this much confidence; a gap, however long, no more than _GAP_MOST:
# it decides between readings alike, and does not outweigh a landmark that is sure.
_GAP, _GAP_MOST = 0.1, 0.3


@dataclass(frozen=True)
class Candidate:
    """A place where a landmark may be. position_mm: in any frame, the same for all. confidence: 0…1."""

    position_mm: Vector
    confidence: float


@dataclass(frozen=True)
class Choice:
    """candidate: index of the one chosen among its label's, None for a missing landmark.
    flags: how it contradicts the others, one phrase each."""

    candidate: int | None
    flags: tuple[str, ...] = ()


def place_along_chain(
    labels: Sequence[str], candidates: Sequence[Sequence[Candidate]], spacing_mm: tuple[float, float],
    regularity: float | None = None,
) -> tuple[Choice, ...]:
    """The candidate of each label (in the chain's order) that fits the others best.

    spacing_mm: smallest and largest distance of neighbours. What `most_confident_chain` chooses goes together. A label
    that it leaves out gets its best candidate at a place of its own, flagged with what contradicts the chosen ones;
    it is missing where every candidate lies where another landmark is (nearer than the smallest distance).
    regularity: the landmarks at both ends of a step that differs more than so many times from the steps around it
    are flagged too (`irregular_steps`).
    """
    chosen = most_confident_chain(candidates, spacing_mm)
    trusted = [None if n is None else of[n].position_mm for n, of in zip(chosen, candidates, strict=True)]
    choices = [Choice(n) for n in chosen]
    taken = [place for place in trusted if place is not None]
    left_out = [
        (candidate.confidence, label, n) for label, of in enumerate(candidates) if chosen[label] is None
        for n, candidate in enumerate(of)
    ]
    for _, label, n in sorted(left_out, key=lambda entry: (-entry[0], *entry[1:])):
        place = candidates[label][n].position_mm
        if choices[label].candidate is None and all(_distance(place, other) >= spacing_mm[0] for other in taken):
            choices[label] = Choice(n, contradictions(labels, trusted, label, place, spacing_mm))
            taken.append(place)
    if regularity is None:
        return tuple(choices)
    places = [
        None if choice.candidate is None else of[choice.candidate].position_mm
        for choice, of in zip(choices, candidates, strict=True)
    ]
    return tuple(
        Choice(choice.candidate, (*choice.flags, *more))
        for choice, more in zip(choices, irregular_steps(labels, places, regularity), strict=True)
    )


def irregular_steps(
    labels: Sequence[str], places: Sequence[Vector | None], regularity: float
) -> list[tuple[str, ...]]:
    """Irregular distances of each landmark to its neighbours, one phrase each: "unusually near T9".

    A step (mm a label) is odd where it is more than `regularity` times shorter or longer than the median of up to
    two steps on either side: sizes differ from patient to patient, and hardly from a vertebra to the next. Two
    names on one vertebra, or one left out, show here even where their distance could be a smaller patient's.
    """
    found = [n for n, place in enumerate(places) if place is not None]
    pairs = list(pairwise(found))
    steps = [_distance(places[a], places[b]) / (b - a) for a, b in pairs]  # type: ignore[arg-type]
    flags: list[tuple[str, ...]] = [()] * len(places)
    for n, (a, b) in enumerate(pairs):
        around = [*steps[max(n - 2, 0) : n], *steps[n + 1 : n + 3]]
        if len(around) < 2:
            continue
        usual = float(np.median(around))
        if usual / regularity <= steps[n] <= usual * regularity:
            continue
        word = "near" if steps[n] < usual else "far from"
        flags[a] = (*flags[a], f"unusually {word} {labels[b]}")
        flags[b] = (*flags[b], f"unusually {word} {labels[a]}")
    return flags


def most_confident_chain(
    candidates: Sequence[Sequence[Candidate]], spacing_mm: tuple[float, float]
) -> tuple[int | None, ...]:
    """The consistent choice of at most one candidate a label with the highest sum of confidences, less the gaps' cost.

    Consistent: two chosen ones that follow each other, n labels apart, are n · `spacing_mm` apart, smallest to
    largest; and of three that follow each other the second step turns from the first by less than a right angle.
    A gap of n missing labels costs 0.1 n, at most 0.3; missing ones before the first and behind the last cost nothing.

    Dynamic programming over the pairs that may follow each other (Viterbi of second order).
    """
    nodes = [(label, n) for label, of in enumerate(candidates) for n in range(len(of))]
    if not nodes:
        return (None,) * len(candidates)
    level = np.array([label for label, _ in nodes])
    place = np.array([candidates[label][n].position_mm for label, n in nodes], dtype=np.float64)
    confidence = np.array([candidates[label][n].confidence for label, n in nodes])
    apart = level[None] - level[:, None]
    steps = place[None] - place[:, None]
    length = np.linalg.norm(steps, axis=2)
    follows = (apart > 0) & (length >= apart * spacing_mm[0]) & (length <= apart * spacing_mm[1])
    gain = np.where(follows, confidence[None] - np.minimum(_GAP * (apart - 1), _GAP_MOST), -np.inf)
    # best[p, q]: of the chains that end with p, then q; before[p, q]: the node before p on it, or −1.
    best = np.full(follows.shape, -np.inf)
    before = np.full(follows.shape, -1)
    for p in range(len(nodes)):
        straight = steps[:, p] @ steps[p].T > 0
        through = np.where(straight, best[:, p, None], -np.inf)
        previous = through.argmax(axis=0)
        longer = through[previous, np.arange(len(nodes))]
        before[p] = np.where(longer > confidence[p], previous, -1)
        best[p] = np.maximum(longer, confidence[p]) + gain[p]
    return _traced(nodes, best, before, confidence, len(candidates))


def _traced(
    nodes: list[tuple[int, int]], best: Floats, before: NDArray[np.intp], confidence: Floats, labels: int
) -> tuple[int | None, ...]:
    """The best chain, from its end back."""
    p, q = (int(n) for n in np.unravel_index(best.argmax(), best.shape))
    alone = int(confidence.argmax())
    chain = [alone]
    if best[p, q] > confidence[alone]:
        chain = [q, p]
        while (previous := int(before[chain[-1], chain[-2]])) >= 0:
            chain.append(previous)
    chosen: list[int | None] = [None] * labels
    for node in chain:
        label, n = nodes[node]
        chosen[label] = n
    return tuple(chosen)


def contradictions(
    labels: Sequence[str], trusted: Sequence[Vector | None], label: int, place: Vector, spacing_mm: tuple[float, float]
) -> tuple[str, ...]:
    """How a landmark (index `label`) at `place` contradicts those whose places are known, one phrase each.

    "above T12", "below L3": on the wrong side of its neighbour along the line; else "too near L2", "too far from L2":
    by `spacing_mm` for each label between; else "beside the line from L1 to L3": the line would have to turn back.
    Above is towards the first label. All places in mm, in one frame.
    """
    known = [n for n, other in enumerate(trusted) if other is not None and n != label]
    upper = max((n for n in known if n < label), default=None)
    lower = min((n for n in known if n > label), default=None)
    steps = {n: np.subtract(place, trusted[n]) for n in (upper, lower) if n is not None}  # type: ignore[arg-type]
    if len(known) > 1:
        along = {n: float(step @ _direction(trusted, known, label)) for n, step in steps.items()}
        wrong = [f"{'above' if n < label else 'below'} {labels[n]}" for n in along if (label - n) * along[n] <= 0]
        if wrong:
            return tuple(wrong)
    flags = []
    for n, step in steps.items():
        per_label = np.linalg.norm(step) / abs(label - n)
        if not spacing_mm[0] <= per_label <= spacing_mm[1]:
            flags.append(f"{'too near' if per_label < spacing_mm[0] else 'too far from'} {labels[n]}")
    if not flags and upper is not None and lower is not None and steps[upper] @ steps[lower] >= 0:
        flags.append(f"beside the line from {labels[upper]} to {labels[lower]}")
    return tuple(flags)


def _direction(trusted: Sequence[Vector | None], known: list[int], label: int) -> Floats:
    """The line's direction, first label to last, by the known landmarks on both sides of `label`, else the nearest."""
    at = int(np.searchsorted(known, label))
    first = min(max(at - 1, 0), len(known) - 2)
    here, there = known[first], known[first + 1]
    return np.subtract(trusted[there], trusted[here])  # type: ignore[arg-type]


def runs_upside_down(positions_ras: Sequence[Vector | None]) -> bool:
    """Whether landmarks that should run from head to foot in this order run from foot to head (RAS mm).

    By the straight line through heights over order, so that a few wrong ones decide nothing. False with fewer than
    three landmarks, and for a line that lies more than 60° from the vertical, which tells nothing of the kind.
    """
    order = [n for n, place in enumerate(positions_ras) if place is not None]
    if len(order) < 3:
        return False
    places = np.array([positions_ras[n] for n in order], dtype=np.float64)
    centered = np.array(order) - np.mean(order)
    slope = centered @ (places - places.mean(axis=0))
    return bool(slope[2] > 0.5 * np.linalg.norm(slope))


def _distance(one: Vector, other: Vector) -> float:
    return float(np.linalg.norm(np.subtract(one, other)))
