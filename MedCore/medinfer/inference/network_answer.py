"""A network's answer for tiles: its inputs in its own order of axes, mirrored where declared, and back again.

Tiles are arrays on the host or tensors on a device, and so is the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations

from ..arrays import Array, compact, library_of
from ..backends import Session
from ..errors import PackageError
from ..manifest import Pass
from ..tiles.tiling import Tile
from .feeds import Channels

Run = Callable[[Mapping[str, Array]], Mapping[str, Array]]
"""A session's pass: each input's tiles [n, c, …] by name in, each output's out."""


def answer(tile: Tile, one: Pass, session: Session, feeds: Sequence[Channels]) -> Array:
    """The network's outputs for one tile, as `answers` gives them for several: [c, k, j, i], on the host."""
    return answers([tile], one, session.run, feeds)[0]


def answers(tiles: Sequence[Tile], one: Pass, run: Run, feeds: Sequence[Channels]) -> Array:
    """The network's outputs for some tiles, their channels one behind the other: [n, c, k, j, i] on the output stride,
    whatever the order of the network's own axes; the mean over all mirrored tiles where the pass declares some.

    Scores of a class each, without a place, are [n, c, 1, 1, 1]. feeds: the channels of each of the network's inputs;
    those of one name follow each other. Raises PackageError for another shape, and for values that are not numbers.
    """
    fed: dict[str, list[Array]] = {}
    for entry, channels in zip(one.network.inputs, feeds, strict=True):
        fed.setdefault(entry.name, []).append(_joined([channels(tile)[None] for tile in tiles], 0))
    inputs = {name: _joined(parts, 1) for name, parts in fed.items()}
    ways = list(_mirrored(one.network.mirror))
    total = _answered(inputs, one, run)
    library = library_of(total)
    for axes in ways[1:]:
        turned = {name: library.flip(values, axes) for name, values in inputs.items()}
        total += library.flip(_answered(turned, one, run), axes)
    if len(ways) > 1:
        total /= len(ways)
    return total


def _mirrored(axes: Sequence[str]) -> Iterator[tuple[int, ...]]:
    """Every combination of axes of [n, c, k, j, i]; first none."""
    numbers = [2 + "kji".index(axis) for axis in axes]
    for count in range(len(numbers) + 1):
        yield from combinations(numbers, count)


def _answered(inputs: Mapping[str, Array], one: Pass, run: Run) -> Array:
    network, axes = one.network, one.prepare.axes
    to_network, back = ["zyx".index(axis) for axis in axes], [axes.index(axis) for axis in "zyx"]
    flat, tiles = network.dimensions == 2, len(next(iter(inputs.values())))
    results = run({name: _flattened(_turned(values, to_network), flat) for name, values in inputs.items()})
    output = _joined([_turned(_channels(results[name][:tiles], one), back) for name in network.outputs], 1)
    if output.ndim != 5 or output.shape[1] != network.channels or len(output) != tiles:
        names = ", ".join(repr(name) for name in network.outputs)
        raise PackageError(
            f"The output {names} of {network.files[0].path} has the shape {tuple(output.shape[1:])}, but model.json "
            f"declares {network.channels} channels before k, j, i: correct network.channels or network.layout."
        )
    library = library_of(output)
    if bool(library.isnan(library.amin(output))):
        raise PackageError(
            f"{network.files[0].path} gives values that are not numbers (NaN) for this scan, so nothing of its answer "
            "can be trusted: use --precision float32, or export the network again."
        )
    return output


def _turned(values: Array, axes: Sequence[int]) -> Array:
    """Channels [n, c, …] with their spatial axes in another order, compact in memory; others as they are."""
    if values.ndim != 5 or list(axes) == [0, 1, 2]:
        return values
    return compact(library_of(values).moveaxis(values, [2 + axis for axis in axes], [2, 3, 4]))


def _flattened(values: Array, flat: bool) -> Array:
    """[n, c, 1, y, x] as [n, c, y, x] for a network of slices."""
    return values[:, :, 0] if flat else values


def _joined(parts: Sequence[Array], axis: int) -> Array:
    return parts[0] if len(parts) == 1 else library_of(parts[0]).concatenate(parts, axis)


def _channels(output: Array, one: Pass) -> Array:
    """One output [n, c, …] with three spatial axes; a map without a channel axis gets one, class scores get a place."""
    if one.decoder.kind == "classes" and output.ndim == 2:
        return output[:, :, None, None, None]
    spatial = one.network.dimensions
    if one.network.layout == "channels_last":
        output = library_of(output).moveaxis(output.reshape(*output.shape[: 1 + spatial], -1), -1, 1)
    elif output.ndim == 1 + spatial and len(one.network.outputs) > 1:
        output = output[:, None]
    return output[:, :, None] if spatial == 2 and output.ndim == 4 else output
