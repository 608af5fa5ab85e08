"""Tooth metrics: a case counted by hand, random maps against plain loops, Dice and surface distance against MONAI."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medtrain.metrics.tooth_metrics import (
    CANAL,
    Overlap,
    ToothScore,
    bootstrap,
    by_type,
    figures,
    line,
    match,
    overlaps,
    report,
    score_scan,
    surface_distance,
)


def row(*parts: tuple[int, int]) -> np.ndarray:
    """A map of one row of voxels: so many of each value."""
    return np.repeat(np.array([v for v, _ in parts], np.uint8), [n for _, n in parts])[None, None]


# 11 is found as 12 (IoU 6/10), 21 rightly (4/4), 22 is missed (IoU 1/4), 31 is cut by the field of view.
TRUE = row((11, 8), (0, 2), (21, 4), (0, 2), (22, 4), (0, 4), (31, 4), (0, 4))
FOUND = row((12, 6), (0, 2), (12, 2), (21, 4), (0, 2), (22, 1), (0, 7), (32, 3), (0, 1), (201, 3), (CANAL, 1))


def test_a_case_counted_by_hand() -> None:
    canal = row((0, 30), (1, 2)).astype(bool)
    score = score_scan("case", TRUE, FOUND, canal=canal, excluded={31}, spacing=(1, 1, 0.5))
    assert [(pair.true, pair.found) for pair in score.pairs] == [(11, 12), (21, 21)]
    assert [pair.overlap for pair in score.pairs] == [Overlap(6, 8, 8), Overlap(4, 4, 4)]
    assert (score.missed, score.false) == ((22,), (22, 201))
    assert score.canal == Overlap(1, 2, 1)
    of = figures([score])
    assert (of.precision, of.recall, of.f1) == (2 / 4, 2 / 3, 4 / 7)
    assert of.dice == (12 / 16 + 1) / 2
    assert of.numbered_right == 1 / 2
    assert of.canal_dice == 2 / 3
    # All of these voxels are border. 11 lies at 0-7, what was found at 0-5 and 8-9: 6 and 7 are 1 voxel from it, and
    # 8 and 9 are 1 and 2 from 11; 5 voxels of half a millimetre over 16 borders, and none for 21.
    assert of.surface_mm == pytest.approx((5 * 0.5 / 16 + 0) / 2)
    assert line(score).endswith("missed: 22, false: 22 201, number wrong: 11→12")


def test_a_tooth_on_one_that_the_field_of_view_cuts_is_not_false_unless_most_of_it_lies_elsewhere() -> None:
    true = row((31, 4), (0, 8))
    for voxels, false in ((3, ()), (8, ()), (9, (31,))):
        assert score_scan("cut", true, row((31, voxels), (0, 12 - voxels)), excluded={31}) == ToothScore(
            "cut", false=false
        )


def test_a_supernumerary_tooth_is_numbered_right_where_it_has_no_number() -> None:
    true = row((201, 4), (202, 4))
    score = score_scan("extra", true, row((203, 4), (11, 4)))
    assert [pair.numbered_right for pair in score.pairs] == [True, False]
    assert set(by_type([score])) == {"supernumerary"}


def test_halves_of_a_tooth_are_one_match_at_most() -> None:
    score = score_scan("halves", row((11, 4)), row((11, 2), (12, 2)))
    assert len(score.pairs) == 1
    assert len(score.false) == 1


def test_more_pairs_come_before_a_larger_sum() -> None:
    assert match([[0.9, 0.5], [0.5, 0.1]]) == [(0, 1), (1, 0)]
    assert match([]) == match([[]]) == match([[0.49]]) == []


def test_without_teeth_there_is_nothing_to_divide_by() -> None:
    nothing = figures([score_scan("empty", row((0, 4)), row((0, 4)), canal=np.zeros((1, 1, 4), bool))])
    for value in vars(nothing).values():
        assert math.isnan(value)
    assert "1 scans, 0 teeth" in report([ToothScore("empty")])
    assert report([]) == "0 scans"


def test_maps_of_two_grids_are_refused() -> None:
    with pytest.raises(ValueError, match="resample both to one grid"):
        overlaps(np.zeros((1, 2, 3), np.uint8), np.zeros((3, 2, 1), np.uint8))


VALUES = (0, 11, 21, 31, CANAL, 201, 255)
MAPS = arrays(np.uint8, (2, 3, 4), elements=st.sampled_from(VALUES))


@settings(max_examples=100, deadline=None)
@given(MAPS, MAPS)
def test_any_maps_overlap_as_plain_loops_say(true: np.ndarray, found: np.ndarray) -> None:
    of_true, of_found, shared = overlaps(true, found)
    for t in VALUES[1:]:
        assert of_true.get(t, 0) == int((true == t).sum())
        assert of_found.get(t, 0) == int((found == t).sum())
        for f in VALUES[1:]:
            assert shared.get((t, f), 0) == int(((true == t) & (found == f)).sum())


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, (3, 4), elements=st.sampled_from([0, 0.3, 0.5, 0.6, 0.7, 0.9])))
def test_any_table_of_iou_is_matched_as_the_best_of_all_ways(table: np.ndarray) -> None:
    ways = []
    for columns in itertools.permutations(range(4), 3):
        kept = [table[r, c] for r, c in enumerate(columns) if table[r, c] >= 0.5]
        ways.append((len(kept), sum(kept)))
    found = [table[pair] for pair in match(table.tolist())]
    assert (len(found), sum(found)) == pytest.approx(max(ways))


def test_dice_and_surface_distance_are_monais() -> None:
    from monai.metrics import compute_average_surface_distance, compute_dice

    rng = np.random.default_rng(0)
    k, j, i = np.indices((18, 16, 14))
    spacing = (0.3, 0.4, 0.5)
    for _ in range(4):
        one, other = (
            sum(((x - rng.uniform(6, 9)) / rng.uniform(3, 5)) ** 2 for x in (k, j, i)) < 1 for _ in range(2)
        )
        batch = [torch.from_numpy(mask)[None, None] for mask in (one, other)]
        overlap = Overlap(int((one & other).sum()), int(one.sum()), int(other.sum()))
        assert overlap.dice == pytest.approx(float(compute_dice(*batch)))
        expected = compute_average_surface_distance(*batch, include_background=True, symmetric=True, spacing=spacing)
        assert surface_distance(one, other, spacing) == pytest.approx(float(expected), rel=1e-5)


def test_the_interval_holds_the_figure_and_is_a_point_for_equal_scans() -> None:
    good = score_scan("good", row((11, 4)), row((11, 4)))
    bad = score_scan("bad", row((11, 4)), row((0, 4)))
    assert bootstrap([good] * 5)["recall"] == (1.0, 1.0)
    low, high = bootstrap([good, good, good, bad])["recall"]
    # Of 4 draws with a chance of 3/4 each, fewer than one good one comes in 0.4 % and none bad in 32 %.
    assert (low, high) == (0.25, 1.0)
