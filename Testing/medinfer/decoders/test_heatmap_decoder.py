"""Decoder `heatmap`: peaks and expectations, against closed forms, scipy, dsntnn and float64."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st

from medinfer.decoders.heatmap import HeatmapDecoding
from medinfer.decoders.index_point import IndexPoint
from medinfer.errors import PackageError
from medinfer.manifest import Chain, HeatmapDecoder, Label

SHAPE = (24, 26, 28)
UNIT = (1.0, 1.0, 1.0)


def labels(count: int) -> list[Label]:
    return [Label(value=n + 1, name=f"P{n + 1}") for n in range(count)]


def gaussian(center, sigma, shape=SHAPE, height: float = 1.0) -> np.ndarray:
    """A Gaussian `[k, j, i]`, float32; sigma in voxels, one or three."""
    axes = [
        np.exp(-0.5 * ((np.arange(n) - c) / s) ** 2)
        for n, c, s in zip(shape, center, np.broadcast_to(sigma, 3), strict=True)
    ]
    return (height * np.einsum("k,j,i->kji", *axes)).astype(np.float32)


def blocks(values: np.ndarray, seed: int, cuts: int = 2) -> Iterator[tuple[tuple[int, int, int], np.ndarray]]:
    """`values` `[c, k, j, i]` in random rectangular blocks, in random order."""
    random = np.random.default_rng(seed)
    borders = [
        [0, *sorted(random.choice(np.arange(1, n), size=min(cuts, n - 1), replace=False)), n]
        for n in values.shape[1:]
    ]
    parts = [
        (k, j, i) for k in zip(borders[0], borders[0][1:], strict=False)
        for j in zip(borders[1], borders[1][1:], strict=False) for i in zip(borders[2], borders[2][1:], strict=False)
    ]
    for n in random.permutation(len(parts)):
        where = tuple(slice(*bounds) for bounds in parts[n])
        k, j, i = (int(bounds[0]) for bounds in parts[n])
        yield (k, j, i), values[(slice(None), *where)]


def decode(
    values: np.ndarray, *, seed: int | None = 0, shape=None, stride: int = 1, spacing=UNIT, **decoder
) -> list[IndexPoint]:
    """Feed `values` `[c, k, j, i]` in random blocks, or whole without a seed."""
    decoding = HeatmapDecoding(
        HeatmapDecoder(kind="heatmap", **decoder), labels(len(values)),
        shape or tuple(n * stride for n in values.shape[1:]), stride, spacing,
    )
    for start, part in [((0, 0, 0), values)] if seed is None else blocks(values, seed):
        decoding.feed(start, part)
    return decoding.finish()


centers = st.tuples(*(st.floats(0, n - 1) for n in SHAPE))


@given(center=centers, sigma=st.floats(1.5, 4), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_the_peak_of_a_gaussian_is_found_to_a_tenth_of_a_voxel_across_block_borders(center, sigma, seed) -> None:
    (point,) = decode(gaussian(center, sigma)[None], seed=seed)
    np.testing.assert_allclose(point.position, center, atol=1e-3)


def test_a_slanting_gaussian_is_found_too() -> None:
    spread = np.array([[6.0, 3.0, 0.0], [3.0, 5.0, -2.0], [0.0, -2.0, 4.0]])
    center = np.array([11.3, 12.8, 14.45])
    away = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1) - center
    values = np.exp(-0.5 * np.einsum("kjia,ab,kjib->kji", away, np.linalg.inv(spread), away)).astype(np.float32)
    (point,) = decode(values[None])
    np.testing.assert_allclose(point.position, center, atol=1e-3)


@pytest.mark.parametrize("sigma", [1.5, 2.5, 4.0])
def test_noise_moves_the_peak_by_less_than_a_fifth_of_a_voxel(sigma: float) -> None:
    random = np.random.default_rng(int(sigma * 2))
    for seed in range(10):
        center = random.uniform(8, 16, size=3)
        noise = random.normal(0, 0.02, size=SHAPE).astype(np.float32)
        (point,) = decode((gaussian(center, sigma) + noise)[None], seed=seed)
        np.testing.assert_allclose(point.position, center, atol=0.2)


@pytest.mark.parametrize("gain", [1.2, 1.5, 3.0])
def test_of_a_flat_top_the_middle_is_the_place(gain: float) -> None:
    saturated = np.minimum(gaussian((10.3, 12.6, 13.1), 2.5, height=gain), 1)
    (point,) = decode(saturated[None])
    np.testing.assert_allclose(point.position, (10.3, 12.6, 13.1), atol=0.05)


def test_one_bright_voxel_is_its_own_place() -> None:
    values = np.random.default_rng(0).uniform(0, 0.15, size=SHAPE).astype(np.float32)
    values[9, 10, 11] = 0.9
    (point,) = decode(values[None])
    np.testing.assert_allclose(point.position, (9, 10, 11), atol=0.5)


def test_the_answer_is_the_same_whatever_the_blocks_and_the_layout() -> None:
    random = np.random.default_rng(3)
    values = np.stack([gaussian(random.uniform(3, 20, 3), 2) for _ in range(5)])
    values += random.normal(0, 0.03, size=values.shape).astype(np.float32)
    whole = decode(values, seed=None)
    slices = HeatmapDecoding(HeatmapDecoder(kind="heatmap"), labels(5), SHAPE, 1, UNIT)
    for k in reversed(range(SHAPE[0])):
        slices.feed((k, 0, 0), values[:, k : k + 1])
    channels_last = np.moveaxis(np.ascontiguousarray(np.moveaxis(values, 0, -1)), -1, 0)
    assert slices.finish() == whole
    assert decode(channels_last, seed=7) == whole
    assert [point.label for point in whole] == ["P1", "P2", "P3", "P4", "P5"]


@pytest.mark.parametrize("stride", [2, 4])
def test_an_output_voxel_stands_for_the_middle_of_its_input_voxels(stride: int) -> None:
    center = np.array([10.2, 11.7, 13.4])
    on_input = center * stride + (stride - 1) / 2
    (point,) = decode(gaussian(center, 1.5)[None], stride=stride)
    np.testing.assert_allclose(point.position, on_input, atol=1e-3)
    (mean,) = decode(gaussian(center, 1.5)[None], stride=stride, position="expectation")
    np.testing.assert_allclose(mean.position, on_input, atol=2e-3)
    np.testing.assert_allclose(mean.deviation, 1.5 * stride, atol=1e-2)


def test_the_mean_over_the_input_voxels_of_a_cell_is_where_the_cell_is() -> None:
    fine = gaussian((21.3, 30.6, 41.1), 8, shape=(48, 52, 56))
    coarse = fine.reshape(12, 4, 13, 4, 14, 4).mean(axis=(1, 3, 5))
    (point,) = decode(coarse[None], stride=4)
    np.testing.assert_allclose(point.position, (21.3, 30.6, 41.1), atol=0.1)


def test_confidence_is_the_height_beside_the_declared_peak() -> None:
    values = np.stack([gaussian((10, 11, 12), 2, height=height) for height in (0.3, 0.45, 0.8, 1.7)])
    points = decode(values, threshold=0.5, peak=0.8)
    assert [point.confidence for point in points] == pytest.approx([0.3 / 0.8, 0.45 / 0.8, 1, 1])
    assert [point.position is None for point in points] == [True, False, False, False]


@pytest.mark.parametrize("position", ["argmax", "expectation"])
@pytest.mark.parametrize("value", [0.0, np.nan, -1.0, -np.inf, np.inf])
def test_a_heatmap_of_nothing_is_a_missing_landmark(position: str, value: float) -> None:
    (point,) = decode(np.full((1, *SHAPE), value, np.float32), position=position)
    assert point == IndexPoint("P1", 0.0, None)


@pytest.mark.parametrize("decoder", [
    {"position": "argmax"}, {"position": "expectation"},
    {"position": "expectation", "activation": "softmax", "peak": 0.02},
])
def test_nan_and_infinite_voxels_count_as_nothing(decoder) -> None:
    clean = gaussian((10.3, 11.6, 12.2), 2) * (30 if "activation" in decoder else 1)
    broken = clean.copy()
    broken[2], broken[:, 3, 4], broken[20, 20, 20] = np.nan, np.inf, -np.inf
    (expected,), (point,) = decode(clean[None], **decoder), decode(broken[None], **decoder)
    np.testing.assert_allclose(point.position, expected.position, atol=1e-3)
    assert point.confidence == pytest.approx(expected.confidence, rel=1e-4)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("position", ["argmax", "expectation"])
@pytest.mark.parametrize("end", ["low", "high"])
def test_a_peak_outside_of_the_scan_is_missing_and_one_on_its_border_is_not(axis: int, position: str, end: str) -> None:
    for outside, found in ((-0.3, True), (0.0, True), (-0.8, False), (-1.8, False)):
        center = [10.0, 11.0, 12.0]
        center[axis] = outside if end == "low" else SHAPE[axis] - 1 - outside
        (point,) = decode(gaussian(center, 2)[None], position=position)
        assert (point.position is not None) == found
        assert point.confidence > 0.6
        if found and position == "argmax":
            np.testing.assert_allclose(point.position, center, atol=1e-3)


def test_a_heatmap_that_rises_ever_more_steeply_to_the_border_is_missing() -> None:
    values = np.zeros(SHAPE, np.float32)
    values[:5, 11, 12] = [1.0, 0.7, 0.6, 0.55, 0.52]
    assert decode(values[None])[0].position is None
    # But one bright voxel that happens to lie there is a peak.
    values[1:5] = 0
    assert decode(values[None])[0].position == (0, 11, 12)


def test_the_padding_behind_the_scan_has_no_landmarks() -> None:
    # 9 input voxels at stride 4 make 3 output voxels, the last one almost all padding.
    values = np.zeros((1, 3, 3, 3), np.float32)
    values[0, 2, 1, 1] = 1
    assert decode(values, shape=(9, 12, 12), stride=4)[0].position is None
    assert decode(values, shape=(12, 12, 12), stride=4)[0].position == (9.5, 5.5, 5.5)


@pytest.mark.parametrize("shape", [(1, 20, 20), (2, 20, 20), (1, 1, 20), (1, 1, 1)])
@pytest.mark.parametrize("position", ["argmax", "expectation"])
def test_thin_scans_are_decoded(shape, position: str) -> None:
    center = tuple((n - 1) / 2 if n < 3 else 9.3 for n in shape)
    (point,) = decode(gaussian(center, 1.5, shape)[None], position=position, seed=None)
    np.testing.assert_allclose(point.position, center, atol=0.05)


def test_a_saturated_heatmap_gives_one_point_and_keeps_little() -> None:
    values = np.ones((1, 60, 64, 64), np.float32)
    decoding = HeatmapDecoding(HeatmapDecoder(kind="heatmap"), labels(1), values.shape[1:], 1, UNIT)
    for k in range(60):
        decoding.feed((k, 0, 0), values[:, k : k + 1])
    (point,) = decoding.finish()
    assert point.position is not None
    assert point.confidence == 1


# Several peaks


def naive_peaks(values: np.ndarray, threshold: float, separation: float, spacing) -> list[tuple[int, ...]]:
    """Local maxima by scipy, then from the best down all that are not nearer than `separation` to a better one."""
    highest = scipy.ndimage.maximum_filter(values, size=3, mode="constant", cval=-np.inf)
    places = np.argwhere((values == highest) & (values >= threshold))
    places = places[np.argsort(-values[tuple(places.T)], kind="stable")]
    kept: list[np.ndarray] = []
    for place in places:
        if all(np.linalg.norm((place - other) * spacing) >= separation for other in kept):
            kept.append(place)
    return [tuple(place) for place in kept]


@pytest.mark.parametrize("seed", range(4))
def test_many_peaks_are_those_of_scipy(seed: int) -> None:
    random, spacing, separation = np.random.default_rng(seed), (2.0, 1.0, 1.5), 9.0
    values = scipy.ndimage.gaussian_filter(random.normal(size=(30, 40, 36)), 1.7)
    values = (values / values.max()).astype(np.float32)
    points = decode(values[None], seed=seed, spacing=spacing, threshold=0.3, peaks=1000, separation_mm=separation)
    expected = naive_peaks(values, np.float32(0.3), separation, spacing)
    # Those that rise towards the outside are no peaks of this scan.
    inside = [place for place in expected if all(0 < x < n - 1 for x, n in zip(place, values.shape, strict=True))]
    found = {place: point for place in expected for point in points if point.confidence == values[place]}
    assert len(inside) > 5
    assert len(found) == len(points)
    assert set(inside) <= set(found)
    assert [point.confidence for point in points] == sorted((point.confidence for point in points), reverse=True)
    for place, point in found.items():
        # However odd its form, a peak stays its own: half the separation, and a voxel each way.
        away = np.abs(np.subtract(point.position, place)) - 1
        assert np.linalg.norm(np.maximum(away, 0) * spacing) <= separation / 2


def test_centroids_of_teeth_come_back_each() -> None:
    random = np.random.default_rng(5)
    truth = np.array([(20 + random.uniform(-3, 3), 40 - 24 * np.cos(a), 45 + 30 * np.sin(a))
                      for a in np.linspace(-1.5, 1.5, 14)])
    values = np.max([gaussian(center, 1.5, (40, 80, 90)) for center in truth], axis=0)
    points = decode(values[None], peaks=32, separation_mm=5.0)
    assert {point.label for point in points} == {"P1"}
    found = np.array([point.position for point in points])
    nearest = np.linalg.norm(found[:, None] - truth[None], axis=2)
    assert sorted(nearest.argmin(axis=1)) == list(range(14))
    assert nearest.min(axis=1).max() < 0.1


def test_no_more_peaks_than_asked_for_and_none_at_all_is_an_empty_list() -> None:
    values = np.maximum(gaussian((6, 6, 6), 1.5), gaussian((17, 18, 20), 1.5, height=0.9))
    assert len(decode(values[None], peaks=5)) == 2
    assert [point.confidence for point in decode(values[None], peaks=1)] == [1.0]
    assert decode(np.zeros((1, *SHAPE), np.float32), peaks=5) == []


def test_channels_that_are_not_the_labels_are_refused_in_a_sentence() -> None:
    decoding = HeatmapDecoding(HeatmapDecoder(kind="heatmap"), labels(3), SHAPE, 1, UNIT)
    with pytest.raises(PackageError, match="returns 2 heatmaps for 3 labels"):
        decoding.feed((0, 0, 0), np.zeros((2, *SHAPE), np.float32))


# Expectation


@given(center=st.tuples(*(st.floats(9, n - 10) for n in SHAPE)), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_the_expectation_of_a_gaussian_is_right_to_a_thousandth_of_a_voxel(center, seed) -> None:
    (point,) = decode(gaussian(center, (1.5, 1.8, 2.0))[None], seed=seed, position="expectation", threshold=0.1)
    np.testing.assert_allclose(point.position, center, atol=1e-3)
    np.testing.assert_allclose(point.deviation, (1.5, 1.8, 2.0), atol=1e-3)


def in_float64(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Naive DSNT of logits `[c, k, j, i]`: highest probability `[c]`, mean and deviation `[c, 3]`."""
    places = np.stack(np.meshgrid(*map(np.arange, values.shape[1:]), indexing="ij"))
    weights = np.exp(values.astype(np.float64) - values.max(axis=(1, 2, 3), keepdims=True))
    weights /= weights.sum(axis=(1, 2, 3), keepdims=True)
    mean = np.einsum("ckji,akji->ca", weights, places)
    away = places[None] - mean[:, :, None, None, None]
    return weights.max(axis=(1, 2, 3)), mean, np.sqrt(np.einsum("ckji,cakji->ca", weights, away**2))


@pytest.mark.parametrize("seed", range(3))
def test_softmax_and_expectation_over_blocks_are_dsntnns_and_float64s(seed: int) -> None:
    dsntnn, torch = pytest.importorskip("dsntnn"), pytest.importorskip("torch")
    random = np.random.default_rng(seed)
    logits = np.stack([20 * gaussian(random.uniform(8, 16, 3), 3) for _ in range(4)])
    # Far from 0: the running maximum has to keep the sums in range.
    logits += random.normal(0, 1, size=logits.shape).astype(np.float32)
    logits += np.array([-200, 0, 5, 300], np.float32).reshape(4, 1, 1, 1)
    points = decode(logits, seed=seed, position="expectation", activation="softmax", threshold=0.01, peak=0.1)
    highest, mean, deviation = in_float64(logits)
    np.testing.assert_allclose([point.position for point in points], mean, atol=1e-5)
    np.testing.assert_allclose([point.deviation for point in points], deviation, atol=1e-5)
    np.testing.assert_allclose([point.confidence for point in points], np.clip(highest / 0.1, 0, 1), rtol=1e-5)

    heatmaps = dsntnn.flat_softmax(torch.from_numpy(logits)[None].double())
    # Theirs are x, y, z in −1…1 with the voxels' borders at ±1.
    theirs = dsntnn.normalized_to_pixel_coordinates(dsntnn.dsnt(heatmaps), SHAPE)[0].flip(-1)
    np.testing.assert_allclose([point.position for point in points], theirs, atol=1e-5)
    # And with the outer voxels' centres at ±1, the other convention: the same voxel.
    corners = torch.stack([
        dsntnn.linear_expectation(heatmaps, [torch.linspace(-1, 1, n).double() for n in SHAPE])[0, :, axis]
        for axis in range(3)
    ], dim=-1)
    np.testing.assert_allclose((corners + 1) / 2 * (torch.tensor(SHAPE) - 1), theirs, atol=1e-6)


def test_the_deviation_keeps_its_digits_far_from_the_origin() -> None:
    shape = (600, 8, 8)
    (point,) = decode(gaussian((585.3, 4, 4), (1.5, 0.5, 0.5), shape)[None], position="expectation")
    assert point.position[0] == pytest.approx(585.3, abs=1e-4)
    assert point.deviation[0] == pytest.approx(1.5, abs=1e-4)


def test_what_is_far_below_the_maximum_is_left_out_without_harm() -> None:
    logits = np.full((1, *SHAPE), -500, np.float32)
    logits[0, 10:12, 11, 12] = 1000
    (point,) = decode(logits, position="expectation", activation="softmax")
    np.testing.assert_allclose(point.position, (10.5, 11, 12), atol=1e-9)
    np.testing.assert_allclose(point.deviation, (0.5, 0, 0), atol=1e-9)
    assert point.confidence == pytest.approx(0.5)


# Along a chain


def test_a_network_torn_between_two_vertebrae_does_not_name_one_twice() -> None:
    shape, spacing = (30, 16, 16), (4.0, 2.0, 2.0)
    above, below, last = (24.2, 8, 8), (17.4, 8.5, 8), (10.1, 9, 8)
    values = np.stack([
        np.maximum(gaussian(above, 1.2, shape, 0.7), gaussian(below, 1.2, shape, 0.85)),
        np.maximum(gaussian(above, 1.2, shape, 0.6), gaussian(below, 1.2, shape, 0.8)),
        gaussian(last, 1.2, shape),
    ])
    torn = decode(values, spacing=spacing)
    np.testing.assert_allclose(torn[0].position, torn[1].position, atol=0.01)
    points = decode(values, spacing=spacing, chain=Chain(spacing_mm=(15, 50)))
    np.testing.assert_allclose([point.position for point in points], [above, below, last], atol=0.05)
    assert all(point.flags == () for point in points)


def test_a_landmark_out_of_order_is_flagged_and_one_below_the_threshold_missing() -> None:
    shape, spacing = (40, 16, 16), (4.0, 2.0, 2.0)
    values = np.stack([
        gaussian(center, 1.2, shape, height)
        for center, height in (
            ((34.1, 8, 8), 1), ((27.2, 8, 8), 0.9), ((20.3, 8, 8), 0.9), ((30.6, 2.5, 8), 0.6), ((6, 8, 8), 0.4)
        )
    ])
    points = decode(values, spacing=spacing, chain=Chain(spacing_mm=(12, 50)))
    assert [point.flags for point in points] == [(), (), (), ("above P3",), ()]
    np.testing.assert_allclose(points[3].position, (30.6, 2.5, 8), atol=0.01)
    assert points[4].position is None
    assert points[4].confidence == pytest.approx(0.4, abs=1e-3)
