"""Networks for tensors of torch, here on the processor: what arrays give, without a way through the host."""

from __future__ import annotations

import itertools
import json
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from voxelwise import shifted, voxelwise

from medinfer.arrays import on_host
from medinfer.backends import NetworkFile, Session, mean_of, onnx_runtime, open_session, torch_files
from medinfer.backends.bound_run import BoundRun, OwnMemory, TorchMemory
from medinfer.backends.onnx_half import halved
from medinfer.backends.session import Request, Tensors
from medinfer.errors import DeviceError, OutOfMemory, PackageError

KERNEL = np.arange(45, dtype=np.float32).reshape(3, 3, 5) / 990


class Two(torch.nn.Module):
    """Two outputs of two inputs."""

    def forward(self, image: torch.Tensor, other: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return image + 2 * other[:, :1], other[:, :, ::2]


def saved(folder: Path, format: str) -> Path:
    """The same network as an ONNX and as a TorchScript file."""
    if format == "torchscript":
        path = folder / "two.ts"
        torch.jit.script(Two()).save(str(path))
        return path

    def value(name: str, channels: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", channels, "k", "j", "i"])

    constants = {"two": np.float32(2), "zero": [0], "one": [1], "axis": [1], "end": [9999], "along": [2], "step": [2]}
    graph = helper.make_graph(
        [helper.make_node("Slice", ["other", "zero", "one", "axis"], ["first"]),
         helper.make_node("Mul", ["first", "two"], ["twice"]), helper.make_node("Add", ["image", "twice"], ["sum"]),
         helper.make_node("Slice", ["other", "zero", "end", "along", "step"], ["half"])],
        "two", [value("image", 1), value("other", 2)], [value("sum", 1), value("half", 2)],
        [numpy_helper.from_array(np.asarray(number), name) for name, number in constants.items()],
    )
    path = folder / "two.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
                     .SerializeToString())
    return path


def opened(path: Path, format: str, **fields: Any) -> Session:
    names = {"inputs": ["image", "other"], "outputs": ["sum", "half"], **fields}
    return open_session(
        [NetworkFile(path, format)], **names, backend="torch" if format != "onnx" else "onnxruntime",  # type: ignore[arg-type]
        device="cpu", precision="float32", threads=1,
    )


def tiles(*size: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(size)
    return {
        name: rng.normal(size=(size[0], channels, *size[1:])).astype(np.float32)
        for name, channels in (("image", 1), ("other", 2))
    }


def as_tensors(feeds: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(values) for name, values in feeds.items()}


@pytest.mark.parametrize("format", ["torchscript", "onnx"])
def test_tensors_give_what_arrays_give_at_any_size(tmp_path: Path, format: str) -> None:
    with opened(saved(tmp_path, format), format) as session:
        assert session.tensors is None
        session.joins_on_device = True
        assert session.tensors is not None
        assert session.tensors.device == torch.device("cpu")
        for size in [(1, 6, 7, 8), (1, 6, 7, 8), (3, 4, 5, 6), (1, 6, 7, 8)]:
            feeds = tiles(*size)
            expected, found = session.run(feeds), session.run_tensors(as_tensors(feeds))
            assert list(found) == ["sum", "half"]
            for name, values in found.items():
                assert torch.is_tensor(values)
                np.testing.assert_array_equal(values.numpy(), expected[name])
        # Rows that are not one behind the other, as of a mirrored or cut tile.
        turned = {name: torch.from_numpy(values.swapaxes(3, 4).copy()).swapaxes(3, 4) for name, values in feeds.items()}
        np.testing.assert_array_equal(session.run_tensors(turned)["sum"].numpy(), expected["sum"])
    with pytest.raises(DeviceError, match="is closed"):
        session.run_tensors(as_tensors(feeds))


@pytest.mark.parametrize("format", ["torchscript", "onnx"])
def test_results_belong_to_the_caller(tmp_path: Path, format: str) -> None:
    with opened(saved(tmp_path, format), format) as session:
        session.joins_on_device = True
        first = session.run_tensors(as_tensors(tiles(1, 4, 4, 4)))["sum"]
        before = first.clone()
        session.run_tensors(as_tensors(tiles(1, 4, 4, 4)) | {"image": torch.ones(1, 1, 4, 4, 4)})
        assert torch.equal(first, before)
        first += 1


@pytest.mark.skipif("bfloat16" not in torch_files.devices()["cpu"], reason="this processor has no bfloat16")
@pytest.mark.parametrize("frozen", [False, True])
def test_a_frozen_network_is_no_exception_in_low_precision(tmp_path: Path, frozen: bool) -> None:
    """Its weights are constants of the code, which no cast reaches."""
    torch.manual_seed(0)
    layer = torch.jit.script(torch.nn.Sequential(torch.nn.Conv3d(1, 4, 3, padding=1), torch.nn.ReLU()).eval())
    path = tmp_path / "net.ts"
    (torch.jit.freeze(layer) if frozen else layer).save(str(path))
    values = torch.rand(1, 1, 8, 8, 8)
    found = {}
    for precision in ("float32", "bfloat16"):
        with open_session(
            [NetworkFile(path, "torchscript")], inputs=["image"], outputs=["answer"], backend="torch", device="cpu",
            precision=precision,
        ) as session:
            found[precision] = session.run({"image": values.numpy()})["answer"]
            assert session.run_tensors({"image": values})["answer"].dtype == torch.float32
    np.testing.assert_allclose(found["bfloat16"], found["float32"], atol=0.02)
    assert (found["bfloat16"] != found["float32"]).any()


def test_a_closed_session_lets_go_of_its_network() -> None:
    def opened_over(network: torch.nn.Module) -> Session:
        return Session(
            runtime="torch", device="cuda:0", precision="float32", name="net.ts", inputs={"image": (None,) * 5},
            outputs=["out"], runner=lambda arrays: arrays,
            tensors=lambda: Tensors(torch.device("cpu"), lambda tensors: [network(tensors[0])]),
        )

    network = torch.nn.Conv3d(1, 1, 3)
    held, session = weakref.ref(network), opened_over(network)
    session.run_tensors({"image": torch.zeros(1, 1, 4, 4, 4)})
    del network
    assert held() is not None
    session.close()
    assert held() is None
    assert session.tensors is None


def test_tiles_that_do_not_fit_are_refused_as_arrays_are(tmp_path: Path) -> None:
    with opened(saved(tmp_path, "onnx"), "onnx") as session:
        session.joins_on_device = True
        with pytest.raises(PackageError, match=r"takes any×2×any×any×any for its input “other”"):
            session.run_tensors(as_tensors(tiles(1, 4, 4, 4)) | {"other": torch.zeros(1, 3, 4, 4, 4)})
        with pytest.raises(PackageError, match="needs the input “other”"):
            session.run_tensors({"image": torch.zeros(1, 1, 4, 4, 4)})


def test_memory_that_runs_out_is_an_error_of_its_own() -> None:
    def run(tensors: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    session = Session(
        runtime="torch", device="cuda:0", precision="float32", name="net.ts", inputs={"image": (None,) * 5},
        outputs=["out"], runner=lambda arrays: arrays, tensors=lambda: Tensors(torch.device("cpu"), run),
    )
    assert session.tensors is not None  # on a card tiles are joined there
    with pytest.raises(OutOfMemory, match=r"graphics card ran out of memory \(torch on cuda:0, a tile of 2×1×4×4×4"):
        session.run_tensors({"image": torch.zeros(2, 1, 4, 4, 4)})


@pytest.mark.parametrize("kinds", list(itertools.product(["onnx", "torchscript"], repeat=2)))
def test_the_mean_of_folds_is_taken_where_they_are(tmp_path: Path, kinds: tuple[str, str]) -> None:
    members = [opened(saved(tmp_path, kind), kind) for kind in kinds]
    mean = mean_of(members)
    mean.joins_on_device = True
    feeds = tiles(2, 4, 5, 6)
    for name, values in mean.run_tensors(as_tensors(feeds)).items():
        np.testing.assert_array_equal(values.numpy(), mean.run(feeds)[name])
    for member in members:
        member.close()


def test_there_is_no_mean_on_a_device_that_one_fold_is_not_on(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    path = saved(tmp_path, "onnx")
    far = open_session(
        [NetworkFile(path, "onnx")], inputs=["image", "other"], outputs=["sum", "half"], backend="openvino",
        device="cpu", precision="float32",
    )
    mean = mean_of([opened(path, "onnx"), far])
    mean.joins_on_device = far.joins_on_device = True
    assert mean.tensors is None
    assert far.tensors is None


def bound(content: bytes, memory: Any, **fields: Any) -> BoundRun:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return BoundRun(session, ["image"], ["answer"], memory, **fields)


@pytest.mark.parametrize("memory", [OwnMemory("cpu", 0), TorchMemory("cpu", 0)])
def test_bound_memory_gives_the_answers_of_a_plain_run(memory: Any) -> None:
    content = shifted(KERNEL)
    import onnxruntime

    plain, run = onnxruntime.InferenceSession(content), bound(content, memory)
    kept = []
    for size in [(1, 1, 7, 8, 9), (1, 1, 7, 8, 9), (2, 1, 5, 5, 6)]:
        values = np.random.default_rng(size[0]).random(size).astype(np.float32)
        (expected,) = plain.run(None, {"image": values})
        given = values if isinstance(memory, OwnMemory) else torch.from_numpy(values)
        (found,) = run([given])
        kept.append((on_host(found).copy(), found))
        np.testing.assert_array_equal(on_host(found), expected)
    for before, now in kept:  # what was handed out is not written over
        np.testing.assert_array_equal(before, on_host(now))


def test_declared_shapes_need_no_first_run() -> None:
    content, values = shifted(KERNEL), torch.rand(1, 1, 7, 8, 9)
    (found,) = bound(content, TorchMemory("cpu", 0), fixed=((1, 1, 7, 8, 9),))([values])
    (expected,) = bound(content, TorchMemory("cpu", 0))([values])
    assert torch.equal(found, expected)


def test_a_run_that_failed_does_not_spoil_the_next() -> None:
    run = bound(shifted(KERNEL), TorchMemory("cpu", 0))
    values = torch.rand(1, 1, 7, 8, 9)
    (expected,) = run([values])
    with pytest.raises(Exception, match="invalid dimensions"):
        run([torch.rand(1, 2, 7, 8, 9)])
    assert torch.equal(run([values])[0], expected)


def request(path: Path, device: str = "cpu", precision: str = "auto") -> Request:
    return Request(NetworkFile(path, "onnx"), path.read_bytes(), ("image",), ("answer",), device, precision, 1)


def test_only_networks_of_fixed_shapes_are_kept_as_cuda_graphs(tmp_path: Path) -> None:
    import onnxruntime

    path = tmp_path / "net.onnx"
    path.write_bytes(voxelwise([[1.0]], [0.0]))
    session = onnxruntime.InferenceSession(path.read_bytes())
    assert onnx_runtime._fixed_outputs(session, request(path)) is None
    model = onnx.load(path)
    for entry in (*model.graph.input, *model.graph.output):
        for axis, size in zip(entry.type.tensor_type.shape.dim, (1, 1, 7, 8, 9), strict=True):
            axis.dim_value = size
    onnx.save(model, path)
    session = onnxruntime.InferenceSession(path.read_bytes())
    assert onnx_runtime._fixed_outputs(session, request(path)) == ((1, 1, 7, 8, 9),)
    with onnx_runtime.open_network(request(path)) as fixed:
        assert not fixed.takes_batches
    # What CUDA is asked for; the processor knows none of these words.
    assert json.loads(json.dumps(onnx_runtime._provider_options("cuda", request(path, "cuda:1", "float32")))) == {
        "device_id": "1", "use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC",
        "arena_extend_strategy": "kSameAsRequested",
    }


def test_a_network_in_half_precision_is_nearly_the_same(tmp_path: Path) -> None:
    """As a card computes it; here on the processor, which does not offer it."""
    path = tmp_path / "net.onnx"
    path.write_bytes(shifted(KERNEL))
    half = onnx.load_model_from_string(halved(path.read_bytes(), path))
    assert {entry.data_type for entry in half.graph.initializer} == {TensorProto.FLOAT16}
    assert half.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT
    values = {"image": np.random.default_rng(0).random((1, 1, 7, 8, 9)).astype(np.float32)}
    found = []
    for precision in ("float32", "float16"):
        with onnx_runtime.open_network(request(path, precision=precision)) as session:
            assert session.precision == precision
            found.append(session.run(values)["answer"])
            np.testing.assert_array_equal(session.run_tensors(as_tensors(values))["answer"].numpy(), found[-1])
    np.testing.assert_allclose(*found, atol=2e-3)
    assert (found[0] != found[1]).any()
    with pytest.raises(DeviceError, match=r"net\.onnx cannot be brought to float16 .*; use --precision tf32"):
        halved(b"no network", path)
