"""The network of the bundled landmark packages: a U-Net that answers on half its input's grid.

The stem halves the grid at once, so that what costs most in a U-Net, the layers at full resolution, is not there; a
heatmap's maximum is found to a fraction of a voxel all the same. Any input size works. The bottleneck is dilated: at
4 mm voxels an answer sees more than half a metre.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .skip_connections import crop_to

STRIDE = 2
"""Input voxels an output voxel; output voxel o lies at 2 o + ½ of the input."""


@dataclass(frozen=True)
class LandmarkNetSpec:
    """inputs, landmarks: channels in and out. widths: channels at each resolution, the finest first.
    dilations: of the convolutions at the coarsest one."""

    inputs: int = 1
    landmarks: int = 25
    widths: tuple[int, ...] = (24, 40, 72, 112)
    dilations: tuple[int, ...] = (1, 2, 4)


# At 4 mm, one heatmap a vertebra; and at 2 mm, the one vertebra in the middle of a patch.
COARSE = LandmarkNetSpec()
FINE = LandmarkNetSpec(inputs=2, landmarks=1, widths=(16, 32, 48, 64), dilations=(1, 2))


class LandmarkNet(nn.Module):
    """`[b, inputs, k, j, i]` to logits `[b, landmarks, ⌈k/2⌉, ⌈j/2⌉, ⌈i/2⌉]`; their sigmoid is the heatmap."""

    def __init__(self, spec: LandmarkNetSpec = COARSE) -> None:
        super().__init__()
        self.spec = spec
        first, *deeper = spec.widths
        self.stem = nn.Sequential(_convolution(spec.inputs, first, stride=2), _convolution(first, first))
        self.down = nn.ModuleList()
        for above, width in zip(spec.widths, deeper, strict=False):
            dilations = spec.dilations if width is deeper[-1] else (1, 1)
            channels = [above, *[width] * len(dilations)]
            self.down.append(nn.Sequential(*[
                _convolution(a, b, dilation=d) for a, b, d in zip(channels, channels[1:], dilations, strict=False)
            ]))
        self.up = nn.ModuleList(
            _convolution(below + width, width)
            for below, width in zip(spec.widths[:0:-1], spec.widths[-2::-1], strict=True)
        )
        self.output = nn.Conv3d(first, spec.landmarks, 1)
        # Landmarks are rare: start from "nowhere", as focal loss's authors do.
        assert self.output.bias is not None
        nn.init.constant_(self.output.bias, -6.0)

    def forward(self, image: Tensor) -> Tensor:
        levels = [self.stem(image)]
        for down in self.down:
            levels.append(down(F.max_pool3d(levels[-1], 2, ceil_mode=True)))
        below = levels.pop()
        for up in self.up:
            beside = levels.pop()
            # Twice as large and cut, not resized to fit: on an odd size that would move what it carries.
            below = crop_to(F.interpolate(below, scale_factor=2, mode="trilinear", align_corners=False), beside)
            below = up(torch.cat([below, beside], dim=1))
        logits: Tensor = self.output(below)
        return logits


def _convolution(inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, 3, stride, padding=dilation, dilation=dilation, bias=False),
        nn.BatchNorm3d(outputs),
        nn.ReLU(inplace=True),
    )


class HeatmapNet(nn.Module):
    """What is exported: the sigmoid of a LandmarkNet; `image` and, where it has two inputs, `point`."""

    def __init__(self, net: LandmarkNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, *inputs: Tensor) -> Tensor:
        return torch.sigmoid(self.net(torch.cat(inputs, dim=1)))
