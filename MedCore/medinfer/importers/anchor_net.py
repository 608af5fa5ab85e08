"""The 3-D residual U-Net nodule detector of grt123 (system D1), in any width and depth.

A voxel grid goes in, a coarser grid of anchor answers comes out: for each cell of stride 4 and each
anchor the five numbers `[logit, dz, dy, dx, log d]`. With `GRT123` the module's names and shapes are
those of the published checkpoint (`model/detector.ckpt` of github.com/lfz/DSB2017, MIT), which loads
strictly, and so does the residual network of DeepLung, whose layers are the same. It needs torch.

The layers follow the seed document 004 and `net_detector.py` of DSB2017. The max-unpooling layers of
that file have no parameters and are never called, so they are left out here.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

STRIDE = 4
"""Voxels of the input a cell of the output stands for, along each axis."""

MULTIPLE = 16
"""The input's sides must be multiples of this: four poolings by 2."""


@dataclass(frozen=True)
class AnchorNetSpec:
    """How wide and deep the network is; the defaults are grt123's.

    stem: channels of the two convolutions at full resolution.
    widths, depths: channels and residual blocks of `forw1` … `forw4`, at strides 2, 4, 8, 16.
    back_widths, back_depths: the same for `back3` (stride 8) and `back2` (stride 4).
    head: channels between the two 1×1×1 convolutions of the output.
    anchors: how many anchors answer in each cell.
    """

    stem: int = 24
    widths: tuple[int, int, int, int] = (32, 64, 64, 64)
    depths: tuple[int, int, int, int] = (2, 2, 3, 3)
    back_widths: tuple[int, int] = (64, 128)
    back_depths: tuple[int, int] = (3, 3)
    head: int = 64
    anchors: int = 3


GRT123 = AnchorNetSpec()
"""The published network: 284 tensors, 5,383,623 parameters."""


class ResidualBlock(nn.Module):
    """Two 3×3×3 convolutions with batch norm beside a shortcut (grt123's `PostRes`).

    The shortcut is the identity, or a 1×1×1 convolution where the channels change.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels_in, channels_out, kernel_size=3, padding=1)
        self.bn1 = nn.BatchNorm3d(channels_out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv3d(channels_out, channels_out, kernel_size=3, padding=1)
        self.bn2 = nn.BatchNorm3d(channels_out)
        self.shortcut: nn.Module | None = None
        if channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv3d(channels_in, channels_out, kernel_size=1), nn.BatchNorm3d(channels_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        """`[B, channels_in, z, y, x]` to `[B, channels_out, z, y, x]`."""
        residual = x if self.shortcut is None else self.shortcut(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        answer: Tensor = self.relu(out + residual)
        return answer


def _blocks(channels_in: int, channels_out: int, count: int) -> nn.Sequential:
    widths = [channels_in] + [channels_out] * count
    return nn.Sequential(*(ResidualBlock(a, b) for a, b in pairwise(widths)))


def upsampling(channels: int) -> nn.Sequential:
    """Twice the sides, by a transposed convolution."""
    return nn.Sequential(
        nn.ConvTranspose3d(channels, channels, kernel_size=2, stride=2),
        nn.BatchNorm3d(channels),
        nn.ReLU(inplace=True),
    )


class AnchorNet(nn.Module):
    """The detector: four levels down, two up, the cell's place in the scan joined before the last.

    Its submodules keep grt123's names, so that the published state dict loads strictly.
    """

    def __init__(self, spec: AnchorNetSpec = GRT123) -> None:
        super().__init__()
        self.spec = spec
        stem, (w1, w2, w3, w4), (b3, b2) = spec.stem, spec.widths, spec.back_widths
        self.preBlock = nn.Sequential(
            nn.Conv3d(1, stem, kernel_size=3, padding=1),
            nn.BatchNorm3d(stem),
            nn.ReLU(inplace=True),
            nn.Conv3d(stem, stem, kernel_size=3, padding=1),
            nn.BatchNorm3d(stem),
            nn.ReLU(inplace=True),
        )
        self.forw1 = _blocks(stem, w1, spec.depths[0])
        self.forw2 = _blocks(w1, w2, spec.depths[1])
        self.forw3 = _blocks(w2, w3, spec.depths[2])
        self.forw4 = _blocks(w3, w4, spec.depths[3])
        self.back2 = _blocks(b3 + w2 + 3, b2, spec.back_depths[1])
        self.back3 = _blocks(w4 + w3, b3, spec.back_depths[0])
        self.path1 = upsampling(w4)
        self.path2 = upsampling(b3)
        self.pool = nn.MaxPool3d(kernel_size=2, stride=2)
        self.drop = nn.Dropout3d(p=0.2)
        self.output = nn.Sequential(
            nn.Conv3d(b2, spec.head, kernel_size=1), nn.ReLU(), nn.Conv3d(spec.head, 5 * spec.anchors, kernel_size=1)
        )

    def forward(self, image: Tensor, coordinates: Tensor) -> Tensor:
        """Answers of every anchor.

        image: `[B, 1, z, y, x]`, each side a multiple of 16, voxels of 1 mm, `(lum − 128) / 128`.
        coordinates: `[B, 3, z/4, y/4, x/4]`, the cells' z, y, x in the scan, −0.5 … 0.5.
        Returns `[B, z/4, y/4, x/4, anchors, 5]`: logit, then dz, dy, dx in units of the anchor, then log(d / anchor).
        """
        level2 = self.forw2(self.pool(self.forw1(self.pool(self.preBlock(image)))))
        level3 = self.forw3(self.pool(level2))
        level4 = self.forw4(self.pool(level3))
        back3 = self.back3(torch.cat((self.path1(level4), level3), 1))
        back2 = self.back2(torch.cat((self.path2(back3), level2, coordinates), 1))
        out: Tensor = self.output(self.drop(back2)).permute(0, 2, 3, 4, 1)
        answers: Tensor = out.unflatten(-1, (self.spec.anchors, 5))
        return answers
