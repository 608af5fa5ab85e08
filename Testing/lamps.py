"""A detector whose boxes stand alone, without training: balls of graded brightness, each with a score and size by it.

The network smooths over 7³ voxels of 2 mm; r is what it sees in the middle of a ball, as a share of the brightest. Its
answers (`anchors`) are: logit 12 · (r − 0.5), no offset, log of the edge 2 · (0.5 − r) in units of 14 mm.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

from medinfer.volume import Grid, Volume

DIAMETER_MM, ANCHOR_VOXELS, SPACING_MM, SIGMA = 14.0, 7, 2.0, 1.5
# The floor that the package declares: from here on a run keeps candidates.
LOWEST = 0.25
# Brightness (0…1) and place [k, j, i] of each ball; the last two are candidates below the threshold, one is none.
LAMPS = {
    0.75: (7, 12, 12), 0.68: (7, 37, 46), 0.60: (20, 12, 46), 0.55: (20, 37, 12), 0.47: (32, 12, 12),
    0.44: (32, 37, 46), 0.25: (20, 25, 30),
}


def score_of(brightness: float) -> float:
    return float(1 / (1 + np.exp(-12 * (brightness - 0.5))))


def diameter_of(brightness: float) -> float:
    return float(DIAMETER_MM * np.exp(2 * (0.5 - brightness)))


def draw_lamps(grid: Grid) -> tuple[Volume, dict[float, np.ndarray]]:
    """The scan, and each ball's centre (RAS mm) by its brightness."""
    world = grid.to_ras(np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1))
    voxels, truth = np.full(grid.shape, -1000, np.int16), {}
    for brightness, index in LAMPS.items():
        truth[brightness] = grid.to_ras(index)
        voxels[np.linalg.norm(world - truth[brightness], axis=-1) <= DIAMETER_MM / 2] = 1000 * brightness - 1000
    return Volume(voxels, grid, "lamps"), truth


def lamps_package(folder: Path) -> Path:
    """Make the package's folder."""
    folder.mkdir(parents=True)
    network = _network()
    manifest = {
        "schema_version": 1, "id": "lamps", "version": "1.0.0", "title": "Lamps by brightness", "task": "detect",
        "card": {
            "summary": "Finds bright balls.", "intended_use": "Tests.", "limits": "Not for clinical use.",
            "training_data": "None: its weights were set by hand.", "licence": "Apache-2.0", "authors": "MedInfer",
        },
        "prepare": {
            "orientation": "LPS", "spacing": [SPACING_MM] * 3,
            "intensity": [
                {"op": "clip", "low": -1000, "high": 0}, {"op": "scale", "subtract": -1000, "divide": 1000}
            ],
        },
        "network": {
            "files": [
                {"path": "network.onnx", "format": "onnx", "sha256": hashlib.sha256(network).hexdigest()}
            ],
            "inputs": [{"role": "image", "name": "image"}], "output": "anchors", "channels": 5,
        },
        "tiling": {"join": "crop", "patch": [32, 32, 32], "margin": [4, 4, 4]},
        "decoder": {"kind": "anchors", "anchors": [ANCHOR_VOXELS], "threshold": 0.5, "floor": LOWEST},
        "labels": [{"value": 1, "name": "Nodule"}],
    }
    (folder / "network.onnx").write_bytes(network)
    (folder / "model.json").write_text(json.dumps(manifest))
    return folder


def _network() -> bytes:
    steps = np.stack(np.meshgrid(*[np.arange(-3.0, 4)] * 3, indexing="ij"), axis=-1)
    distance = np.linalg.norm(steps, axis=-1)
    kernel = np.exp(-0.5 * (distance / SIGMA) ** 2)
    # In the middle of a ball: all that lies within its radius.
    kernel /= kernel[distance <= DIAMETER_MM / 2 / SPACING_MM].sum()
    weight = np.zeros((5, 1, 7, 7, 7), np.float32)
    weight[0, 0], weight[4, 0] = 12 * kernel, -2 * kernel
    bias = np.array([-6, 0, 0, 0, 1], np.float32)

    def value(name: str, channels: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", channels, "k", "j", "i"])

    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "weight", "bias"], ["anchors"], pads=[3] * 6)], "lamps",
        [value("image", 1)], [value("anchors", 5)],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    return bytes(model.SerializeToString())
