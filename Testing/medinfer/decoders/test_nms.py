"""Non-maximum suppression against its plain definition."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medinfer.decoders.nms import nms_boxes, nms_cubes
from medinfer.errors import PackageError

THRESHOLDS = [0.05, 0.1, 0.25, 0.5]


def plain_nms(low: np.ndarray, high: np.ndarray, scores: np.ndarray, iou: float) -> np.ndarray:
    """From the best down: keep a box, and drop all that overlap it by `iou` or more."""
    volume = np.prod(high - low, axis=1)
    kept: list[int] = []
    left = np.argsort(-scores, kind="stable")
    while len(left):
        best, left = left[0], left[1:]
        kept.append(int(best))
        edges = np.clip(np.minimum(high[best], high[left]) - np.maximum(low[best], low[left]), 0, None)
        common = edges[:, 0] * edges[:, 1] * edges[:, 2]
        left = left[common / (volume[best] + volume[left] - common) < iou]
    return np.array(kept, dtype=np.intp)


def plain_nms_cubes(cubes: np.ndarray, iou: float) -> np.ndarray:
    half = cubes[:, 4:] / 2
    return plain_nms(cubes[:, 1:4] - half, cubes[:, 1:4] + half, cubes[:, 0], iou)


def random_cubes(seed: int, n: int, side: float, edges: tuple[float, float]) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.normal(size=n), rng.uniform(0, side, (n, 3)), rng.uniform(*edges, n)])


@pytest.mark.parametrize("iou", THRESHOLDS)
def test_real_candidates_are_suppressed_as_the_definition_says(test_data: Path, iou: float) -> None:
    files = sorted((test_data / "boxes").glob("*_pbb.npy"))
    assert files
    for file in files:
        cubes = np.load(file).astype(np.float64)
        assert np.array_equal(nms_cubes(cubes, iou), plain_nms_cubes(cubes, iou)), file.name


@pytest.mark.parametrize("iou", [*THRESHOLDS, 1.0])
@pytest.mark.parametrize(
    ("n", "side", "edges"),
    [(1500, 200, (3, 30)), (1500, 60, (3, 30)), (1500, 1000, (3, 30)), (1500, 100, (0.01, 300)), (1500, 5, (20, 21))],
    ids=["middling", "crowded", "sparse", "of all sizes", "all on one spot"],
)
def test_random_cubes_are_suppressed_as_the_definition_says(
    n: int, side: float, edges: tuple[float, float], iou: float
) -> None:
    cubes = random_cubes(1, n, side, edges)
    assert np.array_equal(nms_cubes(cubes, iou), plain_nms_cubes(cubes, iou))


# Whole numbers: many equal scores, shared faces and IoU exactly on the threshold.
whole_cubes = st.lists(
    st.tuples(st.integers(0, 4), *[st.integers(-6, 6)] * 3, st.integers(1, 9)), max_size=60
).map(lambda rows: np.array(rows, dtype=np.float64).reshape(-1, 5))
free_cubes = st.lists(
    st.tuples(st.floats(-9, 9), *[st.floats(-40, 40)] * 3, st.floats(0.01, 60)), max_size=60
).map(lambda rows: np.array(rows, dtype=np.float64).reshape(-1, 5))


@settings(deadline=None)
@given(cubes=whole_cubes | free_cubes, iou=st.sampled_from([*THRESHOLDS, 1 / 3, 1.0]))
def test_any_cubes_are_suppressed_as_the_definition_says(cubes: np.ndarray, iou: float) -> None:
    assert np.array_equal(nms_cubes(cubes, iou), plain_nms_cubes(cubes, iou))


whole_boxes = st.lists(
    st.tuples(st.integers(0, 4), *[st.integers(-6, 6)] * 3, *[st.integers(1, 12)] * 3), max_size=60
).map(lambda rows: np.array(rows, dtype=np.float64).reshape(-1, 7))


@settings(deadline=None)
@given(rows=whole_boxes, iou=st.sampled_from([*THRESHOLDS, 1 / 3, 1.0]))
def test_any_boxes_are_suppressed_as_the_definition_says(rows: np.ndarray, iou: float) -> None:
    scores, low, high = rows[:, 0], rows[:, 1:4], rows[:, 1:4] + rows[:, 4:]
    assert np.array_equal(nms_boxes(low, high, scores, iou), plain_nms(low, high, scores, iou))


def test_long_thin_boxes_are_suppressed_as_the_definition_says() -> None:
    rng = np.random.default_rng(2)
    low = rng.uniform(0, 100, (1000, 3))
    high = low + np.exp(rng.uniform(np.log(0.5), np.log(80), (1000, 3)))
    scores = rng.normal(size=1000)
    for iou in THRESHOLDS:
        assert np.array_equal(nms_boxes(low, high, scores, iou), plain_nms(low, high, scores, iou))


def test_it_agrees_with_monai_where_no_two_scores_are_alike() -> None:
    torch = pytest.importorskip("torch")
    peer = pytest.importorskip("monai.data.box_utils")
    cubes = random_cubes(4, 150, 60, (3, 30))
    half = cubes[:, 4:] / 2
    corners = torch.from_numpy(np.hstack([cubes[:, 1:4] - half, cubes[:, 1:4] + half]))
    for iou in (0.05, 0.5):
        kept = peer.non_max_suppression(corners, torch.from_numpy(cubes[:, 0]), iou)
        assert nms_cubes(cubes, iou).tolist() == kept.tolist()


def test_the_best_come_first_and_equals_in_the_order_given() -> None:
    cubes = np.array([[1, 0, 0, 0, 2], [5, 50, 0, 0, 2], [1, 0, 0, 0, 2], [5, 20, 0, 0, 2]], dtype=float)
    assert nms_cubes(cubes, 0.5).tolist() == [1, 3, 0]


def test_an_overlap_exactly_on_the_threshold_suppresses() -> None:
    """Cubes of edge 2 half a cube apart: 4 of 8 + 8 − 4 voxels, IoU 1/3."""
    cubes = np.array([[2, 0, 0, 0, 2], [1, 0, 0, 1, 2]], dtype=float)
    assert nms_cubes(cubes, 1 / 3).tolist() == [0]
    assert nms_cubes(cubes, 0.3334).tolist() == [0, 1]


def test_no_candidates_give_no_findings() -> None:
    assert nms_cubes(np.empty((0, 5)), 0.05).tolist() == []
    assert nms_boxes(np.empty((0, 3)), np.empty((0, 3)), np.empty(0), 0.05).tolist() == []


def test_memory_stays_small_when_all_cubes_overlap() -> None:
    """All pairs of 60,000 cubes would be 3.4 GiB at one byte each."""
    crowd = random_cubes(3, 60_000, 1, (20, 21))
    tracemalloc.start()
    kept = nms_cubes(crowd, 0.05)
    # At 0.99 nearly none suppresses another: the most pairs that are near and stay.
    few = nms_cubes(crowd[:2000], 0.99)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert kept.tolist() == [int(crowd[:, 0].argmax())]
    assert np.array_equal(few, plain_nms_cubes(crowd[:2000], 0.99))
    assert peak < 256 * 2**20


@pytest.mark.parametrize(("column", "value"), [(0, np.nan), (2, np.nan), (3, np.inf), (4, np.nan), (4, 0), (4, -3)])
def test_a_candidate_that_is_no_box_is_refused_by_its_number(column: int, value: float) -> None:
    cubes = random_cubes(6, 5, 50, (3, 9))
    cubes[3, column] = value
    with pytest.raises(PackageError, match=r"^Candidate 3 of 5 has .* the network's output is invalid"):
        nms_cubes(cubes, 0.1)


@pytest.mark.parametrize("iou", [0, -0.1, 1.01, np.nan])
def test_a_threshold_that_is_none_is_refused(iou: float) -> None:
    with pytest.raises(ValueError, match="iou"):
        nms_cubes(random_cubes(6, 5, 50, (3, 9)), iou)


def test_arrays_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[n, 5\]"):
        nms_cubes(np.zeros((3, 4)), 0.1)
    with pytest.raises(ValueError, match=r"\[n, 3\]"):
        nms_boxes(np.zeros((3, 3)), np.zeros((2, 3)), np.zeros(3), 0.1)
