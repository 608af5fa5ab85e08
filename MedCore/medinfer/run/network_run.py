"""A stage's network over a whole region, tile by tile, or over one patch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..backends import Session
from ..decoders import Decoding, IndexBox, IndexPoint, IndexSegments
from ..errors import PackageError
from ..manifest import Stage
from ..preparation.prepare import Prepared
from ..tiles.joining import open_joiner
from ..tiles.tiling import Tile, TilePlan, cut_tile, plan_blend, plan_crop, plan_slabs
from .watch import Watch


def decode_tiles(
    prepared: Prepared, stage: Stage, session: Session, decoding: Decoding, watch: Watch
) -> Sequence[IndexBox | IndexPoint] | IndexSegments:
    """The whole region in tiles that are joined again and handed to `decoding`; what it found."""
    plan = plan_tiles(prepared.voxels.shape, stage)
    joiner = open_joiner(plan)
    buffer = np.empty(plan.patch, np.float32)
    for tile in watch.over(plan.tiles):
        extra = {"coordinates": lambda tile=tile: _coordinates(tile, plan)}
        for block in joiner.add(tile, answer(prepared, tile, buffer, stage, session, extra)):
            decoding.feed(block.start, block.values)
    return decoding.finish()


def plan_tiles(shape: tuple[int, ...], stage: Stage) -> TilePlan:
    """The tiles that `stage` declares for a prepared volume of `shape` (k, j, i)."""
    k, j, i = shape
    tiling = stage.tiling
    if tiling.join == "crop":
        return plan_crop(
            (k, j, i), patch=tiling.patch, margin=tiling.margin, stride=tiling.stride, multiple=tiling.multiple,
            border=tiling.border, fit=tiling.fit,
        )
    if tiling.join == "blend":
        return plan_blend((k, j, i), patch=tiling.patch, overlap=tiling.overlap, stride=tiling.stride)
    if tiling.join == "patches":
        raise ValueError("patches lie around points: they are no plan of a volume")
    return plan_slabs((k, j, i), window=tiling.window, position=tiling.position, multiple=tiling.multiple)


def answer(
    prepared: Prepared, tile: Tile, buffer: NDArray[np.float32], stage: Stage, session: Session,
    extra: Mapping[str, Callable[[], NDArray[np.float32]]],
) -> NDArray[np.float32]:
    """The network's outputs for one tile, their channels one behind the other: [c, k, j, i] on the output stride.

    Scores of a class each, without a place, are [c, 1, 1, 1]. buffer: of the tile's shape, filled with its image.
    extra: the network's inputs besides the image, by role. Raises PackageError for another shape.
    """
    network, pad = stage.network, stage.tiling.pad
    image = cut_tile(
        prepared.voxels, tile, pad_mode="edge" if pad == "edge" else "constant",
        pad_value=0.0 if pad == "edge" else pad, out=buffer,
    )
    feeds = {
        entry.name: image[None, None] if entry.role == "image" else extra[entry.role]()[None]
        for entry in network.inputs
    }
    results = session.run(feeds)
    parts = [_channels(results[name][0], stage) for name in network.outputs]
    output = parts[0] if len(parts) == 1 else np.concatenate(parts)
    if output.ndim != 4 or len(output) != network.channels:
        names = ", ".join(repr(name) for name in network.outputs)
        raise PackageError(
            f"The output {names} of {network.files[0].path} has the shape {output.shape}, but model.json "
            f"declares {network.channels} channels in front of k, j, i: correct network.channels or network.layout."
        )
    return output


def _channels(output: NDArray[np.float32], stage: Stage) -> NDArray[np.float32]:
    """One output [c, k, j, i]; a map without a channel axis gets one, class scores get a place."""
    if stage.decoder.kind == "classes" and output.ndim == 1:
        return output[:, None, None, None]
    if stage.network.layout == "channels_last":
        return np.moveaxis(output.reshape(*output.shape[:3], -1), -1, 0)
    return output[None] if output.ndim == 3 and len(stage.network.outputs) > 1 else output


def _coordinates(tile: Tile, plan: TilePlan) -> NDArray[np.float32]:
    """Where the tile's output cells lie in the prepared volume: [3, k, j, i], −0.5…0.5 (grt123, recipe step 4)."""
    out = tile.at_stride(plan.stride)
    axes = []
    for start, size, cells in zip(out.start, out.shape, plan.output_shape, strict=True):
        cell = np.clip(np.arange(start, start + size), 0, cells - 1)
        axes.append(cell / max(cells - 1, 1) - 0.5)
    return np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)
