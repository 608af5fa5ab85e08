"""A pass's network over a whole region, tile by tile, or over one patch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..backends import Session
from ..decoders import Decoding, IndexBox, IndexPoint, IndexSegments
from ..errors import PackageError
from ..manifest import Pass
from ..preparation.prepare import Prepared
from ..tiles.joining import open_joiner
from ..tiles.tiling import Tile, TilePlan, plan_blend, plan_crop, plan_slabs
from .feeds import Channels, feeds_of
from .found import Earlier
from .watch import Watch


def decode_tiles(
    prepared: Prepared, one: Pass, session: Session, decoding: Decoding, earlier: Earlier, watch: Watch
) -> Sequence[IndexBox | IndexPoint] | IndexSegments:
    """Run the network on the whole region in tiles, join them for `decoding`, and return its findings."""
    plan = plan_tiles(prepared.voxels.shape, one)
    feeds, joiner = feeds_of(one, prepared, earlier, plan), open_joiner(plan)
    for tile in watch.over(plan.tiles):
        for block in joiner.add(tile, answer(tile, one, session, feeds)):
            decoding.feed(block.start, block.values)
    return decoding.finish()


def plan_tiles(shape: tuple[int, ...], one: Pass) -> TilePlan:
    """The tiles that a pass declares for a prepared volume of `shape` (k, j, i)."""
    k, j, i = shape
    tiling = one.tiling
    if tiling.join == "crop":
        return plan_crop(
            (k, j, i), patch=tiling.patch, margin=tiling.margin, stride=tiling.stride, multiple=tiling.multiple,
            border=tiling.border, fit=tiling.fit,
        )
    if tiling.join == "blend":
        return plan_blend((k, j, i), patch=tiling.patch, overlap=tiling.overlap, stride=tiling.stride)
    if tiling.join == "patches":
        raise ValueError("patches lie around findings and have no tile plan for a volume")
    return plan_slabs((k, j, i), window=tiling.window, position=tiling.position, multiple=tiling.multiple)


def answer(tile: Tile, one: Pass, session: Session, feeds: Sequence[Channels]) -> NDArray[np.float32]:
    """The network's outputs for one tile, their channels one behind the other: [c, k, j, i] on the output stride,
    whatever the order of the network's own axes.

    Scores of a class each, without a place, are [c, 1, 1, 1]. feeds: the channels of each of the network's inputs;
    those of one name follow each other. Raises PackageError for another
    shape, and for values that are not numbers.
    """
    network = one.network
    fed: dict[str, list[NDArray[np.float32]]] = {}
    for entry, channels in zip(network.inputs, feeds, strict=True):
        fed.setdefault(entry.name, []).append(channels(tile))
    to_network = ["zyx".index(axis) for axis in one.prepare.axes]
    results = session.run({name: _turned(_joined(parts), to_network)[None] for name, parts in fed.items()})
    output = _joined([
        _turned(_channels(results[name][0], one), [one.prepare.axes.index(axis) for axis in "zyx"])
        for name in network.outputs
    ])
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


def _turned(values: NDArray[np.float32], axes: Sequence[int]) -> NDArray[np.float32]:
    """Channels [c, …] with their spatial axes in another order, compact in memory; others as they are."""
    if values.ndim != 4 or list(axes) == [0, 1, 2]:
        return values
    return np.ascontiguousarray(values.transpose(0, *(1 + axis for axis in axes)))


def _joined(parts: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _channels(output: NDArray[np.float32], one: Pass) -> NDArray[np.float32]:
    """One output [c, k, j, i]; a map without a channel axis gets one, class scores get a place."""
    if one.decoder.kind == "classes" and output.ndim == 1:
        return output[:, None, None, None]
    if one.network.layout == "channels_last":
        return np.moveaxis(output.reshape(*output.shape[:3], -1), -1, 0)
    return output[None] if output.ndim == 3 and len(one.network.outputs) > 1 else output
