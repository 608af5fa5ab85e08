"""Resampling between outer edges, against scipy's own zoom, which is what nnU-Net calls."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from medinfer.manifest import Prepare
from medinfer.preparation.prepare import prepare
from medinfer.preparation.zoom import grid_of, nearest_slices, resized, thick_axis
from medinfer.volume import Grid, Volume


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 300, shape).astype(np.float32)


def zoomed(values: np.ndarray, shape: tuple[int, ...], order: int) -> np.ndarray:
    """As skimage.transform.resize(mode="edge", anti_aliasing=False) does it."""
    factors = np.array(shape) / values.shape
    found = ndimage.zoom(values.astype(float), factors, order=order, mode="nearest", grid_mode=True)
    return np.clip(found, values.min(), values.max())


@pytest.mark.parametrize("shape", [(20, 31, 17), (9, 12, 40), (14, 18, 22), (5, 18, 22)])
@pytest.mark.parametrize(("interpolation", "order"), [("linear", 1), ("cubic", 3)])
def test_it_is_scipys_zoom(shape: tuple[int, int, int], interpolation: str, order: int) -> None:
    values = noise((14, 18, 22))
    found = resized(values, shape, interpolation)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, zoomed(values, shape, order), atol=0.01)


@pytest.mark.parametrize("thick", [0, 1, 2])
def test_a_thick_axis_is_sampled_by_nearest_slice(thick: int) -> None:
    values, shape = noise((7, 8, 9)), (11, 12, 13)
    flat = [shape[axis] for axis in range(3) if axis != thick]
    slices = [zoomed(one, tuple(flat), 3) for one in np.moveaxis(values, thick, 0)]
    size, wanted = values.shape[thick], shape[thick]
    places = size / wanted * (np.arange(wanted) + 0.5) - 0.5
    order_0 = ndimage.map_coordinates(np.arange(size), [places], order=0, mode="nearest")
    np.testing.assert_array_equal(nearest_slices(size, wanted), order_0)
    expected = np.moveaxis(np.array(slices)[order_0], 0, thick)
    np.testing.assert_allclose(resized(values, shape, "cubic", thick), expected, atol=0.01)


def test_the_same_shape_is_not_resampled() -> None:
    values = noise((4, 5, 6))
    np.testing.assert_array_equal(resized(values, (4, 5, 6), "cubic"), values)


@pytest.mark.parametrize(
    ("first", "then", "axis"),
    [((4, 1, 1), (1, 1, 1), 0), ((1, 1, 1), (1, 1, 3.5), 2), ((3, 1, 1), (1, 1, 1), None), ((4, 4, 1), (1, 1, 1), None),
     ((1, 5, 1), (5, 1, 1), 1)],
)
def test_the_thick_axis_is_found_as_nnunet_finds_it(
    first: tuple[float, ...], then: tuple[float, ...], axis: int | None
) -> None:
    assert thick_axis(first, then) == axis


def test_the_edges_of_both_grids_are_the_same() -> None:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = np.linalg.qr(noise((3, 3)))[0] * [0.7, 0.8, 2.5], (5, -7, 11)
    block = Grid((10, 12, 14), matrix)
    grid = grid_of(block, (25, 10, 9))
    for one, other in ((np.full(3, -0.5), np.full(3, -0.5)), (np.array(block.shape) - 0.5, np.array(grid.shape) - 0.5)):
        np.testing.assert_allclose(block.to_ras(one), grid.to_ras(other), atol=1e-9)


def test_intensities_come_first_where_that_is_declared_and_only_the_box_of_what_is_not_0_counts() -> None:
    voxels = np.zeros((12, 14, 16), np.float32)
    voxels[2:9, 3:13, 4:14] = np.abs(noise((7, 10, 10))) + 1
    voxels[4, 5, 6] = 0
    wanted = Prepare.model_validate({
        "hounsfield": False, "orientation": None, "spacing": [1.5, 0.7, None], "minimum_mm": [1, 1, 1],
        "resampling": {"align": "edges", "interpolation": "cubic"}, "region": {"kind": "nonzero"},
        "intensity": [{"op": "zscore", "of": "nonzero"}], "intensity_on": "scan",
    })
    found = prepare(Volume(voxels, Grid(voxels.shape, np.diag([1.0, 1.0, 1.0, 1.0]))), wanted)
    block = voxels[2:9, 3:13, 4:14].astype(float)
    # The hole is within the mask.
    expected = zoomed((block - block.mean()) / block.std(), (5, 14, 10), 3)
    np.testing.assert_allclose(found.voxels, expected, atol=1e-3)
    assert found.scan is not None
    assert found.scan.shape == (7, 10, 10)
    np.testing.assert_allclose(found.grid.to_ras((-0.5, -0.5, -0.5)), found.scan.to_ras((-0.5, -0.5, -0.5)))
