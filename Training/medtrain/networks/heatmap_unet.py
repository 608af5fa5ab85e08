"""The heatmap U-Net (system L1): one channel per landmark, a Gaussian on each, squashed by tanh.

The seed document 001 trains it ("training, reference 2") by the mean squared error of `tanh(U-Net)` from Gaussians
of height 1 and exports `Sequential(UNet(1, 1), Tanh())` with the names `input` → `centroid`; with one channel its
heatmap has as many peaks as there are teeth. The document does not show that U-Net's layers; these are the usual ones.

Up-sampling is by transposed convolutions of 2×2×2 voxels: unlike trilinear interpolation, they have a gradient that
CUDA computes in a fixed order, so a training with a fixed seed can be repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from .skip_connections import crop_to

OUTPUTS = ("centroid",)
"""The exported file's output."""


@dataclass(frozen=True)
class HeatmapUNetSpec:
    """How wide and deep the network is.

    channels: of the image.
    landmarks: heatmaps; 1 for many peaks in one heatmap.
    widths: channels of each level, full resolution first; each further level halves the sides.
    """

    channels: int = 1
    landmarks: int = 1
    widths: tuple[int, ...] = (16, 32, 64, 128)


def double_conv(channels_in: int, channels_out: int) -> nn.Sequential:
    """Two 3×3×3 convolutions, each with batch norm (which stands for the bias) and ReLU."""
    return nn.Sequential(
        nn.Conv3d(channels_in, channels_out, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm3d(channels_out),
        nn.ReLU(inplace=True),
        nn.Conv3d(channels_out, channels_out, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm3d(channels_out),
        nn.ReLU(inplace=True),
    )


class HeatmapUNet(nn.Module):
    """Heatmaps between −1 and 1 of an image of any size, at its own resolution."""

    def __init__(self, spec: HeatmapUNetSpec = HeatmapUNetSpec()) -> None:
        super().__init__()
        self.spec = spec
        widths = spec.widths
        self.down = nn.ModuleList(double_conv(a, b) for a, b in pairwise((spec.channels, *widths)))
        self.up = nn.ModuleList(nn.ConvTranspose3d(b, a, kernel_size=2, stride=2) for a, b in pairwise(widths))
        self.join = nn.ModuleList(double_conv(2 * a, a) for a in widths[:-1])
        self.pool = nn.MaxPool3d(kernel_size=2, ceil_mode=True)
        self.head = nn.Conv3d(widths[0], spec.landmarks, kernel_size=1)

    def forward(self, image: Tensor) -> Tensor:
        """`[B, channels, k, j, i]` to `[B, landmarks, k, j, i]`."""
        x = self.down[0](image)
        skips = []
        for level in self.down[1:]:
            skips.append(x)
            x = level(self.pool(x))
        for up, join, skip in reversed(list(zip(self.up, self.join, skips, strict=True))):
            x = join(torch.cat((crop_to(up(x), skip), skip), dim=1))
        return torch.tanh(self.head(x))


def heatmap_loss(heatmaps: Tensor, targets: Tensor, known: Tensor | None = None) -> Tensor:
    """The mean squared difference, over all voxels of the heatmaps that count.

    heatmaps, targets: `[B, landmarks, k, j, i]`.
    known: `[B, landmarks]`, true where the landmark's place (or its absence) is known; all where not given. A vertebra
        cut by the edge of the image has a centre that nobody knows, so its heatmap should teach nothing.
    """
    if known is None:
        return functional.mse_loss(heatmaps, targets)
    each = (heatmaps - targets).square().mean(dim=(2, 3, 4))
    return (each * known).sum() / known.sum().clamp(min=1)
