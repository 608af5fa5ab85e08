"""Runs of ONNX Runtime on memory that stays where it is (I/O binding), on the device of the network.

The inputs are copied into that memory and the outputs out of it, so that nothing is allocated from run to run, and
nothing passes through the host that comes from the device. Only so can ONNX Runtime replay a run as a CUDA graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..arrays import Array

Shapes = tuple[tuple[int, ...], ...]


class Memory(Protocol):
    """Where inputs and outputs lie: `kind` and `index` are ONNX Runtime's words for the device."""

    @property
    def kind(self) -> str: ...

    @property
    def index(self) -> int: ...

    def empty(self, shape: Sequence[int]) -> Any:
        """Room for so many numbers in float32; its `data_ptr()` says where."""

    def fill(self, room: Any, values: Array) -> None:
        """Copy the values into it, and wait until they are there."""

    def content(self, room: Any) -> Array:
        """A copy of what it holds."""


@dataclass(frozen=True)
class OwnMemory:
    """Of ONNX Runtime itself: arrays of numpy come in and go out."""

    kind: str
    index: int

    def empty(self, shape: Sequence[int]) -> Any:
        from onnxruntime import OrtValue

        return OrtValue.ortvalue_from_shape_and_type(list(shape), np.float32, self.kind, self.index)

    def fill(self, room: Any, values: Array) -> None:
        room.update_inplace(values)

    def content(self, room: Any) -> Array:
        return room.numpy().copy() if self.kind == "cpu" else room.numpy()


@dataclass(frozen=True)
class TorchMemory:
    """Of torch: tensors come in and go out, on the same device."""

    kind: str
    index: int

    @property
    def device(self) -> Any:
        import torch

        return torch.device(self.kind, self.index) if self.kind == "cuda" else torch.device(self.kind)

    def empty(self, shape: Sequence[int]) -> Any:
        import torch

        return torch.empty(tuple(shape), dtype=torch.float32, device=self.device)

    def fill(self, room: Any, values: Array) -> None:
        import torch

        room.copy_(values)
        if self.kind == "cuda":
            # ONNX Runtime works in a stream of its own.
            torch.cuda.current_stream(self.device).synchronize()

    def content(self, room: Any) -> Array:
        return room.clone()


class BoundRun:
    """A session's run on bound memory: arrays in, arrays out, of the kind that `memory` takes.

    session: of ONNX Runtime, with inputs and outputs of float32. fixed: the shapes of the outputs where the network
    declares them; else the first run on inputs of some shapes tells them. graph: a number of its own, under which the
    run is kept as a CUDA graph; None: it is none.
    Memory: the inputs and outputs of one run, of the shapes that were last used, and another time the outputs.
    """

    def __init__(
        self, session: Any, inputs: Sequence[str], outputs: Sequence[str], memory: Memory, *,
        fixed: Shapes | None = None, graph: int | None = None,
    ) -> None:
        self._session, self._inputs, self._outputs, self._memory = session, tuple(inputs), tuple(outputs), memory
        self._fixed, self._options = fixed, _options(graph)
        self._shapes: Shapes | None = None
        self._call: Callable[[], None] = lambda: None
        self._rooms: list[Any] = []
        self._answers: list[Any] = []

    def __call__(self, arrays: Sequence[Array]) -> list[Array]:
        """The outputs, which belong to the caller."""
        shapes = tuple(tuple(array.shape) for array in arrays)
        if shapes != self._shapes:
            self._shapes = None  # if this fails, nothing is bound
            self._rooms, self._answers = [], []
            self._bind(shapes, arrays)
            self._shapes = shapes
        for room, array in zip(self._rooms, arrays, strict=True):
            self._memory.fill(room, array)
        self._call()
        return [self._memory.content(answer) for answer in self._answers]

    def _bind(self, shapes: Shapes, arrays: Sequence[Array]) -> None:
        binding = self._session.io_binding()
        self._rooms = [self._memory.empty(shape) for shape in shapes]
        for name, room, shape in zip(self._inputs, self._rooms, shapes, strict=True):
            binding.bind_input(
                name, self._memory.kind, self._memory.index, np.float32, shape, room.data_ptr()
            )

        def call() -> None:
            self._session.run_with_iobinding(binding, self._options)
            binding.synchronize_outputs()

        self._call = call
        results = self._fixed or self._shapes_of_answers(binding, arrays)
        self._answers = [self._memory.empty(shape) for shape in results]
        for name, answer, shape in zip(self._outputs, self._answers, results, strict=True):
            binding.bind_output(
                name, self._memory.kind, self._memory.index, np.float32, shape, answer.data_ptr()
            )

    def _shapes_of_answers(self, binding: Any, arrays: Sequence[Array]) -> Shapes:
        """By one run, whose outputs ONNX Runtime finds memory for."""
        for name in self._outputs:
            binding.bind_output(name, self._memory.kind, self._memory.index)
        for room, array in zip(self._rooms, arrays, strict=True):
            self._memory.fill(room, array)
        self._call()
        shapes = tuple(tuple(value.shape()) for value in binding.get_outputs())
        binding.clear_binding_outputs()
        return shapes


def _options(graph: int | None) -> Any:
    if graph is None:
        return None
    from onnxruntime import RunOptions

    options = RunOptions()
    options.add_run_config_entry("gpu_graph_id", str(graph))
    return options
