"""From a network's grid to the scan's own, and measures there: against a voxel-by-voxel version."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
import scipy.ndimage

from medinfer.decoders import IndexSegment, IndexSegments
from medinfer.inference.layers import in_layers
from medinfer.inference.scan_labels import measured, on_scan
from medinfer.label_map import LabelMap
from medinfer.orientation import aligned
from medinfer.preparation.prepare import Prepared
from medinfer.preparation.resample import respaced
from medinfer.volume import Grid, Volume


def random_map(rng: np.random.Generator, shape: Any) -> IndexSegments:
    """Smooth blobs of three labels, with foreground that need not agree with them."""
    fields = scipy.ndimage.gaussian_filter(rng.normal(size=(3, *shape)), (0, 1, 1, 1))
    labels = np.where(fields.max(axis=0) > 0.15, fields.argmax(axis=0) + 1, 0).astype(np.uint8)
    labels[tuple(n // 2 for n in shape)] = 2
    foreground = rng.integers(0, 256, shape).astype(np.uint8)
    segments = tuple(IndexSegment(int(value), 1.0, (0, 0, 0), 1) for value in np.unique(labels[labels > 0]))
    return IndexSegments(labels, foreground, segments)


def naively(found: IndexSegments, grid: Grid, stride: int, scan: Volume) -> np.ndarray:
    """Voxel by voxel of the whole scan: inside where the foreground is above a half, then the nearest label."""
    index = np.stack(np.meshgrid(*map(np.arange, scan.shape), indexing="ij"), axis=-1).reshape(-1, 3)
    places = (grid.to_index(scan.grid.to_ras(index)) - (stride - 1) / 2) / stride
    agreeing = np.where(found.labels > 0, np.maximum(found.foreground, 128), np.minimum(found.foreground, 127))
    inside = scipy.ndimage.map_coordinates(agreeing.astype(float), places.T, order=1, mode="nearest")
    result = np.zeros(len(index), np.uint8)
    for n, place in enumerate(places):
        at = np.clip(place, 0, np.array(found.labels.shape) - 1)
        if inside[n] > 127.5:
            corners = [np.minimum(np.floor(at).astype(int) + corner, np.array(found.labels.shape) - 1)
                       for corner in product((0, 1), repeat=3)]
            corners.sort(key=lambda corner: math.dist(at, corner))
            values = [found.labels[tuple(corner)] for corner in corners]
            result[n] = next(value for value in values if value)
    return result.reshape(scan.shape)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("spacing", [(0.7, 0.9, 1.1), (0.31, 1.7, 0.53), (2.3, 1.9, 2.1)])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_scan_s_voxels_are_those_of_a_voxel_by_voxel_version(seed: int, spacing: Any, stride: int) -> None:
    rng = np.random.default_rng(seed)
    shape = (11, 12, 13) if spacing[0] < 1 else (8, 9, 7)
    matrix = np.eye(4)
    matrix[:3, :3] = np.diag([-1.0, -1, 1]) * spacing[::-1]
    matrix[:3, 3] = rng.normal(size=3) * 20
    scan = Volume(np.zeros(shape, np.int16), Grid(shape, matrix))
    # The network's region is a box out of its grid over the scan.
    whole = respaced(scan.grid, (0.97, 1.03, 1.01))
    start = tuple(int(rng.integers(0, max(1, n // 3))) for n in whole.shape)
    size = tuple(n - a for n, a in zip(whole.shape, start, strict=True))
    grid = whole.cropped(start, size)
    found = random_map(rng, tuple(-(-n // stride) for n in size))
    here = on_scan(found, grid, stride, "LPS", scan)
    got, expected = here.whole(scan).voxels, naively(found, grid, stride, scan)
    # Beyond the region's last half voxel nothing is known.
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    places = (grid.to_index(scan.grid.to_ras(index)) - (stride - 1) / 2) / stride
    known = ((places > -0.5) & (places < np.array(found.labels.shape) - 0.5)).all(axis=-1)
    np.testing.assert_array_equal(got[known], expected[known])


def test_a_thin_gap_between_two_teeth_has_no_film_of_the_other() -> None:
    """A voxel between two objects belongs, up to its middle, to the one on whose side it is."""
    labels, foreground = np.zeros((1, 5, 9), np.uint8), np.zeros((1, 5, 9), np.uint8)
    labels[:, :, 1:4], labels[:, :, 5:8] = 1, 2
    foreground[labels > 0], foreground[:, :, 4] = 255, 120
    grid = Grid((1, 5, 9), np.diag([-1.0, -1, 1, 1]))
    fine = Volume(np.zeros((1, 5, 81), np.int16), Grid((1, 5, 81), np.diag([-0.1, -1, 1, 1])))
    segments = (IndexSegment(1, 1.0, (0, 2, 2), 15), IndexSegment(2, 1.0, (0, 2, 6), 15))
    row = on_scan(IndexSegments(labels, foreground, segments), grid, 1, "LPS", fine).whole(fine).voxels[0, 2]
    # The border at which the foreground is a half: 255 − 135 t = 127.5.
    border = 3 + 127.5 / 135
    np.testing.assert_array_equal(np.flatnonzero(row == 1), np.arange(5, int(border * 10) + 1)[row[5:40] == 1])
    assert row[: int(border * 10) + 1].max() == 1
    assert row[int((8 - border) * 10) + 1 :].max() == 2
    assert not (row[int(border * 10) + 1 : int((8 - border) * 10)]).any()


@pytest.mark.parametrize("seed", range(10))
def test_measures_are_those_of_loops_over_voxels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = np.eye(4)
    directions, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    matrix[:3, :3], matrix[:3, 3] = directions * rng.uniform(0.3, 2, 3), rng.normal(size=3) * 30
    grid = Grid((7, 8, 9), matrix)
    voxels = random_map(rng, grid.shape).labels
    voxels[0, 0, 0] = 200
    got = measured(LabelMap(voxels, grid))
    assert set(got) == set(np.unique(voxels[voxels > 0]).tolist())
    for value, sizes in got.items():
        points = np.array([grid.to_ras(place) for place in np.argwhere(voxels == value)])
        np.testing.assert_allclose(sizes.center_ras, points.mean(axis=0), atol=1e-9)
        np.testing.assert_allclose(sizes.volume_mm3, len(points) * np.prod(grid.spacing))
        spread = np.cov(points.T, bias=True) if len(points) > 1 else np.zeros((3, 3))
        strengths, axes = np.linalg.eigh(spread)
        if len(points) > 1 and strengths[2] < 1.0001 * strengths[1]:
            continue  # two axes are equally long
        if len(points) > 1:
            axis = axes[:, 2]
            # The eight corners of every voxel, along that axis.
            corners = np.array(list(product((-0.5, 0.5), repeat=3))) @ matrix[:3, :3].T
            along = (points[:, None] + corners) @ axis
            np.testing.assert_allclose(sizes.length_mm, along.max() - along.min(), rtol=1e-6)


def test_labels_turned_to_a_scan_s_axes_keep_their_places() -> None:
    rng = np.random.default_rng(3)
    scan = Grid((4, 5, 6), np.array([[0, 0, 2.0, 7], [0, -1.5, 0, 3], [1.1, 0, 0, -2], [0, 0, 0, 1]]))
    turned = Grid((6, 5, 4), np.array([[-2.0, 0, 0, 13], [0, -1.5, 0, 3], [0, 0, 1.1, -2], [0, 0, 0, 1]]))
    voxels = rng.integers(0, 9, turned.shape).astype(np.uint8)
    back = aligned(LabelMap(voxels, turned), scan)
    np.testing.assert_allclose(back.grid.ijk_to_ras[:3, :3], scan.ijk_to_ras[:3, :3])
    for place in np.ndindex(voxels.shape):
        there = np.rint(back.grid.to_index(turned.to_ras(place))).astype(int)
        assert back.voxels[tuple(there)] == voxels[place]


def test_where_two_maps_claim_a_voxel_the_first_keeps_it() -> None:
    grid = Grid((6, 6, 6), np.eye(4))
    first = LabelMap(np.full((2, 2, 2), 11, np.uint8), grid.cropped((1, 1, 1), (2, 2, 2)))
    second = LabelMap(np.full((3, 2, 2), 101, np.uint8), grid.cropped((2, 2, 2), (3, 2, 2)))
    whole = in_layers([first, second], (), grid)
    expected = np.zeros(grid.shape, np.uint8)
    expected[2:5, 2:4, 2:4] = 101
    expected[1:3, 1:3, 1:3] = 11
    got = whole.whole(Volume(np.zeros(grid.shape, np.int16), grid)).voxels
    np.testing.assert_array_equal(got, expected)
    assert (whole.start_in(grid), whole.voxels.shape) == ((1, 1, 1), (4, 3, 3))


@pytest.mark.parametrize("spacing", [0.4, 0.25])
def test_a_ball_found_at_half_a_millimetre_is_smooth_on_a_finer_scan(spacing: float) -> None:
    """Border between voxels: the volume is right to 1 %, where whole voxels of the network would be off by more."""
    coarse = Grid((24, 24, 24), np.diag([0.5, 0.5, 0.5, 1]))
    index = np.stack(np.meshgrid(*map(np.arange, coarse.shape), indexing="ij"), axis=-1)
    away = np.linalg.norm(index - np.array([11.3, 11.8, 11.6]), axis=-1) * 0.5
    inside = 1 / (1 + np.exp((away - 4) * 4))
    found = IndexSegments((inside > 0.5).astype(np.uint8), np.rint(inside * 255).astype(np.uint8),
                          (IndexSegment(1, 1.0, (11.3, 11.8, 11.6), 1),))
    n = int(23 * 0.5 / spacing) + 1
    scan = Volume(np.zeros((n, n, n), np.int16), Grid((n, n, n), np.diag([spacing, spacing, spacing, 1])))
    prepared = Prepared(np.zeros(coarse.shape, np.float32), coarse)
    (sizes,) = measured(on_scan(found, prepared.grid, 1, "RAS", scan)).values()
    assert abs(sizes.volume_mm3 / (4 / 3 * np.pi * 4**3) - 1) < 0.01
    np.testing.assert_allclose(sizes.center_ras, np.array([11.6, 11.8, 11.3]) * 0.5, atol=0.03)
