"""Weights beside an ONNX graph: right values on every runtime wherever it runs, and no file that was not declared."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from two_balls import SIZE, expected

from medinfer.backends import NetworkFile, available, open_session
from medinfer.backends.onnx_weights import INSIDE, weight_files, with_weights
from medinfer.backends.protobuf_wire import head_of
from medinfer.errors import PackageError
from medinfer.library.package import load_package

RUNTIMES = sorted({entry.backend for entry in available(["onnxruntime", "openvino"]) if entry.device == "cpu"})


def names_of(graph: Path) -> tuple[str, str]:
    model = onnx.load(str(graph), load_external_data=False)
    return model.graph.input[0].name, model.graph.output[0].name


def answer_of(file: NetworkFile, runtime: str, tile: np.ndarray) -> np.ndarray:
    image, output = names_of(file.path)
    with open_session([file], inputs=[image], outputs=[output], backend=runtime, device="cpu",
                      precision="float32") as session:
        return session.run({image: tile})[output]


def tile_of_noise() -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.2, 1.2, (1, 1, SIZE, SIZE, SIZE)).astype(np.float32)


@pytest.fixture
def network(default_export: Path, tmp_path: Path) -> Path:
    """A copy of the graph and its weights."""
    home = tmp_path / "network"
    home.mkdir()
    for path in (default_export, default_export.with_name("model.onnx.data")):
        shutil.copy(path, home)
    return home / "model.onnx"


def test_the_table_names_every_place_in_which_onnx_keeps_a_tensor() -> None:
    there: dict[str, dict[int, str]] = {}

    def reaches(message: Any, above: tuple[str, ...] = ()) -> bool:
        if message.name == "TensorProto" or message.name in above:
            return message.name == "TensorProto" or message.name in there
        for field in message.fields:
            if field.message_type and reaches(field.message_type, (*above, message.name)):
                there.setdefault(message.name, {})[field.number] = field.message_type.name
        return message.name in there

    for _ in range(2):  # once more for what lies in itself
        reaches(onnx.ModelProto.DESCRIPTOR)
    assert there == INSIDE


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_default_export_of_torch_gives_torchs_values_wherever_it_is_run(
    network: Path, runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tile = tile_of_noise()
    file = NetworkFile(network, "onnx", (("model.onnx.data", network.with_name("model.onnx.data")),))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    # Other weights of the same name, where a runtime would look for them.
    (elsewhere / "model.onnx.data").write_bytes(np.full(50_000, 3, np.float32).tobytes())
    for folder in (network.parent, elsewhere):
        monkeypatch.chdir(folder)
        np.testing.assert_allclose(answer_of(file, runtime, tile), expected(tile), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_weights_that_were_not_declared_are_never_opened_though_they_lie_in_the_working_folder(
    network: Path, runtime: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(network.parent)
    with pytest.raises(PackageError, match=r"'model\.onnx\.data', which model\.json does not declare"):
        answer_of(NetworkFile(network, "onnx"), runtime, tile_of_noise())


def test_joined_is_what_onnx_itself_loads(network: Path) -> None:
    graph = network.read_bytes()
    assert weight_files(graph, network) == ["model.onnx.data"]
    joined = with_weights(graph, {"model.onnx.data": network.with_name("model.onnx.data").read_bytes()}, network)
    ours, theirs = onnx.load_model_from_string(joined), onnx.load(str(network))
    assert not any(tensor.HasField("data_location") or tensor.external_data for tensor in ours.graph.initializer)
    for mine, other in zip(ours.graph.initializer, theirs.graph.initializer, strict=True):
        assert mine.name == other.name
        np.testing.assert_array_equal(onnx.numpy_helper.to_array(mine), onnx.numpy_helper.to_array(other))
    for model in (ours, theirs):
        del model.graph.initializer[:]
    assert ours == theirs


def test_a_graph_without_other_files_is_left_as_it_is(network: Path) -> None:
    whole = onnx.load(str(network)).SerializeToString()
    assert weight_files(whole, network) == []
    assert with_weights(whole, {}, network) == whole


def placed(network: Path, change: Callable[[Any], None]) -> bytes:
    """The graph with other words on where its first weights lie."""
    model = onnx.load(str(network), load_external_data=False)
    change(next(tensor for tensor in model.graph.initializer if tensor.external_data))
    return bytes(model.SerializeToString())


def put(key: str, value: object) -> Callable[[Any], None]:
    def change(tensor: Any) -> None:
        next(entry for entry in tensor.external_data if entry.key == key).value = str(value)

    return change


@pytest.mark.parametrize(("change", "words"), [
    (put("location", "../secret"), "keeps weights in '../secret', which is not a file in its own folder"),
    (put("location", "/etc/passwd"), "keeps weights in '/etc/passwd', which is not a file in its own folder"),
    (put("location", "a/../../b"), "which is not a file in its own folder"),
    (put("location", "C:\\w"), "which is not a file in its own folder"),
    (put("location", "*/_ORT_MEM_ADDR_/*"), "which model.json does not declare"),
    (put("location", "other.bin"), "keeps weights in the file 'other.bin', which model.json does not declare"),
    (put("offset", 1 << 40), "needs the bytes 1099511627776 to"),
    (put("length", 1 << 30), "needs the bytes 0 to 1073741824 of 'model.onnx.data', which has only"),
    (lambda tensor: tensor.ClearField("external_data"), "keeps weights in '', which is not a file"),
])
def test_each_wrong_place_of_weights_is_one_sentence(network: Path, change: Any, words: str) -> None:
    data = {"model.onnx.data": network.with_name("model.onnx.data").read_bytes()}
    with pytest.raises(PackageError) as caught:
        with_weights(placed(network, change), data, network)
    assert words in str(caught.value)
    assert str(caught.value).count(". ") == 0


@pytest.mark.parametrize("cut", [1, 200, 5000])
def test_a_graph_that_is_cut_short_is_refused_before_a_runtime_sees_it(network: Path, cut: int) -> None:
    with pytest.raises(PackageError, match="is not a complete ONNX network"):
        weight_files(network.read_bytes()[:cut], network)


def test_a_graph_inside_graphs_without_end_is_refused(network: Path) -> None:
    graph = b""
    for _ in range(3000):
        # A graph (7 of the model, 6 of an attribute) in an attribute (5) of a node (1).
        graph = field_of(1, field_of(5, field_of(6, graph)))
    with pytest.raises(PackageError, match="is not a complete ONNX network"):
        weight_files(field_of(7, graph), network)


def field_of(number: int, value: bytes) -> bytes:
    return head_of(number, len(value)) + value


def as_package(network: Path, folder: Path, **of_file: Any) -> Path:
    """A package of the graph in a folder `net`, with its weights declared."""
    (folder / "net").mkdir(parents=True)
    for path in (network, network.with_name("model.onnx.data")):
        shutil.copy(path, folder / "net")
    image, output = names_of(network)
    sha = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (folder / "net").iterdir()}
    data = [{"path": "net/model.onnx.data", "sha256": sha["model.onnx.data"]}]
    file = {"path": "net/model.onnx", "format": "onnx", "sha256": sha["model.onnx"], "data": data, **of_file}
    words = dict.fromkeys(("summary", "intended_use", "limits", "training_data", "licence", "authors"), "Test.")
    manifest = {
        "schema_version": 2, "id": "balls", "version": "1.0.0", "title": "Balls", "task": "segment", "card": words,
        "labels": [{"value": 1, "name": "liver"}, {"value": 2, "name": "spleen"}],
        "passes": [{
            "name": "balls", "prepare": {},
            "network": {"files": [file], "inputs": [{"role": "image", "name": image}], "output": output, "channels": 3},
            "tiling": {"join": "blend", "patch": [SIZE] * 3}, "decoder": {"kind": "segments"},
        }],
        "result": [{"of": "balls", "as": "objects"}],
    }
    (folder / "model.json").write_text(json.dumps(manifest))
    return folder


def test_a_package_declares_its_weights_and_they_are_verified(network: Path, tmp_path: Path) -> None:
    package = load_package(as_package(network, tmp_path / "package"))
    ((file,),) = package.network_files(package.manifest.passes[0].network)
    assert file.data == (("model.onnx.data", package.folder / "net" / "model.onnx.data"),)
    tile = tile_of_noise()
    np.testing.assert_allclose(answer_of(file, "onnxruntime", tile), expected(tile), rtol=1e-4, atol=1e-3)


def lose(package: Path) -> None:
    (package / "net" / "model.onnx.data").unlink()


def alter(package: Path) -> None:
    path = package / "net" / "model.onnx.data"
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\1")


@pytest.mark.parametrize(("harm", "words"), [
    (lose, "model.onnx.data is missing, but model.json names it"),
    (alter, "model.onnx.data is not the file that model.json declares"),
])
def test_weights_that_are_missing_or_altered_are_named(network: Path, tmp_path: Path, harm: Any, words: str) -> None:
    folder = as_package(network, tmp_path / "package")
    harm(folder)
    with pytest.raises(PackageError) as caught:
        load_package(folder).verified_files()
    assert words in str(caught.value)


@pytest.mark.parametrize(("of_file", "words"), [
    ({"data": []}, "keeps weights in the file 'model.onnx.data', which model.json does not declare"),
    ({"data": [{"path": "../w", "sha256": "0" * 64}]}, "passes.0.network.files.0.data.0.path"),
    ({"data": [{"path": "w", "sha256": "0" * 64}]}, "data must lie in the graph's folder net"),
    ({"format": "torchscript"}, "a torchscript file has none"),
])
def test_a_wrong_declaration_of_weights_is_named(
    network: Path, tmp_path: Path, of_file: dict[str, Any], words: str
) -> None:
    with pytest.raises(PackageError) as caught:
        load_package(as_package(network, tmp_path / "package", **of_file)).verified_files()
    assert words in str(caught.value)
