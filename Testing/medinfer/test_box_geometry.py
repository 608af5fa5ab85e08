"""Boxes from index ranges: their corners lie where the volume's own matrix puts them, on any volume."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from medinfer.findings import Box, Findings, box_from_index
from medinfer.orientation import reorient
from medinfer.volume import Grid, Volume

TOLERANCE_MM = 1e-6

quick = settings(max_examples=150, deadline=None)


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False, allow_subnormal=False)


@st.composite
def grids(draw: st.DrawFn, *, sheared: bool = False) -> Grid:
    """Oblique, anisotropic, half of them left-handed, up to a metre from the origin."""
    turn = Rotation.from_euler("xyz", [draw(numbers(-180, 180)) for _ in range(3)], degrees=True).as_matrix()
    spacing = [draw(numbers(0.1, 12)) for _ in range(3)]
    signs = [draw(st.sampled_from([1, -1])) for _ in range(3)]
    shear = np.eye(3)
    if sheared:
        shear[0, 1], shear[0, 2], shear[1, 2] = (draw(numbers(-0.6, 0.6)) for _ in range(3))
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ shear @ np.diag(np.multiply(spacing, signs))
    matrix[:3, 3] = [draw(numbers(-1000, 1000)) for _ in range(3)]
    return Grid(draw(st.tuples(*[st.integers(1, 600)] * 3)), matrix)


@st.composite
def ranges(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Index ranges [low, high) along k, j, i; also outside of the volume, and of a single voxel."""
    low = [draw(st.integers(-50, 600)) for _ in range(3)]
    return low, [start + draw(st.integers(1, 60)) for start in low]


def corners_by_the_matrix(grid: Grid, low: list[int], high: list[int]) -> list[list[float]]:
    """The eight outer corners of the voxels, one at a time, by the 4×4 matrix and the column (i, j, k, 1)."""
    corners = []
    for ends in product((0, 1), repeat=3):
        k, j, i = (high[axis] - 0.5 if end else low[axis] - 0.5 for axis, end in enumerate(ends))
        column = (i, j, k, 1)
        corners.append([sum(grid.ijk_to_ras[row, n] * column[n] for n in range(4)) for row in range(3)])
    return corners


def apart(some: np.ndarray, others: np.ndarray) -> float:
    """How far the farthest point of either set is from its nearest in the other, mm: the order does not matter."""
    distances = np.linalg.norm(np.asarray(some)[:, None] - np.asarray(others)[None], axis=2)
    return float(max(distances.min(axis=0).max(), distances.min(axis=1).max()))


def box_of(grid: Grid, low: list[int], high: list[int]) -> Box:
    return box_from_index(grid, low, high, label="nodule", score=0.5)


@quick
@given(grids(), ranges())
def test_the_eight_corners_lie_where_the_matrix_of_the_volume_puts_them(
    grid: Grid, bounds: tuple[list[int], list[int]]
) -> None:
    corners = box_of(grid, *bounds).corners_ras()
    assert corners.shape == (8, 3)
    assert apart(corners, corners_by_the_matrix(grid, *bounds)) < TOLERANCE_MM


@quick
@given(grids(sheared=True), ranges())
def test_a_sheared_volume_keeps_its_corners_too(grid: Grid, bounds: tuple[list[int], list[int]]) -> None:
    assert apart(box_of(grid, *bounds).corners_ras(), corners_by_the_matrix(grid, *bounds)) < TOLERANCE_MM


@quick
@given(grids(), ranges())
def test_simpleitk_puts_the_corners_at_the_same_place_in_lps(
    grid: Grid, bounds: tuple[list[int], list[int]]
) -> None:
    low, high = bounds
    flip = np.diag([-1.0, -1.0, 1.0])
    image = sitk.Image(1, 1, 1, sitk.sitkUInt8)
    image.SetOrigin((flip @ grid.ijk_to_ras[:3, 3]).tolist())
    image.SetSpacing(np.linalg.norm(grid.ijk_to_ras[:3, :3], axis=0).tolist())
    image.SetDirection((flip @ grid.ijk_to_ras[:3, :3] / np.array(image.GetSpacing())).ravel().tolist())
    lps = [
        image.TransformContinuousIndexToPhysicalPoint((i - 0.5, j - 0.5, k - 0.5))
        for k, j, i in product(*zip(low, high, strict=True))
    ]
    assert apart(box_of(grid, low, high).corners_ras() @ flip, lps) < TOLERANCE_MM


@quick
@given(grids(), ranges())
def test_the_axes_are_the_unit_directions_of_i_j_k_and_the_sizes_are_whole_voxels(
    grid: Grid, bounds: tuple[list[int], list[int]]
) -> None:
    box = box_of(grid, *bounds)
    np.testing.assert_allclose(np.linalg.norm(box.axes, axis=1), 1, atol=1e-12)
    for axis in range(3):
        step = grid.ijk_to_ras[:3, axis]
        edge = np.array(box.axes[axis]) * box.size_mm[axis]
        voxels = bounds[1][2 - axis] - bounds[0][2 - axis]
        np.testing.assert_allclose(edge, voxels * step, atol=TOLERANCE_MM)


@settings(max_examples=40, deadline=None)
@given(grids(), st.data())
def test_the_box_holds_the_centres_of_its_voxels_and_of_no_others(grid: Grid, data: st.DataObject) -> None:
    shape = (5, 6, 7)
    low = [data.draw(st.integers(0, n - 1)) for n in shape]
    high = [data.draw(st.integers(a + 1, n)) for a, n in zip(low, shape, strict=True)]
    box = box_of(grid, low, high)
    kji = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    along = (grid.to_ras(kji) - box.center_ras) @ np.array(box.axes).T
    inside = (np.abs(along) < np.array(box.size_mm) / 2).all(axis=-1)
    wanted = np.zeros(shape, dtype=bool)
    wanted[tuple(slice(*ends) for ends in zip(low, high, strict=True))] = True
    np.testing.assert_array_equal(inside, wanted)


@quick
@given(grids(sheared=True), st.lists(st.tuples(*[numbers(-100, 700)] * 3), min_size=1, max_size=5))
def test_points_come_back_from_the_world_to_their_index(grid: Grid, points: list[tuple[float, float, float]]) -> None:
    ras = grid.to_ras(points)
    for (k, j, i), place in zip(points, ras, strict=True):
        np.testing.assert_allclose(place, (grid.ijk_to_ras @ [i, j, k, 1])[:3], atol=TOLERANCE_MM)
    np.testing.assert_allclose(grid.to_index(ras), points, atol=1e-6)


@quick
@given(grids(), ranges(), st.tuples(*[st.integers(-20, 200)] * 3))
def test_a_box_found_on_a_cropped_volume_lies_where_it_does_on_the_whole_one(
    grid: Grid, bounds: tuple[list[int], list[int]], start: tuple[int, int, int]
) -> None:
    low, high = bounds
    crop = grid.cropped(start, (10, 10, 10))
    moved = box_of(crop, *([n - s for n, s in zip(side, start, strict=True)] for side in (low, high)))
    assert apart(moved.corners_ras(), box_of(grid, low, high).corners_ras()) < TOLERANCE_MM


@settings(max_examples=60, deadline=None)
@given(grids(), st.sampled_from(["LPS", "RAS", "SAR", "IPL"]), st.data())
def test_a_box_around_the_same_voxels_of_a_reoriented_volume_is_the_same_box(
    grid: Grid, orientation: str, data: st.DataObject
) -> None:
    shape = (4, 5, 6)
    low = [data.draw(st.integers(0, n - 1)) for n in shape]
    high = [data.draw(st.integers(a + 1, n)) for a, n in zip(low, shape, strict=True)]
    marked = np.zeros(shape, dtype=np.uint8)
    marked[tuple(slice(*ends) for ends in zip(low, high, strict=True))] = 1
    turned = reorient(Volume(marked, Grid(shape, grid.ijk_to_ras)), orientation)
    where = np.argwhere(turned.voxels)
    box = box_of(turned.grid, where.min(axis=0).tolist(), (where.max(axis=0) + 1).tolist())
    assert apart(box.corners_ras(), box_of(grid, low, high).corners_ras()) < TOLERANCE_MM


@quick
@given(grids(), ranges())
def test_json_brings_the_box_back_to_the_last_bit(grid: Grid, bounds: tuple[list[int], list[int]]) -> None:
    box = box_of(grid, *bounds)
    assert Findings.from_json(Findings(boxes=(box,)).to_json()).boxes == (box,)


def test_one_voxel_of_a_left_handed_volume_as_one_can_compute_it_by_hand() -> None:
    # i runs to the left by 2 mm, j to the back by 3, k up by 4: LPS directions, right-handed; with k down, left-handed.
    left_handed = np.diag([-2.0, -3.0, -4.0, 1.0])
    left_handed[:3, 3] = [100, 200, 300]
    assert np.linalg.det(left_handed[:3, :3]) < 0
    box = box_of(Grid((9, 9, 9), left_handed), [1, 2, 3], [2, 3, 4])
    assert box.center_ras == (94.0, 194.0, 296.0)
    assert box.size_mm == (2.0, 3.0, 4.0)
    assert box.diameter_mm == pytest.approx(3.0)
    np.testing.assert_array_equal(sorted({x for x, _, _ in box.corners_ras().tolist()}), [93, 95])
    np.testing.assert_array_equal(sorted({z for _, _, z in box.corners_ras().tolist()}), [294, 298])


@pytest.mark.parametrize(
    "matrix",
    [np.diag([1.0, 1.0, 0.0, 1.0]), np.full((4, 4), np.nan), np.eye(3), np.array([[1, 1, 0, 0], [1, 1, 0, 0],
                                                                                 [0, 0, 1, 0], [0, 0, 0, 1.0]])],
    ids=["zero spacing", "not a number", "3×3", "parallel axes"],
)
def test_a_volume_whose_matrix_has_no_inverse_is_refused(matrix: np.ndarray) -> None:
    with pytest.raises(ValueError, match="ijk_to_ras"):
        Grid((2, 2, 2), matrix)
