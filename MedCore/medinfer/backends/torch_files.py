"""Torch: TorchScript archives and `.pt2` programs (torch.export), never pickled modules."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..arrays import Array
from ..errors import DeviceError, PackageError
from .session import Floats32, Format, Request, Session, Tensors, failure, unreadable

NAME = "torch"


def version() -> str:
    """Raises ImportError where it is not installed."""
    import torch

    return str(torch.__version__)


def devices() -> dict[str, tuple[str, ...]]:
    """Devices that answer, with the precisions they have in hardware."""
    import torch

    native = _cpu_has("amx_bf16") or _cpu_has("avx512_bf16")
    found: dict[str, tuple[str, ...]] = {"cpu": ("float32", "bfloat16") if native else ("float32",)}
    if torch.cuda.is_available():
        brain = ("bfloat16",) if torch.cuda.get_device_capability()[0] >= 8 else ()
        found["cuda"] = ("float32", "tf32", *brain, "float16")
    if torch.backends.mps.is_available():
        found["mps"] = ("float32",)
    return found


def open_network(request: Request) -> Session:
    """Raises DeviceError where memory or the device fails, PackageError for a file it cannot read safely."""
    import torch

    kind = request.device.partition(":")[0]
    device = torch.device(kind, request.device_index) if kind == "cuda" else torch.device(kind)
    precision = request.precision
    if precision == "auto":
        # On a CPU only AMX makes bfloat16 worth it; on CUDA, TF32 is torch's own default for convolutions.
        precision = "tf32" if kind == "cuda" else "bfloat16" if kind == "cpu" and _cpu_has("amx_bf16") else "float32"
    kind_of_number = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(precision, torch.float32)
    if kind == "cpu":
        torch.set_num_threads(request.threads)
    try:
        network = _load(request, device).to(device=device)
        # What was frozen has its weights as constants, which stay as they are: torch casts them where they are used.
        frozen = not any(True for _ in network.parameters())
        if not frozen:
            network = network.to(dtype=kind_of_number)
    except torch.OutOfMemoryError as error:
        raise DeviceError(
            f"{request.file.path.name} does not fit into the memory of {request.device}; use cpu."
        ) from error
    if kind == "cpu":
        order = torch.channels_last if request.rank == 4 else torch.channels_last_3d
        network = network.to(memory_format=order)  # 1.3 times as fast (facts/speed.md)

    casts = frozen and kind_of_number != torch.float32
    taken = torch.float32 if casts else kind_of_number
    casting = torch.autocast(kind, kind_of_number) if casts else contextlib.nullcontext()

    def run(tensors: Sequence[Array]) -> Sequence[Array]:
        # All tiles of a pass have one shape, for which cuDNN may well look for its fastest way first (as in nnU-Net).
        fast = torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=precision == "tf32")
        with torch.no_grad(), fast, casting:
            answer = network(*(tensor.to(device=device, dtype=taken) for tensor in tensors))
            return [_own(tensor.float(), tensors) for tensor in _in_order(answer, request.outputs)]

    def run_arrays(arrays: Sequence[Floats32]) -> Sequence[Any]:
        return [tensor.cpu().numpy() for tensor in run([torch.from_numpy(array) for array in arrays])]

    return Session(
        runtime=NAME, device=str(device), precision=precision, name=request.file.path.name,
        inputs=dict.fromkeys(request.inputs, (None,) * request.rank), outputs=request.outputs,
        runner=run_arrays, tensors=lambda: Tensors(device, run),
    )


def _own(result: Array, given: Sequence[Array]) -> Array:
    """The result in memory of its own, where a network returns a part of what it was given."""
    memory = result.untyped_storage().data_ptr()
    return result.clone() if any(memory == tensor.untyped_storage().data_ptr() for tensor in given) else result


def _cpu_has(feature: str) -> bool:
    import torch

    # torch before 2.6 cannot be asked; float32 is then the safe answer.
    return bool(torch.cpu.get_capabilities().get(feature)) if hasattr(torch.cpu, "get_capabilities") else False


def loaded(content: bytes, format: Format, path: Path, device: Any = "cpu") -> tuple[Any, list[str]]:
    """A network of these bytes, and the names of its inputs. Raises PackageError for a file it cannot read safely.

    device: of torch, to which also the constants of TorchScript go, which no `to` moves later.
    """
    import torch

    stream = io.BytesIO(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript is deprecated, as torch says at each load
            if format == "torchscript":
                network = torch.jit.load(stream, map_location=device).eval()
                taken = [argument.name for argument in network.forward.schema.arguments[1:]]
            else:
                with _no_pickles():
                    program = torch.export.load(stream)
                network, taken = program.module(), list(program.graph_signature.user_inputs)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        raise unreadable(path, format, error) from error
    return network, taken


def names_of_outputs(network: Any, tile: Floats32, path: Path) -> tuple[str, ...]:
    """The names of what a network returns for a tile: a dictionary's own, and one for a single tensor. Raises
    PackageError where the network cannot take the tile, or returns several tensors without names."""
    import torch

    try:
        with torch.inference_mode():
            answer = network(torch.from_numpy(tile))
    except Exception as error:
        raise failure(error, NAME, "cpu", path.name, "×".join(map(str, tile.shape))) from error
    if isinstance(answer, dict):
        return tuple(answer)
    count = len(answer) if isinstance(answer, (tuple, list)) else 1
    if count != 1:
        raise PackageError(
            f"{path} returns {count} tensors, which have no names in TorchScript: export a network that returns one."
        )
    return ("output",)


def _load(request: Request, device: Any) -> Any:
    network, taken = loaded(request.content, request.file.format, request.file.path, device)
    if len(taken) != len(request.inputs):
        raise PackageError(
            f"{request.file.path.name} takes {len(taken)} inputs ({', '.join(taken)}), but model.json declares "
            f"{len(request.inputs)} ({', '.join(request.inputs)}); correct network.inputs."
        )
    return network


@contextlib.contextmanager
def _no_pickles() -> Iterator[None]:
    """torch.export.load falls back to a full unpickle, which runs what the file says; this setting forbids it."""
    setting, chatter = "TORCH_FORCE_WEIGHTS_ONLY_LOAD", logging.getLogger("torch.export")
    before, level = os.environ.get(setting), chatter.level
    os.environ[setting] = "1"
    chatter.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        chatter.setLevel(level)
        if before is None:
            del os.environ[setting]
        else:
            os.environ[setting] = before


def _in_order(answer: Any, names: Sequence[str]) -> list[Any]:
    """A dictionary by its names; a tuple or a single tensor in the declared order."""
    if isinstance(answer, dict):
        missing = [name for name in names if name not in answer]
        if missing:
            has = ", ".join(answer)
            raise PackageError(f"The network returns {has} but not {', '.join(missing)}; correct network.output.")
        return [answer[name] for name in names]
    return list(answer) if isinstance(answer, (tuple, list)) else [answer]
