"""ONNX Runtime: the CPU everywhere; CUDA, DirectML or CoreML if such a build is installed.

On CUDA it runs on bound memory (see `bound_run`), as a CUDA graph where the network's shapes are fixed, and where torch
reaches the card, too, on tensors that are there already.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DeviceError
from .bound_run import BoundRun, Memory, OwnMemory, Shapes, TorchMemory
from .number_types import in_type, type_of
from .onnx_half import can_halve, halved
from .session import Floats32, Request, Session, Shape, Tensors, check_names, first_line, unreadable

NAME = "onnxruntime"
PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
}
# Of the CUDA graphs that a session may keep: by memory, whose addresses are part of them.
_TRIED, _FOR_ARRAYS, _FOR_TENSORS = 1, 2, 3
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
    half = ("float16",) if can_halve() else ()
    precisions = {"cpu": ("float32", "int8"), "cuda": ("float32", "tf32", *half)}
    return {
        kind: precisions.get(kind, ("float32",)) for kind, provider in PROVIDERS.items()
        # A build for CUDA lists it where driver or cuDNN are missing, and would run on the CPU.
        if provider in built_for and (kind == "cpu" or _starts(kind))
    }


def open_network(request: Request) -> Session:
    """Raises DeviceError where the session would run elsewhere than asked, PackageError for a bad file."""
    kind = request.device.partition(":")[0]
    if request.precision == "float16":
        request = replace(request, content=halved(request.content, request.file.path))
    session, fixed = _opened(request, kind)
    # It falls back to the CPU with no more than a log line, so only the session itself is believed.
    if session.get_providers()[0] != PROVIDERS[kind]:
        raise DeviceError(
            f"onnxruntime cannot start {request.device} here (driver, CUDA or cuDNN missing); use --device cpu."
        )

    inputs = {entry.name: _shape(entry.shape) for entry in session.get_inputs()}
    check_names(request, inputs, [entry.name for entry in session.get_outputs()])

    types = {entry.name: type_of(entry.type) for entry in session.get_inputs()}

    def run(arrays: Sequence[Floats32]) -> Sequence[Any]:
        fed = {name: in_type(array, types[name]) for name, array in zip(request.inputs, arrays, strict=True)}
        results: Sequence[Any] = session.run(list(request.outputs), fed)
        return results

    def bound(memory: Memory, graph: int) -> BoundRun:
        graph_or_none = None if fixed is None else graph
        return BoundRun(session, request.inputs, request.outputs, memory, fixed=fixed, graph=graph_or_none)

    def tensors() -> Tensors | None:
        memory = TorchMemory(kind, request.device_index)
        return Tensors(memory.device, bound(memory, _FOR_TENSORS)) if binds and _torch_reaches(kind) else None

    # Bound memory is of float32.
    binds = kind in ("cpu", "cuda") and {*_types(session, request)} == {"tensor(float)"}
    return Session(
        runtime=NAME, device=kind if kind in ("cpu", "coreml") else f"{kind}:{request.device_index}",
        precision="tf32" if kind == "cuda" and request.precision == "auto" else
        "float32" if request.precision == "auto" else request.precision,
        name=request.file.path.name, inputs={name: inputs[name] for name in request.inputs},
        outputs=request.outputs, tensors=tensors,
        runner=bound(OwnMemory(kind, request.device_index), _FOR_ARRAYS) if binds and kind == "cuda" else run,
    )


def _opened(request: Request, kind: str) -> tuple[Any, Shapes | None]:
    """A session; and the shapes of its outputs, if it keeps its runs as CUDA graphs. Raises DeviceError or
    PackageError."""
    options = _provider_options(kind, request)
    try:
        session = _session(request.content, kind, options, request.threads)
        fixed = _fixed_outputs(session, request) if kind == "cuda" else None
        if fixed is None:
            return session, None
        del session
        try:
            return _with_graph(request, kind, options, fixed), fixed
        except Exception:
            # It keeps none of a network of which some part runs on the processor.
            return _session(request.content, kind, options, request.threads), None
    except Exception as error:
        if kind != "cpu":
            why = first_line(error)
            raise DeviceError(f"onnxruntime cannot use {request.device} ({why}); use --device cpu.") from error
        raise unreadable(request.file.path, "onnx", error) from error


def _with_graph(request: Request, kind: str, options: dict[str, str], fixed: Shapes) -> Any:
    """A session that keeps its runs as CUDA graphs, after a run on zeros that shows that it can."""
    session = _session(request.content, kind, {**options, "enable_cuda_graph": "1"}, request.threads)
    memory = OwnMemory(kind, request.device_index)
    tried = BoundRun(session, request.inputs, request.outputs, memory, fixed=fixed, graph=_TRIED)
    declared = {entry.name: _shape(entry.shape) for entry in session.get_inputs()}
    tried([np.zeros([size or 1 for size in declared[name]], np.float32) for name in request.inputs])
    return session


def _fixed_outputs(session: Any, request: Request) -> Shapes | None:
    """The shapes of the outputs, where those of all inputs and outputs are declared, and all are of float32."""
    declared = {entry.name: _shape(entry.shape) for entry in (*session.get_inputs(), *session.get_outputs())}
    wanted = [declared.get(name, (None,)) for name in (*request.inputs, *request.outputs)]
    if {*_types(session, request)} != {"tensor(float)"} or any(None in shape for shape in wanted):
        return None
    return tuple(tuple(size for size in declared[name] if size is not None) for name in request.outputs)


def _types(session: Any, request: Request) -> list[str]:
    """Of the inputs and outputs that are used."""
    used = (*request.inputs, *request.outputs)
    return [str(entry.type) for entry in (*session.get_inputs(), *session.get_outputs()) if entry.name in used]


def _torch_reaches(kind: str) -> bool:
    """Whether torch is here and can use the same device."""
    try:
        import torch
    except ImportError:
        return False
    return kind == "cpu" or torch.cuda.is_available()


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
            "arena_extend_strategy": "kSameAsRequested",  # by default it doubles, and torch gets what it leaves
        }
    return {"device_id": str(request.device_index)} if kind == "directml" else {}


def _shape(declared: Sequence[int | str | None]) -> Shape:
    return tuple(size if isinstance(size, int) and size > 0 else None for size in declared)
