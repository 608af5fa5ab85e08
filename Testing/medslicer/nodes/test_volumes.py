"""Scans as volume nodes: every voxel and every geometry comes back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from medinfer.volume import Grid, Volume
from medslicer.nodes.volumes import BONE_WINDOW, LUNG_WINDOW, add_volume, volume_from_node


def test_voxels_and_geometry_come_back(scene: Any, grid: Grid) -> None:
    voxels = np.random.default_rng(3).integers(-2000, 3000, grid.shape).astype(np.int16)
    read = volume_from_node(add_volume(scene, Volume(voxels, grid, name="CHEST")))
    assert read.name == "CHEST"
    assert np.array_equal(read.voxels, voxels)
    assert np.allclose(read.grid.ijk_to_ras, grid.ijk_to_ras, rtol=0, atol=1e-12)


def test_the_node_does_not_follow_the_array_it_was_made_from(scene: Any, volume: Volume) -> None:
    voxels = volume.voxels.copy()
    node = add_volume(scene, volume.with_voxels(voxels))
    voxels[:] = 0
    assert np.array_equal(volume_from_node(node).voxels, volume.voxels)


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int8", "uint16", "int16", ">i2", "uint32", "int32", "int64", "uint64", "float16",
              "float32", "float64"]
)
def test_every_kind_of_number_is_stored_with_its_value(scene: Any, volume: Volume, dtype: str) -> None:
    voxels = (np.arange(volume.voxels.size).reshape(volume.shape) % 2).astype(dtype)
    node = add_volume(scene, volume.with_voxels(voxels))
    assert np.array_equal(volume_from_node(node).voxels, voxels)


def test_integers_too_large_for_32_bits_are_kept_as_doubles(scene: Any, volume: Volume) -> None:
    voxels = np.full(volume.shape, 2**40, np.int64)
    assert np.array_equal(volume_from_node(add_volume(scene, volume.with_voxels(voxels))).voxels, voxels)


def test_transposed_voxels_are_stored_in_their_own_order(scene: Any, volume: Volume) -> None:
    voxels = np.asfortranarray(volume.voxels)
    assert np.array_equal(volume_from_node(add_volume(scene, volume.with_voxels(voxels))).voxels, volume.voxels)


def test_ct_is_shown_in_the_lung_window_or_in_the_one_asked_for(scene: Any, volume: Volume) -> None:
    display = add_volume(scene, volume).GetDisplayNode()
    assert (display.GetWindow(), display.GetLevel()) == LUNG_WINDOW
    display = add_volume(scene, volume, BONE_WINDOW).GetDisplayNode()
    assert (display.GetWindow(), display.GetLevel()) == BONE_WINDOW
