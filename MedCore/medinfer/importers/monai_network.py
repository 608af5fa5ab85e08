"""The network of a MONAI bundle: built by MONAI from a class of the table here, filled from `models/model.pt`, as ONNX;
or the TorchScript of `models/model.ts` as it is.

Nothing that the bundle names is imported. `model.pt` is opened with `weights_only`.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import PackageError
from .exported import ALIKE, difference
from .monai_config import Component, Config, listed
from .monai_dints import build_dints
from .safe_checkpoint import open_safely

INPUT, OUTPUT = "image", "logits"
WEIGHTS, SCRIPT = "models/model.pt", "models/model.ts"
# Where a configuration says which file has the weights.
_LOADERS = ("checkpointloader::load_path", "handlers::0::load_path", "checkpoint")

_NETWORKS = (
    "AttentionUnet", "BasicUNet", "DiNTS", "DynUNet", "SegResNet", "SwinUNETR", "UNETR", "UNet", "VNet",
)
# Older names of the same classes, and of the argument that says how many axes an image has.
_ALIASES = {"Unet": "UNet", "BasicUnet": "BasicUNet", "Basicunet": "BasicUNet", "DynUnet": "DynUNet"}
_AXES = ("spatial_dims", "dimensions")
# What MONAI's classes took once, and what no longer changes anything.
_NO_LONGER: Mapping[str, tuple[str, ...]] = {"SwinUNETR": ("img_size",)}
# Where checkpoints keep the weights.
_WRAPPINGS = ("model", "state_dict", "network", "net")
# Images of one patient; more than these is a mistake.
_MOST = 32


@dataclass(frozen=True)
class Written:
    """A network file in the package's folder. channels: of its answer."""

    name: str
    format: str
    channels: int


def check_network(config: Config, home: Path) -> Component | None:
    """The network's description where its class is known and its weights are there; None where its TorchScript is to be
    taken. Raises PackageError where there is neither."""
    weights, script = _weights_file(config, home), home / SCRIPT
    if not weights.is_file() and not script.is_file():
        raise PackageError(
            f"The bundle has neither {WEIGHTS} nor {SCRIPT}: download its weights too (their addresses stand in its "
            "large_files.yml, if it has one)."
        )
    described = _described(config)
    known = described is not None and _known(described) in _NETWORKS
    if script.is_file() and not (known and weights.is_file()):
        return None
    if described is None:
        raise PackageError(f"{config.file} has no network_def: it does not say which network the weights belong to.")
    if not known:
        raise PackageError(
            f"{described.said} is a network that is not known here; known are {listed(_NETWORKS)}. A bundle with "
            f"{SCRIPT} needs no known network."
        )
    return described


def input_channels(config: Config) -> int:
    """Images that the network sees at once, as its description says; 1 where there is none. Raises PackageError."""
    described = _described(config)
    count = 1 if described is None else described.take("in_channels", 1)
    if described is not None and (not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= _MOST):
        raise PackageError(f"{described.said} has in_channels = {count}: only 1 to {_MOST} are known here.")
    return int(count)


def write_network(config: Config, home: Path, patch: Sequence[int], folder: Path) -> Written:
    """Write the bundle's network into `folder`, for tiles of `patch` (along x, y, z).

    ONNX where its class is known and its weights are there, else its TorchScript. Raises PackageError.
    """
    described, channels = check_network(config, home), input_channels(config)
    if described is None:
        return _as_script(home / SCRIPT, patch, folder, channels)
    network = _built(described, home)
    weights = _weights_file(config, home)
    _fill(network, _weights(weights), f"models/{weights.name}")
    return Written("network.onnx", "onnx", _write_onnx(network, patch, folder / "network.onnx", channels))


def _weights_file(config: Config, home: Path) -> Path:
    """The file that the configuration loads the weights from, where it says so plainly, or else the usual one."""
    for place in _LOADERS:
        part = config.part(place)
        try:
            said = config.plain(*part) if part else None
        except PackageError:
            continue
        if isinstance(said, str) and (home / "models" / Path(said).name).is_file():
            return home / "models" / Path(said).name
    return home / WEIGHTS


def _described(config: Config) -> Component | None:
    found = config.part("network_def", "network", "net")
    return None if found is None else config.component(*found)


def _known(described: Component) -> str:
    return _ALIASES.get(described.name, described.name)


def _built(described: Component, home: Path) -> Any:
    """The network in evaluation mode, without weights."""
    for name in _AXES:
        axes = described.take(name, 3)
        if axes != 3:
            raise PackageError(f"{described.said} has {name} = {axes}: only networks of volumes (3) are supported.")
    try:
        import onnx  # noqa: F401 (torch's exporter needs it)
        from monai.networks import nets
    except ImportError:
        raise PackageError(
            "Converting a bundle of MONAI needs torch, onnx and monai: pip install 'medinfer[monai]'."
        ) from None
    known = _known(described)
    try:
        if known == "DiNTS":
            network = build_dints(described, home)
        else:
            gone = _NO_LONGER.get(known, ())
            arguments = {name: described.take(name) for name in described.arguments if name not in gone}
            network = getattr(nets, known)(**arguments)
    except PackageError:
        raise
    except Exception as error:
        why = " ".join(str(error).split())[:200]
        raise PackageError(f"{described.said} cannot be built with its arguments ({why}).") from error
    return network.eval().requires_grad_(False)


def _weights(path: Path) -> dict[str, Any]:
    """The state dict in a file. Raises PackageError for a file with anything but numbers and words in it."""
    import torch

    named = f"models/{path.name}"
    found = open_safely(path, named, "save the network's state_dict alone")
    for wrapping in _WRAPPINGS:
        if isinstance(found, Mapping) and isinstance(found.get(wrapping), Mapping):
            found = found[wrapping]
    if not isinstance(found, Mapping) or not found or not all(isinstance(one, torch.Tensor) for one in found.values()):
        raise PackageError(f"{named} holds no weights: save the network's state_dict there.")
    return {str(key).removeprefix("module."): value for key, value in found.items()}


def _fill(network: Any, weights: Mapping[str, Any], named: str) -> None:
    try:
        network.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        why = " ".join(str(error).split())[:200]
        raise PackageError(f"{named} does not fit the network of its configuration ({why}).") from None


def _example(patch: Sequence[int], channels: int) -> Any:
    import torch

    return torch.from_numpy(np.random.default_rng(0).normal(size=(1, channels, *patch)).astype(np.float32))


def _write_onnx(network: Any, patch: Sequence[int], path: Path, channels: int) -> int:
    """Export the network for its patch, and compare its answer with torch's. Returns the number of channels."""
    import torch

    example = _example(patch, channels)
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # of tracing
            answer = network(example)
            given = _channels(answer, patch)
            torch.onnx.export(
                network, (example,), str(path), input_names=[INPUT], output_names=[OUTPUT], opset_version=17,
                dynamo=False,
            )
    except (RuntimeError, ValueError, torch.onnx.OnnxExporterError) as error:
        why = " ".join(str(error).split())[:200]
        raise PackageError(f"The network cannot be run or exported for tiles of {list(patch)} ({why}).") from None
    off = difference(path, {INPUT: example.numpy()}, answer.numpy())
    if not off <= ALIKE:
        raise PackageError(f"The exported network differs from MONAI's own answer by {off:.2g}: it was not added.")
    return given


def _as_script(path: Path, patch: Sequence[int], folder: Path, channels: int) -> Written:
    """Copy the TorchScript, once it has answered for a tile."""
    try:
        import torch
    except ImportError:
        raise PackageError(f"Adding {SCRIPT} needs torch: pip install 'medinfer[monai]'.") from None
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # TorchScript is deprecated, as torch says at each load
            network = torch.jit.load(str(path), map_location="cpu").eval()
            answer = network(_example(patch, channels))
    except Exception as error:
        why = str(error).strip().splitlines()[-1][:200] if str(error).strip() else type(error).__name__
        raise PackageError(f"{SCRIPT} is no TorchScript that answers for a tile of {list(patch)} ({why}).") from None
    given = _channels(answer, patch)
    shutil.copyfile(path, folder / "network.ts")
    return Written("network.ts", "torchscript", given)


def _channels(answer: Any, patch: Sequence[int]) -> int:
    shape = tuple(getattr(answer, "shape", ()))
    if len(shape) != 5 or shape[2:] != tuple(patch):
        raise PackageError(
            f"The network answers to a tile of {list(patch)} with {list(shape) or type(answer).__name__}, not with "
            "channels of that size: such networks are not supported."
        )
    return int(shape[1])
