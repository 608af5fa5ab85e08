"""The tooth instance U-Net and the body it shares: any size, the exported file, and the cheaper order of its layers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from medtrain.export.onnx_export import export_onnx
from medtrain.networks.batch_norm_folding import folded
from medtrain.networks.instance_unet import OUTPUTS, InstanceNet, InstanceUNet
from medtrain.networks.unet_features import WIDTHS, UNetFeatures

Settle = Callable[[nn.Module], nn.Module]
Image = Callable[..., Tensor]

NARROW = (3, 4, 6)


class UsualOrder(nn.Module):
    """The same layers, up-sampled first and narrowed afterwards; for sides that can be halved evenly."""

    def __init__(self, body: UNetFeatures) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        body, skips = self.body, []
        for number, level in enumerate(body.down):
            x = level(functional.max_pool3d(x, 2) if number else x)
            skips.append(x)
        skips.pop()
        for narrow, join in reversed(list(zip(body.narrow, body.join, strict=True))):
            up = narrow(nn.Upsample(scale_factor=2, mode="trilinear")(x))
            x = join(torch.cat([up, skips.pop()], dim=1))
        return x


def test_narrowing_before_up_sampling_gives_what_narrowing_after_it_would(settled: Settle, image: Image) -> None:
    body = settled(UNetFeatures(2, NARROW))
    volume = image(8, 16, 12, channels=2, batch=2)
    expected = UsualOrder(body)(volume)
    assert expected.std() > 0.01
    torch.testing.assert_close(body(volume), expected, rtol=1e-4, atol=1e-5)


def test_the_parameters_are_as_many_as_counted_by_hand() -> None:
    def double(a: int, b: int) -> int:
        return 27 * a * b + 27 * b * b + 2 * 2 * b

    down = double(1, 16) + double(16, 32) + double(32, 64) + double(64, 128) + double(128, 256)
    up = sum(b * a + a + double(2 * a, a) for a, b in ((16, 32), (32, 64), (64, 128), (128, 256)))
    heads = 16 + 1 + 3 * 16 + 3
    with torch.device("meta"):
        net = InstanceUNet()
    assert WIDTHS == (16, 32, 64, 128, 256)
    assert sum(parameter.numel() for parameter in net.parameters()) == down + up + heads


@pytest.mark.parametrize("halved", [False, True])
@pytest.mark.parametrize("sides", [(17, 23, 30), (1, 9, 40), (3, 2, 5)])
def test_any_size_gives_a_foreground_and_three_offsets_of_that_size(
    sides: Any, halved: bool, settled: Settle, image: Image
) -> None:
    seg, offset = settled(InstanceUNet(1, 2, NARROW, halved))(image(*sides, batch=2))
    assert seg.shape == (2, 2, *sides)
    assert offset.shape == (2, 3, *sides)
    assert seg.isfinite().all()
    assert offset.isfinite().all()


@pytest.mark.parametrize("halved", [False, True])
def test_more_image_at_the_far_end_leaves_distant_answers_alone(halved: bool, settled: Settle, image: Image) -> None:
    """What is up-sampled is cut, not resized: growing one far side moves nothing near the origin."""
    net, volume = settled(InstanceUNet(widths=NARROW, halved=halved)), image(96, 8, 8)
    whole, part = net(volume)[1], net(volume[:, :, :89])[1]
    torch.testing.assert_close(part[:, :, :24], whole[:, :, :24], rtol=1e-4, atol=1e-5)


def test_halved_features_have_half_the_sides_rounded_up(settled: Settle, image: Image) -> None:
    assert settled(UNetFeatures(1, NARROW, halved=True))(image(9, 8, 1)).shape == (1, 3, 5, 4, 1)


@pytest.mark.parametrize("halved", [False, True])
def test_the_exported_file_has_the_documents_names_and_the_networks_numbers(
    halved: bool, tmp_path: Path, settled: Settle, image: Image
) -> None:
    net = settled(InstanceNet(InstanceUNet(widths=NARROW, halved=halved)))
    examples = [{"input": image(16, 8, 16)}, {"input": image(13, 17, 22, batch=2)}, {"input": image(1, 3, 9)}]
    assert export_onnx(net, tmp_path / "tooth_offset.onnx", examples, OUTPUTS) < 1e-4
    graph = onnx.load(str(tmp_path / "tooth_offset.onnx")).graph
    assert [tensor.name for tensor in graph.input] == ["input"]
    assert [tensor.name for tensor in graph.output] == ["seg", "offset_z", "offset_y", "offset_x"]


def test_the_exported_answers_are_the_sigmoid_and_the_three_axes_in_turn(settled: Settle, image: Image) -> None:
    net, volume = settled(InstanceUNet(widths=NARROW)), image(8, 8, 8, batch=2)
    logits, offset = net(volume)
    seg, *axes = InstanceNet(net)(volume)
    torch.testing.assert_close(seg, 1 / (1 + torch.exp(-logits)))
    assert [tuple(axis.shape) for axis in axes] == [(2, 8, 8, 8)] * 3
    torch.testing.assert_close(torch.stack(axes, dim=1), offset, rtol=0, atol=0)


def test_its_batch_norms_fold_into_the_convolutions(settled: Settle, image: Image) -> None:
    net, volume = settled(InstanceNet(InstanceUNet(widths=NARROW))), image(9, 8, 11)
    plain = folded(net)
    assert not [module for module in plain.modules() if isinstance(module, nn.BatchNorm3d)]
    for found, expected in zip(plain(volume), net(volume), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
