"""Write the trained stages into a landmark package: `python -m medtrain export-landmarks --coarse FILE --fine FILE`.

Writes `coarse.onnx` and `fine.onnx`, compares them with the networks at several sizes and stamps their sha256 into the
package's `model.json`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..networks.landmark_net import COARSE, FINE, HeatmapNet, LandmarkNet
from ..training.train_landmarks import averaged_network
from .onnx_export import export_onnx
from .package_stamp import stamp

# Sides on which the files are compared with the networks: also odd ones.
CHECKED_SIZES = ((48, 56, 56), (64, 40, 48), (37, 51, 43))


def examples(net: LandmarkNet) -> list[dict[str, Tensor]]:
    """Inputs like a scan's, in the order of the network's channels."""
    generator = torch.Generator().manual_seed(0)
    names = ("image", "point")[: net.spec.inputs]
    return [{name: torch.rand(1, 1, *size, generator=generator) * 2 - 1 for name in names} for size in CHECKED_SIZES]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m medtrain export-landmarks", description=__doc__.split("\n")[0])
    parser.add_argument("--coarse", type=Path, help="checkpoint of the coarse stage")
    parser.add_argument("--fine", type=Path, help="checkpoint of the fine stage")
    parser.add_argument("--out", type=Path, required=True, help="the model package's folder")
    chosen = parser.parse_args(arguments)
    for name, checkpoint, spec in (("coarse", chosen.coarse, COARSE), ("fine", chosen.fine, FINE)):
        if checkpoint is None:
            continue
        net, path = averaged_network(checkpoint, spec), chosen.out / f"{name}.onnx"
        worst = export_onnx(HeatmapNet(net), path, examples(net), ["heatmaps"])
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB, differs from the network by at most {worst:.2g}")
    stamp(chosen.out, partial=True)
