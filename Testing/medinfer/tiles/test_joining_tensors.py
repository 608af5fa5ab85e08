"""Tiles cut, joined and decided as tensors of torch: the numbers of arrays, within the memory that is stated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from held_tensors import DEVICE, HeldTensors

from medinfer.arrays import on_host
from medinfer.tiles.highest import labels_of
from medinfer.tiles.joining import TensorBlendJoiner, open_joiner
from medinfer.tiles.tiling import TilePlan, cut_tile, plan_blend, plan_crop, plan_slabs

PLANS = [
    plan_blend((40, 24, 56), patch=16, overlap=0.5),
    plan_blend((61, 20, 17), patch=(16, 8, 12), overlap=0.25, weights="nnunet"),
    plan_blend((20, 33, 47), patch=(16, 12, 20), overlap=0.7, stride=4, weights="constant"),
    plan_blend((30, 30, 31), patch=12, overlap=0.4, spread="last"),
    plan_blend((7, 9, 5), patch=12),
    plan_crop((40, 33, 27), patch=16, margin=4, stride=2),
    plan_crop((21, 22, 23), patch=16, margin=4, border="padded", fit=False),
    plan_slabs((13, 30, 21), window=8, position=4),
]


def joined(plan: TilePlan, results: list[np.ndarray], device: Any) -> list[tuple[Any, np.ndarray]]:
    """What the joiner hands on, copied; device: None for arrays."""
    joiner, parts = open_joiner(plan, device), []
    for tile, result in zip(plan.tiles, results, strict=True):
        for part in joiner.add(tile, result if device is None else torch.from_numpy(result).to(device)):
            assert torch.is_tensor(part.values) == (device is not None)
            parts.append((part.start, np.array(on_host(part.values))))
    return parts


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: f"{plan.join}{plan.volume_shape}")
def test_tensors_are_joined_to_the_same_numbers(plan: TilePlan) -> None:
    rng = np.random.default_rng(0)
    size = [3, *(n // s for n, s in zip(plan.patch, plan.stride, strict=True))]
    results = [rng.normal(size=size).astype(np.float32) for _ in plan.tiles]
    expected, found = joined(plan, results, None), joined(plan, results, DEVICE)
    assert len(plan.tiles) > 1 or plan.volume_shape == (7, 9, 5)
    assert [start for start, _ in found] == [start for start, _ in expected]
    for (_, here), (_, there) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(here, there)


@pytest.mark.parametrize("pad", [{"pad_value": 1.5}, {"pad_mode": "edge"}, {"pad_mode": "reflect"}])
@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: f"{plan.join}{plan.volume_shape}")
def test_a_tile_is_cut_alike(plan: TilePlan, pad: dict[str, Any]) -> None:
    voxels = np.random.default_rng(0).normal(size=plan.volume_shape).astype(np.float32)
    for tile in (plan.tiles[0], plan.tiles[len(plan.tiles) // 2], plan.tiles[-1]):
        here = cut_tile(torch.from_numpy(voxels).to(DEVICE), tile, **pad)
        np.testing.assert_array_equal(on_host(here), cut_tile(voxels, tile, **pad))


@pytest.mark.parametrize("channels", [1, 2, 5, 300])
def test_labels_are_the_first_of_the_highest(channels: int) -> None:
    values = np.random.default_rng(0).integers(0, 4, (channels, 9, 13, 14)).astype(np.float32)
    found = labels_of(torch.from_numpy(values).to(DEVICE))
    assert found.dtype == (torch.uint8 if channels <= 256 else torch.int16)
    np.testing.assert_array_equal(on_host(found), values.argmax(axis=0))


@pytest.mark.parametrize("length", [40, 120])
def test_the_device_holds_what_is_stated_however_long_the_scan_is(length: int) -> None:
    channels, patch, overlap, plane = 6, 16, 4, 52
    plan = plan_blend((length, plane, plane), patch=patch, overlap=overlap / patch)
    open_blocks = overlap * plane * plane + patch * overlap * plane + patch**3
    stated = 4 * (channels + 1) * open_blocks + 4 * channels * patch**3
    joiner, result = TensorBlendJoiner(plan, DEVICE), torch.ones(channels, patch, patch, patch, device=DEVICE)
    with HeldTensors() as held:
        for tile in plan.tiles:
            joiner.add(tile, result)
    assert stated / 4 < held.most < 1.5 * stated
