"""Decoder `instances`: objects that touch, parted by votes; against loops, brute force, and the shapes drawn."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st

from medinfer.decoders.index_segment import IndexSegments
from medinfer.decoders.instances import InstancesDecoding
from medinfer.decoders.object_voxels import ObjectVoxels
from medinfer.decoders.vote_peaks import VoteCells
from medinfer.errors import PackageError
from medinfer.manifest import InstancesDecoder

SHAPE = (30, 34, 40)
UNIT = (1.0, 1.0, 1.0)


def ellipsoids(centers, radii, shape=SHAPE) -> np.ndarray:
    """Labels `[k, j, i]` 1…; where two meet, the voxel is that one's whose middle is nearer in its own radii."""
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    away = np.stack([(((grid - c) / r) ** 2).sum(axis=-1) for c, r in zip(centers, radii, strict=True)])
    return np.where(away.min(axis=0) < 1, away.argmin(axis=0) + 1, 0).astype(np.uint8)


def channels(labels: np.ndarray, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """What a network that knows the labels says, `[4, k, j, i]`; noise: of the offsets, voxels."""
    values = np.zeros((4, *labels.shape), np.float32)
    values[0] = labels > 0
    for value in np.unique(labels[labels > 0]):
        places = np.argwhere(labels == value)
        values[(slice(1, None), *places.T)] = (places.mean(axis=0) - places).T
    values[1:] += np.random.default_rng(seed).normal(0, noise, values[1:].shape).astype(np.float32)
    return values


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
        yield tuple(int(bounds[0]) for bounds in parts[n]), values[(slice(None), *where)]


def decode(
    values: np.ndarray, *, seed: int | None = None, shape=None, stride: int = 1, spacing=UNIT, seeds=None, **decoder
) -> IndexSegments:
    """Feed `values` `[4, k, j, i]` in random blocks, or whole without a seed."""
    wanted = InstancesDecoder(kind="instances", **{"threshold": 0.01, **decoder})
    decoding = InstancesDecoding(wanted, shape or tuple(n * stride for n in values.shape[1:]), stride, spacing, seeds)
    for start, part in [((0, 0, 0), values)] if seed is None else blocks(values, seed):
        # As a joiner's: its memory is used again for the next block.
        lent = part.copy()
        decoding.feed(start, lent)
        lent[...] = np.nan
    return decoding.finish()


def assert_same_objects(found: IndexSegments, labels: np.ndarray, share: float = 1.0) -> None:
    """As many objects as drawn, each with at least this IoU to one of its own."""
    values = [int(value) for value in np.unique(labels) if value]
    assert len(found.segments) == len(values)
    taken = set()
    for segment in found.segments:
        own = found.labels == segment.value
        value = int(np.bincount(labels[own], minlength=256)[1:].argmax()) + 1
        iou = (own & (labels == value)).sum() / (own | (labels == value)).sum()
        assert iou >= share
        taken.add(value)
    assert taken == set(values)


ROW = ellipsoids([(15, 17, 6 + 9 * n) for n in range(4)], [(12, 7, 5.5)] * 4)


def test_touching_ellipsoids_are_parted_as_they_were_drawn() -> None:
    found = decode(channels(ROW))
    assert_same_objects(found, ROW)
    sizes = [segment.voxels for segment in found.segments]
    assert sizes == sorted(sizes, reverse=True)
    for n, segment in enumerate(found.segments, start=1):
        assert segment.value == n
        places = np.argwhere(found.labels == n)
        assert segment.voxels == len(places)
        np.testing.assert_allclose(segment.centroid, places.mean(axis=0))
        assert segment.confidence == pytest.approx(1)


@given(data=st.data(), seed=st.integers(0, 999))
@settings(max_examples=25, deadline=None)
def test_any_ellipsoids_whose_centres_are_apart_are_found_through_noise_in_any_blocks(data, seed: int) -> None:
    random = np.random.default_rng(seed)
    centers: list[np.ndarray] = []
    for _ in range(data.draw(st.integers(1, 6))):
        center = random.uniform((7, 7, 7), np.subtract(SHAPE, 8))
        if all(np.linalg.norm(center - other) > 8 for other in centers):
            centers.append(center)
    labels = ellipsoids(centers, random.uniform(4, 7, (len(centers), 3)))
    values = channels(labels, noise=data.draw(st.sampled_from([0.0, 0.5, 1.0])), seed=seed)
    found = decode(values, seed=seed)
    # The part of an ellipsoid that a nearer one leaves may be two pieces, of which one stays.
    assert_same_objects(found, labels, share=0.9)
    whole = decode(values)
    np.testing.assert_array_equal(found.labels, whole.labels)
    np.testing.assert_array_equal(found.foreground, whole.foreground)
    assert found.segments == whole.segments
    for segment in found.segments:
        _, pieces = scipy.ndimage.label(found.labels == segment.value, np.ones((3, 3, 3)))
        assert pieces == 1


def test_offsets_that_drift_towards_the_neighbour_part_objects_all_the_same() -> None:
    values = channels(ROW)
    weight = scipy.ndimage.gaussian_filter(values[0], 1.2)
    for channel in values[1:]:
        channel[...] = 0.85 * scipy.ndimage.gaussian_filter(channel, 1.2) / np.maximum(weight, 1e-3)
    values[0] = weight
    assert_same_objects(decode(values), ROW, share=0.85)


def test_strong_noise_on_the_offsets_leaves_whole_objects() -> None:
    apart = ellipsoids([(15, 17, 6 + 13 * n) for n in range(3)], [(12, 7, 5.5)] * 3)
    assert_same_objects(decode(channels(apart, noise=3)), apart, share=0.97)
    assert_same_objects(decode(channels(ROW, noise=2)), ROW, share=0.9)


def test_without_foreground_there_is_nothing() -> None:
    for value in (0.0, 0.5, np.nan, -np.inf):
        values = np.zeros((4, *SHAPE), np.float32)
        values[0] = value
        found = decode(values)
        assert found.segments == ()
        assert not found.labels.any()
        assert (found.foreground == (128 if value == 0.5 else 0)).all()


def test_one_voxel_is_an_object_where_no_volume_is_asked_and_none_where_it_is() -> None:
    values = np.zeros((4, *SHAPE), np.float32)
    values[0, 3, 4, 5] = 0.8
    found = decode(values, min_volume_mm3=0)
    (segment,) = found.segments
    assert (segment.centroid, segment.voxels) == ((3, 4, 5), 1)
    assert segment.confidence == pytest.approx(204 / 255)
    assert np.argwhere(found.labels).tolist() == [[3, 4, 5]]
    small = decode(values, min_volume_mm3=1.5)
    assert small.segments == ()
    assert not small.foreground.any()


def test_a_grid_of_one_voxel_is_decoded() -> None:
    found = decode(np.array([0.9, 0, 0, 0], np.float32).reshape(4, 1, 1, 1), min_volume_mm3=0)
    assert found.labels.tolist() == [[[1]]]


@pytest.mark.parametrize("spacing", [(0.4, 0.4, 0.4), (1.5, 0.5, 0.5), (0.3, 1.2, 0.8)])
def test_distances_and_volumes_are_millimetres(spacing) -> None:
    size = np.array(spacing)
    shape = tuple(int(n) for n in np.ceil(np.array([24, 14, 30]) / size))
    centers = [np.array([12, 7, 6]) / size, np.array([12, 7, 13]) / size, np.array([12, 7, 22]) / size]
    labels = ellipsoids(centers, [np.array([9, 5, 4]) / size] * 2 + [np.array([2, 2, 2]) / size], shape)
    noisy = channels(labels)
    noisy[1:] += np.random.default_rng(0).normal(0, 0.5, noisy[1:].shape) / size[:, None, None, None]
    assert_same_objects(decode(noisy, spacing=spacing), labels, share=0.95)
    # 33 mm³ of the smallest.
    assert_same_objects(decode(noisy, spacing=spacing, min_volume_mm3=60), np.where(labels == 3, 0, labels), 0.95)


@pytest.mark.parametrize("shape", [None, (59, 68, 79)])
def test_an_output_voxel_stands_for_the_middle_of_its_input_voxels(shape) -> None:
    fine = decode(channels(ROW))
    coarse = decode(channels(ROW), stride=2, spacing=(0.5, 0.5, 0.5), shape=shape)
    np.testing.assert_array_equal(coarse.labels, fine.labels)
    for one, other in zip(fine.segments, coarse.segments, strict=True):
        np.testing.assert_allclose(other.centroid, np.array(one.centroid) * 2 + 0.5)
        assert (one.voxels, one.confidence) == (other.voxels, other.confidence)


def test_votes_far_from_all_peaks_go_to_the_object_they_touch() -> None:
    values = channels(ROW)
    random = np.random.default_rng(0)
    lost = (random.random(SHAPE) < 0.2) & (ROW > 0)
    values[1:, lost] = random.choice([np.nan, np.inf, -np.inf, 200.0, -3e38], (3, int(lost.sum())))
    found = decode(values)
    assert_same_objects(found, ROW, share=0.85)
    assert ((found.labels > 0) == (ROW > 0)).all()


def test_crumbs_go_to_the_object_they_touch_and_specks_go() -> None:
    labels = ROW.copy()
    values = channels(labels)
    # Inside of the first, voxels that vote for the second; and far from all, some that vote for the first.
    second = np.argwhere(labels == 2).mean(axis=0)
    places = np.array([(15, 17, 4), (15, 18, 4), (14, 17, 4)])
    values[(slice(1, None), *places.T)] = (second - places).T
    values[0, 1, 2, 37] = 1
    values[1:, 1, 2, 37] = np.argwhere(labels == 1).mean(axis=0) - (1, 2, 37)
    found = decode(values)
    np.testing.assert_array_equal(found.labels > 0, labels > 0)
    assert_same_objects(found, labels)
    assert found.foreground[1, 2, 37] == 0


def test_holes_are_filled_and_the_foreground_agrees() -> None:
    values = channels(ROW)
    values[0, 13:17, 16:18, 5:8] = 0.1
    found = decode(values)
    assert_same_objects(found, ROW)
    assert (found.foreground[ROW > 0] == 255).all()
    kept = decode(values, fill_holes=False)
    assert (kept.labels[13:17, 16:18, 5:8] == 0).all()
    assert (kept.foreground[13:17, 16:18, 5:8] == 26).all()


def test_a_pore_that_opens_outwards_is_no_hole() -> None:
    values = channels(ROW)
    values[0, :15, 17, 6] = 0
    assert (decode(values).labels[:15, 17, 6] == 0).all()


def test_what_lies_between_two_objects_and_votes_for_itself_is_no_object() -> None:
    upper_lower = ellipsoids([(8, 17, 20), (22, 17, 20)], [(7.8, 6, 6)] * 2)
    values = channels(upper_lower)
    # A network that averages offsets across the contact says 0 there.
    bridge = (slice(13, 18), slice(14, 21), slice(17, 24))
    values[0][bridge] = 1
    values[1:, 13:18, 14:21, 17:24] = (np.array([15, 17, 20])[:, None, None, None] - np.mgrid[13:18, 14:21, 17:24])
    found = decode(values)
    assert len(found.segments) == 2
    assert_same_objects(found, upper_lower, share=0.85)


def test_two_gatherings_of_votes_in_one_object_are_one() -> None:
    labels = ellipsoids([(15, 17, 20)], [(13, 6, 6)])
    values = channels(labels)
    # Every other voxel votes 2 mm up, the others 2 mm down: peaks 4 mm apart, but voxels all among each other.
    up = np.indices(SHAPE).sum(axis=0) % 2
    values[1] += np.where(up, 2.0, -2.0)
    assert_same_objects(decode(values), labels)


def test_the_root_tip_that_votes_elsewhere_stays_with_its_tooth() -> None:
    labels = ellipsoids([(15, 17, 20)], [(13, 6, 6)])
    values = channels(labels)
    # 4 mm beside where the others vote, and far from where these voxels are.
    values[3, 22:] += 4.5
    assert_same_objects(decode(values), labels)


def test_of_two_centroids_nearer_than_the_separation_the_one_with_more_votes_counts() -> None:
    labels = ellipsoids([(15, 17, 10), (15, 17, 16)], [(5, 5, 3)] * 2)
    assert_same_objects(decode(channels(labels), separation_mm=4), labels)
    assert len(decode(channels(labels), separation_mm=8).segments) == 1


def test_a_seed_parts_what_votes_alone_do_not() -> None:
    labels = ellipsoids([(15, 17, 15), (15, 17, 24)], [(6, 6, 5), (5, 5, 4.6)])
    values = channels(labels)
    # The second's votes are drawn out towards the first: no hill of their own.
    along = np.indices(SHAPE)[2]
    values[3] = np.where(labels == 2, 15 + 0.35 * (along - 15) - along, values[3])
    (alone,) = decode(values).segments
    assert alone.voxels == (labels > 0).sum()
    seeded = decode(values, seeds=np.array([(15, 17, 15), (15, 17, 19), (2, 2, 2)]))
    assert_same_objects(seeded, labels, share=0.5)
    # On a coarse output, seeds are on the prepared grid still.
    fine = decode(values, stride=2, spacing=(0.5,) * 3, seeds=np.array([(30.5, 34.5, 30.5), (30.5, 34.5, 38.5)]))
    np.testing.assert_array_equal(fine.labels, seeded.labels)


def test_seeds_at_the_objects_change_nothing() -> None:
    values = channels(ROW, noise=0.7)
    centers = [np.argwhere(value == ROW).mean(axis=0) + 1 for value in range(1, 5)]
    np.testing.assert_array_equal(decode(values, seeds=np.array(centers)).labels, decode(values).labels)
    np.testing.assert_array_equal(decode(values, seeds=np.empty((0, 3))).labels, decode(values).labels)


def cubes(count: int, edge: int = 4, pitch: int = 8, side: int = 8) -> np.ndarray:
    """`[4, k, j, i]`: cubes on a lattice, side × side in a layer; the later the larger foreground."""
    layers = -(-count // side**2)
    values = np.zeros((4, layers * pitch, side * pitch, side * pitch), np.float32)
    middle = (edge - 1) / 2
    offsets = middle - np.indices((edge,) * 3)
    for n in range(count):
        k, j, i = (pitch * x + 2 for x in (n // side**2, n // side % side, n % side))
        box = (slice(k, k + edge), slice(j, j + edge), slice(i, i + edge))
        values[(0, *box)] = 0.9
        values[(slice(1, None), *box)] = offsets
    return values


def test_more_than_asked_the_largest_stay_and_the_others_leave_nothing() -> None:
    values = cubes(12)
    values[0, 1, 10:14, 10:14] = 0.9
    values[1:, 1, 10:14, 10:14] = np.array([2.5, 1.5, 1.5])[:, None, None] - np.stack(
        [np.zeros((4, 4)), *np.indices((4, 4))]
    )
    found = decode(values, max_findings=3)
    assert [segment.voxels for segment in found.segments] == [80, 64, 64]
    assert np.unique(found.labels).tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(found.foreground > 0, found.labels > 0)
    # Of equal ones the first in memory.
    assert found.segments[1].centroid < found.segments[2].centroid < (3.6, 4, 40)


def test_hundreds_of_objects_are_told_apart_as_far_as_a_byte_goes() -> None:
    found = decode(cubes(300), max_findings=128)
    assert len(found.segments) == 128
    assert all(segment.voxels == 64 for segment in found.segments)


def test_an_object_at_the_edge_says_so() -> None:
    labels = ellipsoids([(15, 17, 1), (15, 17, 20)], [(6, 6, 5)] * 2)
    found = decode(channels(labels))
    by_place = sorted(found.segments, key=lambda segment: segment.centroid[2])
    assert [len(segment.flags) for segment in by_place] == [1, 0]
    assert "edge" in by_place[0].flags[0]


def test_votes_outside_of_the_grid_count_for_an_object_cut_by_its_edge() -> None:
    labels = ellipsoids([(15, 17, -2), (15, 17, 8)], [(6, 6, 6), (6, 6, 4.5)])
    values = channels(labels)
    values[1:, labels == 1] = (np.array([15, 17, -2]) - np.argwhere(labels == 1)).T
    assert_same_objects(decode(values), labels)


def test_confidence_is_the_mean_foreground_times_the_share_of_near_votes() -> None:
    labels = ellipsoids([(15, 17, 20)], [(8, 8, 8)])
    values = channels(labels)
    values[0] *= 0.8
    stray = labels.astype(bool) & (np.indices(SHAPE).sum(axis=0) % 4 == 0)
    values[1, stray] += 4.5
    (segment,) = decode(values).segments
    assert segment.confidence == pytest.approx(204 / 255 * (1 - stray.sum() / (labels > 0).sum()), abs=2e-3)


def test_another_number_of_channels_is_one_clear_sentence() -> None:
    with pytest.raises(PackageError, match="returns 2 channels, but the decoder instances needs 4"):
        decode(np.zeros((2, 4, 4, 4), np.float32))


def test_the_order_in_memory_of_the_blocks_does_not_matter() -> None:
    values = channels(ROW, noise=1)
    last = np.moveaxis(np.ascontiguousarray(np.moveaxis(values, 0, -1)), -1, 0)
    np.testing.assert_array_equal(decode(last, seed=5).labels, decode(values).labels)


@given(seed=st.integers(0, 999), spread=st.sampled_from([0.5, 3.0, 20.0]), peaks=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_the_nearest_peak_through_cells_is_the_nearest_of_all(seed: int, spread: float, peaks: int) -> None:
    random = np.random.default_rng(seed)
    places = random.uniform(0, 30, (peaks, 3))
    votes = random.uniform(-5, 35, (400, 3))
    if peaks:
        votes[100:] = places[random.integers(0, peaks, 300)] + random.normal(0, spread, (300, 3))
    votes[:3] = 1e6
    votes = votes.astype(np.float32)
    cells = VoteCells(votes.T.copy(), np.array([0.5, 0.7, 1.0]), 3.0, (60, 60, 60))
    expected = np.full(400, -1)
    for n, vote in enumerate(votes):
        away = np.linalg.norm(places - vote, axis=1)
        if peaks and away.min() <= 6 and ((vote > -12) & (vote < [41.5, 53.3, 71])).all():
            expected[n] = away.argmin()
    np.testing.assert_array_equal(cells.nearest(places, 6.0), expected)


@given(seed=st.integers(0, 999), layers=st.integers(0, 4))
@settings(max_examples=30, deadline=None)
def test_growing_layer_by_layer_is_what_a_loop_over_voxels_gives(seed: int, layers: int) -> None:
    random = np.random.default_rng(seed)
    shape = (5, 6, 7)
    inside = np.flatnonzero(random.random(shape) < 0.6)
    objects = random.choice(4, len(inside), p=[0.85, 0.05, 0.05, 0.05]).astype(np.uint8)
    votes, peaks = random.uniform(0, 9, (3, len(inside))).astype(np.float32), random.uniform(0, 9, (255, 3))
    voxels = ObjectVoxels(shape, inside, objects, votes)
    voxels.grow(peaks, layers)

    labels, number = np.zeros(shape, int), {int(at): n for n, at in enumerate(inside)}
    labels.flat[inside] = objects
    for _ in range(layers):
        before = labels.copy()
        for at, n in number.items():
            place = np.unravel_index(at, shape)
            if before[place]:
                continue
            touched = set()
            for axis in range(3):
                for step in (-1, 1):
                    beside = list(place)
                    beside[axis] += step
                    if 0 <= beside[axis] < shape[axis] and before[tuple(beside)]:
                        touched.add(int(before[tuple(beside)]))
            if touched:
                labels[place] = min(touched, key=lambda value: np.linalg.norm(peaks[value - 1] - votes[:, n]))
    np.testing.assert_array_equal(voxels.labels, labels)


def test_the_contact_of_two_cubes_is_the_share_of_faces_that_meet() -> None:
    labels = np.zeros((6, 6, 6), np.uint8)
    labels[1:3, 1:3, 1:3], labels[3:5, 1:3, 1:3] = 1, 2
    labels[0, 0, 0] = 3
    inside = np.flatnonzero(labels)
    voxels = ObjectVoxels((6, 6, 6), inside, labels.ravel()[inside], np.zeros((3, len(inside))))
    boxes = voxels.boxes()
    assert boxes == {1: (slice(1, 3),) * 3, 2: (slice(3, 5), slice(1, 3), slice(1, 3)), 3: (slice(0, 1),) * 3}
    assert [voxels.contact(value, box)[[0, 1, 2]].tolist() for value, box in boxes.items()] == [
        [20 / 24, 0, 4 / 24], [20 / 24, 4 / 24, 0], [1, 0, 0],
    ]


def test_objects_below_the_threshold_are_dropped_and_the_others_numbered_anew() -> None:
    labels = np.zeros((12, 12, 30), np.uint8)
    for value, (first, size) in enumerate(((2, 6), (11, 7), (21, 5)), start=1):
        labels[2:10, 2:10, first : first + size] = value
    values = channels(labels)
    values[0][labels == 2] = 0.6
    everything = decode(values, min_volume_mm3=0)
    assert [round(segment.confidence, 1) for segment in everything.segments] == [0.6, 1.0, 1.0]
    surer = decode(values, min_volume_mm3=0, threshold=0.8)
    assert [segment.value for segment in surer.segments] == [1, 2]
    np.testing.assert_array_equal(surer.labels, np.where(labels == 1, 1, np.where(labels == 3, 2, 0)))
    assert not surer.foreground[labels == 2].any()
