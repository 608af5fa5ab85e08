"""The mandibular canal's U-Net (system T5): a 3-D U-Net with an scSE block after every double convolution.

The seed document 001 exports its `UNet(1, 1, True)` and a sigmoid as `MandibleCanalSeg_v2.onnx`, `input` → `seg`,
traced on [1, 1, 96, 144, 128]; here any size will do. The document does not show where in its U-Net the scSE blocks
stand; after each block is where the method's authors put them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .heatmap_unet import double_conv
from .scse import SpatialChannelSE
from .unet_features import WIDTHS, Answer, UNetFeatures

OUTPUTS = ("seg",)
"""The exported file's output."""

SHAPE = (96, 144, 128)
"""Voxels along k, j, i that the document's file was traced with."""


def excited_double_conv(channels_in: int, channels_out: int) -> nn.Sequential:
    """Two 3×3×3 convolutions with batch norm and ReLU, then scSE."""
    return nn.Sequential(double_conv(channels_in, channels_out), SpatialChannelSE(channels_out))


class ScseUnet(nn.Module):
    """`[B, inputs, k, j, i]` to logits `[B, outputs, k, j, i]`; without `scse` a plain U-Net."""

    def __init__(
        self, inputs: int = 1, outputs: int = 1, scse: bool = True, widths: tuple[int, ...] = WIDTHS,
        halved: bool = False,
    ) -> None:
        super().__init__()
        self.features = UNetFeatures(inputs, widths, excited_double_conv if scse else double_conv, halved)
        self.head = Answer(widths[0], outputs, halved)

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(image), image)
        return logits


class SegmentationNet(nn.Module):
    """What is exported: the sigmoid of a network's logits."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> Tensor:
        return torch.sigmoid(self.net(image))
