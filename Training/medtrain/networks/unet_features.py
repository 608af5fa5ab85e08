"""The body that the tooth U-Nets share: features at full resolution of an image of any size, up-sampled trilinearly.

A 1×1×1 convolution halves the channels *before* they are up-sampled: it commutes with trilinear interpolation, so the
answer is that of the usual order, at an eighth of the voxels, and the convolutions that join see two thirds of the
channels. What is up-sampled has exactly twice the size and is cut to its skip, never resized to fit.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from .heatmap_unet import double_conv
from .skip_connections import crop_to

Block = Callable[[int, int], nn.Module]
"""From channels in and out to what computes one level."""

WIDTHS = (16, 32, 64, 128, 256)


class UNetFeatures(nn.Module):
    """`[B, inputs, k, j, i]` to `[B, widths[0], k, j, i]`, or half the sides, rounded up, where `halved`.

    widths: channels of each level, full resolution first; each further level halves the sides, rounded up.
    block: of each level on the way down and on the way up.
    halved: a strided convolution leads in, so that nothing is computed at full resolution, where a U-Net spends most;
    `Answer` leads out again.
    """

    def __init__(
        self, inputs: int, widths: tuple[int, ...] = WIDTHS, block: Block = double_conv, halved: bool = False
    ) -> None:
        super().__init__()
        self.halved = halved
        self.stem = _strided(inputs, widths[0]) if halved else nn.Identity()
        first = widths[0] if halved else inputs
        self.down = nn.ModuleList(block(a, b) for a, b in pairwise((first, *widths)))
        self.narrow = nn.ModuleList(nn.Conv3d(b, a, kernel_size=1) for a, b in pairwise(widths))
        self.join = nn.ModuleList(block(2 * a, a) for a in widths[:-1])
        self.pool = nn.MaxPool3d(kernel_size=2, ceil_mode=True)

    def forward(self, image: Tensor) -> Tensor:
        x: Tensor = self.down[0](self.stem(image))
        skips = []
        for level in self.down[1:]:
            skips.append(x)
            x = level(self.pool(x))
        for narrow, join, skip in reversed(list(zip(self.narrow, self.join, skips, strict=True))):
            x = functional.interpolate(narrow(x), scale_factor=2, mode="trilinear", align_corners=False)
            x = join(torch.cat((crop_to(x, skip), skip), dim=1))
        return x


def _strided(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(channels_in, channels_out, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm3d(channels_out),
        nn.ReLU(inplace=True),
    )


class Answer(nn.Module):
    """The last layer: features `[B, width, …]` to `[B, outputs, k, j, i]` on the image's grid, also from half of it."""

    def __init__(self, width: int, outputs: int, halved: bool = False) -> None:
        super().__init__()
        self.layer = (nn.ConvTranspose3d if halved else nn.Conv3d)(width, outputs, 1 + halved, stride=1 + halved)

    def forward(self, features: Tensor, image: Tensor) -> Tensor:
        return crop_to(self.layer(features), image)
