"""A pass's network over a whole region, tile by tile."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..backends import Session
from ..decoders import Decoding, IndexBox, IndexPoint, IndexSegments
from ..errors import OutOfMemory
from ..manifest import Pass
from ..preparation.prepare import Prepared
from ..tiles.joining import open_joiner
from ..tiles.tiling import TilePlan, plan_blend, plan_crop, plan_slabs
from .device_run import decode_on_device, give_back_memory, runs_on_device
from .feeds import feeds_of
from .found import Earlier
from .network_answer import answer
from .smaller_tiles import smaller
from .watch import Watch


def decode_tiles(
    prepared: Prepared, one: Pass, session: Session, decoding_of: Callable[[TilePlan], Decoding], earlier: Earlier,
    watch: Watch,
) -> Sequence[IndexBox | IndexPoint] | IndexSegments:
    """Run the network on the tiles of the region, join them for a decoding, and return its findings.

    decoding_of: a new decoding for tiles of a plan. Where it can be, all is done on the network's device (see
    `device_run`). Where memory does not suffice, the processor joins the tiles, and then, of a network that takes any
    size, they are made smaller; the watch notes that. Raises OutOfMemory where nothing suffices.
    """
    declared = plan_tiles(prepared.voxels.shape, one)
    plan: TilePlan | None = declared
    on_device = runs_on_device(one, session, declared.volume_shape)
    ways = [decode_on_device, _decode_on_host] if on_device else [_decode_on_host]
    refusal = ""
    while plan is not None:
        for way in ways:
            try:
                found = way(prepared, one, session, plan, decoding_of(plan), earlier, watch)
            except OutOfMemory as error:
                # Its text alone: its trace holds on to the memory of the tile.
                refusal = str(error)
            else:
                watch.notes += _what_did(plan, declared, on_host=way is not ways[0])
                return found
            give_back_memory()
        plan = smaller(plan, one)
    raise OutOfMemory(refusal)


def _decode_on_host(
    prepared: Prepared, one: Pass, session: Session, plan: TilePlan, decoding: Decoding, earlier: Earlier,
    watch: Watch,
) -> Sequence[IndexBox | IndexPoint] | IndexSegments:
    feeds, joiner = feeds_of(one, prepared, earlier, plan), open_joiner(plan)
    for tile in watch.over(plan.tiles):
        for block in joiner.add(tile, answer(tile, one, session, feeds)):
            decoding.feed(block.start, block.values)
    return decoding.finish()


def _what_did(plan: TilePlan, declared: TilePlan, *, on_host: bool) -> list[str]:
    """What a user should know of how memory came to suffice."""
    notes = []
    if plan.patch != declared.patch:
        was, now = ("×".join(map(str, patch)) for patch in (declared.patch, plan.patch))
        notes.append(f"the network saw tiles of {now} instead of {was} voxels: memory did not suffice for larger ones")
    if on_host:
        notes.append("the tiles were joined by the processor: the memory of the graphics card did not suffice for it")
    return notes


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
