"""A network's answer for one tile: its inputs in its own order of axes, mirrored where declared, and back again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ..backends import Session
from ..errors import PackageError
from ..manifest import Pass
from ..tiles.tiling import Tile
from .feeds import Channels

Floats32 = NDArray[np.float32]


def answer(tile: Tile, one: Pass, session: Session, feeds: Sequence[Channels]) -> Floats32:
    """The network's outputs for one tile, their channels one behind the other: [c, k, j, i] on the output stride,
    whatever the order of the network's own axes; the mean over all mirrored tiles where the pass declares some.

    Scores of a class each, without a place, are [c, 1, 1, 1]. feeds: the channels of each of the network's inputs;
    those of one name follow each other. Raises PackageError for another shape, and for values that are not numbers.
    """
    fed: dict[str, list[Floats32]] = {}
    for entry, channels in zip(one.network.inputs, feeds, strict=True):
        fed.setdefault(entry.name, []).append(channels(tile))
    inputs = {name: _joined(parts) for name, parts in fed.items()}
    ways = list(_mirrored(one.network.mirror))
    total = _answered(inputs, one, session)
    for axes in ways[1:]:
        turned = {name: np.flip(values, axes) for name, values in inputs.items()}
        total += np.flip(_answered(turned, one, session), axes)
    if len(ways) > 1:
        total /= len(ways)
    return total


def _mirrored(axes: Sequence[str]) -> Iterator[tuple[int, ...]]:
    """Every combination of axes of [c, k, j, i]; first none."""
    numbers = [1 + "kji".index(axis) for axis in axes]
    for count in range(len(numbers) + 1):
        yield from combinations(numbers, count)


def _answered(inputs: Mapping[str, Floats32], one: Pass, session: Session) -> Floats32:
    network, axes = one.network, one.prepare.axes
    to_network, back = ["zyx".index(axis) for axis in axes], [axes.index(axis) for axis in "zyx"]
    flat = network.dimensions == 2
    results = session.run({
        name: _flattened(_turned(values, to_network), flat)[None] for name, values in inputs.items()
    })
    output = _joined([_turned(_channels(results[name][0], one), back) for name in network.outputs])
    if output.ndim != 4 or len(output) != network.channels:
        names = ", ".join(repr(name) for name in network.outputs)
        raise PackageError(
            f"The output {names} of {network.files[0].path} has the shape {output.shape}, but model.json "
            f"declares {network.channels} channels before k, j, i: correct network.channels or network.layout."
        )
    if np.isnan(output.min(initial=0.0)):
        raise PackageError(
            f"{network.files[0].path} gives values that are not numbers (NaN) for this scan, so nothing of its answer "
            "can be trusted: use --precision float32, or export the network again."
        )
    return output


def _turned(values: Floats32, axes: Sequence[int]) -> Floats32:
    """Channels [c, …] with their spatial axes in another order, compact in memory; others as they are."""
    if values.ndim != 4 or list(axes) == [0, 1, 2]:
        return values
    return np.ascontiguousarray(values.transpose(0, *(1 + axis for axis in axes)))


def _flattened(values: Floats32, flat: bool) -> Floats32:
    """[c, 1, y, x] as [c, y, x] for a network of slices."""
    return values[:, 0] if flat else values


def _joined(parts: Sequence[Floats32]) -> Floats32:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _channels(output: Floats32, one: Pass) -> Floats32:
    """One output [c, …] with three spatial axes; a map without a channel axis gets one, class scores get a place."""
    if one.decoder.kind == "classes" and output.ndim == 1:
        return output[:, None, None, None]
    if one.network.layout == "channels_last":
        spatial = one.network.dimensions
        output = np.moveaxis(output.reshape(*output.shape[:spatial], -1), -1, 0)
    elif output.ndim == one.network.dimensions and len(one.network.outputs) > 1:
        output = output[None]
    return output[:, None] if one.network.dimensions == 2 and output.ndim == 3 else output
