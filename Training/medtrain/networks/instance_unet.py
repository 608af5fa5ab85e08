"""The tooth instance U-Net (system T2): where teeth are, and from each voxel the way to its tooth's centroid.

The seed document 001 (`InstanceUNet(1, 1)`, `tooth_offset.onnx`) shows what comes out, a foreground and three offsets,
and not the layers. Here both answers come from one encoder and one decoder, each through a last layer of its own: a
second decoder would cost half as much again, most of it at full resolution, and both answers need the same thing, the
outline of each tooth. The offsets are plain voxels, as the document's loss compares them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .unet_features import WIDTHS, Answer, UNetFeatures

OUTPUTS = ("seg", "offset_z", "offset_y", "offset_x")
"""The exported file's outputs."""


class InstanceUNet(nn.Module):
    """`[B, inputs, k, j, i]` to foreground logits `[B, outputs, k, j, i]` and offsets `[B, 3, k, j, i]`.

    The offsets are voxels along k, j, i from each voxel to its object's centroid; outside of objects they mean nothing.
    """

    def __init__(
        self, inputs: int = 1, outputs: int = 1, widths: tuple[int, ...] = WIDTHS, halved: bool = False
    ) -> None:
        super().__init__()
        self.features = UNetFeatures(inputs, widths, halved=halved)
        self.seg = Answer(widths[0], outputs, halved)
        self.offset = Answer(widths[0], 3, halved)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x = self.features(image)
        return self.seg(x, image), self.offset(x, image)


class InstanceNet(nn.Module):
    """What is exported: the sigmoid of the foreground `[B, outputs, k, j, i]`, and each offset as `[B, k, j, i]`."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        seg, offset = self.net(image)
        return torch.sigmoid(seg), offset[:, 0], offset[:, 1], offset[:, 2]
