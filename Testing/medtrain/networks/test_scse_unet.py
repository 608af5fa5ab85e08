"""The canal's scSE U-Net: where its gates stand, any size, the exported file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import Tensor, nn

from medtrain.export.onnx_export import export_onnx
from medtrain.networks.scse import SpatialChannelSE
from medtrain.networks.scse_unet import OUTPUTS, SHAPE, ScseUnet, SegmentationNet

Settle = Callable[[nn.Module], nn.Module]
Image = Callable[..., Tensor]

NARROW = (4, 6, 8)


def parameters(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def test_every_double_convolution_is_followed_by_both_gates() -> None:
    net = ScseUnet(widths=NARROW)
    blocks = [module for module in net.modules() if isinstance(module, SpatialChannelSE)]
    assert len(blocks) == 3 + 2
    # One weight a channel for sSE, two products with half as many channels for cSE.
    gates = sum(c + 2 * c * (c // 2) for c in (4, 6, 8, 6, 4))
    assert parameters(net) - parameters(ScseUnet(scse=False, widths=NARROW)) == gates


def test_open_gates_leave_the_plain_unet(settled: Settle, image: Image) -> None:
    """Weights of 0 make every gate ½, and ½ x + ½ x is x."""
    gated, plain = settled(ScseUnet(widths=NARROW)), ScseUnet(scse=False, widths=NARROW)
    for module in gated.modules():
        if isinstance(module, SpatialChannelSE):
            for weight in module.parameters():
                nn.init.zeros_(weight)
    ungated = [value for name, value in gated.state_dict().items() if "SE." not in name]
    plain.load_state_dict(dict(zip(plain.state_dict(), ungated, strict=True)))
    volume = image(8, 12, 16)
    torch.testing.assert_close(gated(volume), plain.eval()(volume))


@pytest.mark.parametrize("halved", [False, True])
@pytest.mark.parametrize("sides", [(17, 23, 30), (1, 9, 40), (3, 2, 5)])
def test_any_size_gives_an_answer_of_that_size(sides: Any, halved: bool, settled: Settle, image: Image) -> None:
    answer = settled(ScseUnet(1, 2, widths=NARROW, halved=halved))(image(*sides))
    assert answer.shape == (1, 2, *sides)
    assert answer.isfinite().all()


def test_the_exported_file_takes_the_documents_shape_and_others(tmp_path: Path, settled: Settle, image: Image) -> None:
    path = tmp_path / "MandibleCanalSeg_v2.onnx"
    net = settled(SegmentationNet(ScseUnet(widths=(2, 3))))
    assert SHAPE == (96, 144, 128)
    examples = [{"input": image(*SHAPE)}, {"input": image(13, 17, 22, batch=2)}, {"input": image(1, 3, 9)}]
    assert export_onnx(net, path, examples, OUTPUTS) < 1e-4
    graph = onnx.load(str(path)).graph
    assert (graph.input[0].name, graph.output[0].name) == ("input", "seg")
    assert 0 < float(net(examples[0]["input"]).min()) <= float(net(examples[0]["input"]).max()) < 1
