"""SpatialConfiguration-Net: the document's numbers on the document's sizes, any other size, the exported file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from medtrain.export.onnx_export import export_onnx
from medtrain.networks.batch_norm_folding import folded
from medtrain.networks.scn import OUTPUTS, SCN, Mode, SCNSpec

Settle = Callable[[nn.Module], nn.Module]
Image = Callable[..., Tensor]


def parameters(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


class DocumentSCN(nn.Module):
    """The seed document's SCN, word for word but for the names of its arguments."""

    def __init__(self, channels: int, landmarks: int, filters: int, factor: int, mode: str) -> None:
        super().__init__()
        self.HLA = DocumentLocalAppearance(channels, landmarks, filters, mode)
        self.down = nn.AvgPool3d(factor, factor, ceil_mode=True)
        self.up = nn.Upsample(scale_factor=factor, mode="trilinear", align_corners=True)
        widths = (filters, filters, filters, filters, landmarks)
        self.HSC = nn.Sequential(*(nn.Conv3d(widths[n], widths[n + 1], 7, 1, 3, bias=False) for n in range(4)))
        self.spatial_act = nn.Tanh()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        d1, local = self.HLA(x)
        spatial = self.up(self.spatial_act(self.HSC(self.down(d1))))
        return local * spatial, local, spatial


class DocumentLocalAppearance(nn.Module):
    def __init__(self, channels: int, landmarks: int, filters: int, mode: str) -> None:
        super().__init__()
        self.mode = mode
        self.pool = nn.AvgPool3d(2, 2, ceil_mode=True)
        self.up = nn.Upsample(scale_factor=2, mode="trilinear", align_corners=True)
        self.in_conv = self.block(channels, filters)
        for name in ("enc1", "enc2", "enc3", "enc4"):
            self.add_module(name, self.block(filters, filters))
        for name in ("dec3", "dec2", "dec1"):
            self.add_module(name, self.block(filters if mode == "add" else 2 * filters, filters))
        self.out_conv = nn.Conv3d(filters, landmarks, 1, bias=False)

    @staticmethod
    def block(channels_in: int, channels_out: int) -> nn.Sequential:
        halves = [
            (nn.Conv3d(channels, channels_out, 3, 1, 1, bias=False), nn.Dropout3d(0, True),
             nn.BatchNorm3d(channels_out), nn.LeakyReLU(inplace=True))
            for channels in (channels_in, channels_out)
        ]
        return nn.Sequential(*halves[0], *halves[1])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        e1 = self.enc1(self.in_conv(x))
        e2 = self.enc2(self.pool(e1))
        e3 = self.enc3(self.pool(e2))
        e4 = self.enc4(self.pool(e3))
        if self.mode == "add":
            d3 = self.dec3(self.up(e4) + e3)
            d2 = self.dec2(self.up(d3) + e2)
            d1 = self.dec1(self.up(d2) + e1)
        else:
            d3 = self.dec3(torch.cat([self.up(e4), e3], dim=1))
            d2 = self.dec2(torch.cat([self.up(d3), e2], dim=1))
            d1 = self.dec1(torch.cat([self.up(d2), e1], dim=1))
        return d1, self.out_conv(d1)


@pytest.mark.parametrize("mode", ["add", "concat"])
def test_the_documents_state_dict_loads_strictly_and_gives_the_documents_numbers(
    mode: Mode, settled: Settle, image: Image
) -> None:
    theirs = settled(DocumentSCN(2, 3, filters=4, factor=8, mode=mode))
    ours = SCN(SCNSpec(2, 3, filters=4, mode=mode)).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    volume = image(16, 24, 32, batch=2, channels=2)
    for found, expected in zip(ours(volume), theirs(volume), strict=True):
        assert expected.abs().max() > 1e-3
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize(("mode", "count"), [("add", 6_449_856), ("concat", 6_781_632)])
def test_the_documents_26_landmarks_make_the_number_of_parameters_counted_by_hand(mode: Mode, count: int) -> None:
    f, n = 64, 26
    pair = 27 * f * f  # a 3×3×3 convolution from f to f channels
    decoder_inputs = 1 if mode == "add" else 2
    by_hand = (
        (27 * f + pair + 4 * f)  # in_conv and its two batch norms
        + 4 * (2 * pair + 4 * f)  # enc1 … enc4
        + 3 * (decoder_inputs * pair + pair + 4 * f)  # dec3 … dec1
        + f * n  # out_conv
        + 343 * (3 * f * f + f * n)  # HSC
    )
    assert parameters(SCN(SCNSpec(1, n, mode=mode))) == by_hand == count


@pytest.mark.parametrize("mode", ["add", "concat"])
@pytest.mark.parametrize("sides", [(17, 23, 30), (1, 9, 40), (3, 3, 3)])
def test_any_size_gives_heatmaps_of_that_size_and_the_product_of_the_two(
    mode: Mode, sides: Any, settled: Settle, image: Image
) -> None:
    net = settled(SCN(SCNSpec(1, 2, filters=4, mode=mode)))
    heatmap, local, spatial = net(image(*sides))
    assert heatmap.shape == local.shape == spatial.shape == (1, 2, *sides)
    torch.testing.assert_close(heatmap, local * spatial)
    assert heatmap.isfinite().all()


def test_a_factor_other_than_8_and_an_activation_of_the_local_heatmaps(settled: Settle, image: Image) -> None:
    net = settled(SCN(SCNSpec(1, 2, filters=4, factor=5, local_activation="sigmoid", spatial_activation="sigmoid")))
    heatmap, local, spatial = net(image(16, 18, 21))
    assert heatmap.shape == (1, 2, 16, 18, 21)
    assert 0 < local.min() < local.max() < 1
    assert 0 < spatial.min() < spatial.max() < 1


def test_an_unknown_mode_or_activation_is_refused() -> None:
    with pytest.raises(ValueError, match="'multiply' of the SCN is neither 'add' nor 'concat'"):
        SCNSpec(1, 2, mode="multiply")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'swish' of the SCN is not one of relu, leaky"):
        SCNSpec(1, 2, spatial_activation="swish")


def test_the_heatmaps_of_a_new_network_are_all_but_flat_and_it_learns(image: Image) -> None:
    torch.manual_seed(0)
    net = SCN(SCNSpec(1, 2, filters=4, dropout=0.1)).train()
    heatmap, local, spatial = net(image(16, 16, 16))
    assert local.abs().max() < 0.01
    assert spatial.abs().max() < 0.01
    (heatmap.square().mean() + (local - 1).square().mean() + (spatial - 1).square().mean()).backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in net.parameters())


@pytest.mark.parametrize("mode", ["add", "concat"])
def test_the_exported_scn_has_free_axes_and_the_networks_numbers(
    tmp_path: Path, mode: Mode, settled: Settle, image: Image
) -> None:
    net = settled(SCN(SCNSpec(1, 3, filters=4, mode=mode)))
    examples = [{"input": image(16, 24, 16)}, {"input": image(24, 8, 32, batch=2)}, {"input": image(13, 17, 22)},
                {"input": image(1, 3, 9)}]
    assert export_onnx(net, tmp_path / "scn.onnx", examples, OUTPUTS) < 1e-6


def test_folding_the_batch_norms_changes_no_number_and_leaves_none(settled: Settle, image: Image) -> None:
    net = settled(SCN(SCNSpec(1, 3, filters=4, dropout=0.2)))
    plain = folded(net)
    assert not any(isinstance(module, nn.BatchNorm3d | nn.Dropout3d) for module in plain.modules())
    assert any(isinstance(module, nn.BatchNorm3d) for module in net.modules())
    for found, expected in zip(plain(image(16, 17, 18)), net(image(16, 17, 18)), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
