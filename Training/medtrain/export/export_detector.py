"""Write a trained detector as ONNX and TorchScript, and check that both give what it gives.

`python -m medtrain export-detector --checkpoint FILE --out FOLDER` writes `network.onnx` and
`network.torchscript.pt`: inputs `image` `[B, 1, z, y, x]` and `coordinates` `[B, 3, z/4, y/4, x/4]`, output `anchors`
`[B, z/4, y/4, x/4, anchors, 5]`, float32, any sizes that are multiples of 16.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..networks.anchor_net import STRIDE, AnchorNet
from .onnx_export import Example, onnx_answers, plain_copy, write_onnx
from .package_stamp import stamp

CHECKED_SIZES = ((1, 64, 64, 64), (1, 48, 80, 112), (2, 32, 16, 96))
"""Batch and sides on which the exported files are compared with the network."""


def example_inputs(size: tuple[int, int, int, int], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Inputs like a scan's: an image in −1 … 1 and coordinates in −0.5 … 0.5, of batch and sides `size`."""
    batch, *sides = size
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(batch, 1, *sides, generator=generator) * 2 - 1
    coordinates = torch.rand(batch, 3, *(side // STRIDE for side in sides), generator=generator) - 0.5
    return image, coordinates


def export_onnx(net: AnchorNet, path: Path) -> None:
    """Write the network as one ONNX file with free batch and sides, atomically."""
    axes = {
        "image": {0: "batch", 2: "z", 3: "y", 4: "x"},
        "coordinates": {0: "batch", 2: "cells_z", 3: "cells_y", 4: "cells_x"},
        "anchors": {0: "batch", 1: "cells_z", 2: "cells_y", 3: "cells_x"},
    }
    partial = path.with_suffix(".partial")
    write_onnx(plain_copy(net), partial, _named(example_inputs((1, 64, 64, 64))), ["anchors"], axes)
    os.replace(partial, path)


def _named(inputs: tuple[Tensor, Tensor]) -> Example:
    return dict(zip(("image", "coordinates"), inputs, strict=True))


def export_torchscript(net: AnchorNet, path: Path) -> None:
    """Write the network as TorchScript, atomically."""
    partial = path.with_suffix(".partial")
    traced = torch.jit.trace(plain_copy(net), example_inputs((1, 64, 64, 64)), check_trace=False)
    torch.jit.save(torch.jit.freeze(traced), str(partial))
    os.replace(partial, path)


def differences(net: AnchorNet, folder: Path) -> dict[str, float]:
    """The largest absolute difference of each file's answers from the network's, over `CHECKED_SIZES`."""
    plain = plain_copy(net)
    script = torch.jit.load(str(folder / "network.torchscript.pt"))
    worst = {"onnx": 0.0, "torchscript": 0.0}
    for size in CHECKED_SIZES:
        image, coordinates = example_inputs(size, seed=1)
        with torch.inference_mode():
            expected = plain(image, coordinates).numpy()
            scripted = script(image, coordinates).numpy()
        (runtime,) = onnx_answers(folder / "network.onnx", _named((image, coordinates)))
        worst["onnx"] = max(worst["onnx"], float(np.abs(runtime - expected).max()))
        worst["torchscript"] = max(worst["torchscript"], float(np.abs(scripted - expected).max()))
    return worst


def export(net: AnchorNet, folder: Path, tolerance: float = 1e-4) -> dict[str, float]:
    """Write both files into `folder` and return `differences`.

    Raises RuntimeError where a file's answers differ from the network's by more than `tolerance`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    export_onnx(net, folder / "network.onnx")
    export_torchscript(net, folder / "network.torchscript.pt")
    worst = differences(net, folder)
    if max(worst.values()) > tolerance:
        raise RuntimeError(f"the exported files in {folder} differ from the network by {worst}, more than {tolerance}")
    return worst


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    from ..training.train_detector import averaged_network

    parser = argparse.ArgumentParser(prog="python -m medtrain export-detector", description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="the model package's folder")
    chosen = parser.parse_args(arguments)
    for name, worst in export(averaged_network(chosen.checkpoint), chosen.out).items():
        print(f"{name}: differs from the network by at most {worst:.2g}")
    if (chosen.out / "model.json").is_file():
        stamp(chosen.out)
    for path in sorted(chosen.out.glob("network.*")):
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
