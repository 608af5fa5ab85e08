"""What a network without a `model.json` tells about itself: its inputs and outputs, and what a trial run shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..backends import NetworkFile, open_session
from ..backends.choose import bytes_of
from ..backends.onnx_weights import weight_files
from ..backends.ports import Ports, ports_of
from ..backends.session import Shape, spoken
from ..errors import PackageError

Size = tuple[int, int, int]

# Edges of the tiles that are tried where the network takes any: some networks halve five times, and some cannot halve
# to a single voxel.
_TRIED = (32, 64, 96, 128)
_USUAL_EDGE = 96
# Of a network that does not say what it takes: axes with batch and channels, and channels.
_RANKS, _CHANNELS = (5, 4), (1, 2, 3, 4)
# What rounding may add to a probability.
_ROUNDING = 1e-3


@dataclass(frozen=True)
class Facts:
    """What questions and their defaults depend on.

    path: of the network file. declared: the input's shape [batch, channels, …], with three axes in space, or two of a
    network of slices; any size: None. channels: of the output that is taken. edge: of the tile that was tried, for axes
    of any size. activation: what brings the output to probabilities, as far as the trial shows it; None: it doesn't.
    images: channels of the input.
    """

    path: Path
    declared: Shape
    channels: int
    edge: int
    activation: str | None
    images: int

    @property
    def dimensions(self) -> int:
        """Axes in space: 3, or 2 of a network of slices."""
        return len(self.declared) - 2

    def fixed(self, axes: str) -> tuple[int | None, int | None, int | None]:
        """The sizes that it takes along k, j, i; any: None. axes: the order of its own, e.g. "zyx" or "xyz"; of
        slices the first is the axis across them, along which a tile has one voxel."""
        across: Shape = (1,) * (len(axes) - self.dimensions)
        sizes = (*across, *self.declared[2:])
        k, j, i = (sizes[axes.index(axis)] for axis in "zyx")
        return k, j, i

    def patch(self, axes: str) -> Size:
        """A tile for it, along k, j, i: the fixed sizes, and for any size about 96."""
        usual = -(-_USUAL_EDGE // self.edge) * self.edge
        k, j, i = (size or usual for size in self.fixed(axes))
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
    inputs, other axes) or whose output is no map; DeviceError where its runtime is not installed.
    """
    file = NetworkFile(path, "onnx" if format == "onnx" else "torchscript", _beside(path) if format == "onnx" else ())
    ports = ports_of(file)
    name, shapes = _the_input(path, ports)
    trial = _trial(file, name, shapes, ports)
    maps = {output: found for output, values in trial.results.items() if (found := _as_map(values, trial.tile))}
    if not maps:
        given = ", ".join(f"“{output}” {spoken(values.shape)}" for output, values in trial.results.items())
        raise PackageError(
            f"{path} gives {given} for a tile of {spoken(trial.tile)}, which is not a map of it; MedInfer needs a "
            "network that answers [batch, channels, axes in space], such as a segmentation."
        )
    output = min(maps, key=lambda entry: maps[entry].stride)
    best = maps[output]
    return BareNetwork(
        path, trial.shape, len(best.values), trial.edge, _activation(best.values), trial.images, file, name,
        tuple(trial.results), output, best.layout, best.stride, (float(best.values.min()), float(best.values.max())),
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


def _the_input(path: Path, ports: Ports) -> tuple[str, list[Shape]]:
    """The one input, and the shapes that it may have, [batch, channels, axes in space]. Raises PackageError."""
    if len(ports.inputs) != 1:
        listed = ", ".join(f"“{name}”" for name in ports.inputs) or "none"
        raise PackageError(
            f"{path} takes {len(ports.inputs)} inputs ({listed}), and which is what only a model.json can say: put it "
            "into a folder with one (docs/models.md), or export a network with one input."
        )
    ((name, shape),) = ports.inputs.items()
    if shape is None:
        return name, [(None,) * rank for rank in _RANKS]
    if len(shape) not in _RANKS or shape[0] not in (None, 1):
        raise PackageError(
            f"{path} takes {spoken(shape)} for its input “{name}”, but MedInfer feeds one tile (1×channels×…) with "
            "three axes in space, or one slice with two: export the network so."
        )
    return name, [shape]


@dataclass(frozen=True, eq=False)
class _Trial:
    """A run that went well. shape: of the input, as declared. images: its channels. edge: where it takes any size.
    tile: the axes in space. results: by the outputs' names."""

    shape: Shape
    images: int
    edge: int
    tile: tuple[int, ...]
    results: Mapping[str, NDArray[np.float32]]


def _trial(file: NetworkFile, name: str, shapes: Sequence[Shape], ports: Ports) -> _Trial:
    """Run the network on a tile of nothing and noise, of the first size and with the first number of channels that it
    takes. Raises what the first try raised where it takes none."""
    refused: PackageError | None = None
    for shape, images, edge in _tries(shapes):
        size = tuple(length or edge for length in shape[2:])
        tile = np.zeros((1, images, *size), np.float32)
        half = tile[:, :, size[0] // 2 :]
        half[...] = np.random.default_rng(0).normal(size=half.shape)
        try:
            outputs = ports.outputs_for(tile) if ports.outputs is None else ports.outputs
            with open_session(
                [file], inputs=[name], outputs=outputs, device="cpu", precision="float32", rank=len(shape)
            ) as session:
                return _Trial(shape, images, edge, size, session.run({name: tile}))
        except PackageError as error:
            refused = refused or error
    assert refused is not None
    raise refused


def _tries(shapes: Sequence[Shape]) -> Iterator[tuple[Shape, int, int]]:
    """A shape, a number of channels and an edge each; first what is most usual."""
    for shape in shapes:
        for images in (shape[1],) if shape[1] else _CHANNELS:
            for edge in _TRIED if None in shape[2:] else _TRIED[:1]:
                yield shape, images, edge


@dataclass(frozen=True, eq=False)
class _Map:
    """values: [c, …] in the network's order of axes."""

    values: NDArray[np.float32]
    layout: str
    stride: int


def _as_map(values: NDArray[np.float32], tile: tuple[int, ...]) -> _Map | None:
    """An output as a map of the tile; None where it is none."""
    if values.ndim != 2 + len(tile) or len(values) != 1:
        return None
    first, last = _stride(values.shape[2:], tile), _stride(values.shape[1:-1], tile)
    if first is not None:
        return _Map(values[0], "channels_first", first)
    return None if last is None else _Map(np.moveaxis(values[0], -1, 0), "channels_last", last)


def _stride(shape: Sequence[int], tile: tuple[int, ...]) -> int | None:
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
