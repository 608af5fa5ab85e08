"""Nodules whose volume, diameters and density are known: balls and ellipsoids drawn in air, vessels and walls."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import pdist

from medinfer.anatomy.nodule import segment_nodule
from medinfer.anatomy.nodule_size import axial_diameters, measure_nodule
from medinfer.findings import Box, box_from_index
from medinfer.volume import Grid, Volume

LUNG, TISSUE = -850.0, 30.0
Inside = Callable[[NDArray[np.float64]], NDArray[np.bool_]]


def ball(radius: float, centre: tuple[float, float, float] = (0, 0, 0)) -> Inside:
    return lambda points: np.linalg.norm(points - centre, axis=-1) < radius


def grid_of(spacing: tuple[float, float, float], turn: float = 0.0, reach: float = 24.0) -> Grid:
    """A grid around the world's origin with axes to the left, back and head, turned about the last one."""
    shape = [2 * int(reach / mm) + 1 for mm in spacing]
    matrix = np.eye(4)
    c, s = np.cos(turn), np.sin(turn)
    matrix[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.diag([-1, -1, 1]) @ np.diag(spacing[::-1])
    matrix[:3, 3] = -matrix[:3, :3] @ [(n - 1) / 2 for n in shape[::-1]]
    return Grid((shape[0], shape[1], shape[2]), matrix)


def scan_of(grid: Grid, *parts: tuple[Inside, float], noise: float = 15.0) -> Volume:
    """Each part drawn in its HU over the ones before, as shares of voxels, blurred as a scanner would, with noise."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    values = np.full(grid.shape, LUNG)
    for inside, hu in parts:
        shifts = [grid.to_ras(index + np.array(s)) for s in product((-1 / 3, 0, 1 / 3), repeat=3)]
        share = np.mean([inside(points) for points in shifts], axis=0)
        values += share * (hu - values)
    values = gaussian_filter(values, 0.6 / np.array(grid.spacing))
    values += np.random.default_rng(1).normal(0, noise, grid.shape)
    return Volume(np.rint(values).astype(np.int16), grid, "drawn", "CT")


def box_around(grid: Grid, diameter: float, off: tuple[float, float, float] = (0, 0, 0)) -> Box:
    centre, half = grid.to_index(off), diameter / 2 / np.array(grid.spacing)
    return box_from_index(grid, centre - half + 0.5, centre + half + 0.5, label="Nodule", score=1.0)


def volume_of(diameter: float) -> float:
    return float(np.pi / 6 * diameter**3)


@pytest.mark.parametrize("spacing", [(1.0, 0.7, 0.7), (2.5, 0.7, 0.7), (0.7, 0.7, 2.0)])
@pytest.mark.parametrize("diameter", [6.0, 10.0, 20.0])
def test_a_ball_has_its_volume_and_diameters(spacing: tuple[float, float, float], diameter: float) -> None:
    grid = grid_of(spacing, turn=0.2)
    # A detector's box is a little off, and a little too large or small.
    box = box_around(grid, 1.1 * diameter, (0.5, 0, -0.4))
    measures = measure_nodule(scan_of(grid, (ball(diameter / 2), TISSUE)), box)
    assert measures is not None
    assert measures.kind == "solid"
    assert measures.volume_mm3 == pytest.approx(volume_of(diameter), rel=0.15)
    assert measures.longest_mm == pytest.approx(diameter, abs=1.0)
    assert measures.perpendicular_mm == pytest.approx(diameter, abs=1.0)


def test_the_axial_diameters_are_those_of_an_ellipsoid_and_not_of_its_length() -> None:
    grid = grid_of((1.0, 0.7, 0.7))

    def inside(points: NDArray[np.float64]) -> NDArray[np.bool_]:
        turned = points @ np.array([[np.cos(0.7), -np.sin(0.7), 0], [np.sin(0.7), np.cos(0.7), 0], [0, 0, 1]])
        return np.linalg.norm(turned / [7, 4, 10], axis=-1) < 1

    measures = measure_nodule(scan_of(grid, (inside, TISSUE)), box_around(grid, 14))
    assert measures is not None
    assert measures.longest_mm == pytest.approx(14, abs=1)
    assert measures.perpendicular_mm == pytest.approx(8, abs=1)
    assert measures.volume_mm3 == pytest.approx(4 / 3 * np.pi * 7 * 4 * 10, rel=0.12)


def test_vessels_and_the_chest_wall_are_cut_off() -> None:
    grid = grid_of((1.0, 0.7, 0.7))
    vessel = lambda points: np.linalg.norm(points[..., :2] - [1, 0], axis=-1) < 1.5  # noqa: E731
    wall = lambda points: np.linalg.norm(points - [-60, 0, 0], axis=-1) > 65  # noqa: E731
    for other in (vessel, wall):
        volume = scan_of(grid, (other, TISSUE), (ball(5), TISSUE))
        nodule = segment_nodule(volume, box_around(grid, 10))
        assert nodule is not None
        # Of the ball at the wall the part inside the lung counts.
        index = np.stack(np.meshgrid(*(np.arange(n) for n in nodule.mask.shape), indexing="ij"), axis=-1)
        points = nodule.block.grid.to_ras(index)
        true = ball(5)(points) if other is vessel else ball(5)(points) & ~wall(points)
        overlap = 2 * np.count_nonzero(true & nodule.mask) / (np.count_nonzero(true) + np.count_nonzero(nodule.mask))
        assert overlap > 0.88


def test_ground_glass_and_its_solid_core_are_told_apart() -> None:
    grid = grid_of((1.0, 0.7, 0.7))
    glass = measure_nodule(scan_of(grid, (ball(7), -600)), box_around(grid, 14))
    mixed = measure_nodule(scan_of(grid, (ball(7), -600), (ball(4), TISSUE)), box_around(grid, 14))
    assert glass is not None
    assert mixed is not None
    assert (glass.kind, mixed.kind) == ("ground-glass", "part-solid")
    for measures in (glass, mixed):
        assert measures.volume_mm3 == pytest.approx(volume_of(14), rel=0.2)


def test_where_nothing_is_denser_than_lung_there_is_no_nodule() -> None:
    grid = grid_of((1.0, 0.7, 0.7))
    quiet = Volume(np.full(grid.shape, -850, np.int16), grid, "quiet", "CT")
    assert measure_nodule(quiet, box_around(grid, 8)) is None
    # Nor where the box lies beside the scan.
    assert measure_nodule(quiet, box_around(grid, 8, (200, 0, 0))) is None


def test_a_scan_of_one_slice_and_a_nodule_at_the_border_are_measured() -> None:
    grid = grid_of((2.5, 0.7, 0.7))
    whole = scan_of(grid, (ball(5), TISSUE))
    middle = grid.shape[0] // 2
    single = Volume(whole.voxels[middle:middle + 1], grid.cropped((middle, 0, 0), (1, *grid.shape[1:])), "one", "CT")
    measures = measure_nodule(single, box_around(grid, 10))
    assert measures is not None
    assert measures.longest_mm == pytest.approx(10, abs=1)
    assert measures.volume_mm3 == pytest.approx(np.pi * 25 * 2.5, rel=0.25)
    shape = (grid.shape[0] - middle, *grid.shape[1:])
    half = Volume(whole.voxels[middle:], grid.cropped((middle, 0, 0), shape), "half", "CT")
    cut = measure_nodule(half, box_around(grid, 10))
    assert cut is not None
    assert cut.volume_mm3 == pytest.approx(volume_of(10) / 2 + 1.25 * np.pi * 25, rel=0.2)


def test_axial_diameters_are_those_of_every_pair_of_voxels() -> None:
    generator = np.random.default_rng(0)
    for _ in range(5):
        mask = gaussian_filter(generator.normal(size=(4, 20, 24)), 2) > 0.03
        longest = max(pdist(np.argwhere(plane)).max() for plane in mask if plane.sum() > 1)
        assert axial_diameters(mask)[0] == pytest.approx(longest + 0.5)
    bar = np.zeros((3, 20, 20), bool)
    bar[1, 4:8, 3:15] = True
    longest, across = axial_diameters(bar)
    assert longest == pytest.approx(np.hypot(11, 3) + 0.5)
    assert across == pytest.approx(4, abs=1)
    assert axial_diameters(np.zeros((2, 3, 4), bool)) == (0.0, 0.0)
    assert axial_diameters(np.ones((1, 1, 1), bool)) == (0.5, 0.7)
