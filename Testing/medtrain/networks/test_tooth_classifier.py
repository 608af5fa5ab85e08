"""The tooth classifier: its cells against torch's adaptive pooling, left and right, the exported file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from medtrain.datasets.tooth_names import PERMANENT
from medtrain.export.onnx_export import export_onnx
from medtrain.networks.tooth_classifier import OUTPUTS, ToothClassifier, ToothClassNet, cell_means

Settle = Callable[[nn.Module], nn.Module]
Image = Callable[..., Tensor]

NARROW = (3, 4, 6)


@pytest.mark.parametrize("sides", [(8, 8, 8), (5, 7, 9), (1, 2, 3), (4, 12, 6)])
@pytest.mark.parametrize("cells", [1, 3, 4])
def test_the_means_of_the_cells_are_those_of_adaptive_pooling(sides: Any, cells: int, image: Image) -> None:
    x = image(*sides, batch=2, channels=3)
    torch.testing.assert_close(cell_means(x, cells), functional.adaptive_avg_pool3d(x, cells), rtol=1e-5, atol=1e-6)


def test_the_classes_are_the_documents() -> None:
    """Its `cls_map`."""
    document = {
        11: 0, 12: 1, 13: 2, 14: 3, 15: 4, 16: 5, 17: 6, 18: 7,
        21: 8, 22: 9, 23: 10, 24: 11, 25: 12, 26: 13, 27: 14, 28: 15,
        31: 16, 32: 17, 33: 18, 34: 19, 35: 20, 36: 21, 37: 22, 38: 23,
        41: 24, 42: 25, 43: 26, 44: 27, 45: 28, 46: 29, 47: 30, 48: 31,
    }
    assert {number: index for index, number in enumerate(PERMANENT)} == document
    assert ToothClassifier(widths=NARROW).head[-1].out_features == len(document)


@pytest.mark.parametrize("halved", [False, True])
@pytest.mark.parametrize("sides", [(48, 48, 48), (17, 23, 30), (1, 9, 40)])
def test_patches_of_any_size_give_one_score_a_class(sides: Any, halved: bool, settled: Settle, image: Image) -> None:
    scores = settled(ToothClassifier(2, 52, NARROW, halved=halved))(image(*sides, batch=3, channels=2))
    assert scores.shape == (3, 52)
    assert scores.isfinite().all()


def test_cells_tell_left_from_right_where_an_average_over_the_patch_cannot() -> None:
    """A spot far from every border: to convolutions alone both patches are the same."""
    torch.manual_seed(0)
    cells, average = ToothClassifier(widths=NARROW).eval(), ToothClassifier(widths=NARROW, layout=1).eval()
    patches = torch.zeros(3, 1, 16, 16, 128)
    patches[0, 0, 7:9, 7:9, 39:41] = 10
    patches[1, 0, 7:9, 7:9, 87:89] = 10
    with torch.inference_mode():
        left, right, empty = average(patches)
        assert (left - empty).abs().max() > 1e-3
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-6)
        left, right, empty = cells(patches)
    assert (left - empty).abs().max() > 1e-3
    assert (left - right).abs().max() > 1e-3


def test_a_few_steps_learn_the_side_on_which_a_neighbour_lies() -> None:
    torch.manual_seed(0)
    net = ToothClassifier(1, 2, (4, 6), dropout=0)
    patches = torch.rand(16, 1, 12, 12, 12) * 0.2
    side = torch.arange(16) % 2
    patches[side == 0, :, 4:8, 4:8, 1:4] += 1
    patches[side == 1, :, 4:8, 4:8, 8:11] += 1
    optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(20):
        loss = functional.cross_entropy(net(patches), side)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert (net.eval()(patches).argmax(dim=1) == side).all()


@pytest.mark.parametrize("names", [("cropped_img",), ("cropped_img", "point")])
def test_the_exported_file_has_the_documents_names_and_the_networks_probabilities(
    names: tuple[str, ...], tmp_path: Path, settled: Settle, image: Image
) -> None:
    net = settled(ToothClassNet(ToothClassifier(len(names), 5, NARROW)))
    examples = [{name: image(*sides, batch=batch) for name in names}
                for sides, batch in (((16, 16, 16), 1), ((13, 17, 22), 3), ((1, 3, 9), 1))]
    assert export_onnx(net, tmp_path / "tooth_cls.onnx", examples, OUTPUTS) < 1e-5
    graph = onnx.load(str(tmp_path / "tooth_cls.onnx")).graph
    assert [tensor.name for tensor in graph.input] == list(names)
    assert [tensor.name for tensor in graph.output] == ["output"]
    torch.testing.assert_close(net(*examples[1].values()).sum(dim=1), torch.ones(3))
