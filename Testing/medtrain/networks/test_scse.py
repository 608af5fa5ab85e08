"""Squeeze and excitation against plain numpy, the document's own modules, and MONAI's channel gate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medtrain.networks.scse import ChannelSE, SpatialChannelSE, SpatialSE

Settle = Callable[[nn.Module], nn.Module]
Image = Callable[..., Tensor]

SIDES = {2: (5, 7), 3: (3, 5, 4)}


def gate(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-x))


def naive_spatial(x: NDArray[np.float64], w: NDArray[np.float64]) -> NDArray[np.float64]:
    """Voxel by voxel."""
    out = np.empty_like(x)
    for b in range(len(x)):
        for place in np.ndindex(x.shape[2:]):
            channels = x[(b, slice(None), *place)]
            out[(b, slice(None), *place)] = channels * gate(sum(a * c for a, c in zip(w, channels, strict=True)))
    return out


def naive_channel(
    x: NDArray[np.float64], squeeze: NDArray[np.float64], excitation: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Image by image."""
    out = np.empty_like(x)
    for b, item in enumerate(x):
        gates = gate(excitation @ (squeeze @ np.array([channel.mean() for channel in item])))
        for c, channel in enumerate(item):
            out[b, c] = channel * gates[c]
    return out


def weights(conv: nn.Module) -> NDArray[np.float64]:
    """`[out, in]` of a 1×1 convolution."""
    assert isinstance(conv.weight, Tensor)
    return conv.weight.detach().numpy().astype(float).reshape(conv.weight.shape[:2])


@pytest.mark.parametrize("dimensions", [2, 3])
def test_each_gate_is_the_naive_one_and_scse_is_their_sum(dimensions: int, settled: Settle, image: Image) -> None:
    both = settled(SpatialChannelSE(6, dimensions))
    x = image(*SIDES[dimensions], batch=2, channels=6)
    volume = x.numpy().astype(float)
    spatial = naive_spatial(volume, weights(both.sSE.conv1x1)[0])
    channel = naive_channel(volume, weights(both.cSE.conv_squeeze), weights(both.cSE.conv_excitation))
    assert np.abs(spatial - channel).max() > 0.01
    np.testing.assert_allclose(both.sSE(x).numpy(), spatial, atol=1e-6)
    np.testing.assert_allclose(both.cSE(x).numpy(), channel, atol=1e-6)
    np.testing.assert_allclose(both(x).numpy(), spatial + channel, atol=1e-6)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_with_no_biases_and_no_relu_monais_channel_gate_is_the_same(
    dimensions: int, settled: Settle, image: Image
) -> None:
    from monai.networks.blocks import ChannelSELayer

    ours = settled(ChannelSE(8, dimensions))
    theirs = ChannelSELayer(
        spatial_dims=dimensions, in_channels=8, r=2, acti_type_1=("leakyrelu", {"negative_slope": 1.0})
    )
    linear = [module for module in theirs.modules() if isinstance(module, nn.Linear)]
    for layer, conv in zip(linear, (ours.conv_squeeze, ours.conv_excitation), strict=True):
        layer.weight.data.copy_(conv.weight.flatten(1))
        nn.init.zeros_(layer.bias)
    x = image(*SIDES[dimensions], batch=3, channels=8)
    torch.testing.assert_close(ours(x), theirs(x).detach())


class DocumentSpatial(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1x1 = nn.Conv3d(channels, 1, 1, bias=False)

    def forward(self, u: Tensor) -> Tensor:
        return u * nn.Sigmoid()(self.conv1x1(u))


class DocumentChannel(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_squeeze = nn.Conv3d(channels, channels // 2, 1, bias=False)
        self.conv_excitation = nn.Conv3d(channels // 2, channels, 1, bias=False)

    def forward(self, u: Tensor) -> Tensor:
        z = nn.AdaptiveAvgPool3d(1)(u)
        return u * nn.Sigmoid()(self.conv_excitation(self.conv_squeeze(z))).expand_as(u)


class DocumentBoth(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.sSE = DocumentSpatial(channels)
        self.cSE = DocumentChannel(channels)

    def forward(self, u: Tensor) -> Tensor:
        return self.sSE(u) + self.cSE(u)


def test_the_documents_state_dict_loads_strictly_and_gives_the_documents_numbers(settled: Settle, image: Image) -> None:
    theirs = settled(DocumentBoth(7))
    ours = SpatialChannelSE(7).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = image(4, 3, 5, batch=2, channels=7)
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=0)


def test_one_channel_still_has_a_squeeze(image: Image) -> None:
    assert ChannelSE(1)(image(3, 3, 3)).shape == (1, 1, 3, 3, 3)
    assert SpatialSE(1, 2)(image(3, 3)).shape == (1, 1, 3, 3)
