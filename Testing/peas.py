"""A dental package without training: “teeth” are balls in two arches, the “canal” is a tube below the lower ones.

Inside a ball of radius R the scan is a · (1 − r²/R²), which goes on below 0 outside of it. So a few fixed kernels tell
everything, and exactly so where the scan lies on the network's grid: the surface is at 0; from a voxel to the centre it
is −3 · gradient / Laplacian; and a, by which the balls are told apart, is the value − 1.5 · |gradient|² / Laplacian.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

from medinfer.volume import Grid, Volume

RADIUS_MM = 3.5
UPPER = ("13", "12", "11", "21", "22", "23")
LOWER = ("43", "42", "41", "31", "32", "33")
# Of the same place as 12, and in no scan unless a test puts it there.
DECIDUOUS = "52"
LABELS = (*UPPER, *LOWER, DECIDUOUS)
HEIGHTS = {name: 0.5 * 1.15**n for n, name in enumerate(LABELS)}
UNIVERSAL = dict(zip(LABELS, [*map(str, (*range(6, 12), *range(27, 21, -1))), "D"], strict=True))
CANAL, CANAL_VALUE = "Mandibular canal", 101
# Its ends, RAS mm, and its radius; the network beside makes it a millimetre thicker, into the balls 42 and 32.
TUBE, TUBE_MM = np.array([[13.0, -5.9, -10.3], [-13.0, -5.9, -10.3]]), 1.2


def pea_centers() -> dict[str, np.ndarray]:
    """Where the balls are, RAS mm: places of usual teeth, from the patient's right to the left; 11 and 21 touch."""
    places = {}
    for names, height in ((UPPER, 6.0), (LOWER, -6.0)):
        for name, right in zip(names, (15.5, 9.6, 3.4, -3.4, -9.6, -15.5), strict=True):
            places[name] = np.array([right, -0.064 * right**2, height])
    return places


def pea_grid(spacing: tuple[float, float, float] = (1, 1, 1), turned: np.ndarray | None = None) -> Grid:
    """A grid around all of them. spacing: mm along k, j, i. turned: 3×3, its axes' directions instead of LPS."""
    directions = np.diag([-1.0, -1.0, 1.0]) if turned is None else turned
    # As large as the box 46 × 32 × 32 mm around the balls, in these directions.
    extent = np.abs(directions.T) @ np.array([46.0, 32.0, 32.0])
    i, j, k = (int(n) for n in np.ceil(extent / spacing[::-1]).astype(int) + 1)
    matrix = np.eye(4)
    matrix[:3, :3] = directions * spacing[::-1]
    matrix[:3, 3] = np.array([0.0, -6.0, 0.0]) - matrix[:3, :3] @ (np.array([i, j, k]) - 1) / 2
    return Grid((k, j, i), matrix)


def draw_peas(
    grid: Grid, centers: Mapping[str, np.ndarray] | None = None, heights: Mapping[str, float] = HEIGHTS,
    *, tube: bool = True,
) -> Volume:
    """The scan on `grid`: balls at `centers` (RAS mm, by name; of heights by name), the tube, air around; int16."""
    world = grid.to_ras(np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1))
    values = np.full(grid.shape, -1.0)
    for name, center in (pea_centers() if centers is None else centers).items():
        off = ((world - center) ** 2).sum(axis=-1)
        np.maximum(values, heights[name] * (1 - off / RADIUS_MM**2), out=values)
    if tube:
        begin, end = TUBE
        along = np.clip((world - begin) @ (end - begin) / ((end - begin) ** 2).sum(), 0, 1)
        off = np.linalg.norm(world - begin - along[..., None] * (end - begin), axis=-1)
        values[(off <= TUBE_MM) & (values <= 0)] = -3
    return Volume(np.rint(values * 1000).astype(np.int16), grid, "peas")


def peas_manifest(networks: Mapping[str, bytes]) -> dict[str, Any]:
    """All stages: points at 2 mm, balls at 1 mm, a name each, and the tube beside."""
    prepare = {
        "orientation": "LPS", "hounsfield": False, "spacing": [1, 1, 1],
        "intensity": [{"op": "scale", "subtract": 0, "divide": 1000}],
    }
    crop = {"join": "crop", "patch": [20, 22, 24], "margin": [2, 2, 2]}

    def network(path: str, output: Any, channels: int, *inputs: dict[str, Any]) -> dict[str, Any]:
        file = {"path": path, "format": "onnx", "sha256": hashlib.sha256(networks[path]).hexdigest()}
        image = {"role": "image", "name": "image"}
        return {"files": [file], "inputs": [image, *inputs], "output": output, "channels": channels}

    def label(name: str) -> dict[str, Any]:
        side, jaw = ("right", "left")[name[0] in "236"], ("Upper", "Lower")[name[0] in "34"]
        names = {"FDI": name, "Universal": UNIVERSAL[name], "anatomical": f"{jaw} {side} tooth {name[1]}"}
        return {"value": int(name), "name": name, "names": names, "group": f"{jaw} {side}"}

    arches = [
        {"places": [[name, DECIDUOUS] if name == "12" else [name] for name in UPPER]},
        {"places": [[name] for name in LOWER]},
    ]
    return {
        "schema_version": 1, "id": "peas", "version": "1.0.0", "title": "Peas in two arches", "task": "segment",
        "card": {
            "summary": "Finds balls.", "intended_use": "Tests.", "limits": "Not for clinical use.",
            "training_data": "None: its weights were set by hand.", "licence": "Apache-2.0", "authors": "MedInfer",
        },
        "coarse": {
            "prepare": {**prepare, "spacing": [2, 2, 2], "antialias": True},
            "network": network("coarse.onnx", "centroid", 1), "tiling": {**crop, "patch": [12, 12, 12]},
            "decoder": {"kind": "heatmap", "threshold": 0.05, "peaks": 64, "separation_mm": 4},
        },
        "prepare": {**prepare, "region": {"kind": "points", "margin_mm": 7}},
        "network": network("main.onnx", ["seg", "offset_z", "offset_y", "offset_x"], 4), "tiling": crop,
        "decoder": {"kind": "instances", "threshold": 0.5, "separation_mm": 3, "min_volume_mm3": 20},
        "naming": {
            "prepare": {**prepare, "region": {"kind": "points"}},
            "network": network("naming.onnx", "output", len(LABELS), {"role": "point", "name": "point", "sigma": 0.7}),
            "tiling": {"join": "patches", "patch": [7, 7, 7]},
            "decoder": {"kind": "classes", "activation": "softmax", "arches": arches},
        },
        "besides": [{
            "prepare": prepare, "network": network("canal.onnx", "seg", 1), "tiling": crop,
            "decoder": {"kind": "segments"}, "labels": [{"value": CANAL_VALUE, "name": CANAL}],
        }],
        "labels": [label(name) for name in LABELS], "unnamed": "tooth",
    }


def peas_networks() -> dict[str, bytes]:
    """The four networks as ONNX, by file name."""
    return {"coarse.onnx": _coarse(), "main.onnx": _main(), "naming.onnx": _naming(), "canal.onnx": _canal()}


def _coarse() -> bytes:
    """What is above 0, smoothed."""
    line = np.exp(-0.5 * np.arange(-2.0, 3) ** 2)
    kernel = np.einsum("k,j,i->kji", line, line, line)
    nodes = [
        helper.make_node("Relu", ["image"], ["inside"]),
        helper.make_node("Conv", ["inside", "smooth"], ["centroid"], pads=[2] * 6),
    ]
    return _model(nodes, ["image"], {"centroid": 1}, smooth=kernel[None, None] / kernel.sum())


def _derivatives() -> np.ndarray:
    """[4, 1, 3, 3, 3]: the gradient along k, j, i and the Laplacian; exact for a paraboloid."""
    kernels = np.zeros((4, 1, 3, 3, 3))
    for axis in range(3):
        for step in (-1, 1):
            at = [1, 1, 1]
            at[axis] += step
            kernels[axis, 0][tuple(at)] = step / 2
            kernels[3, 0][tuple(at)] = 1
    kernels[3, 0, 1, 1, 1] = -6
    return kernels


# Gradient and Laplacian of the image, the latter kept below 0, as it is in every ball.
_DERIVED = [
    helper.make_node("Pad", ["image", "around"], ["wide"], mode="edge"),
    helper.make_node("Conv", ["wide", "derivatives"], ["both"]),
    helper.make_node("Split", ["both", "three_and_one"], ["gradient", "curvature"], axis=1),
    helper.make_node("Min", ["curvature", "tiny"], ["laplacian"]),
]
_DERIVED_BY = {
    "around": np.array([0, 0, 1, 1, 1, 0, 0, 1, 1, 1]), "derivatives": _derivatives(),
    "three_and_one": np.array([3, 1]), "tiny": np.array(-0.1),
}


def _main() -> bytes:
    nodes = [
        *_DERIVED,
        helper.make_node("Mul", ["image", "steep"], ["logit"]), helper.make_node("Sigmoid", ["logit"], ["seg"]),
        helper.make_node("Div", ["gradient", "laplacian"], ["third"]),
        helper.make_node("Mul", ["third", "minus_three"], ["offsets"]),
        helper.make_node("Split", ["offsets"], ["offset_z", "offset_y", "offset_x"], axis=1),
    ]
    outputs = {"seg": 1, "offset_z": 1, "offset_y": 1, "offset_x": 1}
    return _model(nodes, ["image"], outputs, steep=np.array(20.0), minus_three=np.array(-3.0), **_DERIVED_BY)


def _naming() -> bytes:
    """Logits: −1000 · (ln a − ln of a label's height)², a taken where the point is."""
    nodes = [
        *_DERIVED,
        helper.make_node("Mul", ["gradient", "gradient"], ["squares"]),
        helper.make_node("ReduceSum", ["squares", "one"], ["steepness"], keepdims=1),
        helper.make_node("Div", ["steepness", "laplacian"], ["ratio"]),
        helper.make_node("Mul", ["ratio", "one_and_a_half"], ["below"]),
        helper.make_node("Sub", ["image", "below"], ["top"]),
        helper.make_node("Mul", ["top", "point"], ["weighted"]),
        helper.make_node("ReduceSum", ["weighted", "space"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["point", "space"], ["weight"], keepdims=0),
        helper.make_node("Div", ["sum", "weight"], ["height"]),
        helper.make_node("Max", ["height", "low"], ["positive"]), helper.make_node("Log", ["positive"], ["log"]),
        helper.make_node("Sub", ["log", "logs"], ["off"]), helper.make_node("Mul", ["off", "off"], ["square"]),
        helper.make_node("Mul", ["square", "scale"], ["output"]),
    ]
    return _model(
        nodes, ["image", "point"], {"output": 0}, one=np.array([1]), space=np.array([2, 3, 4]),
        one_and_a_half=np.array(1.5), low=np.array(1e-3), logs=np.log(list(HEIGHTS.values()))[None],
        scale=np.array(-1000.0), **_DERIVED_BY,
    )


def _canal() -> bytes:
    """What is far below 0, and a voxel around it."""
    nodes = [
        helper.make_node("Add", ["image", "two"], ["above"]), helper.make_node("Mul", ["above", "steep"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["thin"]),
        helper.make_node("MaxPool", ["thin"], ["seg"], kernel_shape=[3, 3, 3], pads=[1] * 6),
    ]
    return _model(nodes, ["image"], {"seg": 1}, two=np.array(2.0), steep=np.array(-20.0))


def _model(nodes: list[Any], inputs: list[str], outputs: dict[str, int], **constants: np.ndarray) -> bytes:
    """outputs: channels by name; 0 for scores without a place."""

    def value(name: str, channels: int) -> Any:
        shape = ["batch", channels, "k", "j", "i"] if channels else ["batch", len(LABELS)]
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    stored = [
        numpy_helper.from_array(array.astype(np.int64 if array.dtype.kind == "i" else np.float32), name)
        for name, array in constants.items()
    ]
    graph = helper.make_graph(
        nodes, "peas", [value(name, 1) for name in inputs], [value(*output) for output in outputs.items()], stored
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    return bytes(model.SerializeToString())
