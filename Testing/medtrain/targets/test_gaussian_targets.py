"""Gaussian heatmaps against the formula, voxel by voxel, in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medtrain.targets.gaussian_targets import gaussian_heatmaps

SHAPE = (7, 9, 8)
POINTS = torch.tensor([[3.0, 4.0, 5.0], [0.3, 7.9, 2.2], [math.nan, math.nan, math.nan], [-1.5, 4.0, 9.0]])


def by_the_formula(point: list[float], shape: tuple[int, int, int], sigma: float) -> np.ndarray:
    heatmap = np.zeros(shape)
    if any(math.isnan(v) for v in point):
        return heatmap
    for voxel in np.ndindex(shape):
        squared = sum((a - b) ** 2 for a, b in zip(voxel, point, strict=True))
        heatmap[voxel] = math.exp(-squared / (2 * sigma**2))
    return heatmap


def test_every_voxel_is_the_formula_to_float32() -> None:
    expected = np.stack([by_the_formula(point, SHAPE, 1.7) for point in POINTS.tolist()])
    found = gaussian_heatmaps(POINTS, SHAPE, 1.7)
    assert found.shape == (4, *SHAPE)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-7)


def test_points_in_float64_give_the_formula_to_1e_14() -> None:
    expected = np.stack([by_the_formula(point, SHAPE, 1.7) for point in POINTS.double().tolist()])
    found = gaussian_heatmaps(POINTS.double(), SHAPE, 1.7, dtype=torch.float64)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-13, atol=1e-15)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.floats(-2, 9), min_size=3, max_size=3), st.floats(0.5, 6),
    st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6)),
)
def test_any_point_in_any_shape(point: list[float], sigma: float, shape: tuple[int, int, int]) -> None:
    found = gaussian_heatmaps(torch.tensor([point], dtype=torch.float64), shape, sigma, dtype=torch.float64)
    np.testing.assert_allclose(found[0].numpy(), by_the_formula(point, shape, sigma), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_landmark_on_a_voxel_centre_is_exactly_one_there_and_an_absent_one_nothing(dtype: torch.dtype) -> None:
    found = gaussian_heatmaps(POINTS, SHAPE, 2.0, dtype=dtype)
    assert found.dtype == dtype
    assert found[0, 3, 4, 5] == 1
    assert found[0].argmax() == np.ravel_multi_index((3, 4, 5), SHAPE)
    assert not found[2].any()


def test_bfloat16_is_within_its_two_digits() -> None:
    exact = gaussian_heatmaps(POINTS, SHAPE, 2.0)
    found = gaussian_heatmaps(POINTS, SHAPE, 2.0, dtype=torch.bfloat16)
    # Three roundings and two products at 8 bits each.
    torch.testing.assert_close(found.float(), exact, rtol=5 * 2**-9, atol=1e-6)


def test_a_batch_and_a_sigma_of_its_own_for_each_landmark() -> None:
    points = torch.stack([POINTS, POINTS.flip(0)])
    sigmas = torch.tensor([1.0, 1.5, 2.0, 3.0])
    found = gaussian_heatmaps(points, SHAPE, sigmas)
    assert found.shape == (2, 4, *SHAPE)
    for batch in range(2):
        for landmark in range(4):
            expected = by_the_formula(points[batch, landmark].tolist(), SHAPE, float(sigmas[landmark]))
            np.testing.assert_allclose(found[batch, landmark].numpy(), expected, rtol=1e-5, atol=1e-7)


def test_sigma_can_be_learnt_beside_an_absent_landmark() -> None:
    sigmas = torch.tensor([1.0, 1.5, 2.0, 3.0], dtype=torch.float64, requires_grad=True)
    gaussian_heatmaps(POINTS.double(), SHAPE, sigmas, dtype=torch.float64).sum().backward()
    step = 1e-6
    for landmark, point in enumerate(POINTS.double().tolist()):
        sigma = sigmas[landmark].item()
        rise = by_the_formula(point, SHAPE, sigma + step).sum() - by_the_formula(point, SHAPE, sigma - step).sum()
        assert float(sigmas.grad[landmark]) == pytest.approx(rise / (2 * step), rel=1e-6, abs=1e-9)


def test_points_that_are_not_three_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"points must be \[..., 3\]"):
        gaussian_heatmaps(torch.zeros(4, 2), SHAPE, 1.0)
