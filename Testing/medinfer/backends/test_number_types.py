"""Networks whose inputs are integers, as the documents' own export takes a scan's array as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from medinfer.backends import NetworkFile, open_session
from medinfer.backends.number_types import in_type
from medinfer.importers.adding import add
from medinfer.importers.questions import Given
from medinfer.inference.pipeline import open_package, run
from medinfer.volume import Grid, Volume


def integer_network(path: Path, kind: int) -> Path:
    """Scores of background, and of what lies above 300: of voxels of an integer type."""
    weights = numpy_helper.from_array(np.array([0, 1], np.float32).reshape(2, 1, 1, 1, 1), "w")
    bias = numpy_helper.from_array(np.array([0, -300.5], np.float32), "b")
    sizes = ["k", "j", "i"]
    graph = helper.make_graph(
        [helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
         helper.make_node("Conv", ["f", "w", "b"], ["y"])], "above",
        [helper.make_tensor_value_info("x", kind, ["n", 1, *sizes])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2, *sizes])], [weights, bias],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("kind", ["INT16", "INT32", "INT64", "UINT8"])
def test_a_tile_becomes_the_integers_that_the_network_takes(tmp_path: Path, backend: str, kind: str) -> None:
    pytest.importorskip(backend)
    path = integer_network(tmp_path / "net.onnx", getattr(TensorProto, kind))
    rng = np.random.default_rng(0)
    tile = rng.uniform(0, 250, (1, 1, 4, 5, 6)).astype(np.float32)
    with open_session(
        [NetworkFile(path, "onnx")], inputs=["x"], outputs=["y"], backend=backend, precision="float32"
    ) as session:
        found = session.run({"x": tile})["y"]
    np.testing.assert_allclose(found[0, 1], np.rint(tile[0, 0]) - 300.5, atol=1e-3)


def test_a_scan_is_fed_as_it_is(tmp_path: Path) -> None:
    package = add(integer_network(tmp_path / "net.onnx", TensorProto.INT16), given=Given({"labels": "bright"}))
    voxels = np.random.default_rng(0).integers(-1000, 1500, (20, 24, 28)).astype(np.int16)
    volume = Volume(voxels, Grid(voxels.shape, np.diag([-1.0, -1.0, 1.0, 1.0])), "scan")
    with open_package(package, threads=1, precision="float32") as session:
        found = run(volume, package, session, assume_hu=True).label_map
    assert found is not None
    np.testing.assert_array_equal(found.whole(volume).voxels, voxels > 300)


@pytest.mark.parametrize(("kind", "given", "expected"), [
    (np.int16, [1.4, 1.6, -2.5, 4e4, -4e4], [1, 2, -2, 32767, -32768]),
    (np.uint8, [-3.0, 254.7, 300.0, np.inf], [0, 255, 255, 255]),
    (np.int64, [np.nan, -7.2], [0, -7]),
    (np.float16, [0.5, -1.0], [0.5, -1.0]),
])
def test_the_nearest_number_of_the_type_counts(kind: type, given: list[float], expected: list[float]) -> None:
    found = in_type(np.array(given, np.float32), kind)
    assert found.dtype == kind
    assert found.tolist() == expected


def test_the_highest_64_bit_numbers_do_not_turn_round() -> None:
    assert in_type(np.array([1e30], np.float32), np.int64)[0] > 9.2e18
    assert in_type(np.array([1e30], np.float32), np.uint64)[0] > 1.8e19
