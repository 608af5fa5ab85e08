"""What a network is asked for one tile: mirrored, slice by slice, and as the mean of several networks."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from voxelwise import one_pass, shifted, write_package

from medinfer.backends import mean_of
from medinfer.errors import PackageError
from medinfer.inference.network_answer import answer
from medinfer.inference.package_session import PackageSession, open_package
from medinfer.inference.pipeline import run
from medinfer.library.package import load_package, sha256_of
from medinfer.manifest import Pass
from medinfer.tiles.tiling import Tile
from medinfer.volume import Grid, Volume

KERNEL = np.arange(45, dtype=np.float32).reshape(3, 3, 5) / 990
TILE = Tile(0, (0, 0, 0), (7, 8, 9), (0, 0, 0), (7, 8, 9))
VALUES = np.random.default_rng(1).random((1, *TILE.shape)).astype(np.float32)


def package(folder: Path, network: bytes, change: Any = lambda one: None) -> Path:
    one = one_pass("spots", network, {"kind": "segments"}, labels=["spot"])
    change(one)
    return write_package(
        folder, {"spots": network}, [one], task="segment", result=[{"of": "spots", "as": "objects"}], labels=["spot"],
    )


def asked(folder: Path) -> tuple[PackageSession, Pass]:
    loaded = load_package(folder)
    return open_package(loaded, backend="onnxruntime", precision="float32", threads=1), loaded.manifest.passes[0]


def answered(folder: Path) -> np.ndarray:
    session, one = asked(folder)
    with session:
        return answer(TILE, one, session.passes["spots"], [lambda tile: VALUES])


@pytest.mark.parametrize("axes", [["k"], ["j", "i"], ["k", "j", "i"]])
def test_the_mean_over_all_mirrored_tiles_counts(tmp_path: Path, axes: list[str]) -> None:
    network = shifted(KERNEL)
    plain = answered(package(tmp_path / "plain", network))
    session, one = asked(package(tmp_path / "mirrored", network, lambda one: one["network"].update(mirror=axes)))
    expected = []
    numbers = [1 + "kji".index(axis) for axis in axes]
    with session:
        alone = one.model_copy(update={"network": one.network.model_copy(update={"mirror": ()})})
        for count in range(len(numbers) + 1):
            for ways in combinations(numbers, count):
                turned = np.flip(VALUES, ways).copy()
                expected.append(np.flip(answer(TILE, alone, session.passes["spots"], [lambda _, t=turned: t]), ways))
        found = answer(TILE, one, session.passes["spots"], [lambda tile: VALUES])
    assert len(expected) == 2 ** len(axes)
    np.testing.assert_allclose(found, np.mean(expected, axis=0), atol=1e-6)
    assert np.abs(found - plain).max() > 1e-3


def flat_network(kernel: np.ndarray) -> bytes:
    """A convolution of slices [b, 1, y, x]."""
    def value(name: str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 1, "y", "x"])

    node = helper.make_node("Conv", ["image", "kernel"], ["answer"], pads=[n // 2 for n in kernel.shape] * 2)
    graph = helper.make_graph(
        [node], "flat", [value("image")], [value("answer")], [numpy_helper.from_array(kernel[None, None], "kernel")]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


@pytest.mark.parametrize(("axes", "patch"), [("zyx", [1, 8, 9]), ("xyz", [7, 8, 1]), ("yzx", [7, 1, 9])])
def test_a_network_of_slices_gives_what_one_of_a_flat_kernel_gives(
    tmp_path: Path, axes: str, patch: list[int]
) -> None:
    flat = np.random.default_rng(2).random((3, 5)).astype(np.float32) / 7.5
    solid = flat[None]
    volume = Volume(np.random.default_rng(3).random((7, 8, 9)).astype(np.float32), Grid((7, 8, 9), np.eye(4)))
    found = []
    for name, network, dimensions in (("flat", flat_network(flat), 2), ("solid", shifted(solid), 3)):

        def change(one: Any, dimensions: int = dimensions) -> None:
            one["network"]["dimensions"], one["prepare"]["axes"] = dimensions, axes
            one["tiling"] = {"join": "crop", "patch": patch, "margin": [0, 0, 0]}

        with open_package(load_package(package(tmp_path / name, network, change))) as session:
            found.append(run(volume, load_package(tmp_path / name), session).label_map.whole(volume).voxels)
    assert 0 < found[0].mean() < 1
    np.testing.assert_array_equal(*found)


def test_a_network_of_slices_that_is_not_declared_so_is_refused(tmp_path: Path) -> None:
    folder = package(tmp_path / "flat", flat_network(np.ones((3, 3), np.float32)))
    with pytest.raises(PackageError, match=r"any×1×any×any for its input “image”.*declare network.dimensions = 2"):
        open_package(load_package(folder), backend="onnxruntime")


def test_the_mean_of_several_networks_counts(tmp_path: Path) -> None:
    kernels = [KERNEL, KERNEL[::-1].copy(), KERNEL[:, :, ::-1].copy()]
    alone = [answered(package(tmp_path / str(n), shifted(kernel))) for n, kernel in enumerate(kernels)]
    folder = package(tmp_path / "all", shifted(kernels[0]))
    further = []
    for n, kernel in enumerate(kernels[1:]):
        path = folder / f"fold_{n}.onnx"
        path.write_bytes(shifted(kernel))
        further.append([{"path": path.name, "format": "onnx", "sha256": sha256_of(path)}])
    package(folder, shifted(kernels[0]), lambda one: one["network"].update(further=further))
    np.testing.assert_allclose(answered(folder), np.mean(alone, axis=0), atol=1e-6)
    path.write_bytes(onnx.load(path).SerializeToString() + b" ")
    with pytest.raises(PackageError, match=r"fold_1\.onnx is not the file that model\.json declares"):
        load_package(folder).verified_files()


def test_one_network_is_its_own_mean(tmp_path: Path) -> None:
    session, _ = asked(package(tmp_path / "one", shifted(KERNEL)))
    with session:
        assert mean_of([session.passes["spots"]]) is session.passes["spots"]
