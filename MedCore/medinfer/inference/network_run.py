"""A pass's network over a whole region, tile by tile."""

from __future__ import annotations

from collections.abc import Sequence

from ..backends import Session
from ..decoders import Decoding, IndexBox, IndexPoint, IndexSegments
from ..manifest import Pass
from ..preparation.prepare import Prepared
from ..tiles.joining import open_joiner
from ..tiles.tiling import TilePlan, plan_blend, plan_crop, plan_slabs
from .feeds import feeds_of
from .found import Earlier
from .network_answer import answer
from .watch import Watch


def decode_tiles(
    prepared: Prepared, one: Pass, session: Session, plan: TilePlan, decoding: Decoding, earlier: Earlier,
    watch: Watch,
) -> Sequence[IndexBox | IndexPoint] | IndexSegments:
    """Run the network on the tiles of the region, join them for `decoding`, and return its findings."""
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
        return plan_blend(
            (k, j, i), patch=tiling.patch, overlap=tiling.overlap, stride=tiling.stride, weights=tiling.weights,
            spread=tiling.spread,
        )
    if tiling.join == "patches":
        raise ValueError("patches lie around findings and have no tile plan for a volume")
    return plan_slabs((k, j, i), window=tiling.window, position=tiling.position, multiple=tiling.multiple)
