"""The second SpatialConfiguration-Net and its pooled variant: the document's numbers, any size, the exported file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from medtrain.export.onnx_export import export_onnx
from medtrain.networks.tanh_scn import OUTPUTS, PooledSCN, TanhSCN

Settle = Callable[[nn.Module], nn.Module]
Image = Callable[..., Tensor]

NARROW = (4, 6, 8, 10)


def parameters(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def document_double_conv(channels_in: int, between: int, channels_out: int) -> nn.Module:
    holder = nn.Module()
    holder.doubleConv = nn.Sequential(
        nn.Conv3d(channels_in, between, kernel_size=3, padding=1), nn.BatchNorm3d(between), nn.LeakyReLU(inplace=True),
        nn.Conv3d(between, channels_out, kernel_size=3, padding=1), nn.BatchNorm3d(channels_out),
        nn.LeakyReLU(inplace=True),
    )
    return holder


class DocumentTanhSCN(nn.Module):
    """The document's `UNet` with `Spacial_Info_Tanh`, its forward written out in one place."""

    def __init__(self, channels: int, landmarks: int, widths: tuple[int, int, int, int]) -> None:
        super().__init__()
        w0, w1, w2, w3 = widths
        self.conv = document_double_conv(channels, w0 // 2, w0)
        for name, low, high in (("down1", w0, w1), ("down2", w1, w2), ("down3", w2, w3)):
            down = nn.Module()
            down.maxpool_conv = nn.ModuleList([nn.MaxPool3d(2), document_double_conv(low, low, high)])
            self.add_module(name, down)
        for name, both, out in (("up1", w3 + w2, w2), ("up2", w2 + w1, w1), ("up3", w1 + w0, w0)):
            up = nn.Module()
            up.conv = document_double_conv(both, out, out)
            self.add_module(name, up)
        self.out = nn.Module()
        self.out.conv = nn.Conv3d(w0, landmarks, kernel_size=1)
        self.spacial = nn.Module()
        for number, (a, b) in enumerate(
            ((w0, 64), (64, 64), (64, 64), (64, landmarks), (landmarks, landmarks), (landmarks, landmarks)), start=1
        ):
            self.spacial.add_module(f"conv{number}", nn.Conv3d(a, b, kernel_size=7, padding=3))

    def forward(self, x: Tensor) -> Tensor:
        twice = nn.Upsample(scale_factor=2.0, mode="trilinear")
        skips = [self.conv.doubleConv(x)]
        for down in (self.down1, self.down2, self.down3):
            pool, double = down.maxpool_conv
            skips.append(double.doubleConv(pool(skips[-1])))
        x = skips.pop()
        for up in (self.up1, self.up2, self.up3):
            x = up.conv.doubleConv(torch.cat([twice(x), skips.pop()], dim=1))
        local = self.out.conv(x)
        size = x.shape[2:]
        x = nn.Upsample(scale_factor=0.25, mode="trilinear")(x)
        for number in range(1, 7):
            x = getattr(self.spacial, f"conv{number}")(x)
        return local * nn.Upsample(size, mode="trilinear")(torch.tanh(x))


class DocumentPooledSCN(nn.Module):
    """The document's `SCN_Net`."""

    def __init__(self, landmarks: int, widths: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.unet = DocumentTanhSCN(1, landmarks, widths)
        for number, (a, b) in enumerate(((landmarks, 64), (64, 64), (64, 64), (64, landmarks))):
            self.add_module(f"sccov{number}", nn.Conv3d(a, b, kernel_size=[7, 7, 7], padding=3))

    def forward(self, x: Tensor) -> Tensor:
        local = self.unet(x)
        spatial = nn.MaxPool3d(kernel_size=4)(local)
        for conv in (self.sccov0, self.sccov1, self.sccov2, self.sccov3):
            spatial = conv(spatial)
        return nn.Upsample(scale_factor=4, mode="trilinear", align_corners=True)(spatial) * local


def test_the_second_scn_loads_the_documents_state_dict_and_gives_its_numbers(settled: Settle, image: Image) -> None:
    theirs = settled(DocumentTanhSCN(1, 3, NARROW))
    ours = TanhSCN(1, 3, NARROW).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    volume = image(16, 24, 8, batch=2)
    expected = theirs(volume)
    assert expected.abs().max() > 0.01
    torch.testing.assert_close(ours(volume), expected, rtol=0, atol=0)


def test_its_pooled_variant_does_too(settled: Settle, image: Image) -> None:
    theirs = settled(DocumentPooledSCN(2, NARROW))
    ours = PooledSCN(1, 2, NARROW).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    volume = image(8, 16, 24)
    expected = theirs(volume)
    assert expected.abs().max() > 0.01
    torch.testing.assert_close(ours(volume), expected, rtol=0, atol=0)


def test_the_second_scns_parameters_are_as_many_as_counted_by_hand() -> None:
    def double(a: int, b: int, c: int) -> int:
        return 27 * a * b + b + 2 * b + 27 * b * c + c + 2 * c

    n = 15
    unet = (
        double(1, 16, 32) + double(32, 32, 64) + double(64, 64, 128) + double(128, 128, 256)
        + double(384, 128, 128) + double(192, 64, 64) + double(96, 32, 32) + 32 * n + n
    )
    branch = 343 * (32 * 64 + 2 * 64 * 64 + 64 * n + 2 * n * n) + 3 * 64 + 3 * n
    assert parameters(TanhSCN(1, n)) == unet + branch == 8_078_698
    assert parameters(PooledSCN()) == unet + branch + 343 * (2 * 64 * n + 2 * 64 * 64) + 3 * 64 + n


@pytest.mark.parametrize("sides", [(17, 23, 30), (1, 9, 40), (3, 2, 5)])
def test_the_second_scn_takes_any_size(sides: Any, settled: Settle, image: Image) -> None:
    for net in (TanhSCN(1, 2, NARROW), PooledSCN(1, 2, NARROW)):
        heatmap = settled(net)(image(*sides))
        assert heatmap.shape == (1, 2, *sides)
        assert heatmap.isfinite().all()


@pytest.mark.parametrize("kind", [TanhSCN, PooledSCN])
def test_the_exported_second_scn_has_free_axes_and_the_networks_numbers(
    tmp_path: Path, kind: type[nn.Module], settled: Settle, image: Image
) -> None:
    net = settled(kind(1, 2, NARROW))
    examples = [{"input": image(16, 24, 16)}, {"input": image(24, 16, 32, batch=2)}, {"input": image(13, 17, 22)},
                {"input": image(1, 3, 9)}]
    assert export_onnx(net, tmp_path / "second.onnx", examples, OUTPUTS) < 1e-5
