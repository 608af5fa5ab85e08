"""Packages of networks that look at one voxel at a time, so that plain numpy gives the same answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, checker, helper, numpy_helper

# A step instead of a slope: what lies this little beside a threshold is decided.
_STEEP = 1e4


def voxelwise(weights: Sequence[Sequence[float]], bias: Sequence[float], *, steps: bool = True) -> bytes:
    """An ONNX network: output channel o is weights[o] · the voxel's input channels + bias[o]; with `steps` 1 where that
    is above 0, else 0."""
    weight = np.array(weights, np.float32)[:, :, None, None, None]
    factor = _STEEP if steps else 1.0

    def value(name: str, channels: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", channels, "k", "j", "i"])

    nodes = [helper.make_node("Conv", ["image", "weight", "bias"], ["sum" if steps else "answer"])]
    constants = [
        numpy_helper.from_array(weight * np.float32(factor), "weight"),
        numpy_helper.from_array(np.array(bias, np.float32) * np.float32(factor), "bias"),
    ]
    if steps:
        nodes.append(helper.make_node("Clip", ["sum", "none", "all"], ["answer"]))
        constants += [numpy_helper.from_array(np.float32(n), name) for n, name in ((0, "none"), (1, "all"))]
    graph = helper.make_graph(
        nodes, "voxelwise", [value("image", weight.shape[1])], [value("answer", weight.shape[0])], constants
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def shifted(kernel: np.ndarray) -> bytes:
    """An ONNX network of one convolution with an uneven kernel, clipped to 0…1: where its axes lie matters."""
    def value(name: str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 1, "a", "b", "c"])

    pads = [n // 2 for n in kernel.shape] * 2
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "kernel"], ["sum"], pads=pads),
         helper.make_node("Clip", ["sum", "none", "all"], ["answer"])],
        "shifted", [value("image")], [value("answer")],
        [numpy_helper.from_array(kernel[None, None], "kernel"), numpy_helper.from_array(np.float32(0), "none"),
         numpy_helper.from_array(np.float32(1), "all")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def one_pass(
    name: str, network: bytes, decoder: Mapping[str, Any], *, region: Mapping[str, Any] | None = None,
    fed: Sequence[Mapping[str, Any]] = (), **fields: Any,
) -> dict[str, Any]:
    """A pass on the scan's own grid, in small tiles. fed: inputs behind the image, as channels of the same input."""
    output = onnx.load_from_string(network).graph.output[0].type.tensor_type.shape.dim[1].dim_value
    return {
        "name": name,
        "prepare": {
            "hounsfield": False, "orientation": "RAS", "minimum_mm": [1, 1, 1],
            **({"region": dict(region)} if region else {}),
        },
        "network": {
            "files": [{"path": f"{name}.onnx", "format": "onnx", "sha256": hashlib.sha256(network).hexdigest()}],
            "inputs": [{"role": "image", "name": "image"}, *({"name": "image", **entry} for entry in fed)],
            "output": "answer", "channels": output,
        },
        "tiling": {"join": "crop", "patch": [7, 8, 9], "margin": [1, 1, 1]},
        "decoder": dict(decoder),
        **fields,
    }


def write_package(
    folder: Path, networks: Mapping[str, bytes], passes: Sequence[Mapping[str, Any]], *, task: str,
    result: Sequence[Mapping[str, Any]], labels: Sequence[str], **fields: Any,
) -> Path:
    """Write a package of version 2 whose labels have the values 1, 2, … in their order; returns its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, network in networks.items():
        (folder / f"{name}.onnx").write_bytes(network)
    manifest = {
        "schema_version": 2, "id": "voxelwise", "version": "1.0.0", "title": "Voxel by voxel", "task": task,
        "card": {
            "summary": "Says what numpy says.", "intended_use": "Tests.", "limits": "Not for clinical use.",
            "training_data": "None.", "licence": "Apache-2.0", "authors": "MedInfer",
        },
        "labels": [{"value": n, "name": name} for n, name in enumerate(labels, start=1)],
        "passes": list(passes), "result": list(result), **fields,
    }
    (folder / "model.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder
