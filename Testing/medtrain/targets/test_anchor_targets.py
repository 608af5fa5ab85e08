"""Which anchors answer for a nodule: against grt123's rule, written out plainly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medtrain.targets.anchor_targets import AnchorTargets, anchor_iou, decode, make_label

SHAPE = (32, 48, 64)


def naive_iou(box: np.ndarray, anchor: float, z: int, y: int, x: int) -> float:
    """IoU of two cubes, side by side in floats, as in grt123's `select_samples`."""
    shared = 1.0
    for cell, centre in zip((z, y, x), box[:3], strict=True):
        at = 1.5 + 4 * cell
        shared *= max(0.0, min(at + anchor / 2, centre + box[3] / 2) - max(at - anchor / 2, centre - box[3] / 2))
    return shared / (anchor**3 + box[3] ** 3 - shared)


boxes = st.tuples(st.floats(0, 31), st.floats(0, 47), st.floats(0, 63), st.floats(3, 40)).map(np.array)


@settings(max_examples=20, deadline=None)
@given(boxes, st.sampled_from([5.0, 10.0, 30.0, 60.0]))
def test_the_overlap_of_every_anchor_is_that_of_the_cubes(box: np.ndarray, anchor: float) -> None:
    iou = anchor_iou(box, anchor, (8, 12, 16), 4)
    for z, y, x in np.random.default_rng(0).integers((8, 12, 16), size=(40, 3)):
        assert iou[z, y, x] == pytest.approx(naive_iou(box, anchor, z, y, x), abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(boxes, st.integers(0, 2**31))
def test_grt123s_defaults_mark_one_positive_800_negatives_and_no_negative_near(box: np.ndarray, seed: int) -> None:
    targets = AnchorTargets()
    label = make_label(box[None], SHAPE, targets, np.random.default_rng(seed))
    positives = np.argwhere(label[..., 0] == 1)
    assert len(positives) == 1
    assert (label[..., 0] == -1).sum() == 800
    for z, y, x, a in np.argwhere(label[..., 0] == -1):
        assert naive_iou(box, targets.anchors[a], z, y, x) < 0.02
    z, y, x, a = positives[0]
    every = [[naive_iou(box, anchor, i, j, k) for anchor in targets.anchors] for i, j, k in np.ndindex(8, 12, 16)]
    if np.max(every) >= 0.5:
        assert naive_iou(box, targets.anchors[a], z, y, x) >= 0.5
    else:
        assert a == np.argmin(np.abs(np.log(box[3] / np.array(targets.anchors))))


@settings(max_examples=30, deadline=None)
@given(boxes, st.integers(0, 2**31))
def test_decoding_a_label_returns_the_box(box: np.ndarray, seed: int) -> None:
    targets = AnchorTargets(positives=5, th_pos=0.3)
    label = make_label(box[None], SHAPE, targets, np.random.default_rng(seed))
    rows = decode(label, targets.anchors, targets.stride, 0.5)
    assert len(rows) >= 1
    np.testing.assert_allclose(rows[:, 1:], np.repeat(box[None], len(rows), 0), atol=1e-4)
    assert (rows[:, 0] == 1).all()


def test_a_hand_computed_regression_code() -> None:
    """Ø 10 at voxel (5.5, 9.5, 13.5), a cell's centre, offset by (1, −2, 0.5): anchor 10 answers from that cell."""
    box = np.array([[6.5, 7.5, 14.0, 12.0]])
    targets = AnchorTargets(th_pos=0.99)
    label = make_label(box, SHAPE, targets, np.random.default_rng(0))
    z, y, x, a = np.argwhere(label[..., 0] == 1)[0]
    # (6.5 − 1.5) / 4 = 1.25, (7.5 − 1.5) / 4 = 1.5 (rounds to even: 2), (14 − 1.5) / 4 = 3.125.
    assert (z, y, x, a) == (1, 2, 3, 0)
    np.testing.assert_allclose(label[z, y, x, a], [1, 0.1, -0.2, 0.05, np.log(1.2)], atol=1e-6)


def test_every_nodule_of_a_crop_gets_its_own_anchor() -> None:
    nodules = np.array([[8, 8, 8, 5], [20, 30, 40, 10], [24, 12, 50, 18.0]])
    targets = AnchorTargets(anchors=(5, 10, 20), negatives=0)
    label = make_label(nodules, SHAPE, targets, np.random.default_rng(0))
    found = decode(label, targets.anchors, 4, 0.5)[:, 1:]
    assert {tuple(np.round(row, 3)) for row in found} == {tuple(row) for row in nodules}


def test_nothing_is_learnt_near_an_ignored_cube_or_a_centre_outside_the_crop() -> None:
    targets = AnchorTargets(negatives=0)
    away = np.array([[16, 24, 32, 20.0]])
    label = make_label(np.array([[-3, 24, 32, 12.0]]), SHAPE, targets, np.random.default_rng(0), ignored=away)
    assert (label[..., 0] != 1).all()
    assert label[4, 6, 8, 0, 0] == 0
    assert label[0, 6, 8, 0, 0] == 0
    assert label[7, 0, 0, 0, 0] == -1


def test_a_crop_that_is_no_multiple_of_the_stride_is_refused() -> None:
    with pytest.raises(ValueError, match="stride 4"):
        make_label(np.zeros((0, 4)), (30, 32, 32), AnchorTargets(), np.random.default_rng(0))
