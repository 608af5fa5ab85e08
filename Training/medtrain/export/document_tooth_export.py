"""The seed document 001's four tooth files: `python -m medtrain export-document-teeth --out FOLDER --instances FILE`.

    tooth_centroid.onnx         input        -> centroid                               (T1)
    tooth_offset.onnx           input        -> seg, offset_z, offset_y, offset_x      (T2)
    tooth_cls.onnx              cropped_img  -> output                                 (T3)
    MandibleCanalSeg_v2.onnx    input        -> seg                                    (T5)

Each is written from a checkpoint, whose widths the network takes, or with fresh weights, and is put in place only once
it gives the network's answers at several sizes. The document's files are traced at one size; here all axes are free.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ..networks import heatmap_unet, instance_unet, scse_unet, tooth_classifier
from ..networks.checkpoint_weights import Weights, read_weights
from ..networks.heatmap_unet import HeatmapUNet, HeatmapUNetSpec
from ..networks.instance_unet import InstanceNet, InstanceUNet
from ..networks.scse_unet import ScseUnet, SegmentationNet
from ..networks.tooth_classifier import ToothClassifier, ToothClassNet
from ..networks.unet_features import WIDTHS
from .onnx_export import Example, export_onnx

CHECKED_SIZES = ((32, 40, 48), (37, 51, 43), (16, 16, 16))
"""Sides on which the files are compared with the networks: also odd ones."""


@dataclass(frozen=True)
class DocumentFile:
    """One of the document's files.

    size: k, j, i that the document traced it with. inputs: names of the channels that the network may have.
    network: of the widths that some weights have, or with the usual ones where there are none.
    exported: what the file holds of it.
    """

    name: str
    size: tuple[int, int, int]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    network: Callable[[Weights], nn.Module]
    exported: Callable[[nn.Module], nn.Module]


def level_widths(weights: Weights, start: str, step: int = 1) -> tuple[int, ...]:
    """Channels that the 3-D convolutions of the modules `start`0, `start`1 · step, … put out; empty without any."""
    widths: list[int] = []
    while found := [value for name, value in weights.items()
                    if name.startswith(f"{start}{step * len(widths)}.") and value.dim() == 5]:
        widths.append(found[0].shape[0])
    return tuple(widths)


def is_halved(weights: Weights) -> bool:
    """Whether a U-Net's weights begin with a strided convolution."""
    return any(name.startswith("features.stem.") for name in weights)


def centroid_network(weights: Weights) -> HeatmapUNet:
    """T1: tanh is part of it."""
    return HeatmapUNet(HeatmapUNetSpec(widths=level_widths(weights, "down.") or HeatmapUNetSpec().widths))


def instance_network(weights: Weights) -> InstanceUNet:
    """T2."""
    return InstanceUNet(widths=level_widths(weights, "features.down.") or WIDTHS, halved=is_halved(weights))


def naming_network(weights: Weights) -> ToothClassifier:
    """T3: with the checkpoint's inputs, classes and layout; at full resolution, as weights don't tell a stride."""
    if not weights:
        return ToothClassifier()
    widths, head = level_widths(weights, "features.", step=2), weights["head.1.weight"]
    layout = round((head.shape[1] / widths[-1]) ** (1 / 3))
    return ToothClassifier(weights["features.0.0.weight"].shape[1], len(head), widths, layout=layout)


def canal_network(weights: Weights) -> ScseUnet:
    """T5: with scSE blocks where the weights have them."""
    gated = not weights or any(".sSE." in name for name in weights)
    widths = level_widths(weights, "features.down.") or WIDTHS
    return ScseUnet(scse=gated, widths=widths, halved=is_halved(weights))


FILES = {
    "centroid": DocumentFile("tooth_centroid.onnx", (192, 192, 192), ("input",), heatmap_unet.OUTPUTS,
                             centroid_network, lambda net: net),
    "instances": DocumentFile("tooth_offset.onnx", (192, 192, 192), ("input",), instance_unet.OUTPUTS,
                              instance_network, InstanceNet),
    "naming": DocumentFile("tooth_cls.onnx", (64, 64, 64), ("cropped_img", "point"), tooth_classifier.OUTPUTS,
                           naming_network, ToothClassNet),
    "canal": DocumentFile("MandibleCanalSeg_v2.onnx", scse_unet.SHAPE, ("input",), scse_unet.OUTPUTS,
                          canal_network, SegmentationNet),
}


def network(file: DocumentFile, checkpoint: Path | None, seed: int = 0) -> nn.Module:
    """The network of a checkpoint, or, without one, a fresh one.

    Raises ValueError where the checkpoint is of another kind of network.
    """
    if checkpoint is None:
        torch.manual_seed(seed)
        return file.network({})
    weights = read_weights(checkpoint)
    try:
        net = file.network(weights)
        net.load_state_dict(weights)
    except (KeyError, IndexError, RuntimeError) as error:
        raise ValueError(f"{checkpoint} is not a checkpoint for {file.name}: it belongs to another network") from error
    return net


def write_file(file: DocumentFile, net: nn.Module, folder: Path, sizes: Sequence[Sequence[int]]) -> float:
    """Write it; returns the largest difference of its answers from the network's at `sizes` (see `export_onnx`)."""
    channels = next(net.parameters()).shape[1]
    generator = torch.Generator().manual_seed(0)

    def example(size: Sequence[int], batch: int) -> Example:
        return {name: torch.rand(batch, 1, *size, generator=generator) * 2 - 1 for name in file.inputs[:channels]}

    examples = [example(size, 1 + number % 2) for number, size in enumerate(sizes)]
    return export_onnx(file.exported(net), folder / file.name, examples, file.outputs)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m medtrain export-document-teeth", description=__doc__.split("\n")[0]
    )
    for key, file in FILES.items():
        parser.add_argument(f"--{key}", type=Path, metavar="FILE", help=f"checkpoint for {file.name}")
    parser.add_argument("--fresh", type=int, metavar="SEED", help="use fresh weights if no checkpoint is given")
    parser.add_argument(
        "--document-sizes", action="store_true", help="also compare at the document's sizes (takes minutes)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    chosen = parser.parse_args(arguments)
    wanted = {key: file for key, file in FILES.items() if chosen.fresh is not None or getattr(chosen, key)}
    if not wanted:
        parser.error("nothing to write: give a checkpoint, or --fresh SEED")
    chosen.out.mkdir(parents=True, exist_ok=True)
    for key, file in wanted.items():
        net = network(file, getattr(chosen, key), chosen.fresh or 0)
        sizes = (*CHECKED_SIZES, file.size) if chosen.document_sizes else CHECKED_SIZES
        worst = write_file(file, net, chosen.out, sizes)
        path = chosen.out / file.name
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB, differs from the network by at most {worst:.2g}")
