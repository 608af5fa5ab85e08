"""The second SpatialConfiguration-Net of the seed document 001 (system L3): a U-Net that widens, and a tanh branch.

The local heatmaps come from a U-Net of 32, 64, 128, 256 channels; the spatial ones from its features at a quarter of
the resolution, six 7×7×7 convolutions and a tanh. `TanhSCN` is the document's `UNet` with its `Spacial_Info_Tanh`;
`PooledSCN` is its `SCN_Net`, which weights those heatmaps once more, by four 7×7×7 convolutions of their maxima over
4×4×4 voxels. The parameters keep the document's names (`spacial`, `sccov0`), so its checkpoints load strictly. There
the sides must be multiples of 8; here any size will do.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .double_convolution import DoubleConv, Down
from .skip_connections import crop_to

OUTPUTS = ("heatmap",)
"""The exported file's output, of either network."""

SPATIAL_WIDTH = 64
QUARTER = 4
WIDTHS = (32, 64, 128, 256)


class Up(nn.Module):
    """Twice the resolution, joined with the skip."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.up = nn.Upsample(scale_factor=2, mode="trilinear", align_corners=False)
        self.conv = DoubleConv(channels_in, channels_out, channels_out, nn.LeakyReLU)

    def forward(self, low: Tensor, skip: Tensor) -> Tensor:
        answer: Tensor = self.conv(torch.cat((crop_to(self.up(low), skip), skip), dim=1))
        return answer


class LocalHeads(nn.Module):
    """A 1×1×1 convolution that begins all but flat."""

    def __init__(self, channels_in: int, landmarks: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(channels_in, landmarks, kernel_size=1)
        _begin_flat(self.conv)

    def forward(self, x: Tensor) -> Tensor:
        heatmaps: Tensor = self.conv(x)
        return heatmaps


class TanhSpatialBranch(nn.Module):
    """Six 7×7×7 convolutions at a quarter of the resolution, and a tanh (the document's `Spacial_Info_Tanh`)."""

    def __init__(self, channels_in: int, landmarks: int) -> None:
        super().__init__()
        widths = (channels_in, *[SPATIAL_WIDTH] * 3, *[landmarks] * 3)
        for number in range(1, 7):
            conv = nn.Conv3d(widths[number - 1], widths[number], kernel_size=7, padding=3)
            self.add_module(f"conv{number}", conv)
        _begin_flat(conv)

    def forward(self, features: Tensor) -> Tensor:
        """`[B, channels_in, k, j, i]` to `[B, landmarks, k, j, i]`."""
        sides = features.shape[2:]
        # Rounded up, so that one slice stays one; for multiples of 4, the document's scale_factor=0.25.
        x = functional.interpolate(features, size=[(n + QUARTER - 1) // QUARTER for n in sides], mode="trilinear")
        for conv in self.children():
            x = conv(x)
        return functional.interpolate(torch.tanh(x), size=sides, mode="trilinear")


class TanhSCN(nn.Module):
    """Local heatmaps of a U-Net times spatial ones of its features."""

    def __init__(self, channels: int, landmarks: int, widths: tuple[int, int, int, int] = WIDTHS) -> None:
        super().__init__()
        w0, w1, w2, w3 = widths
        self.conv = DoubleConv(channels, w0 // 2, w0, nn.LeakyReLU)
        self.down1 = Down(w0, w0, w1, nn.LeakyReLU)
        self.down2 = Down(w1, w1, w2, nn.LeakyReLU)
        self.down3 = Down(w2, w2, w3, nn.LeakyReLU)
        self.up1 = Up(w3 + w2, w2)
        self.up2 = Up(w2 + w1, w1)
        self.up3 = Up(w1 + w0, w0)
        self.out = LocalHeads(w0, landmarks)
        self.spacial = TanhSpatialBranch(w0, landmarks)

    def forward(self, image: Tensor) -> Tensor:
        """`[B, channels, k, j, i]` to heatmaps `[B, landmarks, k, j, i]`."""
        x0 = self.conv(image)
        x1 = self.down1(x0)
        x2 = self.down2(x1)
        x = self.up1(self.down3(x2), x2)
        x = self.up2(x, x1)
        x = self.up3(x, x0)
        heatmaps: Tensor = self.out(x) * self.spacial(x)
        return heatmaps


class PooledSCN(nn.Module):
    """`TanhSCN`, its heatmaps weighted once more by where their maxima lie (the document's `SCN_Net`)."""

    def __init__(self, channels: int = 1, landmarks: int = 15, widths: tuple[int, int, int, int] = WIDTHS) -> None:
        super().__init__()
        self.unet = TanhSCN(channels, landmarks, widths)
        self.sccov0 = nn.Conv3d(landmarks, SPATIAL_WIDTH, kernel_size=7, padding=3)
        self.sccov1 = nn.Conv3d(SPATIAL_WIDTH, SPATIAL_WIDTH, kernel_size=7, padding=3)
        self.sccov2 = nn.Conv3d(SPATIAL_WIDTH, SPATIAL_WIDTH, kernel_size=7, padding=3)
        self.sccov3 = nn.Conv3d(SPATIAL_WIDTH, landmarks, kernel_size=7, padding=3)
        self.downsample = nn.MaxPool3d(kernel_size=QUARTER, ceil_mode=True)
        self.upsample = nn.Upsample(scale_factor=QUARTER, mode="trilinear", align_corners=True)

    def forward(self, image: Tensor) -> Tensor:
        """`[B, channels, k, j, i]` to heatmaps `[B, landmarks, k, j, i]`."""
        local = self.unet(image)
        x = self.sccov1(self.sccov0(self.downsample(local)))
        x = self.sccov3(self.sccov2(x))
        heatmaps: Tensor = local * crop_to(self.upsample(x), local)
        return heatmaps


def _begin_flat(conv: nn.Conv3d) -> None:
    nn.init.normal_(conv.weight, std=1e-4)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
