"""OpenVINO: the fastest runtime on Intel CPUs, also for Intel GPUs. It reads the same ONNX files."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import Any

from ..errors import DeviceError
from .number_types import in_type
from .session import Floats32, Request, Session, Shape, check_names, first_line, unreadable

NAME = "openvino"
_CONVERTER = "openvino.tools.ovc"
_PLUGINS = {"cpu": "CPU", "gpu": "GPU"}
# What a quantised network leaves in floating point stays in float32.
_HINTS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16", "int8": "f32"}
_CAPABILITIES = {"FP32": "float32", "BF16": "bfloat16", "FP16": "float16", "INT8": "int8"}
_SPOKEN = {"f32": "float32", "float32": "float32", "bf16": "bfloat16", "bfloat16": "bfloat16",
           "f16": "float16", "float16": "float16"}


def _library() -> Any:
    """The module openvino without its converter of models: a third of the import, and it reports each to its maker.

    Raises ImportError where it is not installed.
    """
    if "openvino" not in sys.modules:
        sys.modules.setdefault(_CONVERTER, None)  # type: ignore[arg-type]
    try:
        import openvino
    finally:
        # Whoever else in this process wants it may have it.
        if sys.modules.get(_CONVERTER, sys) is None:
            del sys.modules[_CONVERTER]
    return openvino


def version() -> str:
    """Raises ImportError where it is not installed."""
    openvino = _library()
    return str(openvino.__version__).partition("-")[0]


def devices() -> dict[str, tuple[str, ...]]:
    """Devices that answer, with the precisions they have in hardware."""
    openvino = _library()
    core = openvino.Core()
    found: dict[str, tuple[str, ...]] = {}
    for kind, plugin in _PLUGINS.items():
        if any(name.partition(".")[0] == plugin for name in core.available_devices):
            able = core.get_property(plugin, "OPTIMIZATION_CAPABILITIES")
            found[kind] = tuple(word for mark, word in _CAPABILITIES.items() if mark in able)
    return found


def open_network(request: Request) -> Session:
    """Raises DeviceError for a precision it would not really use, PackageError for a bad file."""
    openvino = _library()
    from openvino.frontend import FrontEndManager

    kind = request.device.partition(":")[0]
    try:
        # Asked for by name: left to guess, OpenVINO tries every format it knows and complains on the terminal.
        reader = FrontEndManager().load_by_framework("onnx")
        model = reader.convert(reader.load(io.BytesIO(request.content)))
    except Exception as error:
        raise unreadable(request.file.path, "onnx", error) from error
    ports = {_name_of(port, request.inputs): port for port in model.inputs}
    inputs = {name: _shape(port.get_partial_shape()) for name, port in ports.items()}
    check_names(request, inputs, sorted({name for port in model.outputs for name in port.get_names()}))

    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
    if kind == "cpu":
        settings["INFERENCE_NUM_THREADS"] = request.threads
    if request.precision != "auto":
        settings["INFERENCE_PRECISION_HINT"] = _HINTS[request.precision]
    plugin = _PLUGINS[kind] + (f".{request.device_index}" if ":" in request.device else "")
    try:
        compiled = openvino.Core().compile_model(model, plugin, settings)
    except Exception as error:
        raise DeviceError(
            f"openvino cannot compile {request.file.path.name} for {request.device} ({first_line(error)}); "
            "use --backend onnxruntime."
        ) from error
    # On a CPU with AMX "auto" means bfloat16 without a word: what it took is read back, never assumed.
    precision = _SPOKEN.get(compiled.get_property("INFERENCE_PRECISION_HINT").to_string(), "float32")
    if request.precision == "int8":
        precision = "int8"
    if request.precision not in ("auto", precision):
        raise DeviceError(
            f"openvino computes in {precision} on {request.device}, not in {request.precision}; choose {precision}."
        )
    call = compiled.create_infer_request()
    places = [_place(compiled.inputs, name) for name in request.inputs]
    types = [compiled.inputs[place].get_element_type().to_dtype() for place in places]
    results = [_place(compiled.outputs, name) for name in request.outputs]

    def run(arrays: Sequence[Floats32]) -> Sequence[Any]:
        # Not `infer`: where memory runs out it returns the last tile's result instead of an error (2026.4).
        fed = [in_type(array, kind) for array, kind in zip(arrays, types, strict=True)]
        call.start_async(dict(zip(places, fed, strict=True)), share_inputs=True)
        call.wait()
        return [call.get_output_tensor(place).data.copy() for place in results]

    return Session(
        runtime=NAME, device=request.device, precision=precision, name=request.file.path.name,
        inputs={name: inputs[name] for name in request.inputs}, outputs=request.outputs, runner=run,
    )


def _name_of(port: Any, wanted: Sequence[str]) -> str:
    names: set[str] = port.get_names()
    return next((name for name in wanted if name in names), min(names, default="?"))


def _place(ports: Sequence[Any], name: str) -> int:
    return next(place for place, port in enumerate(ports) if name in port.get_names())


def _shape(partial: Any) -> Shape:
    return tuple(size.get_length() if size.is_static else None for size in partial)
