"""Concurrent spatial and channel squeeze and excitation (Roy, Navab, Wachinger, MICCAI 2018), 2-D and 3-D (system N8).

    sSE(x) = x · σ(w · x)                each voxel by a gate that a 1×1 convolution reads from its channels
    cSE(x) = x · σ(W₂ W₁ mean(x))        each channel by a gate read from the means of all of them
    scSE(x) = sSE(x) + cSE(x)

These are the seed document 001's: half as many channels in the squeeze, no biases, no ReLU between W₁ and W₂ (the
paper has one), and the sum of both. The parameters keep its names (`conv_squeeze`), so the blocks of its checkpoints
load. The means of cSE are those of the image as given: a network with it answers differently on another crop.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Dimensions = Literal[2, 3]


def _convolution(dimensions: Dimensions) -> type[nn.Conv2d] | type[nn.Conv3d]:
    return nn.Conv2d if dimensions == 2 else nn.Conv3d


class SpatialSE(nn.Module):
    """sSE: `[B, channels, (k,) j, i]` to the same shape."""

    def __init__(self, channels: int, dimensions: Dimensions = 3) -> None:
        super().__init__()
        self.conv1x1 = _convolution(dimensions)(channels, 1, kernel_size=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.conv1x1(x))


class ChannelSE(nn.Module):
    """cSE: `[B, channels, (k,) j, i]` to the same shape."""

    def __init__(self, channels: int, dimensions: Dimensions = 3) -> None:
        super().__init__()
        convolution, squeezed = _convolution(dimensions), max(1, channels // 2)
        self.pool = nn.AdaptiveAvgPool2d(1) if dimensions == 2 else nn.AdaptiveAvgPool3d(1)
        self.conv_squeeze = convolution(channels, squeezed, kernel_size=1, bias=False)
        self.conv_excitation = convolution(squeezed, channels, kernel_size=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.conv_excitation(self.conv_squeeze(self.pool(x))))


class SpatialChannelSE(nn.Module):
    """scSE: `[B, channels, (k,) j, i]` to the same shape."""

    def __init__(self, channels: int, dimensions: Dimensions = 3) -> None:
        super().__init__()
        self.sSE = SpatialSE(channels, dimensions)
        self.cSE = ChannelSE(channels, dimensions)

    def forward(self, x: Tensor) -> Tensor:
        both: Tensor = self.sSE(x) + self.cSE(x)
        return both
