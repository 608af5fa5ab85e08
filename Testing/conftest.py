"""What every suite shares: where the real data lie, a small real package, a small scan with known blobs."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import thrift  # noqa: F401 (before NumPy: importing it is all)

import numpy as np  # isort: skip
import processor
import pytest
from blobs import blob_manifest, write_blobs
from peas import draw_peas, pea_grid, peas_manifest, peas_networks

from medinfer.volume import Grid, Volume

REPOSITORY = Path(__file__).resolve().parents[1]
# Every process that a test starts sees the processor that the test stands in.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [os.environ.get("PYTHONPATH"), str(Path(processor.__file__).parent)])
)


@pytest.fixture(params=processor.SETS)
def any_processor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """OpenVINO reports what older, newer and the newest processors have, here and in child processes."""
    monkeypatch.setenv(processor.VARIABLE, request.param)
    return str(request.param)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder with real CT and real weights (`MEDINFER_TEST_DATA`); never committed, so maybe absent."""
    folder = Path(os.environ.get("MEDINFER_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real data are not here: set MEDINFER_TEST_DATA (looked in {folder})")
    return folder


@pytest.fixture(scope="session", autouse=True)
def no_installed_models(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What the fixtures of a module or a session run are the bundled models, whatever this user has installed."""
    os.environ["MEDINFER_LIBRARY"] = str(tmp_path_factory.mktemp("library"))


@pytest.fixture(autouse=True)
def own_library(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees or changes the models that the user of this machine has installed."""
    folder = tmp_path_factory.mktemp("library")
    monkeypatch.setenv("MEDINFER_LIBRARY", str(folder))
    return folder


@pytest.fixture
def blob_package(tmp_path: Path) -> Callable[..., Path]:
    """Make the folder of the blob package; `change(manifest)` may spoil it first."""

    def make(change: Callable[[dict[str, Any]], None] = lambda manifest: None, name: str = "blobs") -> Path:
        return write_blobs(tmp_path / "packages" / name, change)

    return make


def oblique_grid(shape: tuple[int, int, int] = (40, 50, 60), *, left_handed: bool = True) -> Grid:
    """An oblique, anisotropic and (by default) left-handed grid."""
    a, b, c = 0.3, -0.2, 0.15
    about_s = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_a = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_r = np.array([[1, 0, 0], [0, np.cos(c), -np.sin(c)], [0, np.sin(c), np.cos(c)]])
    directions = about_s @ about_a @ about_r @ np.diag([-1, -1, -1 if left_handed else 1])
    matrix = np.eye(4)
    matrix[:3, :3] = directions @ np.diag([1.3, 1.1, 2.1])
    matrix[:3, 3] = [31.0, -12.0, 77.0]
    return Grid(shape, matrix)


@pytest.fixture
def blob_scan() -> tuple[Volume, list[tuple[np.ndarray, float]]]:
    """A scan of air on an oblique grid with bright balls; and each ball's centre (RAS mm) and diameter (mm)."""
    grid = oblique_grid()
    balls = [((12.0, 20.0, 15.0), 14.0), ((27.0, 33.0, 44.0), 20.0)]
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    world = grid.to_ras(index)
    voxels = np.full(grid.shape, -1000, np.int16)
    truth = []
    for center, diameter in balls:
        ras = grid.to_ras(center)
        voxels[np.linalg.norm(world - ras, axis=-1) <= diameter / 2] = 0
        truth.append((ras, diameter))
    return Volume(voxels, grid, "blobs"), truth


# Landmarks of the dots package: a ball of this brightness (HU) each; the scan below has all but the last.
DOTS = {"head": -500, "chest": 0, "foot": 500, "tail": 900}


def dots_manifest(coarse_sha256: str, fine_sha256: str) -> dict[str, Any]:
    """A package of two stages: balls by their brightness at 4 mm, then each ball's middle at 2 mm."""
    prepare = {
        "orientation": "LPS",
        "intensity": [
            {"op": "clip", "low": -1000, "high": 1000}, {"op": "scale", "subtract": -1000, "divide": 2000}
        ],
    }
    return {
        **blob_manifest(""), "id": "dots", "title": "Dots by brightness", "task": "landmark",
        "coarse": {
            "prepare": {**prepare, "spacing": [4, 4, 4], "antialias": True},
            "network": {
                "files": [{"path": "coarse.onnx", "format": "onnx", "sha256": coarse_sha256}],
                "inputs": [{"role": "image", "name": "image"}], "output": "heatmaps", "channels": len(DOTS),
            },
            "tiling": {"join": "crop", "patch": [16, 16, 16], "margin": [2, 2, 2]},
            "decoder": {
                "kind": "heatmap", "threshold": 0.1, "chain": {"spacing_mm": [20, 80], "upside_down": True}
            },
        },
        "prepare": {**prepare, "spacing": [2, 2, 2], "region": {"kind": "points"}},
        "network": {
            "files": [{"path": "fine.onnx", "format": "onnx", "sha256": fine_sha256}],
            "inputs": [{"role": "image", "name": "image"}, {"role": "point", "name": "point", "sigma": 8}],
            "output": "heatmaps", "channels": 1,
        },
        "tiling": {"join": "patches", "patch": [16, 16, 18]},
        "decoder": {"kind": "heatmap", "threshold": 0.2, "chain": {"spacing_mm": [20, 80]}},
        "labels": [{"value": n, "name": name} for n, name in enumerate(DOTS, start=1)],
    }


def _dots_network(centers: np.ndarray, width: float, sigma: float, *, point: bool) -> bytes:
    """Voxels whose value lies within `width` of a channel's centre, smoothed; with `point`, times that input."""
    from onnx import TensorProto, checker, helper, numpy_helper

    def value(name: str, channels: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", channels, "k", "j", "i"])

    channels = len(centers)
    line = np.exp(-0.5 * (np.arange(-3, 4) / sigma) ** 2)
    kernel = np.einsum("k,j,i->kji", line, line, line)
    weight = np.broadcast_to(kernel / kernel.sum(), (channels, 1, 7, 7, 7)).astype(np.float32)
    nodes = [
        helper.make_node("Sub", ["image", "centers"], ["off"]), helper.make_node("Abs", ["off"], ["distance"]),
        helper.make_node("Less", ["distance", "width"], ["near"]),
        helper.make_node("Cast", ["near"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["mask", "weight"], ["smooth"], pads=[3] * 6, group=channels),
        helper.make_node("Mul", ["smooth", "point"], ["heatmaps"]) if point
        else helper.make_node("Identity", ["smooth"], ["heatmaps"]),
    ]
    graph = helper.make_graph(
        nodes, "dots", [value("image", 1), *([value("point", 1)] if point else [])], [value("heatmaps", channels)],
        [
            numpy_helper.from_array(centers.reshape(1, -1, 1, 1, 1).astype(np.float32), "centers"),
            numpy_helper.from_array(np.float32(width), "width"), numpy_helper.from_array(weight, "weight"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    return bytes(model.SerializeToString())


@pytest.fixture
def dots_package(tmp_path: Path) -> Callable[..., Path]:
    """Make the folder of the dots package; `change(manifest)` may spoil it first."""

    def make(change: Callable[[dict[str, Any]], None] = lambda manifest: None, name: str = "dots") -> Path:
        folder = tmp_path / "packages" / name
        folder.mkdir(parents=True, exist_ok=True)
        values = (np.array(list(DOTS.values())) + 1000) / 2000
        networks = {
            "coarse.onnx": _dots_network(values, 0.08, 1.0, point=False),
            "fine.onnx": _dots_network(np.array([0.6]), 0.45, 2.0, point=True),
        }
        manifest = dots_manifest(*(hashlib.sha256(network).hexdigest() for network in networks.values()))
        change(manifest)
        for path, network in networks.items():
            (folder / path).write_bytes(network)
        (folder / "model.json").write_text(json.dumps(manifest))
        return folder

    return make


@pytest.fixture
def dots_scan() -> tuple[Volume, dict[str, np.ndarray]]:
    """A scan of air on an oblique, left-handed grid with three balls in a line; and their centres (RAS mm)."""
    grid = oblique_grid((60, 50, 60))
    world = grid.to_ras(np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1))
    voxels = np.full(grid.shape, -1000, np.int16)
    truth = {}
    # Left-handed: slices run to the feet.
    for (name, value), index in zip(DOTS.items(), [(10.2, 20, 22), (27, 24.6, 30), (44, 27, 38.3)], strict=False):
        truth[name] = grid.to_ras(index)
        voxels[np.linalg.norm(world - truth[name], axis=-1) <= 9] = value
    return Volume(voxels, grid, "dots"), truth


@pytest.fixture
def peas_package(tmp_path: Path) -> Callable[..., Path]:
    """Make the folder of the package of `peas`; `change(manifest)` may spoil it first."""

    def make(change: Callable[[dict[str, Any]], None] = lambda manifest: None, name: str = "peas") -> Path:
        folder = tmp_path / "packages" / name
        folder.mkdir(parents=True, exist_ok=True)
        networks = peas_networks()
        manifest = peas_manifest(networks)
        change(manifest)
        for path, network in networks.items():
            (folder / path).write_bytes(network)
        (folder / "model.json").write_text(json.dumps(manifest))
        return folder

    return make


@pytest.fixture
def peas_scan() -> Volume:
    """Twelve balls in two arches and a tube, at the network's own 1 mm, axes LPS."""
    return draw_peas(pea_grid())
