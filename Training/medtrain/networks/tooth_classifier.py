"""The tooth classifier (system T3): a patch around a tooth's centroid to the tooth's number.

The seed document 001 (`tooth_cls.onnx`, `cropped_img` → `output`) shows the patches and the 32 classes, and not the
layers. Of what lies outside of one another's receptive field, convolutions and a global average cannot tell which is
on the left and which on the right: an average forgets places. So the features are averaged over a coarse layout of
cells instead, 4×4×4 for a patch of any size, and each cell has weights of its own.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from ..datasets.tooth_names import PERMANENT

OUTPUTS = ("output",)
"""The exported file's output."""


class ToothClassifier(nn.Module):
    """Patches `[B, inputs, k, j, i]` of any size to logits `[B, classes]`.

    inputs: 2 where a Gaussian on the patch's middle voxel tells which tooth is meant.
    classes: the document's 32 are `tooth_names.PERMANENT`, in order; `tooth_names.FDI` are all 52.
    widths: channels of each level, full resolution first; each further level halves the sides, rounded up.
    dilations: of the convolutions of the last level. layout: cells along each axis of the patch.
    halved: the first convolution is strided, so that nothing is computed at full resolution.
    """

    def __init__(
        self, inputs: int = 1, classes: int = len(PERMANENT), widths: tuple[int, ...] = (16, 32, 64, 96),
        dilations: tuple[int, ...] = (1, 2), layout: int = 4, dropout: float = 0.2, halved: bool = False,
    ) -> None:
        super().__init__()
        levels: list[nn.Module] = []
        for number, (a, b) in enumerate(pairwise((inputs, *widths))):
            if number:
                levels.append(nn.MaxPool3d(kernel_size=2, ceil_mode=True))
            stride = 2 if halved and not number else 1
            levels.append(_level(a, b, dilations if number == len(widths) - 1 else (1, 1), stride))
        self.features = nn.Sequential(*levels)
        self.layout = layout
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(widths[-1] * layout**3, classes))

    def forward(self, patch: Tensor) -> Tensor:
        logits: Tensor = self.head(cell_means(self.features(patch), self.layout).flatten(1))
        return logits


def _level(channels_in: int, channels_out: int, dilations: tuple[int, ...], stride: int = 1) -> nn.Sequential:
    """3×3×3 convolutions, the first with `stride`, each with batch norm (which stands for the bias) and ReLU."""
    layers: list[nn.Module] = []
    for dilation in dilations:
        layers += [
            nn.Conv3d(channels_in, channels_out, 3, stride, padding=dilation, dilation=dilation, bias=False),
            nn.BatchNorm3d(channels_out),
            nn.ReLU(inplace=True),
        ]
        channels_in, stride = channels_out, 1
    return nn.Sequential(*layers)


def cell_means(x: Tensor, cells: int) -> Tensor:
    """Means of `x` `[B, C, k, j, i]` over cells³ blocks, `[B, C, cells, cells, cells]`.

    The same as `adaptive_avg_pool3d`, which ONNX only knows for sides that are fixed and multiples of `cells`; as
    products with three small matrices it exports with free axes.
    """
    k, j, i = (_averaging(x.shape[axis], cells, x) for axis in (2, 3, 4))
    x = j @ (x @ i.T)
    means: Tensor = (k @ x.flatten(3)).unflatten(3, (cells, cells))
    return means


def _averaging(size: int, cells: int, like: Tensor) -> Tensor:
    """`[cells, size]`: row c averages voxels ⌊c · size / cells⌋ … ⌈(c + 1) · size / cells⌉ − 1."""
    cell = torch.arange(cells, device=like.device)[:, None]
    voxel = torch.arange(size, device=like.device)[None]
    # With whole numbers: c · size / cells ≥ v + 1 would be past the start, (c + 1) · size / cells ≤ v past the end.
    inside = ((voxel + 1) * cells > cell * size) & (voxel * cells < (cell + 1) * size)
    weights = inside.to(like.dtype)
    return weights / weights.sum(dim=1, keepdim=True)


class ToothClassNet(nn.Module):
    """What is exported: probabilities `[B, classes]`; takes `cropped_img` and, with two inputs, `point`."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, *inputs: Tensor) -> Tensor:
        return torch.softmax(self.net(torch.cat(inputs, dim=1)), dim=1)
