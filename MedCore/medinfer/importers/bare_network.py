"""What a network without a `model.json` tells about itself: its inputs and outputs, and what a trial run shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..backends import NetworkFile, open_session
from ..backends.choose import bytes_of
from ..backends.onnx_weights import weight_files
from ..backends.ports import Ports, ports_of
from ..backends.session import TILE_RANK, Shape, spoken
from ..errors import PackageError

Size = tuple[int, int, int]

# Edges of the tiles that are tried where the network takes any: some networks halve five times, and some cannot halve
# to a single voxel.
_TRIED = (32, 64, 96, 128)
_USUAL_EDGE = 96
# What rounding may add to a probability.
_ROUNDING = 1e-3


@dataclass(frozen=True)
class Facts:
    """What questions and their defaults depend on. path: of the network file. declared: the input's shape, any: None.
    channels: of the output that is taken. edge: of the tile that was tried, for axes of any size. activation: what
    brings the output to probabilities, as far as the trial shows it; None: it doesn't."""

    path: Path
    declared: Shape
    channels: int
    edge: int
    activation: str | None

    def patch(self, axes: str) -> Size:
        """A tile for it, along k, j, i: the fixed sizes, and for any size about 96. axes: the order of its own, e.g.
        "zyx" or "xyz"."""
        usual = -(-_USUAL_EDGE // self.edge) * self.edge
        own = [size or usual for size in self.declared[2:]]
        k, j, i = (own[axes.index(axis)] for axis in "zyx")
        return k, j, i


@dataclass(frozen=True)
class BareNetwork(Facts):
    """file: with the weights beside it. input, outputs: their names; output: the one that is taken. layout and stride
    as in `model.json`. seen: the lowest and highest value of the trial."""

    file: NetworkFile
    input: str
    outputs: tuple[str, ...]
    output: str
    layout: str
    stride: int
    seen: tuple[float, float]


def read_network(path: Path, format: str) -> BareNetwork:
    """Open the network, run it once on a tile, and say what that shows.

    format: "onnx" or "torchscript". Raises PackageError, one sentence, for a network that MedInfer cannot feed (several
    inputs, channels or other axes) or whose output is no map; DeviceError where its runtime is not installed.
    """
    file = NetworkFile(path, "onnx" if format == "onnx" else "torchscript", _beside(path) if format == "onnx" else ())
    ports = ports_of(file)
    name, shape = _the_input(path, ports)
    edge, results = _trial(file, name, shape, ports)
    tile = _tile_size(shape, edge)
    maps = {output: found for output, values in results.items() if (found := _as_map(values, tile))}
    if not maps:
        shapes = ", ".join(f"“{output}” {spoken(values.shape)}" for output, values in results.items())
        raise PackageError(
            f"{path} gives {shapes} for a tile of {spoken(tile)}, which is not a map of it; MedInfer needs a "
            "network that answers [batch, channels, three axes], such as a segmentation."
        )
    output = min(maps, key=lambda entry: maps[entry].stride)
    best = maps[output]
    return BareNetwork(
        path, shape, len(best.values), edge, _activation(best.values), file, name, tuple(results), output, best.layout,
        best.stride, (float(best.values.min()), float(best.values.max())),
    )


def _beside(path: Path) -> tuple[tuple[str, Path], ...]:
    """The weights beside an ONNX graph, by their names in it. Raises PackageError where one is missing."""
    names = weight_files(bytes_of(path), path)
    for name in names:
        if not (path.parent / name).is_file():
            raise PackageError(
                f"{path} keeps its weights in {name!r}, which is missing beside it: copy that file there too."
            )
    return tuple((name, path.parent / name) for name in names)


def _the_input(path: Path, ports: Ports) -> tuple[str, Shape]:
    """The one input, [batch, 1, three axes]. Raises PackageError."""
    if len(ports.inputs) != 1:
        listed = ", ".join(f"“{name}”" for name in ports.inputs) or "none"
        raise PackageError(
            f"{path} takes {len(ports.inputs)} inputs ({listed}), and which is what only a model.json can say: put it "
            "into a folder with one (docs/models.md), or export a network with one input."
        )
    ((name, shape),) = ports.inputs.items()
    shape = (None,) * TILE_RANK if shape is None else shape
    if len(shape) != TILE_RANK:
        raise PackageError(
            f"{path} takes {spoken(shape)} for its input “{name}”, but tiles have five axes (batch, channel, and three "
            "in space): export a 3-D network."
        )
    if shape[0] not in (None, 1) or shape[1] not in (None, 1):
        raise PackageError(
            f"{path} takes {spoken(shape)} for its input “{name}”, but a scan is fed as one batch with one channel: "
            "export the network with the shape 1×1×…, or describe its channels in a model.json (docs/models.md)."
        )
    return name, shape


def _tile_size(shape: Shape, edge: int) -> Size:
    k, j, i = (size or edge for size in shape[2:])
    return k, j, i


def _trial(file: NetworkFile, name: str, shape: Shape, ports: Ports) -> tuple[int, Mapping[str, NDArray[np.float32]]]:
    """The edge of a tile that the network takes, and its outputs for a tile of nothing and noise."""
    refused: PackageError | None = None
    for edge in _TRIED if None in shape[2:] else _TRIED[:1]:
        tile = np.zeros((1, 1, *_tile_size(shape, edge)), np.float32)
        half = tile[:, :, tile.shape[2] // 2 :]
        half[...] = np.random.default_rng(0).normal(size=half.shape)
        try:
            outputs = ports.outputs_for(tile) if ports.outputs is None else ports.outputs
            with open_session([file], inputs=[name], outputs=outputs, device="cpu", precision="float32") as session:
                return edge, session.run({name: tile})
        except PackageError as error:
            refused = refused or error
    assert refused is not None
    raise refused


@dataclass(frozen=True, eq=False)
class _Map:
    """values: [c, …] in the network's order of axes."""

    values: NDArray[np.float32]
    layout: str
    stride: int


def _as_map(values: NDArray[np.float32], tile: Size) -> _Map | None:
    """An output as a map of the tile; None where it is none."""
    if values.ndim != TILE_RANK or len(values) != 1:
        return None
    first, last = _stride(values.shape[2:], tile), _stride(values.shape[1:4], tile)
    if first is not None:
        return _Map(values[0], "channels_first", first)
    return None if last is None else _Map(np.moveaxis(values[0], -1, 0), "channels_last", last)


def _stride(shape: Sequence[int], tile: Size) -> int | None:
    """Voxels of the tile per voxel of the output, the same along all axes."""
    strides = {whole // part if part and whole % part == 0 else 0 for whole, part in zip(tile, shape, strict=True)}
    return strides.pop() if len(strides) == 1 and 0 not in strides else None


def _activation(values: NDArray[np.float32]) -> str | None:
    """What is missing to probabilities. values: [c, …] of a trial. None: that cannot be seen."""
    low, high = float(values.min()), float(values.max())
    if not np.isfinite((low, high)).all() or low == high:
        return None
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        return "sigmoid" if len(values) == 1 else "softmax"
    shares = len(values) > 1 and np.allclose(values.sum(axis=0), 1, atol=10 * _ROUNDING)
    return "none" if shares or len(values) == 1 else None
