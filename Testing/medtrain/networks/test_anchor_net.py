"""The anchor network: the published checkpoint's names and shapes, its output grid, and its exported files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from medtrain.export.export_detector import example_inputs, export
from medtrain.networks.anchor_net import GRT123, SISTER, AnchorNet, AnchorNetSpec

TINY = AnchorNetSpec(
    stem=4, widths=(4, 8, 8, 8), depths=(1, 1, 1, 1), back_widths=(8, 8), back_depths=(1, 1), head=8, anchors=2
)


def parameters(net: AnchorNet) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def test_the_published_names_and_shapes_load_strictly(test_data: Path) -> None:
    shapes = json.loads((test_data / "weights" / "nodule_anchor_net_state_dict_shapes.json").read_text())
    state = {
        name: torch.zeros(shape, dtype=torch.long if name.endswith("num_batches_tracked") else torch.float32)
        for name, shape in shapes.items()
    }
    net = AnchorNet(GRT123)
    net.load_state_dict(state, strict=True)
    assert len(state) == 284
    assert parameters(net) == 5_383_623


def test_a_missing_tensor_is_refused(test_data: Path) -> None:
    net = AnchorNet(GRT123)
    state = net.state_dict()
    state.pop("forw1.0.shortcut.0.weight")
    with pytest.raises(RuntimeError, match=r"forw1\.0\.shortcut\.0\.weight"):
        net.load_state_dict(state, strict=True)


@pytest.mark.parametrize("spec", [GRT123, SISTER], ids=["grt123", "sister"])
def test_a_cube_of_64_gives_16_cells_a_side_with_3_anchors_of_5_numbers(spec: AnchorNetSpec) -> None:
    with torch.inference_mode():
        out = AnchorNet(spec).eval()(torch.zeros(1, 1, 64, 64, 64), torch.zeros(1, 3, 16, 16, 16))
    assert tuple(out.shape) == (1, 16, 16, 16, 3, 5)


def test_the_bundled_network_fits_twice_into_8_mb() -> None:
    assert 2 * 4 * parameters(AnchorNet(SISTER)) < 7_800_000


def test_the_output_is_grt123s_transposed_view_of_the_head() -> None:
    net = AnchorNet(TINY).eval()
    raw: list[torch.Tensor] = []
    net.output.register_forward_hook(lambda _module, _inputs, output: raw.append(output))
    with torch.inference_mode():
        image, coordinates = example_inputs((2, 16, 32, 48))
        out = net(image, coordinates)
    head = raw[0]
    # net_detector.py of DSB2017: view, transpose, view.
    flat = head.view(head.size(0), head.size(1), -1).transpose(1, 2).contiguous()
    expected = flat.view(head.size(0), head.size(2), head.size(3), head.size(4), TINY.anchors, 5)
    torch.testing.assert_close(out, expected, rtol=0, atol=0)


def test_onnx_and_torchscript_give_the_networks_answers_on_uneven_sizes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = AnchorNet(TINY)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            # Statistics other than 0 and 1, so that a batch norm left out would show.
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2.0)
    worst = export(net.eval(), tmp_path)
    assert max(worst.values()) <= 1e-4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["network.onnx", "network.torchscript.pt"]


def test_an_export_that_differs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="differ"):
        export(AnchorNet(TINY).eval(), tmp_path, tolerance=-1.0)


def test_a_shift_by_one_cell_shifts_the_answers() -> None:
    """Stride 16 in all: moving the image by 16 voxels moves the answers by 4 cells, away from the border."""
    net = AnchorNet(TINY).eval()
    image, _ = example_inputs((1, 16, 16, 96), seed=3)
    cells = torch.zeros(1, 3, 4, 4, 24)
    padded = torch.zeros(1, 1, 160, 160, 160)
    padded[:, :, 64:80, 64:80, 32:128] = image
    moved = torch.roll(padded, 16, dims=4)
    cells = torch.zeros(1, 3, 40, 40, 40)
    with torch.inference_mode():
        here, there = net(padded, cells).numpy(), net(moved, cells).numpy()
    np.testing.assert_allclose(there[0, 16:20, 16:20, 20:30], here[0, 16:20, 16:20, 16:26], atol=1e-4)
