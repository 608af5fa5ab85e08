"""The three runtimes give the same numbers, say what they really do, and refuse what is not there."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import onnx
import processor
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from medinfer.backends import NetworkFile, available, open_session
from medinfer.backends.cpu import physical_cores
from medinfer.backends.session import failure
from medinfer.errors import DeviceError, PackageError

# Float32 sums are taken in another order by each runtime; 3·27 products lie within this of each other.
FLOAT32_TOLERANCE = 1e-4
INPUTS, OUTPUTS = ["image", "coordinates"], ["grid"]
RUNTIMES = [("onnxruntime", "onnx"), ("openvino", "onnx"), ("torch", "torchscript"), ("torch", "pt2")]


class TwoInputs(torch.nn.Module):
    """Convolution and ReLU of the image, then another convolution that also sees where the tile lies."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first, self.second = torch.nn.Conv3d(1, 4, 3, padding=1), torch.nn.Conv3d(7, 2, 3, padding=1)

    def forward(self, image: torch.Tensor, coordinates: torch.Tensor) -> torch.Tensor:
        return self.second(torch.cat([torch.relu(self.first(image)), coordinates], 1))


def as_onnx(network: TwoInputs) -> bytes:
    weights = [
        numpy_helper.from_array(tensor.detach().numpy(), name) for name, tensor in network.state_dict().items()
    ]
    nodes = [
        helper.make_node("Conv", ["image", "first.weight", "first.bias"], ["a"], pads=[1] * 6),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Concat", ["b", "coordinates"], ["c"], axis=1),
        helper.make_node("Conv", ["c", "second.weight", "second.bias"], ["grid"], pads=[1] * 6),
    ]

    def tile(name: str, channels: int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", channels, "k", "j", "i"])

    graph = helper.make_graph(nodes, "net", [tile("image", 1), tile("coordinates", 3)], [tile("grid", 2)], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same network in all three formats."""
    folder = tmp_path_factory.mktemp("networks")
    network = TwoInputs().eval()
    (folder / "net.onnx").write_bytes(as_onnx(network))
    torch.jit.script(network).save(str(folder / "net.torchscript"))
    free = dict.fromkeys((0, 2, 3, 4), torch.export.Dim.AUTO)
    example = (torch.zeros(2, 1, 8, 9, 10), torch.zeros(2, 3, 8, 9, 10))
    torch.export.save(torch.export.export(network, example, dynamic_shapes=(free, free)), folder / "net.pt2")
    return folder


def file_of(folder: Path, format: str) -> NetworkFile:
    return NetworkFile(folder / f"net.{format}", format)  # type: ignore[arg-type]


def tile_of(*size: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        name: rng.normal(size=(size[0], channels, *size[1:])).astype(np.float32)
        for name, channels in (("image", 1), ("coordinates", 3))
    }


def opened(folder: Path, runtime: str, format: str, **settings):
    settings = {"inputs": INPUTS, "outputs": OUTPUTS, "device": "cpu", **settings}
    return open_session([file_of(folder, format)], backend=runtime, **settings)


@pytest.mark.parametrize(("runtime", "format"), RUNTIMES)
@pytest.mark.parametrize("size", [(1, 8, 12, 16), (2, 5, 7, 9), (1, 1, 1, 1)])
def test_every_runtime_gives_the_numbers_of_torch_eager_on_tiles_of_any_size(folder, runtime, format, size):
    feeds = tile_of(*size)
    with torch.no_grad():
        expected = TwoInputs()(*(torch.from_numpy(feeds[name]) for name in INPUTS)).numpy()
    with opened(folder, runtime, format, precision="float32") as session:
        result = session.run(feeds)["grid"]
    assert (session.runtime, session.device, session.precision) == (runtime, "cpu", "float32")
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=FLOAT32_TOLERANCE, atol=FLOAT32_TOLERANCE * abs(expected).max())


def test_auto_takes_openvino_for_an_onnx_file_and_torch_for_what_only_torch_reads(folder):
    usable = {(entry.backend, entry.device) for entry in available() if entry.usable}
    if any(device in ("cuda", "directml") for _, device in usable):
        pytest.skip("a GPU is here, and auto takes it")
    onnx_best = "openvino" if ("openvino", "cpu") in usable else "onnxruntime"
    files = [file_of(folder, "torchscript"), file_of(folder, "onnx")]
    with open_session(files, inputs=INPUTS, outputs=OUTPUTS) as session:
        assert (session.runtime, session.device) == (onnx_best, "cpu")
    with open_session(files[:1], inputs=INPUTS, outputs=OUTPUTS) as session:
        assert (session.runtime, session.device) == ("torch", "cpu")


def test_a_result_is_not_overwritten_by_the_next_run(folder):
    for runtime, format in RUNTIMES:
        with opened(folder, runtime, format) as session:
            first = session.run(tile_of(1, 4, 4, 4))["grid"]
            kept = first.copy()
            session.run({name: array + 1 for name, array in tile_of(1, 4, 4, 4).items()})
        np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize(("settings", "words"), [
    ({"backend": "tensorflow"}, "Unknown backend “tensorflow”"),
    ({"device": "quantum"}, "Unknown device “quantum”"),
    ({"device": "cpu", "precision": "int3"}, "Unknown precision “int3”"),
    ({"device": "cpu", "precision": "float16", "backend": "onnxruntime"}, "no hardware support for float16; available"),
    ({"device": "cpu", "precision": "int8"}, "no int8 network file"),
    ({"device": "cpu", "precision": "tf32"}, "no hardware support for tf32"),
    ({"backend": "torch"}, "torch cannot read this model"),
])
def test_a_wish_that_cannot_be_fulfilled_is_one_sentence(folder, settings, words):
    with pytest.raises(DeviceError, match=words) as caught:
        open_session([file_of(folder, "onnx")], inputs=INPUTS, outputs=OUTPUTS, **settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("runtime", ["auto", "onnxruntime", "openvino", "torch"])
@pytest.mark.parametrize("device", ["cuda", "cuda:1", "directml", "coreml", "gpu", "mps"])
def test_a_device_that_is_not_there_is_an_error_and_never_a_slower_run(folder, runtime, device):
    if any(entry.usable and entry.device == device.partition(":")[0] for entry in available()):
        pytest.skip(f"{device} is here")
    format = "torchscript" if runtime == "torch" else "onnx"
    with pytest.raises(DeviceError, match="; available: "):
        opened(folder, runtime, format, device=device)


def test_openvino_has_the_precisions_that_it_reports(folder, any_processor):
    words = {"FP32": "float32", "BF16": "bfloat16", "FP16": "float16"}
    (able,) = [entry.precisions for entry in available() if (entry.backend, entry.device) == ("openvino", "cpu")]
    assert list(able) == [words[mark] for mark in any_processor.split()]
    for precision in set(words.values()) - set(able):
        with pytest.raises(DeviceError, match=f"no hardware support for {precision}"):
            opened(folder, "openvino", "onnx", precision=precision)


@pytest.mark.skipif(not processor.is_real(), reason="another processor is stood in: what it has, this one may lack")
@pytest.mark.parametrize(("runtime", "format"), RUNTIMES[1:3])
def test_bfloat16_is_refused_where_the_processor_lacks_it_and_reported_where_it_has_it(folder, runtime, format):
    (able,) = [entry.precisions for entry in available() if (entry.backend, entry.device) == (runtime, "cpu")]
    if "bfloat16" not in able:
        with pytest.raises(DeviceError, match="no hardware support for bfloat16"):
            opened(folder, runtime, format, precision="bfloat16")
        return
    feeds = tile_of(1, 8, 8, 8)
    with opened(folder, runtime, format, precision="float32") as exact, \
            opened(folder, runtime, format, precision="bfloat16") as short:
        assert short.precision == "bfloat16"
        reference, result = exact.run(feeds)["grid"], short.run(feeds)["grid"]
    # 8 bits of mantissa: 2⁻⁸ for each factor, rms over the tile.
    assert np.sqrt(np.mean((result - reference) ** 2) / np.mean(reference**2)) < 1e-2


@pytest.mark.parametrize(("runtime", "format"), RUNTIMES)
@pytest.mark.parametrize("damage", ["text", "truncated", "empty"])
def test_a_damaged_network_file_is_refused_with_its_name(folder, tmp_path, runtime, format, damage):
    whole = (folder / f"net.{format}").read_bytes()
    content = {"text": b"404: Not Found\n", "truncated": whole[: len(whole) // 2], "empty": b""}[damage]
    (tmp_path / f"net.{format}").write_bytes(content)
    with pytest.raises(PackageError, match=rf"net\.{format} is") as caught:
        opened(tmp_path, runtime, format)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_names_that_the_network_does_not_have_are_named(folder, runtime):
    with pytest.raises(PackageError, match=r"inputs “image”, “coordinates”.*declares “slab”.*network\.inputs"):
        opened(folder, runtime, "onnx", inputs=["slab"])
    with pytest.raises(PackageError, match=r"outputs “grid”.*declares “logits”.*network\.output"):
        opened(folder, runtime, "onnx", outputs=["logits"])


@pytest.mark.parametrize("format", ["torchscript", "pt2"])
def test_torch_files_have_no_names_but_a_number_of_inputs(folder, format):
    with pytest.raises(PackageError, match="takes 2 inputs"):
        opened(folder, "torch", format, inputs=["image"])
    with pytest.raises(PackageError, match="returns 1 outputs"), \
            opened(folder, "torch", format, outputs=["grid", "more"]) as session:
        session.run(tile_of(1, 4, 4, 4))


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_two_dimensional_network_is_refused_when_opened(tmp_path, runtime):
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", 1, "j", "i"]) for name in ("image", "grid")]
    graph = helper.make_graph([helper.make_node("Relu", ["image"], ["grid"])], "flat", value[:1], value[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(PackageError, match="five axes"):
        opened(tmp_path, runtime, "onnx", inputs=["image"])


@pytest.mark.parametrize(("runtime", "format"), RUNTIMES)
def test_a_tile_that_does_not_fit_the_network_is_a_package_error(folder, runtime, format):
    with opened(folder, runtime, format) as session:
        wrong = tile_of(1, 4, 4, 4)
        with pytest.raises(PackageError, match="1×3×4×4×4"):
            session.run({**wrong, "image": wrong["coordinates"]})
        with pytest.raises(PackageError, match="“coordinates”"):
            session.run({"image": wrong["image"]})
        # And the session lives on.
        assert session.run(wrong)["grid"].shape == (1, 2, 4, 4, 4)


class Evil:
    """Unpickling it runs code: it makes the file `where`."""

    def __init__(self, where: Path) -> None:
        self.where = where

    def __reduce__(self):
        return Path.touch, (self.where,)


def test_a_pickle_inside_a_pt2_file_is_refused_and_not_run(folder, tmp_path):
    harmed = tmp_path / "harmed"
    poison = io.BytesIO()
    torch.save(Evil(harmed), poison)
    with zipfile.ZipFile(folder / "net.pt2") as good, zipfile.ZipFile(tmp_path / "net.pt2", "w") as bad:
        pickled = [name for name in good.namelist() if name.endswith(".pt")]
        assert pickled, "torch.export no longer keeps a pickle: this test must look elsewhere"
        for name in good.namelist():
            bad.writestr(name, poison.getvalue() if name in pickled else good.read(name))
    with pytest.raises(PackageError):
        opened(tmp_path, "torch", "pt2")
    assert not harmed.exists()


@pytest.mark.parametrize("format", ["torchscript", "pt2"])
def test_a_pickled_module_is_not_a_network_file(tmp_path, format):
    harmed = tmp_path / "harmed"
    (tmp_path / f"net.{format}").write_bytes(pickle.dumps(Evil(harmed)))
    with pytest.raises(PackageError):
        opened(tmp_path, "torch", format)
    assert not harmed.exists()


def test_an_encrypted_network_is_opened_from_memory(folder):
    plain = (folder / "net.onnx").read_bytes()
    hidden = NetworkFile(folder / "never-written.onnx", "onnx")
    for runtime in ("onnxruntime", "openvino"):
        with open_session([hidden], inputs=INPUTS, outputs=OUTPUTS, backend=runtime,
                          load_bytes=lambda path: plain) as session:
            assert session.run(tile_of(1, 4, 4, 4))["grid"].shape == (1, 2, 4, 4, 4)


@pytest.mark.parametrize(("runtime", "format"), RUNTIMES)
def test_closing_waits_for_the_run_of_another_thread_and_later_runs_say_that_it_is_closed(folder, runtime, format):
    session, feeds = opened(folder, runtime, format), tile_of(1, 32, 48, 64)
    expected = session.run(feeds)["grid"]
    results: list[np.ndarray] = []
    worker = threading.Thread(target=lambda: results.append(session.run(feeds)["grid"]))
    worker.start()
    while worker.is_alive() and not session._lock.locked():
        time.sleep(1e-4)
    session.close()
    worker.join()
    np.testing.assert_array_equal(results, [expected])
    session.close()
    with pytest.raises(DeviceError, match="closed"):
        session.run(feeds)


def test_threads_are_limited_to_the_cores_there_are():
    assert 1 <= physical_cores() <= len(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(999))


@pytest.mark.parametrize("words", [
    "[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes",
    "Non-zero status code returned while running Conv node. Failed to allocate memory for requested buffer of size 9",
    "std::bad_alloc",
])
def test_what_a_runtime_says_when_memory_runs_out_becomes_advice(words):
    error = failure(RuntimeError(words), "torch", "cpu", "net.onnx", "1×1×512×512×512")
    assert isinstance(error, DeviceError)
    assert str(error).startswith("This computer ran out of memory (torch on cpu, a tile of 1×1×512×512×512)")
    assert "tiling.patch" in str(error)


@pytest.mark.parametrize(("runtime", "device", "words"), [
    ("torch", "cuda:0", "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 7.79 GiB"),
    ("torch", "cuda:1", "cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    ("onnxruntime", "cuda:0", "BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 9"),
    ("onnxruntime", "cuda:0", "CUDA failure 2: out of memory ; GPU=0"),
    ("onnxruntime", "directml", "8007000E Not enough memory resources are available to complete this operation."),
    ("openvino", "gpu", "[GPU] Exceeded max size of memory object allocation: requested 4294967296 bytes"),
    ("openvino", "gpu", "[GPU] clFlush, error code: -5 CL_OUT_OF_RESOURCES"),
    ("openvino", "gpu", "[GPU] CL_MEM_OBJECT_ALLOCATION_FAILURE"),
])
def test_the_memory_of_a_graphics_card_is_told_as_such(runtime, device, words):
    error = failure(RuntimeError(words), runtime, device, "net.onnx", "1×1×512×512×512")
    assert isinstance(error, DeviceError)
    assert str(error).startswith(f"The graphics card ran out of memory ({runtime} on {device}, a tile of 1×1×512")
    assert str(error).endswith("or choose the device cpu.")


STARVED = """
import resource, sys
from pathlib import Path
import numpy as np
from medinfer.backends import NetworkFile, open_session
from medinfer.errors import DeviceError

file = NetworkFile(Path(sys.argv[1]), sys.argv[2])
session = open_session([file], inputs=["image", "coordinates"], outputs=["grid"], backend=sys.argv[3], threads=1)
tile = lambda *size: {name: np.zeros((1, c, *size), np.float32) for name, c in (("image", 1), ("coordinates", 3))}
session.run(tile(4, 4, 4))
large = tile(300, 512, 128)  # its features need 7 × 79 MB and more
held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + (8 << 20), resource.RLIM_INFINITY))
try:
    session.run(large)
except DeviceError as error:
    print(error)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's limit of address space")
@pytest.mark.parametrize(("runtime", "format"), RUNTIMES[:3])
def test_a_tile_that_does_not_fit_the_memory_is_a_device_error_with_advice(folder, runtime, format):
    command = [sys.executable, "-c", STARVED, str(folder / f"net.{format}"), format, runtime]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)
    told = f"This computer ran out of memory ({runtime} on cpu, a tile of 1×1×300×512×128"
    assert told in done.stdout, done.stderr


def test_a_real_torchscript_network_opens_and_runs(test_data):
    file = NetworkFile(test_data / "weights" / "spleen_unet_torchscript.pt", "torchscript")
    tile = np.random.default_rng(1).random((1, 1, 96, 96, 96), np.float32)
    with open_session([file], inputs=["image"], outputs=["logits"], precision="float32") as session:
        result = session.run({"image": tile})["logits"]
    assert (session.runtime, result.shape) == ("torch", (1, 2, 96, 96, 96))
    with torch.inference_mode():
        expected = torch.jit.load(str(file.path)).eval()(torch.from_numpy(tile)).numpy()
    np.testing.assert_allclose(result, expected, rtol=FLOAT32_TOLERANCE, atol=FLOAT32_TOLERANCE * abs(expected).max())
