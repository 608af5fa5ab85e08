"""SpatialConfiguration-Net (system L2): where a landmark looks right, times where it can be.

Payer, Štern, Bischof, Urschler, "Integrating spatial configuration into heatmap regression based CNNs for landmark
localization", Med. Image Anal. 54 (2019), arXiv 1908.00748. A U-Net of one width answers with accurate but ambiguous
*local appearance* heatmaps (HLA); its features at an eighth of the resolution go through four 7×7×7 convolutions and
come back as coarse but unambiguous *spatial configuration* heatmaps (HSC). The heatmap is their product.

This is the network of the seed document 001 ("SCN, other implementation 1"), with its parameters' names, so its
checkpoints load strictly. There, the sides must be multiples of 8; here any size will do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from .skip_connections import crop_to

OUTPUTS = ("heatmap", "HLA", "HSC")
"""The exported file's outputs."""

Mode = Literal["add", "concat"]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU, "leaky": nn.LeakyReLU, "prelu": nn.PReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid,
}


@dataclass(frozen=True)
class SCNSpec:
    """The network's shape; the defaults are the document's.

    channels, landmarks: of the image; heatmaps.
    filters: the width of every level.
    factor: how many voxels per side the spatial configuration takes as one.
    dropout: share of whole channels dropped after each convolution, while training.
    mode: how what was up-sampled joins its skip.
    local_activation, spatial_activation: keys of `ACTIVATIONS`; the local heatmaps may stay as they are.
    """

    channels: int
    landmarks: int
    filters: int = 64
    factor: int = 8
    dropout: float = 0.0
    mode: Mode = "add"
    local_activation: str | None = None
    spatial_activation: str = "tanh"

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise ValueError(f"mode {self.mode!r} of the SCN is neither 'add' nor 'concat'")
        for name in filter(None, (self.local_activation, self.spatial_activation)):
            if name not in ACTIVATIONS:
                raise ValueError(f"activation {name!r} of the SCN is not one of {', '.join(ACTIVATIONS)}")


def block(channels_in: int, channels_out: int, dropout: float = 0.0) -> nn.Sequential:
    """Two 3×3×3 convolutions with dropout, batch norm and leaky ReLU."""
    return nn.Sequential(
        nn.Conv3d(channels_in, channels_out, kernel_size=3, padding=1, bias=False),
        nn.Dropout3d(dropout, inplace=True),
        nn.BatchNorm3d(channels_out),
        nn.LeakyReLU(inplace=True),
        nn.Conv3d(channels_out, channels_out, kernel_size=3, padding=1, bias=False),
        nn.Dropout3d(dropout, inplace=True),
        nn.BatchNorm3d(channels_out),
        nn.LeakyReLU(inplace=True),
    )


class MeanPool(nn.Module):
    """Means over `size`³ voxels, rounded up; sides shorter than that too, which `nn.AvgPool3d` refuses."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        # A graph with free axes keeps the whole window, and ONNX cuts it at the border itself.
        # Documented, but neither exported nor annotated.
        traced = torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]
        window = [self.size if traced else min(self.size, side) for side in x.shape[2:]]
        return functional.avg_pool3d(x, window, stride=self.size, ceil_mode=True)


class LocalAppearance(nn.Module):
    """The U-Net of one width: its features, and a heatmap of each landmark made of them."""

    def __init__(self, spec: SCNSpec) -> None:
        super().__init__()
        self.mode = spec.mode
        filters, dropout = spec.filters, spec.dropout
        joined = filters if spec.mode == "add" else 2 * filters
        self.pool = MeanPool(2)
        self.up = nn.Upsample(scale_factor=2, mode="trilinear", align_corners=True)
        self.in_conv = block(spec.channels, filters)
        self.enc1 = block(filters, filters, dropout)
        self.enc2 = block(filters, filters, dropout)
        self.enc3 = block(filters, filters, dropout)
        self.enc4 = block(filters, filters, dropout)
        self.dec3 = block(joined, filters, dropout)
        self.dec2 = block(joined, filters, dropout)
        self.dec1 = block(joined, filters, dropout)
        self.out_conv = nn.Conv3d(filters, spec.landmarks, kernel_size=1, bias=False)
        nn.init.trunc_normal_(self.out_conv.weight, std=1e-4)  # flat heatmaps to begin with

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """`[B, channels, k, j, i]` to features `[B, filters, k, j, i]` and heatmaps `[B, landmarks, k, j, i]`."""
        e1 = self.enc1(self.in_conv(image))
        e2 = self.enc2(self.pool(e1))
        e3 = self.enc3(self.pool(e2))
        e4 = self.enc4(self.pool(e3))
        d3 = self.dec3(self._join(e4, e3))
        d2 = self.dec2(self._join(d3, e2))
        d1 = self.dec1(self._join(d2, e1))
        return d1, self.out_conv(d1)

    def _join(self, low: Tensor, skip: Tensor) -> Tensor:
        up = crop_to(self.up(low), skip)
        return up + skip if self.mode == "add" else torch.cat((up, skip), dim=1)


class SCN(nn.Module):
    """SpatialConfiguration-Net. Answers with the heatmaps and the two factors they are made of."""

    def __init__(self, spec: SCNSpec) -> None:
        super().__init__()
        self.spec = spec
        filters, factor = spec.filters, spec.factor
        self.HLA = LocalAppearance(spec)
        self.down = MeanPool(factor)
        self.up = nn.Upsample(scale_factor=factor, mode="trilinear", align_corners=True)
        self.local_act = ACTIVATIONS[spec.local_activation]() if spec.local_activation else nn.Identity()
        self.HSC = nn.Sequential(
            nn.Conv3d(filters, filters, kernel_size=7, padding=3, bias=False),
            nn.Conv3d(filters, filters, kernel_size=7, padding=3, bias=False),
            nn.Conv3d(filters, filters, kernel_size=7, padding=3, bias=False),
            nn.Conv3d(filters, spec.landmarks, kernel_size=7, padding=3, bias=False),
        )
        self.spatial_act = ACTIVATIONS[spec.spatial_activation]()
        last = self.HSC[-1]
        assert isinstance(last, nn.Conv3d)
        nn.init.trunc_normal_(last.weight, std=1e-4)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`[B, channels, k, j, i]` to heatmaps, HLA and HSC, each `[B, landmarks, k, j, i]`."""
        features, local = self.HLA(image)
        local = self.local_act(local)
        spatial = crop_to(self.up(self.spatial_act(self.HSC(self.down(features)))), local)
        return local * spatial, local, spatial
