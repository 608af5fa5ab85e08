"""Reordering and flipping axes never moves a voxel in the world."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from medinfer.orientation import reorient
from medinfer.volume import Grid, Volume

ALL_48 = [
    "".join(("RL", "AP", "SI")[axis][sign] for axis, sign in zip(axes, signs, strict=True))
    for axes in permutations(range(3))
    for signs in product((0, 1), repeat=3)
]


def oblique_volume() -> Volume:
    angle = 0.4
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ np.diag([-0.7, -0.8, 2.5])
    matrix[:3, 3] = [12, -34, 56]
    voxels = np.arange(3 * 4 * 5, dtype=np.int16).reshape(3, 4, 5)
    return Volume(voxels, Grid((3, 4, 5), matrix))


@pytest.mark.parametrize("orientation", ALL_48)
def test_every_voxel_keeps_its_place_and_axes_point_where_asked(orientation: str) -> None:
    volume = oblique_volume()
    turned = reorient(volume, orientation)
    for index in np.ndindex(turned.shape):
        place = turned.grid.to_ras(index)
        k, j, i = np.rint(volume.grid.to_index(place)).astype(int)
        np.testing.assert_allclose(volume.grid.to_ras((k, j, i)), place, atol=1e-9)
        assert turned.voxels[index] == volume.voxels[k, j, i]
    for letter, direction in zip(orientation, turned.grid.directions.T, strict=True):
        axis, sign = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}[letter]
        assert np.argmax(np.abs(direction)) == axis
        assert np.sign(direction[axis]) == sign


def test_there_and_back_is_the_same_volume() -> None:
    volume = oblique_volume()
    back = reorient(reorient(volume, "SAR"), "LPS")
    np.testing.assert_array_equal(back.voxels, volume.voxels)
    np.testing.assert_allclose(back.grid.ijk_to_ras, volume.grid.ijk_to_ras, atol=1e-9)


def test_only_a_view_is_made() -> None:
    volume = oblique_volume()
    assert np.shares_memory(reorient(volume, "SAR").voxels, volume.voxels)


def test_an_axis_at_45_degrees_still_gets_one_letter_each() -> None:
    half = np.sqrt(0.5)
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([[half, -half, 0], [half, half, 0], [0, 0, 1]])
    turned = reorient(Volume(np.zeros((2, 3, 4)), Grid((2, 3, 4), matrix)), "LPS")
    assert abs(np.linalg.det(turned.grid.directions)) == pytest.approx(1)
