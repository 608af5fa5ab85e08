"""DeepLung's 3-D dual-path detector (`dpn3d26` of github.com/wentaozhu/DeepLung, Apache-2.0). It needs torch.

A block adds a part of its answer to what came in, as a residual network does, and appends the rest, as a dense one
does. The names and shapes are those of the published checkpoint, which loads strictly; `linear` is in it and is never
used.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from .anchor_net import upsampling

# Of the four layers on the way down: channels that are added up, as many as inside their blocks.
_WIDTHS = (24, 48, 72, 96)
# Blocks of each layer, and channels that each block appends.
_BLOCKS, _DENSE = 2, 8
_GROUPS, _STEM, _HEAD, _COORDINATES = 8, 24, 64, 3
# Of the two layers on the way up.
_UP = (128, 224)


class DualPathBlock(nn.Module):
    """[B, c, z, y, x] to [B, added + appended, …]: two 1×1×1 convolutions around a grouped 3×3×3 one.

    first: of its layer, whose shortcut is a convolution, with the layer's stride.
    """

    def __init__(self, channels: int, inside: int, added: int, stride: int, *, first: bool) -> None:
        super().__init__()
        self._added = added
        given = added + _DENSE
        self.conv1 = nn.Conv3d(channels, inside, kernel_size=1, bias=False)
        self.bn1 = nn.BatchNorm3d(inside)
        self.conv2 = nn.Conv3d(inside, inside, kernel_size=3, stride=stride, padding=1, groups=_GROUPS, bias=False)
        self.bn2 = nn.BatchNorm3d(inside)
        self.conv3 = nn.Conv3d(inside, given, kernel_size=1, bias=False)
        self.bn3 = nn.BatchNorm3d(given)
        self.shortcut = nn.Sequential()
        if first:
            self.shortcut = nn.Sequential(
                nn.Conv3d(channels, given, kernel_size=1, stride=stride, bias=False), nn.BatchNorm3d(given)
            )

    def forward(self, x: Tensor) -> Tensor:
        new = relu(self.bn2(self.conv2(relu(self.bn1(self.conv1(x))))))
        new, old, many = self.bn3(self.conv3(new)), self.shortcut(x), self._added
        return relu(torch.cat([old[:, :many] + new[:, :many], old[:, many:], new[:, many:]], 1))


def _layer(channels: int, width: int, stride: int) -> nn.Sequential:
    inner = [channels, width + 2 * _DENSE]
    return nn.Sequential(*(
        DualPathBlock(inner[n], width, width, stride if n == 0 else 1, first=n == 0) for n in range(_BLOCKS)
    ))


def _given(width: int) -> int:
    """Channels behind a layer."""
    return width + (_BLOCKS + 1) * _DENSE


class DualPathNet(nn.Module):
    """image [B, 1, z, y, x] and coordinates [B, 3, z/4, y/4, x/4] to [B, z/4, y/4, x/4, anchors, 5], as `AnchorNet`."""

    def __init__(self, anchors: int = 3) -> None:
        super().__init__()
        self._anchors = anchors
        self.conv1 = nn.Conv3d(1, _STEM, kernel_size=3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm3d(_STEM)
        w1, w2, w3, w4 = _WIDTHS
        self.layer1 = _layer(_STEM, w1, 2)
        self.layer2 = _layer(_given(w1), w2, 2)
        self.layer3 = _layer(_given(w2), w3, 2)
        self.layer4 = _layer(_given(w3), w4, 2)
        self.layer5 = _layer(_given(w4) + _given(w3), _UP[0], 1)
        self.layer6 = _layer(_given(_UP[0]) + _given(w2) + _COORDINATES, _UP[1], 1)
        self.linear = nn.Linear(_given(w4), 2)
        self.path1 = upsampling(_given(w4))
        self.path2 = upsampling(_given(_UP[0]))
        self.output = nn.Sequential(
            nn.Conv3d(_given(_UP[1]), _HEAD, kernel_size=1), nn.ReLU(), nn.Conv3d(_HEAD, 5 * anchors, kernel_size=1)
        )

    def forward(self, image: Tensor, coordinates: Tensor) -> Tensor:
        level2 = self.layer2(self.layer1(relu(self.bn1(self.conv1(image)))))
        level3 = self.layer3(level2)
        back3 = self.layer5(torch.cat((level3, self.path1(self.layer4(level3))), 1))
        back2 = self.layer6(torch.cat((level2, self.path2(back3), coordinates), 1))
        answers: Tensor = self.output(back2).permute(0, 2, 3, 4, 1)
        parted: Tensor = answers.unflatten(-1, (self._anchors, 5))
        return parted
