"""Landmark metrics: a case counted by hand, and random ones against plain loops."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medtrain.metrics.landmark_metrics import (
    RADII_MM,
    LandmarkTrial,
    Tally,
    named_by_truth,
    report,
    score_each,
    score_trial,
    total,
)

# L1 hits at 5 mm (3-4-5), L2 lies nearer to L3 than to its own truth, L3 is missed, L4 is 25 mm off,
# L5 is cut by the field of view and predicted, S1 is predicted and not there, T12 is told to be missing.
FIRST = LandmarkTrial(
    "first",
    truth={"L1": (0, 0, 0), "L2": (0, 0, -30), "L3": (0, 0, -60), "L4": (0, 0, -90), "T12": (0, 0, 30)},
    found={
        "L1": (3, 4, 0), "L2": (0, 0, -46), "L4": (0, 0, -115), "L5": (0, 0, -120), "S1": (0, 0, -150), "T12": None,
    },
    excluded=frozenset({"L5"}),
)
SECOND = LandmarkTrial("second", truth={"L1": (0, 0, 0)}, found={"L1": (0, 0, 2)})


def test_a_case_counted_by_hand() -> None:
    assert score_trial(FIRST) == {
        "L1": Tally("L1", truths=1, errors_mm=(5.0,), identified=1),
        "L2": Tally("L2", truths=1, errors_mm=(16.0,)),
        "L3": Tally("L3", truths=1, missed=1),
        "L4": Tally("L4", truths=1, errors_mm=(25.0,), false=1),
        "S1": Tally("S1", false=1),
        "T12": Tally("T12", truths=1, missed=1),
    }


def test_the_sum_over_two_scans_by_hand() -> None:
    each = score_each([FIRST, SECOND], order=("T12", "L1"))
    assert list(each) == ["T12", "L1", "L2", "L3", "L4", "S1"]
    assert each["L1"] == Tally("L1", truths=2, errors_mm=(5.0, 2.0), identified=2)
    assert each["L1"].mean_mm == 3.5
    everything = total(each.values())
    assert (everything.truths, everything.identified, everything.missed, everything.false) == (6, 2, 2, 2)
    assert everything.mean_mm == 12
    assert everything.median_mm == 10.5
    assert everything.identification_rate == 2 / 6
    # Errors 2, 5, 16, 25 of six in view.
    assert [everything.success(radius) for radius in RADII_MM] == [1 / 6, 1 / 6, 1 / 6, 1 / 6, 2 / 6, 3 / 6]


def test_an_excluded_landmark_counts_neither_way() -> None:
    truth = {"L5": (0.0, 0.0, 0.0)}
    for found in ({"L5": (0.0, 0.0, 0.0)}, {"L5": (99.0, 0.0, 0.0)}, {"L5": None}, {}):
        assert score_trial(LandmarkTrial("cut", truth, found, frozenset({"L5"}))) == {}


def test_twenty_millimetres_is_a_success_at_20_and_no_identification() -> None:
    tally = score_trial(LandmarkTrial("edge", {"L1": (0, 0, 0)}, {"L1": (0, 0, 20)}))["L1"]
    assert (tally.success(20), tally.identified, tally.false) == (1, 0, 1)


def test_without_landmarks_there_is_nothing_to_divide_by() -> None:
    nothing = total([])
    for value in (nothing.mean_mm, nothing.median_mm, nothing.identification_rate, nothing.success(2)):
        assert math.isnan(value)
    assert "0 landmarks in view" in report([LandmarkTrial("empty", {}, {})])


LABELS = ("C7", "T1", "T2", "T3", "T4")
PLACE = st.tuples(*[st.integers(-30, 30).map(float)] * 3)
POINTS = st.dictionaries(st.sampled_from(LABELS), PLACE)


def naive(trials: list[LandmarkTrial], label: str) -> dict[str, float]:
    """Every definition of the module's docstring, one loop each."""
    count = dict.fromkeys(["truths", "identified", "missed", "false", *RADII_MM], 0)
    for trial in trials:
        if label in trial.excluded:
            continue
        mine, truth = trial.found.get(label), trial.truth.get(label)
        if truth is None:
            count["false"] += mine is not None
            continue
        count["truths"] += 1
        if mine is None:
            count["missed"] += 1
            continue
        error = math.dist(mine, truth)
        count["false"] += not error < 20
        for radius in RADII_MM:
            count[radius] += error <= radius
        others = [p for name, p in trial.truth.items() if name != label and name not in trial.excluded]
        count["identified"] += error < 20 and all(error <= math.dist(mine, other) for other in others)
    return count


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(POINTS, POINTS, st.frozensets(st.sampled_from(LABELS), max_size=2)), max_size=4))
def test_any_trials_count_as_the_plain_loops_do(cases: list) -> None:
    trials = [LandmarkTrial(str(n), *case) for n, case in enumerate(cases)]
    each = score_each(trials, LABELS)
    for label in LABELS:
        tally, expected = each.get(label, Tally(label)), naive(trials, label)
        assert (tally.truths, tally.identified, tally.missed, tally.false) == tuple(
            expected[name] for name in ("truths", "identified", "missed", "false")
        )
        if tally.truths:
            assert [tally.success(radius) for radius in RADII_MM] == [
                expected[radius] / tally.truths for radius in RADII_MM
            ]


def test_points_without_names_take_those_of_the_nearest_truths() -> None:
    truth = {"L1": (0.0, 0.0, 0.0), "L2": (0.0, 0.0, -30.0), "L3": (0.0, 0.0, -60.0)}
    points = [(0.0, 0.0, -29.0), (0.0, 0.0, -12.0), (0.0, 0.0, 200.0), (0.0, 0.0, -31.0)]
    named = named_by_truth(points, truth)
    assert named["L1"] == points[1]
    assert named["L2"] == points[0]
    assert named["unnamed 1"] == points[2]
    assert named["unnamed 2"] == points[3]
    assert len(named) == 4
    assert named_by_truth([], truth) == {}
    assert named_by_truth(points[:1], {}) == {"unnamed 1": points[0]}


@settings(max_examples=60, deadline=None)
@given(st.lists(PLACE, max_size=4), POINTS)
def test_as_many_points_are_named_as_can_be_at_the_shortest_sum(points: list, truth: dict) -> None:
    named = named_by_truth(points, truth)
    pairs = [math.dist(point, truth[name]) for name, point in named.items() if name in truth]
    best = (0, 0.0)
    names = list(truth) + [None] * len(points)
    for order in itertools.permutations(names, len(points)):
        sums = [math.dist(p, truth[n]) for p, n in zip(points, order, strict=True) if n is not None]
        if all(distance < 20 for distance in sums):
            best = min(best, (-len(sums), sum(sums)))
    assert sorted(named.values()) == sorted(points)
    assert (-len(pairs), sum(pairs)) == (best[0], pytest.approx(best[1]))


def test_the_report_says_what_was_counted() -> None:
    lines = report([FIRST, SECOND], ("L1", "L2")).splitlines()
    assert lines[0] == "2 scans, 6 landmarks in view"
    assert lines[1].split()[:3] == ["landmark", "in", "view"]
    assert lines[2].split() == [
        "all", "6", "12.00", "10.50", "16.7%", "16.7%", "16.7%", "16.7%", "33.3%", "50.0%", "33.3%", "2", "2"
    ]
    assert [line.split()[0] for line in lines[3:]] == ["L1", "L2", "L3", "L4", "T12", "S1"]
    assert np.unique([len(line) for line in lines[1:]]).size == 1
