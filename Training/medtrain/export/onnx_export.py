"""Any network as one ONNX file with free axes, put in place only once it gives the network's own answers."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

OPSET = 18

Example = Mapping[str, Tensor]
"""A network's inputs by name, in the order in which its `forward` takes them."""

Axes = Mapping[str, Mapping[int, str]]
"""Names of the free axes of each input and output."""


def export_onnx(
    net: nn.Module,
    path: Path,
    examples: Sequence[Example],
    outputs: Sequence[str],
    *,
    axes: Axes | None = None,
    tolerance: float = 1e-4,
) -> float:
    """Write `net` to `path`; return the largest absolute difference of the file's answers from the network's.

    examples: of different sizes; the first is the one that is traced, the answers are compared on all.
    outputs: names of what the network returns, in order.
    axes: see `free_axes`, which is taken where they are not given.
    Raises RuntimeError, and leaves what was at `path` alone, where the answers differ by more than `tolerance`.
    """
    net = plain_copy(net)
    partial = path.with_suffix(".partial")
    try:
        write_onnx(net, partial, examples[0], outputs, axes or free_axes(net, examples[0], outputs))
        worst = max(difference(net, partial, example) for example in examples)
        if not worst <= tolerance:  # NaN neither
            raise RuntimeError(f"{path.name} would differ from the network by {worst:.2g}, more than {tolerance:.2g}; "
                               "look for an operator that ONNX defines differently")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return worst


def plain_copy(net: nn.Module) -> nn.Module:
    """A copy for inference in the ordinary memory layout on the CPU: the file shouldn't tell how it was trained."""
    net = copy.deepcopy(net).cpu().eval().requires_grad_(False)
    net.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # torch's overloads leave it out
    return net


def free_axes(net: nn.Module, example: Example, outputs: Sequence[str]) -> Axes:
    """The batch of everything, and k, j, i of every volume `[B, C, k, j, i]`.

    A volume with the sides of the first input shares the names of its axes; another has its own, `mask_k`.
    """
    sides = next(iter(example.values())).shape[2:]
    answers = dict(zip(outputs, _answers(net, example), strict=True))
    return {
        name: {0: "batch"} if tensor.dim() != 5 else
        {0: "batch"} | {axis: letter if tensor.shape[2:] == sides else f"{name}_{letter}"
                        for axis, letter in enumerate("kji", start=2)}
        for name, tensor in {**example, **answers}.items()
    }


def write_onnx(net: nn.Module, path: Path, example: Example, outputs: Sequence[str], axes: Axes) -> None:
    """Trace `net`, which is in evaluation mode, and check the file's form."""
    import onnx

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)  # of tracing, which free axes want
        torch.onnx.export(
            net,
            tuple(example.values()),
            str(path),
            input_names=list(example),
            output_names=list(outputs),
            dynamic_axes={name: dict(free) for name, free in axes.items()},
            opset_version=OPSET,
            dynamo=False,
        )
    onnx.checker.check_model(onnx.load(str(path)), full_check=True)


def onnx_answers(path: Path, example: Example) -> list[NDArray[np.float32]]:
    """The file's answers in ONNX Runtime on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return list(session.run(None, {name: tensor.numpy() for name, tensor in example.items()}))


def difference(net: nn.Module, path: Path, example: Example) -> float:
    """The largest absolute difference between the file's answers and those of `net`; infinite where shapes differ."""
    pairs = list(zip(onnx_answers(path, example), _answers(net, example), strict=True))
    if any(found.shape != tuple(expected.shape) for found, expected in pairs):
        return float("inf")
    return max(float(np.abs(found - expected.numpy()).max()) for found, expected in pairs)


def _answers(net: nn.Module, example: Example) -> tuple[Tensor, ...]:
    with torch.inference_mode():
        answers = net(*example.values())
    return (answers,) if isinstance(answers, Tensor) else tuple(answers)
