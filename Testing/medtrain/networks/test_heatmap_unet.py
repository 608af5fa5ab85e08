"""The heatmap U-Net: its layers, its loss, any size, and the exported file `input` → `centroid`."""

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
from medtrain.networks.heatmap_unet import OUTPUTS, HeatmapUNet, HeatmapUNetSpec, heatmap_loss
from medtrain.targets.gaussian_targets import gaussian_heatmaps

Settle = Callable[[nn.Module], nn.Module]
Image = Callable[..., Tensor]

TINY = HeatmapUNetSpec(channels=1, landmarks=2, widths=(4, 6, 8))


def test_the_parameters_are_as_many_as_counted_by_hand() -> None:
    def double(a: int, b: int) -> int:
        return 27 * (a * b + b * b) + 4 * b

    by_hand = (
        double(1, 16) + double(16, 32) + double(32, 64) + double(64, 128)
        + (8 * 128 * 64 + 64) + double(128, 64) + (8 * 64 * 32 + 32) + double(64, 32)
        + (8 * 32 * 16 + 16) + double(32, 16) + (16 * 1 + 1)
    )
    net = HeatmapUNet()
    assert sum(parameter.numel() for parameter in net.parameters()) == by_hand == 1_401_265


def test_the_forward_is_the_u_net_written_out(settled: Settle, image: Image) -> None:
    net = settled(HeatmapUNet(TINY))
    x = image(8, 12, 16, batch=2)
    a = net.down[0](x)
    b = net.down[1](functional.max_pool3d(a, 2))
    c = net.down[2](functional.max_pool3d(b, 2))
    b = net.join[1](torch.cat((net.up[1](c), b), dim=1))
    a = net.join[0](torch.cat((net.up[0](b), a), dim=1))
    expected = torch.tanh(net.head(a))
    assert expected.abs().max() > 0.05
    torch.testing.assert_close(net(x), expected, rtol=0, atol=0)


@pytest.mark.parametrize("sides", [(17, 23, 30), (1, 9, 40), (3, 2, 5)])
def test_any_size_gives_heatmaps_of_that_size_between_minus_1_and_1(sides: Any, settled: Settle, image: Image) -> None:
    heatmaps = settled(HeatmapUNet(TINY))(image(*sides))
    assert heatmaps.shape == (1, 2, *sides)
    assert heatmaps.abs().max() <= 1


def test_the_exported_file_takes_input_gives_centroid_and_has_the_networks_numbers(
    tmp_path: Path, settled: Settle, image: Image
) -> None:
    net = settled(HeatmapUNet(TINY))
    examples = [{"input": image(16, 24, 16)}, {"input": image(24, 8, 32, batch=2)}, {"input": image(13, 17, 22)},
                {"input": image(1, 3, 9)}]
    path = tmp_path / "centroid.onnx"
    assert export_onnx(net, path, examples, OUTPUTS) < 1e-5
    assert [file.name for file in tmp_path.iterdir()] == ["centroid.onnx"]
    graph = onnx.load(str(path)).graph
    for entry, name in ((graph.input, "input"), (graph.output, "centroid")):
        assert [tensor.name for tensor in entry] == [name]
        batch, channels, *sides = entry[0].type.tensor_type.shape.dim
        assert [batch.dim_param, *(side.dim_param for side in sides)] == ["batch", "k", "j", "i"]
        assert channels.dim_value == (1 if name == "input" else 2)


def test_an_export_that_would_differ_is_an_error_and_leaves_the_old_file(
    tmp_path: Path, settled: Settle, image: Image
) -> None:
    path = tmp_path / "centroid.onnx"
    path.write_text("the old one")
    with pytest.raises(RuntimeError, match=r"centroid\.onnx would differ from the network by .*, more than -1"):
        export_onnx(settled(HeatmapUNet(TINY)), path, [{"input": image(8, 8, 8)}], OUTPUTS, tolerance=-1)
    assert path.read_text() == "the old one"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_network_in_training_is_exported_for_inference_and_trains_on(tmp_path: Path, image: Image) -> None:
    net = HeatmapUNet(TINY).to(memory_format=torch.channels_last_3d).train()
    export_onnx(net, tmp_path / "centroid.onnx", [{"input": image(8, 8, 8)}, {"input": image(12, 10, 8)}], OUTPUTS)
    assert net.training
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert net.down[0][3].weight.is_contiguous(memory_format=torch.channels_last_3d)


def test_the_loss_is_the_mean_square_over_the_landmarks_whose_place_is_known() -> None:
    found = torch.rand(2, 3, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    truth = torch.rand(2, 3, 4, 5, 6, generator=torch.Generator().manual_seed(1))
    known = torch.tensor([[True, False, True], [False, False, True]])
    by_hand = sum(((found[b, c] - truth[b, c]) ** 2).mean() for b, c in ((0, 0), (0, 2), (1, 2))) / 3
    torch.testing.assert_close(heatmap_loss(found, truth, known), by_hand)
    torch.testing.assert_close(heatmap_loss(found, truth, torch.ones(2, 3)), ((found - truth) ** 2).mean())
    torch.testing.assert_close(heatmap_loss(found, truth), ((found - truth) ** 2).mean())
    assert heatmap_loss(found, truth, torch.zeros(2, 3)) == 0


def test_it_learns_where_a_bright_ball_is() -> None:
    torch.manual_seed(0)
    net = HeatmapUNet(HeatmapUNetSpec(widths=(8, 12)))
    places = torch.tensor([[[4.0, 5, 6]], [[7, 4, 5]], [[6, 7, 4]]])
    images = gaussian_heatmaps(places, (12, 12, 12), 2.0)
    targets = gaussian_heatmaps(places, (12, 12, 12), 1.5)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(40):
        loss = heatmap_loss(net(images), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert heatmap_loss(net.eval()(images), targets).item() < 0.1 * targets.square().mean().item()
