"""A model of two images of one patient: it finds what is bright in the second image and not in the first."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from medinfer.library.package import sha256_of
from medinfer.volume import Grid, Volume

HERE = (slice(2, 6), slice(2, 6), slice(2, 6))
THERE = (slice(6, 10), slice(8, 12), slice(8, 12))


def write_package(folder: Path) -> Path:
    """Write it into `folder`, which is made."""
    weights = numpy_helper.from_array(np.array([-1, 1], np.float32).reshape(1, 2, 1, 1, 1), "w")
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])], "difference",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", 2, "k", "j", "i"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["b", 1, "k", "j", "i"])], [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder.mkdir(parents=True)
    onnx.save(model, folder / "net.onnx")
    (folder / "model.json").write_text(json.dumps({
        "schema_version": 2, "id": "two-images", "version": "1.0.0", "title": "Two images", "task": "segment",
        "images": [{"name": "T1"}, {"name": "T2"}],
        "card": {"summary": "s", "intended_use": "t", "limits": "l", "training_data": "d", "licence": "MIT",
                 "authors": "a"},
        "labels": [{"value": 1, "name": "bright", "color": [1, 0, 0]}],
        "passes": [{
            "name": "one", "prepare": {"modality": ["MR", "CT"], "hounsfield": False, "minimum_mm": [1, 1, 1]},
            "network": {
                "files": [{"path": "net.onnx", "format": "onnx", "sha256": sha256_of(folder / "net.onnx")}],
                "inputs": [{"role": "image", "name": "x", "image": "T1"},
                           {"role": "image", "name": "x", "image": "T2", "intensity": [
                               {"op": "scale", "subtract": 0, "divide": 2}]}],
                "output": "y", "channels": 1,
            },
            "tiling": {"join": "blend", "patch": [8, 8, 8]},
            "decoder": {"kind": "segments", "activation": "sigmoid", "threshold": 0.9},
        }],
        "result": [{"of": "one", "as": "objects"}],
    }))
    return folder


def image(*bright: tuple[slice, slice, slice], value: int = 40) -> Volume:
    voxels = np.zeros((12, 14, 16), np.int16)
    for where in bright:
        voxels[where] = value
    return Volume(voxels, Grid(voxels.shape, np.diag([-1.0, -1.0, 1.0, 1.0])), "scan", "MR")
