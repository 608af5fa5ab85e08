"""The dental arch and the jaws unrolled along it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from medinfer.label_map import LabelMap
from medinfer.volume import Grid, Volume
from medslicer.nodes.labelmaps import Layer
from medslicer.pictures.dental_arch import LARGEST_RADIUS_MM, fit_arch
from medslicer.pictures.panoramic import ABOVE_MM, BESIDE_MM, PIXEL_MM, panorama

RADIUS_MM = 25.0
CENTER = np.array([4.0, -30.0])


def on_circle(degrees: NDArray[np.float64], height: float = 0.0, radius: float = RADIUS_MM) -> NDArray[np.float64]:
    """Places (RAS mm) on a circle about CENTER; degrees from the front to the patient's left."""
    angle = np.radians(degrees)
    flat = CENTER + radius * np.stack([-np.sin(angle), np.cos(angle)], axis=1)
    return np.column_stack([flat, np.full(len(flat), height)])


def distances(points: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    """How far `points` (R, A) are from that circle."""
    return np.abs(np.linalg.norm(points - CENTER, axis=1) - radius)


def test_teeth_on_a_circle_lie_on_their_arch() -> None:
    arch = fit_arch(on_circle(np.linspace(-80, 80, 15)))
    angles, beyond = arch.along(0.5, 0.0)
    assert distances(arch.points(angles, 0.0), RADIUS_MM).max() < 0.05
    # From the patient's right to the left, all of the arc, in equal steps.
    places = arch.points(angles, 0.0)
    assert places[0] == pytest.approx(on_circle(np.array([-80.0]))[0, :2], abs=0.1)
    assert len(places) == pytest.approx(np.radians(160) * RADIUS_MM / 0.5, abs=2)
    assert np.linalg.norm(np.diff(places, axis=0), axis=1) == pytest.approx(0.5, abs=0.01)
    assert not beyond.any()


def test_upper_and_lower_teeth_stand_on_one_slanting_wall() -> None:
    degrees = np.linspace(-85, 85, 14)
    arch = fit_arch(np.concatenate([on_circle(degrees, 10.0, 27.0), on_circle(degrees, -10.0, 23.0)]))
    angles, _ = arch.along(1.0, 0.0)
    for height, radius in ((10.0, 27.0), (0.0, 25.0), (-10.0, 23.0)):
        assert distances(arch.points(angles, height), radius).max() < 0.1
    # No farther than the teeth reach: above them the wall goes straight up.
    assert arch.points(angles, 40.0) == pytest.approx(arch.points(angles, 10.0))


@pytest.mark.parametrize("axes", [(27.0, 42.0), (30.0, 30.0), (26.0, 46.0)])
def test_a_long_or_wide_arch_is_followed_to_its_last_tooth(axes: tuple[float, float]) -> None:
    turn = np.radians(np.linspace(-105, 105, 16))
    ellipse = np.stack([-axes[0] * np.sin(turn), axes[1] * np.cos(turn), np.zeros(16)], axis=1)
    arch = fit_arch(ellipse)
    angles, _ = arch.along(0.25, 0.0)
    curve = arch.points(angles, 0.0)
    nearest = np.linalg.norm(ellipse[:, None, :2] - curve[None], axis=-1).min(axis=1)
    assert nearest.max() < 2.0


@pytest.mark.parametrize("turned", [0.0, 25.0, -40.0])
def test_half_an_arch_of_a_turned_head_is_followed_too(turned: float) -> None:
    teeth = on_circle(np.linspace(5, 85, 8) + turned)
    arch = fit_arch(teeth)
    angles, _ = arch.along(0.25, 0.0)
    nearest = np.linalg.norm(teeth[:, None, :2] - arch.points(angles, 0.0)[None], axis=-1).min(axis=1)
    assert nearest.max() < 0.3


def test_one_tooth_or_a_straight_row_has_a_nearly_straight_arch() -> None:
    for teeth in (np.array([[4.0, 5.0, 6.0]]), np.array([[-9.0, 5, 6], [0, 5, 6], [9, 5, 6]])):
        arch = fit_arch(teeth)
        angles, beyond = arch.along(0.5, 3.0)
        curve = arch.points(angles, 6.0)
        assert np.abs(curve[:, 1] - 5).max() < 9**2 / LARGEST_RADIUS_MM
        assert (np.diff(curve[:, 0]) <= 1e-9).all()
        assert (beyond[0], beyond[-1]) == pytest.approx((-3.0, 3.0), abs=0.5)


def test_without_a_tooth_there_is_no_arch() -> None:
    with pytest.raises(ValueError, match="at least one tooth"):
        fit_arch(np.zeros((0, 3)))


def posts(degrees: tuple[float, ...]) -> tuple[Volume, LabelMap]:
    """Upright posts of 3 mm on the circle, values 1, 2, …, from S −5 to 5 in a block from −12 to 12."""
    grid = Grid((49, 130, 130), np.array([[-0.5, 0, 0, 36], [0, -0.5, 0, 2], [0, 0, 0.5, -12], [0, 0, 0, 1]]))
    world = grid.to_ras(np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1))
    values = np.zeros(grid.shape, np.uint8)
    for value, place in enumerate(on_circle(np.array(degrees)), start=1):
        inside = np.linalg.norm(world[..., :2] - place[:2], axis=-1) < 3
        values[inside & (np.abs(world[..., 2]) < 5.1)] = value
    return Volume((values > 0).astype(np.int16) * 1400, grid), LabelMap(values, grid)


@pytest.mark.parametrize("moved", [False, True])
def test_posts_stand_where_the_length_of_the_arc_says(moved: bool) -> None:
    degrees = (-60.0, -20.0, 0.0, 20.0, 60.0)
    volume, label_map = posts(degrees)
    to_world, points = np.eye(4), on_circle(np.array(degrees))
    if moved:
        # A head turned by 20 degrees, and shifted: the same picture.
        c, s = np.cos(np.radians(20)), np.sin(np.radians(20))
        to_world[:3] = [[c, -s, 0, 7], [s, c, 0, -3], [0, 0, 1, 0]]
        points = points @ to_world[:3, :3].T + to_world[:3, 3]
    arch = fit_arch(points)
    ids = {str(value): value for value in (1, 2, 3, 4, 5, 9)}
    unrolled = panorama(arch, (-5.0, 5.0), volume, [Layer(label_map, ids)], to_world)
    rows, columns = unrolled.grey.shape
    assert rows == pytest.approx((10 + 2 * ABOVE_MM) / PIXEL_MM, abs=1)
    for number, angle in enumerate(degrees, start=1):
        row, column = np.argwhere(unrolled.masks[str(number)]).mean(axis=0)
        # The patient's right is on the left.
        expected = (BESIDE_MM + np.radians(angle - degrees[0]) * RADIUS_MM) / PIXEL_MM
        assert column == pytest.approx(expected, abs=2)
        assert row == pytest.approx(rows / 2, abs=2)
        height = np.ptp(np.nonzero(unrolled.masks[str(number)])[0]) + 1
        assert height == pytest.approx(10.5 / PIXEL_MM, abs=3)
        # A post of 6 mm in a wall of 14 mm, on its axis.
        assert unrolled.grey[round(row), round(column)] == pytest.approx(1400 * 6 / 14, rel=0.05)
    assert not unrolled.masks["9"].any()
    assert columns == pytest.approx((2 * BESIDE_MM + np.radians(120) * RADIUS_MM) / PIXEL_MM, abs=2)
