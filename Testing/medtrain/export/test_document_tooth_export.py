"""The document's four tooth files: their names, their inputs and outputs, and the networks' answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from medtrain.export.document_tooth_export import FILES, main, network
from medtrain.export.onnx_export import onnx_answers
from medtrain.networks.heatmap_unet import HeatmapUNet, HeatmapUNetSpec
from medtrain.networks.instance_unet import InstanceUNet
from medtrain.networks.scse_unet import ScseUnet
from medtrain.networks.tooth_classifier import ToothClassifier

Settle = Callable[[nn.Module], nn.Module]
Image = Callable[..., Tensor]

NETS: dict[str, Callable[[], nn.Module]] = {
    "centroid": lambda: HeatmapUNet(HeatmapUNetSpec(widths=(3, 5, 4))),
    "instances": lambda: InstanceUNet(widths=(3, 5)),
    "naming": lambda: ToothClassifier(1, 7, (3, 4, 5), layout=2),
    "canal": lambda: ScseUnet(widths=(4, 5, 6)),
}

DOCUMENT = {
    "tooth_centroid.onnx": (["input"], ["centroid"]),
    "tooth_offset.onnx": (["input"], ["seg", "offset_z", "offset_y", "offset_x"]),
    "tooth_cls.onnx": (["cropped_img"], ["output"]),
    "MandibleCanalSeg_v2.onnx": (["input"], ["seg"]),
}


def names(path: Path) -> tuple[list[str], list[str]]:
    graph = onnx.load(str(path)).graph
    return [tensor.name for tensor in graph.input], [tensor.name for tensor in graph.output]


@pytest.fixture
def checkpoints(tmp_path: Path, settled: Settle) -> dict[str, Path]:
    """As `EpochLoop`, `TrainingRun` and the document write them."""
    paths = {}
    for (key, make), place in zip(NETS.items(), ("net", "average", "model_state_dict", "net"), strict=True):
        paths[key] = tmp_path / f"{key}.pt"
        torch.save({"epoch": 1, place: settled(make()).state_dict()}, paths[key])
    return paths


def test_four_checkpoints_become_the_documents_four_files_with_their_answers(
    checkpoints: dict[str, Path], tmp_path: Path, settled: Settle, image: Image, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "files"
    main([f"--{key}={path}" for key, path in checkpoints.items()] + [f"--out={out}"])
    assert {path.name: names(path) for path in out.iterdir()} == DOCUMENT
    assert capsys.readouterr().out.count("differs from the network by at most") == 4
    volume = image(13, 18, 11, batch=2)
    for key, make in NETS.items():
        file, net = FILES[key], settled(make())
        expected = file.exported(net)(volume)
        for found, want in zip(
            onnx_answers(out / file.name, {file.inputs[0]: volume}),
            (expected,) if isinstance(expected, Tensor) else expected, strict=True,
        ):
            np.testing.assert_allclose(found, want.numpy(), rtol=1e-3, atol=1e-4)


def test_fresh_weights_make_the_rest(
    checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The usual sizes are slow.
    monkeypatch.setattr("medtrain.export.document_tooth_export.CHECKED_SIZES", ((16, 8, 8),))
    main([f"--instances={checkpoints['instances']}", "--fresh=4", f"--out={tmp_path / 'files'}"])
    assert {path.name: names(path) for path in (tmp_path / "files").iterdir()} == DOCUMENT


@pytest.mark.parametrize("key", NETS)
def test_fresh_weights_are_a_function_of_the_seed(key: str) -> None:
    first, again, other = (next(network(FILES[key], None, seed).parameters()) for seed in (4, 4, 5))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_only_what_has_a_checkpoint_is_written_without_fresh_weights(
    checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    main([f"--canal={checkpoints['canal']}", f"--out={tmp_path / 'files'}"])
    assert [path.name for path in (tmp_path / "files").iterdir()] == ["MandibleCanalSeg_v2.onnx"]


def test_a_naming_network_with_a_point_gets_a_second_input(tmp_path: Path, settled: Settle) -> None:
    torch.save({"net": settled(ToothClassifier(2, 52, (3, 4))).state_dict()}, tmp_path / "two.pt")
    main([f"--naming={tmp_path / 'two.pt'}", f"--out={tmp_path}"])
    assert names(tmp_path / "tooth_cls.onnx") == (["cropped_img", "point"], ["output"])


@pytest.mark.parametrize("scse", [False, True])
@pytest.mark.parametrize("halved", [False, True])
def test_gates_and_a_strided_stem_are_recognised(scse: bool, halved: bool, tmp_path: Path, settled: Settle) -> None:
    net = settled(ScseUnet(scse=scse, widths=(3, 4), halved=halved))
    torch.save({"net": net.state_dict()}, tmp_path / "canal.pt")
    found = network(FILES["canal"], tmp_path / "canal.pt").state_dict()
    assert {name: value.shape for name, value in found.items()} == {
        name: value.shape for name, value in net.state_dict().items()
    }


@pytest.mark.parametrize(("key", "other"), [
    ("centroid", "instances"), ("instances", "naming"), ("naming", "canal"), ("canal", "centroid"),
])
def test_a_checkpoint_of_another_network_is_refused(key: str, other: str, checkpoints: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match=rf"{other}\.pt is not a checkpoint for {FILES[key].name}"):
        network(FILES[key], checkpoints[other])


def test_asking_for_nothing_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([f"--out={tmp_path}"])
    assert "give a checkpoint, or --fresh SEED" in capsys.readouterr().err
