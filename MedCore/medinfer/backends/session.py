"""An opened network: arrays in, arrays out, on a device and in a precision that it reports truthfully.

Where torch reaches its device, tensors in and tensors out, which stay there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..arrays import Array
from ..errors import DeviceError, MedInferError, OutOfMemory, PackageError

Floats32 = NDArray[np.float32]
Format = Literal["onnx", "torchscript", "pt2"]
Shape = tuple[int | None, ...]  # None: any size
Runner = Callable[[Sequence[Floats32]], Sequence[NDArray[Any]]]

TILE_RANK = 5  # [batch, channel, k, j, i]
_TILES = {
    4: "slices have four axes (batch, channel, j, i); correct network.dimensions in model.json.",
    5: "tiles have five axes (batch, channel, k, j, i); export a 3-D network, or declare network.dimensions = 2.",
}
_SAID = "RuntimeError: "

# How the runtimes say that memory ran out; none of them has one error class for it.
_MEMORY_WORDS = (
    "out of memory", "bad_alloc", "bad allocation", "failed to allocate", "can not allocate", "cannot allocate",
    "can't allocate", "not enough memory", "alloc_failed", "out_of_memory", "available memory", "out_of_resources",
    "allocation_failure", "max size of memory",
)


@dataclass(frozen=True)
class NetworkFile:
    """A network on disk (its sha256 was checked by the package) and what it is.

    data: where the weights lie that an ONNX graph keeps in other files, with the names it has for them; as checked.
    """

    path: Path
    format: Format
    data: tuple[tuple[str, Path], ...] = ()


@dataclass(frozen=True)
class Request:
    """What a backend is asked to open.

    content: the bytes of `file` (decrypted where they were not plain); of an ONNX graph with all its weights, wherever
    they lay: a runtime that reads it opens no further file. inputs, outputs: names in the model's
    order. device: as the user wrote it, lower case ("cuda" and "cuda:0" are the same). precision: "auto",
    "float32", "tf32", "bfloat16", "float16", or "int8" for a file that `is_int8`. threads: CPU threads. rank: axes of
    its inputs: 5, or 4 for a network of slices.
    """

    file: NetworkFile
    content: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    device: str
    precision: str
    threads: int
    rank: int = TILE_RANK

    @property
    def device_index(self) -> int:
        """The number after the colon; 0 if there is none."""
        _, _, index = self.device.partition(":")
        return int(index or 0)


@dataclass(frozen=True, eq=False)
class Tensors:
    """A network for tensors. device: of torch, where they are. run: compact float32 tensors in, float32 tensors out,
    which belong to the caller."""

    device: Any
    run: Callable[[Sequence[Array]], Sequence[Array]]


class Session:
    """A network held open by one runtime. Use it as a context manager, or `close` it.

    runtime: "onnxruntime", "openvino" or "torch". device: where it really runs ("cpu", "cuda:0", …).
    precision: in what it really computes ("float32", "tf32", "bfloat16", "float16", "int8").
    tensors: the same network for tensors, asked for when first needed; None where torch does not reach its device.
    `run` and `close` may be called from any thread; `close` waits for a run that is under way.
    """

    def __init__(
        self, *, runtime: str, device: str, precision: str, name: str,
        inputs: Mapping[str, Shape], outputs: Sequence[str], runner: Runner,
        tensors: Callable[[], Tensors | None] = lambda: None,
    ) -> None:
        self.runtime, self.device, self.precision = runtime, device, precision
        self._name, self._inputs, self._outputs = name, dict(inputs), tuple(outputs)
        self._runner: Runner | None = runner
        # Gives None where torch does not reach the network's device; for what is made of several sessions.
        self.open_tensors: Callable[[], Tensors | None] = cache(tensors)
        self._lock = threading.Lock()
        # On the processor numpy cuts, joins and decides tiles faster, and other cards lack some of what that takes; to
        # compare, it may be changed.
        self.joins_on_device = device.startswith("cuda")

    @property
    def tensors(self) -> Tensors | None:
        """The network for tensors, where tiles are to be cut, joined and decided on its device."""
        return self.open_tensors() if self.joins_on_device else None

    @property
    def takes_batches(self) -> bool:
        """Whether it takes several tiles at once, as far as its inputs say."""
        return all(shape[0] is None for shape in self._inputs.values())

    @property
    def inputs(self) -> dict[str, Shape]:
        """The shape of each input that is declared, by name, in the network's order."""
        return dict(self._inputs)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the outputs that are read."""
        return self._outputs

    def run(self, feeds: Mapping[str, Floats32]) -> dict[str, Floats32]:
        """One pass: an array `[batch, channel, k, j, i]` for each input, an array for each output, by name.

        Sizes may differ from call to call where the network allows it. The results belong to the caller.
        Raises PackageError where an array does not fit the network, DeviceError where memory runs out.
        """
        arrays = [np.ascontiguousarray(self._fed(name, feeds), dtype=np.float32) for name in self._inputs]
        results = self._called(lambda: self._runner, arrays)
        return {name: np.ascontiguousarray(result, dtype=np.float32) for name, result in results.items()}

    def run_tensors(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """As `run`, of float32 tensors on the device of `tensors`, where the results are, too."""
        tensors = [self._fed(name, feeds).contiguous() for name in self._inputs]
        return self._called(lambda: (there := self.open_tensors()) and there.run, tensors)

    def _called(self, runner: Callable[[], Any], arrays: Sequence[Array]) -> dict[str, Array]:
        """The outputs by name. runner: asked for behind the lock; gives None where the session is closed."""
        for name, array in zip(self._inputs, arrays, strict=True):
            self._check(name, array)
        with self._lock:
            run = runner()
            if run is None:
                raise DeviceError(f"The session of {self._name} is closed; open it again to run it.")
            try:
                results = list(run(arrays))
            except Exception as error:
                sizes = ", ".join("×".join(map(str, array.shape)) for array in arrays)
                raise failure(error, self.runtime, self.device, self._name, sizes) from error
        if len(results) != len(self._outputs):
            raise PackageError(
                f"{self._name} returns {len(results)} outputs, but model.json names {len(self._outputs)} "
                f"({', '.join(self._outputs)}); correct network.output."
            )
        return dict(zip(self._outputs, results, strict=True))

    def close(self) -> None:
        """Free the network's memory. Closing twice is harmless."""
        with self._lock:
            self._runner = None
            self.open_tensors = lambda: None

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _fed(self, name: str, feeds: Mapping[str, Array]) -> Array:
        if name not in feeds:
            raise PackageError(f"{self._name} needs the input “{name}”, which model.json does not declare; add it.")
        return feeds[name]

    def _check(self, name: str, array: Array) -> None:
        shape = self._inputs[name]
        if len(shape) != array.ndim or any(n is not None and n != m for n, m in zip(shape, array.shape, strict=True)):
            raise PackageError(
                f"{self._name} takes {spoken(shape)} for its input “{name}”, but the tile is {spoken(array.shape)}; "
                "correct tiling.patch or network.inputs in model.json."
            )


def is_int8(content: bytes) -> bool:
    """Whether a network file was quantised: ONNX writes the names of its operators in plain letters."""
    return b"QuantizeLinear" in content


def check_names(request: Request, inputs: Mapping[str, Shape] | None, outputs: Sequence[str] | None) -> None:
    """Compare what the network has with what the model declares. None: the format does not keep names.

    Every network input must be declared, and have the rank of a tile. Raises PackageError naming the field.
    """
    name = request.file.path.name
    if inputs is not None:
        if set(inputs) != set(request.inputs):
            raise PackageError(
                f"{name} has the inputs {_listed(inputs)}, but model.json declares {_listed(request.inputs)}; "
                "correct network.inputs."
            )
        for entry, shape in inputs.items():
            if len(shape) != request.rank:
                raise PackageError(
                    f"{name} takes {spoken(shape)} for its input “{entry}”, but {_TILES[request.rank]}"
                )
    if outputs is not None:
        missing = [entry for entry in request.outputs if entry not in outputs]
        if missing:
            raise PackageError(
                f"{name} has the outputs {_listed(outputs)}, but model.json declares {_listed(missing)}; "
                "correct network.output."
            )


def ran_out_of_memory(error: Exception) -> bool:
    """Whether an error of a runtime or library means that memory ran out."""
    return isinstance(error, MemoryError) or any(word in str(error).lower() for word in _MEMORY_WORDS)


def failure(error: Exception, runtime: str, device: str, name: str, sizes: str) -> MedInferError:
    """The user's error for an error that a runtime raised on a tile of `sizes`."""
    if isinstance(error, MedInferError):
        return error
    if not ran_out_of_memory(error):
        return PackageError(
            f"{name} cannot run on a tile of {sizes} ({first_line(error)}); check tiling in model.json."
        )
    if device == "cpu":
        return OutOfMemory(
            f"This computer ran out of memory ({runtime} on cpu, a tile of {sizes}): close other programs, choose a "
            "smaller tiling.patch in model.json, or use a computer with more memory."
        )
    return OutOfMemory(
        f"The graphics card ran out of memory ({runtime} on {device}, a tile of {sizes}): close other programs that "
        "use it, or choose the device cpu."
    )


def unreadable(path: Path, format: Format, error: Exception) -> PackageError:
    """The error for a network file that a runtime cannot parse."""
    return PackageError(
        f"{path} is not a usable {format} network ({first_line(error)}); "
        "reinstall the package or export the network again."
    )


def first_line(error: Exception) -> str:
    """The last sentence-like line of a runtime's message, which is where they say what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and "Exception from" not in line]
    # TorchScript begins with a traceback.
    lines = [line.removeprefix(_SAID) for line in lines if line.startswith(_SAID)] or lines
    # What torch asks of those who read it is nothing for the user.
    return (lines[0].partition("  (Could this error")[0][:200].rstrip(".") if lines else type(error).__name__)


def spoken(shape: Sequence[int | None]) -> str:
    return "×".join("any" if size is None else str(size) for size in shape)


def _listed(names: Sequence[str] | Mapping[str, Any]) -> str:
    return ", ".join(f"“{name}”" for name in names) or "nothing"
