"""The network of nnU-Net: built from its plans by `dynamic-network-architectures`, filled from a checkpoint, as ONNX.

Nothing that the files name is imported or run: classes come from the tables here, and checkpoints are opened with
`weights_only` and the few number types that nnU-Net stores beside its weights.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import PackageError
from .exported import ALIKE, difference
from .nnunet_plans import Plan
from .safe_checkpoint import numpy_numbers, open_safely

INPUT, OUTPUT = "image", "logits"

_ARCHITECTURES = "dynamic_network_architectures.architectures.unet."
_NETWORKS = ("PlainConvUNet", "ResidualEncoderUNet")
# What plans may name as a part of the network.
_PARTS = (
    "Conv2d", "Conv3d", "InstanceNorm2d", "InstanceNorm3d", "BatchNorm2d", "BatchNorm3d", "LeakyReLU", "ReLU", "GELU",
    "Dropout2d", "Dropout3d",
)


def build(plan: Plan, channels: int, source: Path) -> Any:
    """The network in evaluation mode, without weights. Raises PackageError."""
    try:
        import onnx  # noqa: F401 (torch's exporter needs it)
        from dynamic_network_architectures.architectures import unet
    except ImportError:
        raise PackageError(
            "Converting a network of nnU-Net needs torch, onnx and dynamic-network-architectures: "
            "pip install 'medinfer[nnunet]'."
        ) from None
    name = str(plan.architecture["network_class_name"])
    known = name.removeprefix(_ARCHITECTURES)
    if known not in _NETWORKS:
        raise PackageError(f"{source} has the network {name}, but only {' and '.join(_NETWORKS)} are known.")
    arguments = {
        key: _part(value, source) if key in plan.architecture["_kw_requires_import"] else value
        for key, value in plan.architecture["arch_kwargs"].items()
    }
    try:
        network = getattr(unet, known)(
            input_channels=plan.inputs, num_classes=channels, deep_supervision=False, **arguments
        )
    except (TypeError, ValueError, AssertionError) as error:
        raise PackageError(f"{source} describes a {known} that cannot be built ({error}).") from error
    return network.eval().requires_grad_(False)


def _part(name: str | None, source: Path) -> Any:
    import torch

    if name is None:
        return None
    module, _, known = name.rpartition(".")
    if known not in _PARTS or not module.startswith("torch.nn"):
        raise PackageError(f"{source} builds its network with {name}, which is not known here.")
    return getattr(torch.nn, known)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The checkpoint's contents. Raises PackageError for a file with anything but numbers and words in it."""
    try:
        # Beside the weights nnU-Net keeps losses of its training as numpy numbers.
        found = open_safely(path, str(path), "export it again with nnU-Net v2", numpy_numbers())
    except FileNotFoundError:
        raise PackageError(f"{path} is missing: copy the whole result folder, or choose another fold.") from None
    if not isinstance(found, dict) or not isinstance(found.get("network_weights"), Mapping):
        raise PackageError(f"{path} is not a checkpoint of nnU-Net v2: it has no network_weights.")
    return found


def fill(network: Any, checkpoint: Mapping[str, Any], path: Path) -> None:
    """Put the checkpoint's weights into the network. Raises PackageError where they do not fit."""
    weights = {
        key.removeprefix("module.").removeprefix("_orig_mod."): value
        for key, value in checkpoint["network_weights"].items()
    }
    try:
        network.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        why = " ".join(str(error).split())[:200]
        raise PackageError(f"{path} does not fit the network of its plans ({why}).") from None


def write_onnx(network: Any, plan: Plan, path: Path) -> None:
    """Export the network for its patch, and compare its answer with torch's. Raises PackageError where they differ."""
    import torch

    sides = [plan.patch["zyx".index(axis)] for axis in plan.axes]
    example = torch.from_numpy(
        np.random.default_rng(0).normal(size=(1, plan.inputs, *sides[3 - plan.dimensions:])).astype(np.float32)
    )
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # of tracing
        torch.onnx.export(
            network, (example,), str(path), input_names=[INPUT], output_names=[OUTPUT], opset_version=17, dynamo=False
        )
        expected = network(example).numpy()
    off = difference(path, {INPUT: example.numpy()}, expected)
    if not off <= ALIKE:
        raise PackageError(f"{path.name} differs from torch's own answer by {off:.2g}: the network was not added.")
