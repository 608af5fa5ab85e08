"""Cleaning up label maps and moving their borders to the image's edges: hand-made cases, loops and scipy."""

from __future__ import annotations

from itertools import product

import cc3d
import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st

from medinfer.decoders.label_cleanup import (
    boxes_of,
    fill_holes,
    keep_largest_components,
    largest_component,
    widened,
    without_holes,
)
from medinfer.inference.refinement import refine_labels

METHODS = ("geodesic", "watershed")


def masks(seed: int, share: float) -> np.ndarray:
    return np.random.default_rng(seed).random((4, 5, 6)) < share


def flooded(start: tuple[int, ...], mask: np.ndarray, connectivity: int) -> set[tuple[int, ...]]:
    """The component of `mask` around `start`, voxel by voxel."""
    near = [o for o in product((-1, 0, 1), repeat=3) if any(o) and (connectivity == 26 or sum(map(abs, o)) == 1)]
    found, open_ = {start}, [start]
    while open_:
        place = open_.pop()
        for offset in near:
            beside = tuple(a + b for a, b in zip(place, offset, strict=True))
            inside = all(0 <= x < n for x, n in zip(beside, mask.shape, strict=True))
            if inside and beside not in found and mask[beside]:
                found.add(beside)
                open_.append(beside)
    return found


@given(seed=st.integers(0, 999), share=st.sampled_from([0.05, 0.2, 0.5]), connectivity=st.sampled_from([6, 26]))
@settings(max_examples=20, deadline=None)
def test_the_largest_component_is_that_of_a_flood_from_every_voxel(seed: int, share: float, connectivity: int) -> None:
    mask = masks(seed, share)
    largest = set(map(tuple, np.argwhere(largest_component(mask, connectivity)).tolist()))
    components: list[set[tuple[int, ...]]] = []
    for place in map(tuple, np.argwhere(mask).tolist()):
        if not any(place in component for component in components):
            components.append(flooded(place, mask, connectivity))
    assert len(largest) == max(map(len, components), default=0)
    assert not components or largest in components


@given(seed=st.integers(0, 999), share=st.sampled_from([0.0, 0.5, 0.7, 0.9, 1.0]))
@settings(max_examples=30, deadline=None)
def test_holes_are_those_that_scipy_fills(seed: int, share: float) -> None:
    mask = masks(seed, share)
    np.testing.assert_array_equal(without_holes(mask), scipy.ndimage.binary_fill_holes(mask))


def two_blocks() -> np.ndarray:
    """Two blocks that touch, each with a hole; a hole between them; a crumb of each."""
    labels = np.zeros((9, 9, 16), np.uint8)
    labels[1:8, 1:8, 1:8], labels[1:8, 1:8, 8:15] = 1, 2
    labels[4, 4, 3] = labels[4, 4, 12] = 0
    labels[3, 3, 7:9] = 0
    labels[8, 8, 15], labels[0, 0, 0] = 1, 2
    return labels


def test_each_object_is_cleaned_within_its_own_box_and_a_hole_between_two_is_neithers() -> None:
    labels = two_blocks()
    assert boxes_of(labels)[2] == (slice(0, 8), slice(0, 8), slice(0, 15))
    keep_largest_components(labels)
    assert (labels[8, 8, 15], labels[0, 0, 0]) == (0, 0)
    before = labels.copy()
    filled = fill_holes(labels)
    assert np.argwhere(labels != before).tolist() == [[4, 4, 3], [4, 4, 12]]
    assert (labels[4, 4, 3], labels[4, 4, 12]) == (1, 2)
    assert [int(holes.sum()) for _, holes in filled] == [1, 1]


def test_an_object_inside_of_another_is_no_hole() -> None:
    labels = np.ones((7, 7, 7), np.uint8)
    labels[2:5, 2:5, 2:5] = 0
    labels[3, 3, 3] = 2
    fill_holes(labels)
    assert (labels == 2).sum() == 1
    assert (labels == 1).sum() == 7**3 - 1


def test_a_box_is_widened_within_the_array() -> None:
    box = (slice(0, 2), slice(3, 5), slice(8, 10))
    assert widened(box, (1, 2, 3), (9, 9, 11)) == (slice(0, 3), slice(1, 7), slice(5, 11))


def test_nothing_stays_nothing() -> None:
    labels = np.zeros((4, 5, 6), np.uint8)
    keep_largest_components(labels)
    assert fill_holes(labels) == []
    refined = refine_labels(np.zeros(labels.shape, np.float32), labels, (1, 1, 1))
    assert refined.shape == labels.shape
    assert not refined.any()


def ball(radius: float, shape=(30, 30, 30), center=(14.5, 14.5, 14.5), spacing=(1.0, 1.0, 1.0)) -> np.ndarray:
    grid = np.ogrid[tuple(slice(n) for n in shape)]
    return sum(((g - c) * s) ** 2 for g, c, s in zip(grid, center, spacing, strict=True)) < radius**2


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * (one & other).sum() / (one.sum() + other.sum())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("drawn", [8.0, 10.0])
def test_a_ball_drawn_too_small_or_too_large_comes_to_its_edge(method: str, drawn: float) -> None:
    true = ball(9)
    image = scipy.ndimage.gaussian_filter(np.where(true, 1500.0, -200.0), 0.6).astype(np.float32)
    given = ball(drawn).astype(np.uint8) * 7
    refined = refine_labels(image, given, (1, 1, 1), method, band_mm=3)
    assert np.unique(refined).tolist() == [0, 7]
    assert dice(given == 7, true) < 0.91
    assert dice(refined == 7, true) > (0.96 if method == "geodesic" else 0.99)


@pytest.mark.parametrize("method", METHODS)
def test_millimetres_not_voxels(method: str) -> None:
    spacing, shape, center = (0.5, 1.0, 1.0), (60, 30, 30), (29.5, 14.5, 14.5)
    true, given = (ball(radius, shape, center, spacing) for radius in (9, 10.5))
    image = np.where(true, 1500.0, -200.0).astype(np.float32)
    refined = refine_labels(image, given.astype(np.uint8), spacing, method, band_mm=3)
    assert dice(refined == 1, true) > 0.96 > dice(given, true)


def test_without_an_edge_in_the_image_borders_stay_where_they_were() -> None:
    labels = np.zeros((30, 30, 40), np.uint8)
    labels[ball(9, labels.shape, (14.5, 14.5, 11))] = 1
    labels[ball(9, labels.shape, (14.5, 14.5, 28)) & (labels == 0)] = 2
    # Thin as the tip of a root.
    labels[14:16, 14:16, 36:40] = 2
    refined = refine_labels(np.zeros(labels.shape, np.float32), labels, (1, 1, 1), "geodesic", band_mm=2)
    assert (refined != labels).sum() <= 0.03 * (labels > 0).sum()
    assert (refined[14:16, 14:16, 36:40] == 2).sum() >= 8


@pytest.mark.parametrize("method", METHODS)
def test_objects_that_touch_stay_apart_at_the_edge_between_them(method: str) -> None:
    image = np.full((20, 20, 40), -500, np.float32)
    image[4:16, 4:16, 4:36] = 1000
    # A gap at 20, dark; the labels are parted two voxels beside it.
    image[:, :, 20] = 200
    labels = np.zeros(image.shape, np.uint8)
    labels[4:16, 4:16, 4:22], labels[4:16, 4:16, 22:36] = 1, 2
    refined = refine_labels(image, labels, (1, 1, 1), method, band_mm=4)
    middle = refined[8:12, 8:12]
    assert (middle[..., 5:19] == 1).all()
    assert (middle[..., 22:35] == 2).all()
    _, pieces = scipy.ndimage.label(refined == 1)
    assert pieces == 1


@pytest.mark.parametrize("method", METHODS)
def test_the_core_stays_whatever_the_image_says(method: str) -> None:
    random = np.random.default_rng(0)
    labels = ball(9).astype(np.uint8)
    image = random.normal(0, 1000, labels.shape).astype(np.float32)
    refined = refine_labels(image, labels, (1, 1, 1), method, band_mm=2)
    depth = scipy.ndimage.distance_transform_edt(labels)
    away = scipy.ndimage.distance_transform_edt(labels == 0)
    assert (refined[depth > 2] == 1).all()
    assert (refined[away > 2] == 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_an_object_that_fills_the_array_stays(method: str) -> None:
    labels = np.ones((3, 2, 5), np.uint8)
    np.testing.assert_array_equal(refine_labels(np.zeros(labels.shape), labels, (1, 1, 1), method), labels)


def test_the_labels_given_are_left_alone() -> None:
    labels = ball(9).astype(np.uint8)
    before = labels.copy()
    refine_labels(np.random.default_rng(0).random(labels.shape), labels, (1, 1, 1))
    np.testing.assert_array_equal(labels, before)


def test_what_cannot_be_is_one_clear_sentence() -> None:
    labels = np.zeros((4, 5, 6), np.uint8)
    with pytest.raises(ValueError, match="must share a grid"):
        refine_labels(np.zeros((4, 5, 7), np.float32), labels, (1, 1, 1))
    with pytest.raises(ValueError, match="must be above 0 mm"):
        refine_labels(np.zeros(labels.shape), labels, (1, 1, 1), band_mm=0)


def test_an_object_of_two_pieces_keeps_both() -> None:
    """Both mandibular canals are one label."""
    labels = np.zeros((20, 30, 60), np.uint8)
    labels[6:14, 8:22, 6:20] = labels[6:14, 8:22, 38:54] = 101
    image = np.where(labels > 0, 1000.0, 0.0).astype(np.float32)
    refined = refine_labels(image, labels, (0.5, 0.5, 0.5))
    assert cc3d.connected_components(refined > 0).max() == 2
    assert (refined > 0).sum() > 0.8 * (labels > 0).sum()
