"""DSNT: beside dsntnn, beside the plain definition in float64, on Gaussians at known places, and exported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dsntnn
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from medtrain.export.onnx_export import export_onnx
from medtrain.losses.dsnt import (
    DSNT,
    OUTPUTS,
    Convention,
    average_loss,
    coordinates,
    deviation_in_voxels,
    euclidean_losses,
    flat_softmax,
    from_voxels,
    gaussians,
    jensen_shannon_losses,
    moments,
    to_voxels,
)
from medtrain.networks.heatmap_unet import HeatmapUNet, HeatmapUNetSpec

CONVENTIONS: tuple[Convention, ...] = ("centres", "borders")
SHAPE = (9, 14, 11)


def heatmaps(batch: int = 2, landmarks: int = 3, dtype: torch.dtype = torch.float64) -> Tensor:
    logits = 3 * torch.randn(batch, landmarks, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=dtype)
    return flat_softmax(logits)


def points(batch: int = 2, landmarks: int = 3) -> Tensor:
    return torch.rand(batch, landmarks, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64) - 0.5


def plain_moments(probability: np.ndarray, along: list[np.ndarray]) -> tuple[list[float], list[float]]:
    """The definition for one heatmap: whole volumes of coordinates in float64, z, y, x turned into x, y, z."""
    volumes = np.meshgrid(*along, indexing="ij")
    means = [float((probability * volume).sum()) for volume in volumes]
    variances = [
        float((probability * (volume - mean) ** 2).sum()) for volume, mean in zip(volumes, means, strict=True)
    ]
    return means[::-1], variances[::-1]


def test_the_softmax_and_the_means_are_dsntnns() -> None:
    logits = torch.randn(2, 3, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(flat_softmax(logits), dsntnn.flat_softmax(logits))
    torch.testing.assert_close(moments(flat_softmax(logits)).mean, dsntnn.dsnt(dsntnn.flat_softmax(logits)))


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_means_and_variances_are_those_of_the_definition_for_every_heatmap_of_a_batch(convention: Convention) -> None:
    probabilities = heatmaps()
    if convention == "centres":
        along = [(2 * np.arange(n) + 1) / n - 1 for n in SHAPE]
    else:
        along = [np.linspace(-1, 1, n) for n in SHAPE]
    found = moments(probabilities, convention)
    in_single = moments(probabilities.float(), convention)
    for b in range(2):
        for c in range(3):
            mean, variance = plain_moments(probabilities[b, c].numpy(), along)
            np.testing.assert_allclose(found.mean[b, c], mean, atol=1e-12)
            np.testing.assert_allclose(found.variance[b, c], variance, atol=1e-12)
            np.testing.assert_allclose(in_single.mean[b, c], mean, atol=1e-6)
            np.testing.assert_allclose(in_single.variance[b, c], variance, atol=1e-6)


def test_they_are_the_numbers_of_the_documents_dsnt_f() -> None:
    h = heatmaps(batch=1)
    z, y, x = (torch.linspace(-1, 1, n, dtype=h.dtype) for n in SHAPE)
    x_cord, y_cord, z_cord = x.view(1, 1, 1, 1, -1), y.view(1, 1, 1, -1, 1), z.view(1, 1, -1, 1, 1)
    px = (h * x_cord).sum(dim=(2, 3)).sum(dim=-1)
    py = (h * y_cord).sum(dim=(2, 4)).sum(dim=-1)
    pz = (h * z_cord).sum(dim=(3, 4)).sum(dim=-1)
    var_x = (h * ((x_cord - px.view(1, 3, 1, 1, 1)) ** 2)).sum(dim=(2, 3, 4))
    var_y = (h * (y_cord - py.view(1, 3, 1, 1, 1)) ** 2).sum(dim=(2, 3, 4))
    var_z = (h * (z_cord - pz.view(1, 3, 1, 1, 1)) ** 2).sum(dim=(2, 3, 4))
    found = moments(h, "borders")
    torch.testing.assert_close(found.mean, torch.stack((px, py, pz), dim=-1))
    torch.testing.assert_close(found.variance, torch.stack((var_x, var_y, var_z), dim=-1))


@pytest.mark.parametrize("length", [1, 2, 4, 97])
def test_the_coordinates_are_dsntnns_or_the_documents(length: int) -> None:
    torch.testing.assert_close(coordinates(length), dsntnn.normalized_linspace(length, dtype=torch.float32))
    torch.testing.assert_close(coordinates(length, "borders"), torch.linspace(-1, 1, length))


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_gaussian_at_a_known_place_is_found_to_a_thousandth_of_a_voxel(
    convention: Convention, dtype: torch.dtype
) -> None:
    shape, sigma = (40, 48, 36), 1.7
    truth = torch.tensor([[[13.37, 24.81, 17.03], [20.5, 10.25, 25.999]]], dtype=dtype)
    k, j, i = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    drawn = np.stack([
        np.exp(-((k - a) ** 2 + (j - b) ** 2 + (i - c) ** 2) / (2 * sigma**2)) for a, b, c in truth[0].tolist()
    ])
    probabilities = torch.as_tensor(drawn / drawn.sum(axis=(1, 2, 3), keepdims=True), dtype=dtype)[None]
    found = moments(probabilities, convention)
    place = to_voxels(found.mean, shape, convention)
    np.testing.assert_allclose(place, truth, rtol=0, atol=1e-3 if dtype == torch.float32 else 1e-6)
    np.testing.assert_allclose(deviation_in_voxels(found.variance, shape, convention), sigma, rtol=1e-3)
    # Drawn by this module, it is the same Gaussian.
    again = gaussians(from_voxels(truth, shape, convention), shape, sigma, convention)
    np.testing.assert_allclose(again, probabilities, rtol=0, atol=1e-7)


def test_voxels_and_normalised_coordinates_are_dsntnns_and_the_hand_computed() -> None:
    normalised = points()
    expected = dsntnn.normalized_to_pixel_coordinates(normalised, SHAPE).flip(-1)
    torch.testing.assert_close(to_voxels(normalised, SHAPE), expected)
    for convention in CONVENTIONS:
        torch.testing.assert_close(from_voxels(to_voxels(normalised, SHAPE, convention), SHAPE, convention), normalised)
    # The document's eye: column 24 and row 26 of 40, there 0.2250 and 0.3250.
    eye = from_voxels(torch.tensor([0.0, 26.0, 24.0]), (1, 40, 40))
    torch.testing.assert_close(eye, torch.tensor([0.225, 0.325, 0]))
    torch.testing.assert_close(to_voxels(torch.tensor([-1.0, 1, 0]), (5, 4, 3), "borders"), torch.tensor([2.0, 3, 0]))
    torch.testing.assert_close(to_voxels(torch.tensor([-1.0, 1, 0]), (5, 4, 3)), torch.tensor([2, 3.5, -0.5]))


def test_a_single_slice_has_one_place_along_its_axis() -> None:
    probabilities = torch.full((1, 1, 1, 4, 4), 1 / 16)
    for convention in CONVENTIONS:
        found = moments(probabilities, convention)
        torch.testing.assert_close(to_voxels(found.mean, (1, 4, 4), convention), torch.tensor([[[0, 1.5, 1.5]]]))
        assert deviation_in_voxels(found.variance, (1, 4, 4), convention)[0, 0, 0] == 0


def test_gaussians_and_both_losses_are_dsntnns_with_their_gradients() -> None:
    truth, found = points(), points().flip(0).requires_grad_()
    logits = torch.randn(2, 3, *SHAPE, generator=torch.Generator().manual_seed(3), dtype=torch.float64).requires_grad_()
    known = torch.tensor([[True, False, True], [True, True, False]])
    torch.testing.assert_close(gaussians(truth, SHAPE, 1.3), dsntnn.make_gauss(truth, SHAPE, 1.3))

    ours = euclidean_losses(found, truth) + jensen_shannon_losses(flat_softmax(logits), truth, 1.0)
    theirs = dsntnn.euclidean_losses(found, truth) + dsntnn.js_reg_losses(dsntnn.flat_softmax(logits), truth, 1.0)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(average_loss(ours), dsntnn.average_loss(theirs))
    torch.testing.assert_close(average_loss(ours, known), dsntnn.average_loss(theirs, known))
    for mine, its in zip(
        torch.autograd.grad(average_loss(ours, known), (found, logits), retain_graph=True),
        torch.autograd.grad(dsntnn.average_loss(theirs, known), (found, logits)),
        strict=True,
    ):
        torch.testing.assert_close(mine, its)


def test_the_divergence_is_0_for_the_target_and_ln_2_for_a_heatmap_far_from_it() -> None:
    truth = torch.zeros(1, 1, 3)
    target = gaussians(truth, (15, 15, 15), 1.0)
    far = gaussians(torch.full((1, 1, 3), 5.0 / 7), (15, 15, 15), 0.2)
    assert jensen_shannon_losses(target, truth, 1.0).item() == pytest.approx(0, abs=1e-6)
    assert jensen_shannon_losses(far, truth, 1.0).item() == pytest.approx(np.log(2), abs=1e-3)


def test_a_landmark_without_truth_teaches_nothing_and_none_at_all_costs_nothing() -> None:
    losses = torch.tensor([[1.0, float("nan")]], requires_grad=True)
    known = torch.tensor([[True, False]])
    average_loss(losses, known).backward()
    assert losses.grad is not None
    assert losses.grad.tolist() == [[1, 0]]
    assert average_loss(losses, ~known & known).item() == 0


def test_descent_through_the_layer_moves_the_point_to_its_target() -> None:
    logits = torch.zeros(1, 1, 8, 8, 8, requires_grad=True)
    truth = from_voxels(torch.tensor([[[2.3, 5.1, 3.8]]]), (8, 8, 8))
    optimizer = torch.optim.Adam([logits], lr=0.3)
    for _ in range(80):
        mean, _, heatmap = DSNT()(logits)
        loss = average_loss(euclidean_losses(mean, truth) + jensen_shannon_losses(heatmap, truth, 1.0))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    np.testing.assert_allclose(to_voxels(DSNT()(logits)[0], (8, 8, 8)).detach(), [[[2.3, 5.1, 3.8]]], atol=0.2)


def test_an_unknown_convention_is_refused() -> None:
    with pytest.raises(ValueError, match="'corners' is neither 'centres' nor 'borders'"):
        coordinates(4, "corners")  # type: ignore[arg-type]


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_network_that_ends_in_the_layer_is_exported_with_free_axes_and_its_numbers(
    tmp_path: Path,
    convention: Convention,
    settled: Callable[[nn.Module], nn.Module],
    image: Callable[..., Tensor],
) -> None:
    net = nn.Sequential(settled(HeatmapUNet(HeatmapUNetSpec(landmarks=2, widths=(4, 6)))), DSNT(convention))
    examples = [{"input": image(16, 12, 20)}, {"input": image(9, 15, 22, batch=2)}, {"input": image(1, 8, 8)}]
    assert export_onnx(net, tmp_path / "points.onnx", examples, OUTPUTS) < 1e-5
