"""The choice of the runtime and device for a network."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from ..errors import DeviceError, PackageError
from ..spelling import suggestion
from . import onnx_runtime, open_vino, torch_files
from .cpu import physical_cores
from .onnx_weights import weight_files, with_weights
from .session import TILE_RANK, NetworkFile, Request, Session, is_int8

BACKENDS: dict[str, ModuleType] = {module.NAME: module for module in (onnx_runtime, open_vino, torch_files)}
FORMATS = {"onnxruntime": ("onnx",), "openvino": ("onnx",), "torch": ("torchscript", "pt2")}
PRECISIONS = ("auto", "float32", "tf32", "bfloat16", "float16", "int8")
DEVICES = ("cpu", "cuda", "directml", "coreml", "gpu", "mps")

# Fastest first, as measured (facts/speed.md). CoreML, Intel GPUs and MPS run only when asked for:
# 3-D convolutions are partly missing there, and nobody measured them for this project.
_PREFERENCE = (
    ("onnxruntime", "cuda"), ("torch", "cuda"), ("onnxruntime", "directml"),
    ("openvino", "cpu"), ("onnxruntime", "cpu"), ("torch", "cpu"),
)
_INT8_FIRST = ("openvino", "cpu")


@dataclass(frozen=True)
class Available:
    """One pair of backend and device on this computer.

    precisions: those it supports in hardware; empty if it cannot run. reason: version, or why it is unavailable.
    """

    backend: str
    device: str
    precisions: tuple[str, ...]
    reason: str

    @property
    def usable(self) -> bool:
        return bool(self.precisions)


def available(backends: Sequence[str] = tuple(BACKENDS)) -> list[Available]:
    """Each backend with the devices that it offers on this computer, or the reason why it offers none."""
    found = []
    for name in backends:
        module = BACKENDS[name]
        try:
            version = module.version()
            found += [Available(name, device, able, version) for device, able in module.devices().items()]
        except ImportError:
            found.append(Available(name, "", (), f"not installed (pip install {name})"))
        except Exception as error:  # a broken installation of one must not hide the others
            found.append(Available(name, "", (), f"installed, but cannot start ({error})"))
    return found


def open_session(
    files: Sequence[NetworkFile], *, inputs: Sequence[str], outputs: Sequence[str],
    backend: str = "auto", device: str = "auto", precision: str = "auto", threads: int | None = None,
    load_bytes: Callable[[Path], bytes] | None = None, rank: int = TILE_RANK,
) -> Session:
    """Open the network in one of `files` (the same network in several formats, and perhaps also quantised to int8).

    inputs, outputs: names, in the network's order (TorchScript and .pt2 have order only).
    backend: "auto", "onnxruntime", "openvino" or "torch". device: "auto", "cpu", "cuda", "cuda:1", "directml",
    "coreml", "gpu" (Intel), "mps". precision: "auto" takes the fastest that the device has in hardware: an int8
    file where OpenVINO runs on the CPU, else bfloat16 on CPUs with AMX, TF32 on CUDA, float32 elsewhere.
    "auto" tries the available ones, fastest first; the session reports the choice.
    threads: CPU threads; at most the physical cores, which is the default. load_bytes: reads a file
    (an encrypted model is decrypted in memory). rank: axes of the inputs: 5, or 4 for a network of slices.
    Memory, until a runtime has opened it: the file, and weights that lie beside an ONNX graph twice.

    Raises DeviceError if the request is unavailable: a named device is never replaced by another.
    Raises PackageError for a file that is not such a network, or whose inputs and outputs differ.
    """
    backend, device, precision = backend.lower(), device.lower(), precision.lower()
    _check_words(backend, device, precision)
    contents = {file: whole_content(file, load_bytes) for file in files}
    refusal: DeviceError | None = None
    for name, kind in _candidates(backend, device, precision, {file.format for file in files}):
        chosen = _file_for(name, kind, precision, contents)
        if chosen is None:
            refusal = refusal or DeviceError(_no_such_file(precision))
            continue
        file, taken = chosen
        request = Request(
            file=file, content=contents[file], inputs=tuple(inputs), outputs=tuple(outputs),
            device=kind if device == "auto" else device, precision=taken, threads=_threads(threads),
            rank=rank,
        )
        try:
            session: Session = BACKENDS[name].open_network(request)
        except DeviceError as error:
            refusal = refusal or error
        else:
            return session
    assert refusal is not None
    raise refusal


def _candidates(backend: str, device: str, precision: str, formats: set[str]) -> list[tuple[str, str]]:
    """Available pairs of backend and device that match the request, fastest first; at least one."""
    # Only what can read the model is asked: importing torch for an ONNX file would take seconds.
    reading = [name for name in BACKENDS if formats & set(FORMATS[name])]
    if backend not in ("auto", *reading):
        raise DeviceError(
            f"{backend} cannot read this model, which has only {' and '.join(sorted(formats))} files; "
            f"use --backend {' or '.join(reading)}."
        )
    here = available(reading if backend == "auto" else [backend])
    precisions = {(entry.backend, entry.device): entry.precisions for entry in here if entry.usable}
    present = [pair for pair in _pairs(backend, device) if pair in precisions]
    if not present:
        asked = _asked(backend, device)
        raise DeviceError(f"{asked} is not available for this model; {_what_is(here)}.{_meant(device)}")
    able = [pair for pair in present if precision in ("auto", *precisions[pair])]
    if not able:
        raise DeviceError(f"{_asked(*present[0])} has no hardware support for {precision}; {_what_is(here)}.")
    return able


def _file_for(
    backend: str, device: str, precision: str, contents: Mapping[NetworkFile, bytes]
) -> tuple[NetworkFile, str] | None:
    """The file that a backend reads in this precision, and the precision to request; None if there is no such file."""
    readable = [file for file in contents if file.format in FORMATS[backend]]
    quantised = [file for file in readable if is_int8(contents[file])]
    plain = [file for file in readable if file not in quantised]
    # ONNX Runtime's integer convolutions overflow on processors without VNNI, so there int8 wants to be asked for.
    if quantised and (precision == "int8" or (precision == "auto" and (not plain or (backend, device) == _INT8_FIRST))):
        return quantised[0], "int8"
    return (plain[0], precision) if plain and precision != "int8" else None


def _no_such_file(precision: str) -> str:
    if precision == "int8":
        return "This model has no int8 network file; use --precision auto."
    return f"This model has only int8 network files, none for {precision}; use --precision auto."


def _pairs(backend: str, device: str) -> list[tuple[str, str]]:
    kind = device.partition(":")[0]
    preferred = [
        (name, where) for name, where in _PREFERENCE if backend in ("auto", name) and kind in ("auto", where)
    ]
    if kind == "auto":
        return preferred
    others = [(name, kind) for name in BACKENDS if backend in ("auto", name)]
    return preferred + [pair for pair in others if pair not in preferred]


def _check_words(backend: str, device: str, precision: str) -> None:
    if backend != "auto" and backend not in BACKENDS:
        raise DeviceError(f"Unknown backend “{backend}”; choose auto, {', '.join(BACKENDS)}.")
    if device != "auto" and not re.fullmatch(rf"({'|'.join(DEVICES)})(:\d+)?", device):
        listed = f"choose auto, {', '.join(DEVICES)} (or e.g. cuda:1)"
        raise DeviceError(f"Unknown device “{device}”; {listed}.{suggestion(device, DEVICES)}")
    if precision not in PRECISIONS:
        listed, meant = ", ".join(PRECISIONS), suggestion(precision, PRECISIONS)
        raise DeviceError(f"Unknown precision “{precision}”; choose one of {listed}.{meant}")


def _asked(backend: str, device: str) -> str:
    words = [word for word in (backend, device) if word != "auto"]
    return " on ".join(words) or "any backend"


def _meant(device: str) -> str:
    """What is often meant by a word that means something else here."""
    if device.partition(":")[0] != "gpu":
        return ""
    return " “gpu” is an Intel graphics card (OpenVINO); an NVIDIA card is called “cuda” here."


def _what_is(here: Sequence[Available]) -> str:
    usable = [f"{entry.backend} on {entry.device} ({', '.join(entry.precisions)})" for entry in here if entry.usable]
    missing = [f"{entry.backend} is {entry.reason}" for entry in here if not entry.usable]
    return "available: " + "; ".join(usable) if usable else "; ".join(missing)


def whole_content(file: NetworkFile, load_bytes: Callable[[Path], bytes] | None = None) -> bytes:
    """A network as one piece, with the weights beside it. Raises PackageError."""
    content = bytes_of(file.path, load_bytes)
    if file.format != "onnx":
        return content
    if not weight_files(content, file.path):
        return content
    return with_weights(content, {name: bytes_of(path, load_bytes) for name, path in file.data}, file.path)


def bytes_of(path: Path, load_bytes: Callable[[Path], bytes] | None = None) -> bytes:
    """A file of a network. Raises PackageError where it cannot be read or is empty."""
    try:
        content = load_bytes(path) if load_bytes else path.read_bytes()
    except OSError as error:
        raise PackageError(f"{path} cannot be read ({error.strerror}); reinstall the package.") from None
    if not content:
        raise PackageError(f"{path} is empty; reinstall the package.")
    return content


def _threads(asked: int | None) -> int:
    cores = physical_cores()
    return cores if asked is None else max(1, min(asked, cores))
