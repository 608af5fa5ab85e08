"""ONNX Runtime: the CPU everywhere; CUDA, DirectML or CoreML if such a build is installed."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import DeviceError
from .session import Floats32, Request, Session, Shape, check_names, first_line, unreadable

NAME = "onnxruntime"
PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
}
_FATAL = 4  # log level: its errors reach the user as exceptions, once

# The smallest network there is (b = a, one number), to see whether a device starts at all.
_IDENTITY = bytes.fromhex(
    "08073a370a100a016112016222084964656e746974791201675a0f0a0161120a0a08080112040a02080162"
    "0f0a0162120a0a08080112040a02080142040a00100d"
)


def version() -> str:
    """Raises ImportError where it is not installed."""
    import onnxruntime

    return str(onnxruntime.__version__)


def devices() -> dict[str, tuple[str, ...]]:
    """Devices that start, with their precisions."""
    import onnxruntime

    built_for = onnxruntime.get_available_providers()
    precisions = {"cpu": ("float32", "int8"), "cuda": ("float32", "tf32")}
    return {
        kind: precisions.get(kind, ("float32",)) for kind, provider in PROVIDERS.items()
        # A build for CUDA lists it where driver or cuDNN are missing, and would run on the CPU.
        if provider in built_for and (kind == "cpu" or _starts(kind))
    }


def open_network(request: Request) -> Session:
    """Raises DeviceError where the session would run elsewhere than asked, PackageError for a bad file."""
    kind = request.device.partition(":")[0]
    try:
        session = _session(request.content, kind, _provider_options(kind, request), request.threads)
    except Exception as error:
        if kind != "cpu":
            why = first_line(error)
            raise DeviceError(f"onnxruntime cannot use {request.device} ({why}); use --device cpu.") from error
        raise unreadable(request.file.path, "onnx", error) from error
    # It falls back to the CPU with no more than a log line, so only the session itself is believed.
    if session.get_providers()[0] != PROVIDERS[kind]:
        raise DeviceError(
            f"onnxruntime cannot start {request.device} here (driver, CUDA or cuDNN missing); use --device cpu."
        )

    inputs = {entry.name: _shape(entry.shape) for entry in session.get_inputs()}
    check_names(request, inputs, [entry.name for entry in session.get_outputs()])

    def run(arrays: Sequence[Floats32]) -> Sequence[Any]:
        results: Sequence[Any] = session.run(list(request.outputs), dict(zip(request.inputs, arrays, strict=True)))
        return results

    return Session(
        runtime=NAME, device=kind if kind in ("cpu", "coreml") else f"{kind}:{request.device_index}",
        precision="tf32" if kind == "cuda" and request.precision == "auto" else
        "float32" if request.precision == "auto" else request.precision,
        name=request.file.path.name, inputs={name: inputs[name] for name in request.inputs},
        outputs=request.outputs, runner=run,
    )


def ports(content: bytes, path: Path) -> tuple[dict[str, Shape], tuple[str, ...]]:
    """The shapes of a network's inputs by name, and the names of its outputs.

    Raises PackageError for a bad file, ImportError where ONNX Runtime is not installed.
    """
    version()
    try:
        session = _session(content, "cpu", {}, 1)
    except Exception as error:
        raise unreadable(path, "onnx", error) from error
    inputs = {entry.name: _shape(entry.shape) for entry in session.get_inputs()}
    return inputs, tuple(entry.name for entry in session.get_outputs())


def _session(content: bytes, kind: str, provider_options: dict[str, str], threads: int) -> Any:
    import onnxruntime as ort

    ort.set_default_logger_severity(_FATAL)
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL
    options.intra_op_num_threads = threads
    # Tiles of one size gain nothing from the arena's pattern, and it holds 1.7 times the memory (facts/speed.md).
    options.enable_mem_pattern = False
    providers: list[Any] = [(PROVIDERS[kind], provider_options)]
    if kind != "cpu":
        providers.append(PROVIDERS["cpu"])  # for the few nodes, of shapes, that a GPU leaves to it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "provider not available": the caller asks the session instead
        return ort.InferenceSession(content, options, providers=providers)


def _starts(kind: str) -> bool:
    try:
        return bool(_session(_IDENTITY, kind, {}, 1).get_providers()[0] == PROVIDERS[kind])
    except Exception:
        return False


def _provider_options(kind: str, request: Request) -> dict[str, str]:
    if kind == "cuda":
        return {
            "device_id": str(request.device_index),
            # Tensor cores round inputs to 10 bits of mantissa; who asks for float32 gets float32.
            "use_tf32": "1" if request.precision in ("auto", "tf32") else "0",
            "cudnn_conv_algo_search": "HEURISTIC",  # EXHAUSTIVE measures anew for every tile shape
        }
    return {"device_id": str(request.device_index)} if kind == "directml" else {}


def _shape(declared: Sequence[int | str | None]) -> Shape:
    return tuple(size if isinstance(size, int) and size > 0 else None for size in declared)
