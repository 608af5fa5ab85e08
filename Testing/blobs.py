"""A small real package that finds bright blobs: a manifest, its network, and the folder of both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np


def blob_manifest(sha256: str) -> dict[str, Any]:
    """A package that finds bright blobs: probability = sigmoid((mean of 3³ voxels − 0.5) · 40)."""
    return {
        "schema_version": 1, "id": "blobs", "version": "1.0.0", "title": "Bright blobs", "task": "detect",
        "card": {
            "summary": "Finds bright blobs.", "intended_use": "Tests.", "limits": "Not for clinical use.",
            "training_data": "None: its weights were set by hand.", "licence": "Apache-2.0", "authors": "MedInfer",
        },
        "prepare": {
            "orientation": "LPS", "spacing": [2, 2, 2],
            "intensity": [
                {"op": "clip", "low": -1000, "high": 1000}, {"op": "scale", "subtract": -1000, "divide": 1000}
            ],
        },
        "network": {
            "files": [{"path": "network.onnx", "format": "onnx", "sha256": sha256}],
            "inputs": [{"role": "image", "name": "image"}], "output": "probability", "channels": 1,
        },
        "tiling": {"join": "crop", "patch": [16, 20, 24], "margin": [2, 2, 2]},
        "decoder": {"kind": "labels", "threshold": 0.5, "min_voxels": 4},
        "labels": [{"value": 1, "name": "Nodule"}],
    }


@cache
def blob_network() -> bytes:
    """The network of `blob_manifest` as ONNX, with dynamic axes."""
    from onnx import TensorProto, checker, helper, numpy_helper

    def value(name: str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 1, "k", "j", "i"])

    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "weight", "bias"], ["logit"], pads=[1] * 6),
            helper.make_node("Sigmoid", ["logit"], ["probability"]),
        ],
        "blobs", [value("image")], [value("probability")],
        [
            numpy_helper.from_array(np.full((1, 1, 3, 3, 3), 40 / 27, np.float32), "weight"),
            numpy_helper.from_array(np.array([-20], np.float32), "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    return bytes(model.SerializeToString())


def write_blobs(folder: Path, change: Callable[[dict[str, Any]], None] = lambda manifest: None) -> Path:
    """Make `folder` the package of blobs; `change(manifest)` may spoil it first."""
    folder.mkdir(parents=True, exist_ok=True)
    network = blob_network()
    manifest = blob_manifest(hashlib.sha256(network).hexdigest())
    change(manifest)
    (folder / "network.onnx").write_bytes(network)
    (folder / "model.json").write_text(json.dumps(manifest))
    return folder
