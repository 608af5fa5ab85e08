"""Models that are damaged, dangerous, or not models."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import stat
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from blobs import write_blobs

from .kinds import BOTH, OK, REFUSED, Kind, Place, detect, saved

Change = Callable[[Path], object]


def added(change: Change) -> Callable[[Place], list[object]]:
    """`medinfer add` of a package that was spoilt by `change`."""

    def make(place: Place) -> list[object]:
        package = write_blobs(place.folder / "model")
        change(package)
        return ["add", package]

    return make


def used(change: Change) -> Callable[[Place], list[object]]:
    """A run on a sound scan with a package that was spoilt by `change`."""

    def make(place: Place) -> list[object]:
        package = write_blobs(place.folder / "model")
        change(package)
        return detect(replace(place, model=package), saved(place.folder))

    return make


def said(**fields: Any) -> Change:
    """Other fields at the top level of model.json."""
    return lambda package: _write(package, {**_read(package), **fields})


def file_added(name: str, content: bytes) -> Callable[[Place], list[object]]:
    """`medinfer add` of one file."""

    def make(place: Place) -> list[object]:
        (place.folder / name).write_bytes(content)
        return ["add", place.folder / name]

    return make


def zipped(
    change: Callable[[zipfile.ZipFile], object], cut: int = 0, damage: bool = False
) -> Callable[[Place], list[object]]:
    """`medinfer add` of a .zip of a sound package, to which `change` adds entries. cut: how many bytes it lacks;
    damage: some in its middle are others."""

    def make(place: Place) -> list[object]:
        package, archive = write_blobs(place.folder / "model"), place.folder / "model.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as stream:
            for path in sorted(package.iterdir()):
                stream.write(path, path.name)
            change(stream)
        data = archive.read_bytes()
        archive.write_bytes(data[:80] + b"\xff" * 60 + data[140:] if damage else data[: len(data) - cut])
        return ["add", archive]

    return make


def network(build: Callable[[Any], Any]) -> Change:
    """Another network, made by `build(onnx.helper)`, with the sha256 that belongs to it."""

    def change(package: Path) -> None:
        from onnx import helper

        content = build(helper).SerializeToString()
        (package / "network.onnx").write_bytes(content)
        manifest = _read(package)
        manifest["network"]["files"][0]["sha256"] = hashlib.sha256(content).hexdigest()
        _write(package, manifest)

    return change


def one_node(
    operator: str, *, shape: tuple[Any, ...] = ("batch", 1, "k", "j", "i"), inputs: tuple[str, ...] = ("image",),
    **attributes: Any,
) -> Callable[[Any], Any]:
    """A network of one operator between `image` and `probability`."""

    def build(helper: Any) -> Any:
        from onnx import TensorProto

        graph = helper.make_graph(
            [helper.make_node(operator, list(inputs), ["probability"], **attributes)], "one",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, list(shape))],
            [helper.make_tensor_value_info("probability", TensorProto.FLOAT, None)],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    return build


class _Code:
    """Pickled: whoever opens it removes a file."""

    def __init__(self, victim: Path) -> None:
        self._victim = victim

    def __reduce__(self) -> Any:
        return os.remove, (str(self._victim),)


def pickled(name: str, wrap: Callable[[bytes], bytes] = lambda data: data) -> Callable[[Place], list[object]]:
    """`medinfer add` of a pickle that removes a file beside it; that the input stays whole is seen to."""

    def make(place: Place) -> list[object]:
        victim = place.folder / "precious.txt"
        victim.write_text("precious")
        return file_added(name, wrap(pickle.dumps(_Code(victim))))(place)

    return make


def _read(package: Path) -> dict[str, Any]:
    return json.loads((package / "model.json").read_text())


def _write(package: Path, manifest: dict[str, Any]) -> None:
    (package / "model.json").write_text(json.dumps(manifest))


def _torch_archive(weights: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("weights/data.pkl", weights)
    return stream.getvalue()


def _link(archive: zipfile.ZipFile) -> None:
    entry = zipfile.ZipInfo("link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.writestr(entry, "/etc/passwd")


def _cyclic(package: Path) -> None:
    manifest = _read(package)
    one = {key: manifest.pop(key) for key in ("prepare", "network", "tiling", "decoder")}
    passes = [
        {"name": name, **one, "prepare": {**one["prepare"], "region": {"kind": "found", "of": other}}}
        for name, other in (("first", "second"), ("second", "first"))
    ]
    _write(package, {**manifest, "schema_version": 2, "passes": passes, "result": [{"of": "second", "as": "boxes"}]})


_WRONG_SHA = r"network\.onnx is not the file that model\.json declares \(sha256 .*reinstall the package"
_MISSING = r"network\.onnx is missing, but model\.json names it; reinstall the package"
_NO_NUMBERS = r"network\.onnx.*not numbers \(NaN\)"

MANIFESTS = (
    Kind("model.json of version 3", added(said(schema_version=3)), REFUSED,
         says=(r"has schema_version 3, but this MedInfer reads up to 2: update MedInfer",)),
    Kind("model.json without its end", added(lambda p: (p / "model.json").write_text('{"schema_version": 1,')), REFUSED,
         says=(r"model\.json is not JSON \(.*\); copy the package again",)),
    Kind("model.json of nothing but brackets", added(lambda p: (p / "model.json").write_text("[" * 100_000)), REFUSED,
         says=(r"model\.json is not JSON \(.*\); copy the package again",)),
    Kind("model.json that is a list", added(lambda p: (p / "model.json").write_text("[]")), REFUSED,
         says=(r"model\.json must hold a JSON object",)),
    Kind("model.json in UTF-16", added(lambda p: (p / "model.json").write_text(
        (p / "model.json").read_text(), encoding="utf-16")), REFUSED,
         says=(r"model\.json is not text in UTF-8; save it so, or copy the package again",)),
    Kind("model.json with an unknown field", added(said(run_this="rm -r /")), REFUSED,
         says=(r"the field run_this is unknown; remove it or correct its spelling",)),
    Kind("model.json without its labels", added(lambda p: _write(p, {
        key: value for key, value in _read(p).items() if key != "labels"})), REFUSED,
        says=(r"the field labels is missing; add it",)),
    Kind("an id that leads out of the library", added(said(id="../../evil")), REFUSED,
         says=(r"the field id is wrong \(.*\); correct it",)),
    Kind("passes that wait for each other", added(_cyclic), REFUSED,
         says=(r"the field passes\.0\.prepare\.region\.of is wrong: it is 'second', a later pass; name an",)),
    Kind("no model.json and no network", added(lambda p: [path.unlink() for path in p.iterdir()]), REFUSED,
         says=(r"model is not a model package: it has no model\.json",)),
)

FILES = (
    Kind("a network that is missing", added(lambda p: (p / "network.onnx").unlink()), REFUSED, says=(_MISSING,)),
    Kind("a network that was exchanged", added(lambda p: (p / "network.onnx").write_bytes(b"other")), REFUSED,
         says=(_WRONG_SHA,)),
    Kind("a run with a network that was exchanged", used(lambda p: (p / "network.onnx").write_bytes(b"other")), REFUSED,
         says=(_WRONG_SHA,)),
    Kind("a file that nobody declares", used(lambda p: (p / "setup.py").write_text("raise SystemExit(9)")), OK,
         found={"chest": BOTH}),
    Kind("a FIFO in the package", added(lambda p: os.mkfifo(p / "pipe")), REFUSED,
         says=(r"model/pipe is neither a file nor a folder; remove it from the package",)),
    Kind("a network that is a link out of the package", added(lambda p: (p / "network.onnx").rename(
        p.parent / "elsewhere.onnx") and (p / "network.onnx").symlink_to("../elsewhere.onnx")), REFUSED,
        says=(r"network\.onnx points outside its package",)),
    Kind("a checkpoint of PyTorch", pickled("weights.pth", _torch_archive), REFUSED,
         says=(r"weights\.pth is a checkpoint of PyTorch",)),
    Kind("a pickle with code in it", pickled("model.pkl"), REFUSED,
         says=(r"model\.pkl is a checkpoint of PyTorch in its old format, which may run code",)),
    Kind("an ONNX file alone", file_added("network.onnx", b"\x08\x08"), REFUSED,
         says=(r"network\.onnx is not a usable onnx network .*export the network again",)),
    Kind("an empty file as a model", file_added("model.zip", b""), REFUSED,
         says=(r"model\.zip is .*: give a package",)),
    Kind("a model that is not there", lambda place: ["add", place.folder / "none"], REFUSED,
         says=(r"none does not exist; give a package folder",)),
)

ARCHIVES = (
    Kind("a package's .zip cut short", zipped(lambda a: None, cut=300), REFUSED,
         says=(r"model\.zip is not a complete \.zip archive",)),
    Kind("a package's .zip with other bytes in its middle", zipped(lambda a: None, damage=True), REFUSED,
         says=(r"model\.zip is not a complete \.zip archive",)),
    Kind("a package's .zip that leads out of its folder", zipped(lambda a: a.writestr("../evil", "x")), REFUSED,
         says=(r"contains '\.\./evil', which points outside the package",)),
    Kind("a package's .zip with a link", zipped(_link), REFUSED, says=(r"contains the link 'link'",)),
    Kind("a package's .zip with 1200 files", zipped(lambda a: [a.writestr(f"{n}", "") for n in range(1200)]), REFUSED,
         says=(r"contains more than 1000 files or 8 GiB; it is not a model package",)),
)

NETWORKS = (
    Kind("a network that is not ONNX", used(network(lambda h: h.make_tensor("x", 1, [1], [0.0]))), REFUSED,
         says=(r"network\.onnx is not a usable onnx network",)),
    Kind("a network that gives NaN", used(network(one_node("Div", inputs=("image", "image")))),
         says=(rf"chest: {_NO_NUMBERS}",)),
    Kind("a network whose output is half as large", used(network(one_node(
        "AveragePool", kernel_shape=[2, 2, 2], strides=[2, 2, 2]))),
         says=(r"chest: The network returned \(8, 10, 12\) voxels for a tile .*: correct the tiling",)),
    Kind("a network with more channels than declared", used(network(one_node(
        "Concat", inputs=("image", "image"), axis=1))),
        says=(r"has the shape \(2, .*\), but model\.json declares 1 channels",)),
    Kind("a network without channels", used(network(one_node("ReduceMean", axes=[1, 2, 3, 4], keepdims=0))),
         says=(r"has the shape \(.*\), but model\.json declares 1 channels",)),
    Kind("a network for tiles of another size", used(network(one_node("Identity", shape=(1, 1, 8, 8, 8)))),
         says=(r"takes 1×1×8×8×8 for its input .*correct tiling\.patch",)),
    Kind("a network for flat images", used(network(one_node("Identity", shape=("b", 1, "j", "i")))), REFUSED,
         says=(r"tiles have five axes .*; export a 3-D network",)),
    Kind("a network whose input has another name", used(lambda p: _write(p, json.loads(
        json.dumps(_read(p)).replace('"name": "image"', '"name": "picture"')))), REFUSED,
        says=(r"has the inputs “image”, but model\.json declares “picture”; correct network\.inputs",)),
)

KINDS = (*MANIFESTS, *FILES, *ARCHIVES, *NETWORKS)
