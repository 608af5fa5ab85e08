"""Landmarks along a chain, against all choices there are and against sentences of anatomy."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medinfer.anatomy.chain import (
    Candidate,
    Choice,
    contradictions,
    irregular_steps,
    most_confident_chain,
    place_along_chain,
    runs_upside_down,
)

SPACING = (12.0, 45.0)
LEVELS = ("T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5")


def spine(count: int = len(LEVELS), step: float = 30.0, lean: float = 0.0) -> list[tuple[float, float, float]]:
    """Places in RAS mm, head first, `step` apart, `lean` degrees from the vertical."""
    down = np.array([np.sin(np.radians(lean)), 0, -np.cos(np.radians(lean))])
    return [tuple((n * step * down).tolist()) for n in range(count)]


def alone(places, confidence: float = 0.9) -> list[list[Candidate]]:
    return [[] if place is None else [Candidate(place, confidence)] for place in places]


def worth(candidates: Sequence[Sequence[Candidate]], chosen: Sequence[int | None]) -> float:
    """The definition: −∞ for an inconsistent choice, else confidences less the cost of the gaps."""
    found = [(label, candidates[label][n]) for label, n in enumerate(chosen) if n is not None]
    total = sum(candidate.confidence for _, candidate in found)
    steps = []
    for (here, one), (there, other) in pairwise(found):
        step = np.subtract(other.position_mm, one.position_mm)
        apart = there - here
        if not apart * SPACING[0] <= np.linalg.norm(step) <= apart * SPACING[1]:
            return -np.inf
        total -= min(0.1 * (apart - 1), 0.3)
        steps.append(step)
    return total if all(a @ b > 0 for a, b in pairwise(steps)) else -np.inf


coordinate = st.integers(-3, 3).map(lambda n: 14.0 * n)
candidate = st.builds(
    Candidate,
    st.tuples(st.just(0.0), coordinate, coordinate.map(lambda x: 2 * x)),
    st.integers(1, 10).map(lambda n: n / 10),
)


@given(candidates=st.lists(st.lists(candidate, max_size=2), min_size=1, max_size=6))
@settings(max_examples=150, deadline=None)
def test_no_other_choice_is_worth_more(candidates) -> None:
    chosen = most_confident_chain(candidates, SPACING)
    every = product(*([None, *range(len(of))] for of in candidates))
    assert worth(candidates, chosen) == pytest.approx(max(worth(candidates, choice) for choice in every))


@pytest.mark.parametrize("lean", [0, 35, 90, 180])
def test_a_plain_spine_is_taken_as_it_is_whichever_way_it_leans(lean: float) -> None:
    assert place_along_chain(LEVELS, alone(spine(lean=lean)), SPACING) == (Choice(0),) * len(LEVELS)


def test_a_scoliotic_spine_with_lordosis_is_taken_as_it_is() -> None:
    down = np.cumsum(np.full(20, 22.0))
    places = [(25 * np.sin(z / 90), 40 * np.sin(z / 130), -z) for z in down]
    names = [f"V{n}" for n in range(20)]
    assert all(choice == Choice(0) for choice in place_along_chain(names, alone(places), SPACING))


def test_missing_levels_are_bridged() -> None:
    places = [place if n not in (2, 3, 6) else None for n, place in enumerate(spine())]
    choices = place_along_chain(LEVELS, alone(places), SPACING)
    assert [choice.candidate for choice in choices] == [None if place is None else 0 for place in places]


def test_where_two_labels_want_one_place_each_gets_its_own() -> None:
    places = spine()
    candidates = alone(places)
    t12, l1 = LEVELS.index("T12"), LEVELS.index("L1")
    # Both channels are surer of L1's place.
    candidates[t12] = [Candidate(places[l1], 0.8), Candidate(places[t12], 0.6)]
    candidates[l1] = [Candidate(places[l1], 0.7), Candidate(places[t12], 0.65)]
    choices = place_along_chain(LEVELS, candidates, SPACING)
    assert choices[t12] == Choice(1)
    assert choices[l1] == Choice(0)


def test_a_label_without_a_place_of_its_own_is_missing() -> None:
    places = spine()
    candidates = alone(places)
    candidates[3] = [Candidate((1.0, 2.0, places[2][2] + 3), 0.5)]
    assert place_along_chain(LEVELS, candidates, SPACING)[3] == Choice(None)


def moved(level: str, place: tuple[float, float, float]) -> tuple[str, ...]:
    """The flags of `level` when it is found at `place` in an upright spine; no other may have any."""
    candidates = alone(spine())
    candidates[LEVELS.index(level)] = [Candidate(place, 0.6)]
    choices = place_along_chain(LEVELS, candidates, SPACING)
    assert all(choice == Choice(0) for name, choice in zip(LEVELS, choices, strict=True) if name != level)
    return choices[LEVELS.index(level)].flags


def test_contradictions_have_names() -> None:
    z = {name: place[2] for name, place in zip(LEVELS, spine(), strict=True)}
    assert moved("L3", (0, 40, z["T12"])) == ("above L2",)
    assert moved("T11", (0, 40, z["L1"])) == ("below T12",)
    assert moved("T10", (0, 0, z["T10"] + 90)) == ("too far from T11",)
    assert moved("L5", (0, 0, z["L4"] - 100)) == ("too far from L4",)
    assert moved("L2", (60, 0, z["L2"])) == ("too far from L1", "too far from L3")
    assert moved("L5", (0, 0, z["L4"] + 15)) == ("above L4",)
    # Between the others, but L3 about where L2 was: 20 mm for two labels, 70 mm for one.
    candidates = alone(spine())
    candidates[LEVELS.index("L2")] = []
    candidates[LEVELS.index("L3")] = [Candidate((0, 0, z["L2"] + 10), 0.6)]
    flags = place_along_chain(LEVELS, candidates, SPACING)[LEVELS.index("L3")].flags
    assert flags == ("too near L1", "too far from L4")


def test_a_line_that_would_turn_back_is_named() -> None:
    upper, beside, lower = ((0.0, 0.0, 0.0), 0.9), ((35.0, 0.0, -27.0), 0.5), ((0.0, 0.0, -54.0), 0.9)
    choices = place_along_chain(LEVELS, [[Candidate(*one)] for one in (upper, beside, lower)] + [[]] * 5, SPACING)
    assert [choice.flags for choice in choices[:3]] == [(), ("beside the line from T10 to T12",), ()]


def test_a_weak_landmark_far_off_but_where_it_belongs_has_no_flags() -> None:
    places = spine()
    candidates = [*alone(places[:2]), *[[]] * 5, [Candidate(places[7], 0.2)]]
    assert place_along_chain(LEVELS, candidates, SPACING)[7] == Choice(0)


def test_contradictions_of_a_single_landmark_are_distances() -> None:
    assert contradictions(LEVELS, [None, (0, 0, 0), *[None] * 6], 2, (0, 0, -5), SPACING) == ("too near T11",)
    assert contradictions(LEVELS, [None] * 8, 2, (0, 0, -5), SPACING) == ()


def test_nothing_found_is_nothing_chosen() -> None:
    assert place_along_chain(LEVELS, alone([None] * 8), SPACING) == (Choice(None),) * 8
    assert most_confident_chain([], SPACING) == ()


def test_all_25_levels_with_four_candidates_each_find_the_true_ones() -> None:
    random = np.random.default_rng(4)
    truth = np.array([(10 * np.sin(n / 5), 30 * np.sin(n / 4), -25.0 * n) for n in range(25)])
    candidates = []
    for n in range(25):
        near = [truth[n]] + [truth[m] for m in (n - 1, n + 1, n + 2) if 0 <= m < 25]
        # The true place is not always the surest of a label; it is of the whole.
        confidences = [0.8, *random.uniform(0.5, 0.88, size=len(near) - 1)]
        candidates.append([
            Candidate(tuple((place + random.normal(0, 2, 3)).tolist()), float(c))
            for place, c in zip(near, confidences, strict=True)
        ])
    assert most_confident_chain(candidates, SPACING) == (0,) * 25


def test_upside_down_is_told_from_upright_and_from_lying() -> None:
    upright = spine(lean=20)
    assert not runs_upside_down(upright)
    assert runs_upside_down(upright[::-1])
    assert not runs_upside_down(spine(lean=90))
    # One wrong landmark and missing ones decide nothing; two are not enough to say.
    mixed = [*upright[::-1][:5], None, upright[3], upright[0]]
    assert runs_upside_down(mixed)
    assert not runs_upside_down([upright[1], upright[0]])
    assert not runs_upside_down([None] * 5)


def test_a_step_unlike_those_around_it_is_told_at_both_ends() -> None:
    heights = [0, 22, 45, 66, 75, 98, 121]  # 9 mm among steps of 21–23
    labels = [f"T{n}" for n in range(1, 8)]
    places = [(0.0, 0.0, -float(height)) for height in heights]
    flags = irregular_steps(labels, places, 1.7)
    assert flags[3] == ("unusually near T5",)
    assert flags[4] == ("unusually near T4",)
    assert [n for n, words in enumerate(flags) if words] == [3, 4]


def test_a_gap_counts_a_step_a_label_and_a_doubled_step_is_far() -> None:
    labels = [f"T{n}" for n in range(1, 8)]
    heights = [0, 22, None, 66, 88, 135, 157]
    places = [None if height is None else (0.0, 0.0, -float(height)) for height in heights]
    flags = irregular_steps(labels, places, 1.7)
    assert [n for n, words in enumerate(flags) if words] == [4, 5]
    assert flags[4] == ("unusually far from T6",)


def test_few_landmarks_have_no_usual_step() -> None:
    places = [(0.0, 0.0, 0.0), (0.0, 0.0, -5.0), (0.0, 0.0, -60.0)]
    assert irregular_steps(["a", "b", "c"], places, 1.5) == [(), (), ()]


def test_regularity_flags_what_the_chain_itself_accepts() -> None:
    candidates = [[Candidate((0.0, 0.0, -float(height)), 0.9)] for height in (0, 22, 45, 66, 75, 98, 121)]
    labels = [f"T{n}" for n in range(1, 8)]
    assert all(choice.flags == () for choice in place_along_chain(labels, candidates, (8, 60)))
    flagged = place_along_chain(labels, candidates, (8, 60), 1.7)
    assert [choice.candidate for choice in flagged] == [0] * 7
    assert [bool(choice.flags) for choice in flagged] == [False, False, False, True, True, False, False]
