"""The hip U-Net: the document's numbers, its exported graph counted by hand, and a network read back from it."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import Tensor, nn

from medtrain.export.onnx_export import export_onnx, free_axes, write_onnx
from medtrain.networks.hip_unet import CHANNELS, OUTPUTS, HipUNet, read_hip_unet

Settle = Callable[[nn.Module], nn.Module]
Image = Callable[..., Tensor]

NARROW = (3, 4, 5, 6, 7, 8)
COMPUTING = {"Conv": 19, "ConvTranspose": 4, "Relu": 19, "MaxPool": 4}
"""By hand: two convolutions in each of 9 blocks and one at the end, each with its ReLU; 4 steps down, 4 up."""
JOINS = 4
CROPPING = {"Shape", "Gather", "Unsqueeze", "Slice", "Constant", "Concat", "Cast", "Identity"}
"""Nodes that only cut what was up-sampled to its skip's size; `Concat` joins, too."""


def document_double(channels_in: int, between: int, channels_out: int) -> nn.Module:
    holder = nn.Module()
    holder.doubleConv = nn.Sequential(
        nn.Conv3d(channels_in, between, 3, padding=1), nn.BatchNorm3d(between), nn.ReLU(inplace=True),
        nn.Conv3d(between, channels_out, 3, padding=1), nn.BatchNorm3d(channels_out), nn.ReLU(inplace=True),
    )
    return holder


class DocumentUNet(nn.Module):
    """The document's `UNet_3D`, its forward written out in one place."""

    def __init__(self, channels: int, classes: int, ch: tuple[int, ...]) -> None:
        super().__init__()
        self.encoder_1 = document_double(channels, ch[0], ch[1])
        for number, name in enumerate(("encoder_2", "encoder_3", "encoder_4", "buttom"), start=1):
            down = nn.Module()
            down.maxpool_conv = nn.ModuleList(
                [nn.MaxPool3d(2), document_double(ch[number], ch[number + 1], ch[number + 1])]
            )
            self.add_module(name, down)
        for number in (4, 3, 2, 1):
            up = nn.Module()
            up.trans_conv = nn.ConvTranspose3d(
                ch[number + 1], ch[number], kernel_size=2, stride=2, dilation=2, padding=1, output_padding=1
            )
            up.double_conv = document_double(2 * ch[number], ch[number], ch[number])
            self.add_module(f"decoder_{number}", up)
        self.output = nn.Module()
        self.output.conv = nn.Conv3d(ch[1], classes, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        skips = [self.encoder_1.doubleConv(x)]
        for down in (self.encoder_2, self.encoder_3, self.encoder_4, self.buttom):
            pool, double = down.maxpool_conv
            skips.append(double.doubleConv(pool(skips[-1])))
        x = skips.pop()
        for up in (self.decoder_4, self.decoder_3, self.decoder_2, self.decoder_1):
            x = up.double_conv.doubleConv(torch.cat([skips.pop(), up.trans_conv(x)], dim=1))
        return torch.relu(self.output.conv(x))


def parameters(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def weights_of(path: Path) -> int:
    """Numbers in the weights and biases of a graph's layers: the shapes that its crops carry are no parameters."""
    graph = onnx.load(str(path)).graph
    sizes = {tensor.name: math.prod(tensor.dims) for tensor in graph.initializer}
    layers = [node for node in graph.node if node.op_type in ("Conv", "ConvTranspose", "BatchNormalization")]
    return sum(sizes[name] for node in layers for name in node.input[1:])


def nodes_of(path: Path) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(str(path)).graph.node)


def computing(counted: Counter[str]) -> dict[str, int]:
    return {kind: number for kind, number in counted.items() if kind not in CROPPING}


def convolutions_by_hand() -> int:
    def double(a: int, b: int, c: int) -> int:
        return 27 * a * b + b + 27 * b * c + c

    return (
        double(1, 32, 32) + double(32, 64, 64) + double(64, 128, 128) + double(128, 256, 256) + double(256, 512, 512)
        + (8 * 512 * 256 + 256) + double(512, 256, 256) + (8 * 256 * 128 + 128) + double(256, 128, 128)
        + (8 * 128 * 64 + 64) + double(128, 64, 64) + (8 * 64 * 32 + 32) + double(64, 32, 32) + (32 + 1)
    )


NORMED = 2 * (32 + 64 + 128 + 256 + 512 + 256 + 128 + 64 + 32)
"""Channels that pass through a batch norm, all in all."""


def test_the_documents_state_dict_loads_strictly_and_gives_the_documents_numbers(settled: Settle, image: Image) -> None:
    theirs = settled(DocumentUNet(1, 2, NARROW))
    ours = HipUNet(1, 2, NARROW).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    volume = image(16, 32, 48, batch=2)
    expected = theirs(volume)
    assert expected.max() > 0.1
    torch.testing.assert_close(ours(volume), expected, rtol=0, atol=0)


def test_the_module_has_as_many_parameters_as_counted_by_hand() -> None:
    with torch.device("meta"):
        ours, theirs = HipUNet(), DocumentUNet(1, 1, CHANNELS)
    assert parameters(ours) == convolutions_by_hand() + 2 * NORMED == 22_581_217
    assert parameters(theirs) == parameters(ours)


def test_the_exported_graph_has_the_nodes_and_parameters_counted_by_hand(tmp_path: Path) -> None:
    net, path, example = HipUNet().eval(), tmp_path / "hip.onnx", {"input": torch.zeros(1, 1, 16, 16, 16)}
    write_onnx(net, path, example, OUTPUTS, free_axes(net, example, OUTPUTS))
    assert computing(nodes_of(path)) == COMPUTING
    # Each batch norm is folded into the bias its convolution has anyway.
    assert weights_of(path) == convolutions_by_hand() == parameters(net) - 2 * NORMED


def test_it_is_the_graph_of_the_documents_network_and_crops(tmp_path: Path, settled: Settle) -> None:
    example = {"input": torch.zeros(1, 1, 16, 16, 16)}
    for name, net in (("ours", HipUNet(1, 1, NARROW)), ("theirs", DocumentUNet(1, 1, NARROW))):
        write_onnx(settled(net), tmp_path / name, example, OUTPUTS, free_axes(net, example, OUTPUTS))
    ours, theirs = nodes_of(tmp_path / "ours"), nodes_of(tmp_path / "theirs")
    assert theirs == COMPUTING | {"Concat": JOINS}
    assert computing(ours) == computing(theirs)
    assert ours["Concat"] >= JOINS
    assert weights_of(tmp_path / "ours") == weights_of(tmp_path / "theirs")


def test_with_its_batch_norms_kept_the_graph_has_every_parameter_of_the_module(tmp_path: Path, settled: Settle) -> None:
    net, path = settled(HipUNet(1, 1, NARROW)), tmp_path / "hip.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing; of folding, which this is about
        torch.onnx.export(
            net, (torch.zeros(1, 1, 16, 16, 16),), str(path), training=torch.onnx.TrainingMode.PRESERVE, dynamo=False
        )
    counted = nodes_of(path)
    modules = Counter(type(module) for module in net.modules())
    assert counted["Conv"] == modules[nn.Conv3d] == 19
    assert counted["ConvTranspose"] == modules[nn.ConvTranspose3d] == 4
    assert counted["BatchNormalization"] == modules[nn.BatchNorm3d] == 18
    assert counted["MaxPool"] == modules[nn.MaxPool3d] == 4
    assert counted["Relu"] == modules[nn.ReLU] == 19
    statistics = sum(
        module.running_mean.numel() + module.running_var.numel()
        for module in net.modules() if isinstance(module, nn.BatchNorm3d)
    )
    assert weights_of(path) == parameters(net) + statistics


def test_the_up_sampling_writes_odd_indices_only() -> None:
    """As the module's docstring says: weight 0 of voxel n lands on 2n − 1, weight 1 on 2n + 1."""
    up = HipUNet(widths=NARROW).decoder_1.trans_conv
    nn.init.ones_(up.weight)
    nn.init.zeros_(up.bias)
    point = torch.zeros(1, 5, 6, 6, 6)
    point[0, 0, 2, 3, 4] = 1
    with torch.inference_mode():
        out = up(point)
    assert out.shape[2:] == (12, 12, 12)
    lit = {tuple(index) for index in out[0, 0].nonzero().tolist()}
    assert lit == {(k, j, i) for k in (3, 5) for j in (5, 7) for i in (7, 9)}


@pytest.mark.parametrize("sides", [(17, 23, 30), (1, 9, 40), (3, 2, 5)])
def test_any_size_gives_an_answer_of_that_size(sides: Any, settled: Settle, image: Image) -> None:
    answer = settled(HipUNet(1, 2, NARROW))(image(*sides))
    assert answer.shape == (1, 2, *sides)
    assert answer.min() >= 0
    assert answer.isfinite().all()


def test_the_exported_file_has_free_depth_height_and_width_and_the_networks_numbers(
    tmp_path: Path, settled: Settle, image: Image
) -> None:
    net = settled(HipUNet(1, 2, NARROW))
    examples = [{"input": image(16, 32, 16)}, {"input": image(48, 16, 32, batch=2)}, {"input": image(21, 35, 18)}]
    assert export_onnx(net, tmp_path / "hip.onnx", examples, OUTPUTS) < 1e-4
    graph = onnx.load(str(tmp_path / "hip.onnx")).graph
    assert (graph.input[0].name, graph.output[0].name) == ("input", "output")
    for tensor in (graph.input[0], graph.output[0]):
        names = [axis.dim_param for axis in tensor.type.tensor_type.shape.dim]
        assert (names[0], *names[2:]) == ("batch", "k", "j", "i")


def test_a_network_read_back_from_its_graph_has_its_widths_and_its_numbers(
    tmp_path: Path, settled: Settle, image: Image
) -> None:
    net = settled(HipUNet(2, 3, NARROW))
    volume = image(16, 32, 21, channels=2)
    export_onnx(net, tmp_path / "hip.onnx", [{"input": volume}], OUTPUTS)
    again = read_hip_unet(tmp_path / "hip.onnx")
    assert [tuple(p.shape) for p in again.parameters()] == [tuple(p.shape) for p in net.parameters()]
    with torch.inference_mode():
        torch.testing.assert_close(again(volume), net(volume), rtol=1e-4, atol=1e-4)


def test_the_graph_of_another_network_is_refused(tmp_path: Path, image: Image) -> None:
    export_onnx(nn.Conv3d(1, 2, 3), tmp_path / "other.onnx", [{"input": image(8, 8, 8)}], OUTPUTS)
    with pytest.raises(ValueError, match=r"other\.onnx has 1 convolutions, and this U-Net has 23"):
        read_hip_unet(tmp_path / "other.onnx")
