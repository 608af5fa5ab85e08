"""Weights that lie beside an ONNX graph (`model.onnx.data`, as `torch.onnx.export` writes them), joined with it.

A runtime that meets such a graph opens the file that the graph names, wherever it finds it. Here it never does: it gets
one graph that contains all its weights, from bytes whose sha256 was checked. The few messages of ONNX that tensors can
lie in are listed below; everything else is copied as it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from ..errors import PackageError
from .protobuf_wire import BYTES, Entry, entries, head_of

# What lies in a message of each kind, by the fields' numbers (onnx.proto).
INSIDE: Mapping[str, Mapping[int, str]] = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto", 6: "GraphProto", 10: "TensorProto", 11: "GraphProto", 22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
}
# The fields of TensorProto: its numbers, where they lie instead, and whether they lie there.
_RAW_DATA, _EXTERNAL_DATA, _DATA_LOCATION = 9, 13, 14
# Protocol Buffers hold no message from here on.
_LARGEST = (1 << 31) - 1

Piece = bytes | memoryview
Found = Callable[[Mapping[str, str]], Piece]
"""The numbers of a tensor whose external data are described by "location", "offset" and "length"."""


def weight_files(graph: bytes, path: Path) -> list[str]:
    """The files that the graph in `path` names for its weights, each once: relative to the graph's folder, with "/".

    Raises PackageError where the bytes are no ONNX graph, or where a file lies outside of that folder.
    """
    names: dict[str, None] = {}

    def note(place: Mapping[str, str]) -> Piece:
        names[_location(place, path)] = None
        return b""

    _rewritten(graph, note, path)
    return list(names)


def with_weights(graph: bytes, data: Mapping[str, bytes], path: Path) -> bytes:
    """The graph in `path` with the weights that it keeps in `data` (by their names, as `weight_files` gives them).

    Memory: the weights once more while they are joined. Raises PackageError where the graph names another file, or
    bytes behind a file's end, and where both together exceed the 2 GiB that ONNX allows in one file.
    """

    def find(place: Mapping[str, str]) -> Piece:
        name = _location(place, path)
        if name not in data:
            raise PackageError(undeclared(path, name))
        return _part(memoryview(data[name]), place, path, name)

    pieces = _rewritten(graph, find, path)
    if sum(map(len, pieces)) > _LARGEST:
        raise PackageError(f"{path} with its weights exceeds 2 GiB, the most that ONNX allows; use TorchScript.")
    return b"".join(pieces)


def undeclared(path: Path, name: str) -> str:
    """The sentence on a graph that needs a file of weights which its package does not declare."""
    return (
        f"{path} keeps weights in the file {name!r}, which model.json does not declare; add it, with its sha256, to "
        "`data` of that network file."
    )


def _rewritten(graph: bytes, found: Found, path: Path) -> list[Piece]:
    try:
        return _message("ModelProto", memoryview(graph), found)
    except (ValueError, RecursionError) as error:
        raise PackageError(
            f"{path} is not a complete ONNX network ({error}); copy it again, or export the network again."
        ) from None


def _message(kind: str, message: memoryview, found: Found) -> list[Piece]:
    """The message with all tensors inside, in pieces."""
    if kind == "TensorProto":
        return _tensor(message, found)
    pieces: list[Piece] = []
    for entry in entries(message):
        inside = INSIDE[kind].get(entry.number)
        if inside is None or entry.wire != BYTES:
            pieces.append(entry.whole)
            continue
        inner = _message(inside, entry.value, found)
        pieces += [head_of(entry.number, sum(map(len, inner))), *inner]
    return pieces


def _tensor(message: memoryview, found: Found) -> list[Piece]:
    place: dict[str, str] = {}
    kept: list[Piece] = []
    external = False
    for entry in entries(message):
        if entry.number == _EXTERNAL_DATA:
            key, value = _pair(entry)
            place[key], external = value, True
        elif entry.number == _DATA_LOCATION:
            external |= entry.digits != 0
        elif entry.number != _RAW_DATA:
            kept.append(entry.whole)
    if not external:
        return [message]
    # What says that the numbers lie elsewhere goes in any case, so that no runtime looks for them there.
    values = found(place)
    return [*kept, head_of(_RAW_DATA, len(values)), values]


def _pair(entry: Entry) -> tuple[str, str]:
    """Key and value of a StringStringEntryProto."""
    parts = {part.number: bytes(part.value).decode("utf-8") for part in entries(entry.value)}
    return parts.get(1, ""), parts.get(2, "")


def _location(place: Mapping[str, str], path: Path) -> str:
    """The file's name in the order in which packages spell it. Raises PackageError."""
    given = place.get("location", "")
    name = PurePosixPath(given)
    if not given or name.is_absolute() or ".." in name.parts or "\\" in given or ":" in given:
        raise PackageError(
            f"{path} keeps weights in {given!r}, which is not a file in its own folder; do not use this network, or "
            "export it again with its weights beside it."
        )
    return str(name)


def _part(data: memoryview, place: Mapping[str, str], path: Path, name: str) -> memoryview:
    begin = int(place.get("offset") or 0)
    end = begin + int(place["length"]) if place.get("length") else len(data)
    if not 0 <= begin <= end <= len(data):
        raise PackageError(
            f"{path} needs the bytes {begin} to {end} of {name!r}, which has only {len(data)}; copy both files again."
        )
    return data[begin:end]
