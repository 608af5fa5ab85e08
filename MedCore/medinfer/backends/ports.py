"""What a network file says of its inputs and outputs, before it is known what they are for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import DeviceError
from . import onnx_runtime, torch_files
from .choose import whole_content
from .session import Floats32, NetworkFile, Shape


@dataclass(frozen=True)
class Ports:
    """inputs: their shapes by name, in the network's order; None: it declares none. outputs: their names; None: only a
    run tells them. outputs_for: runs the network on a tile for their names."""

    inputs: Mapping[str, Shape | None]
    outputs: tuple[str, ...] | None
    outputs_for: Callable[[Floats32], tuple[str, ...]]


def ports_of(file: NetworkFile) -> Ports:
    """The inputs and outputs of an ONNX or TorchScript file. Raises PackageError for a file that is no such network,
    DeviceError where the runtime that reads it is not installed."""
    content = whole_content(file)
    try:
        return _READ[file.format](content, file.path)
    except ImportError:
        needed = "onnxruntime" if file.format == "onnx" else "torch"
        raise DeviceError(f"{file.path} needs {needed}, which is not installed (pip install {needed}).") from None


def _of_onnx(content: bytes, path: Path) -> Ports:
    inputs, outputs = onnx_runtime.ports(content, path)
    return Ports(inputs, outputs, lambda tile: outputs)


def _of_torchscript(content: bytes, path: Path) -> Ports:
    network, taken = torch_files.loaded(content, "torchscript", path)
    return Ports(dict.fromkeys(taken), None, lambda tile: torch_files.names_of_outputs(network, tile, path))


_READ: Mapping[str, Callable[[bytes, Path], Ports]] = {"onnx": _of_onnx, "torchscript": _of_torchscript}
