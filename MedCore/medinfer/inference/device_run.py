"""A pass's tiles on the device of its network: cut, joined and decided there, so that only labels come back.

Memory on the device, beside the network's own: four bytes per voxel of the prepared volume and image; the inputs and
outputs of the tiles that run at once; what the joiner and the decoding state.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence

from ..arrays import Array
from ..backends import Session
from ..backends.session import ran_out_of_memory
from ..decoders import Decoding, IndexBox, IndexPoint, IndexSegments
from ..errors import MedInferError, OutOfMemory, PackageError
from ..manifest import Pass
from ..preparation.prepare import Prepared
from ..tiles.joining import open_joiner
from ..tiles.tiling import Tile, TilePlan
from .feeds import Channels, feeds_on_device
from .found import Earlier
from .network_answer import answers
from .watch import Watch

# Takes a tile's answer [c, k, j, i], good until it returns.
Take = Callable[[Tile, Array], None]
# Voxels that keep a card busy, and the most tiles that they are brought together from.
_AT_ONCE, _MOST = 1 << 22, 16
# Numbers that the processor joins in about the time that torch takes to load, one to two seconds.
_WORTH_TORCH = 1 << 28


def runs_on_device(one: Pass, session: Session, shape: Sequence[int]) -> bool:
    """Whether the pass asks for labels alone, and torch reaches the network's device and is to be used there.

    shape: of the prepared volume. Where another runtime has the network, torch is loaded for a large output alone.
    """
    worth = "torch" in sys.modules or one.network.channels * math.prod(shape) >= _WORTH_TORCH
    return one.decoder.kind in ("segments", "labels") and worth and session.tensors is not None


def decode_on_device(
    prepared: Prepared, one: Pass, session: Session, plan: TilePlan, decoding: Decoding, earlier: Earlier,
    watch: Watch,
) -> Sequence[IndexBox | IndexPoint] | IndexSegments:
    """As `decode_tiles`. Raises OutOfMemory where the device's memory does not suffice for one tile at once."""
    assert session.tensors is not None
    device = session.tensors.device
    try:
        feeds, joiner = feeds_on_device(one, prepared, earlier, plan, device), open_joiner(plan, device)

        def take(tile: Tile, values: Array) -> None:
            for block in joiner.add(tile, values):
                decoding.feed(block.start, block.values)

        _run(plan, one, session, feeds, take, watch)
    except Exception as error:
        if isinstance(error, MedInferError) or not ran_out_of_memory(error):
            raise
        raise OutOfMemory(
            f"The memory of {session.device} does not suffice to join the tiles of {one.name} there: close other "
            "programs that use it, or choose the device cpu."
        ) from error
    return decoding.finish()


def _run(
    plan: TilePlan, one: Pass, session: Session, feeds: Sequence[Channels], take: Take, watch: Watch
) -> None:
    """Hand the network's answer for each tile on, of as many at once as the device's memory allows."""
    most = wanted = _tiles_at_once(plan, session)
    waiting: list[Tile] = []
    for tile in watch.over(plan.tiles):
        waiting.append(tile)
        while len(waiting) >= most or (waiting and tile is plan.tiles[-1]):
            some, values = waiting[:most], None
            try:
                values = answers(some, one, session.run_tensors, feeds)
            except OutOfMemory:
                if len(some) == 1:
                    raise
                most = len(some) // 2
            except PackageError:
                if len(some) == 1:
                    raise
                most = wanted = 1  # whatever its inputs say, the network takes one alone
            if values is None:
                give_back_memory()
                continue
            for place, done in enumerate(some):
                take(done, values[place])
            del waiting[: len(some)], values
    if most < wanted:
        watch.notes.append(f"the network saw {most} instead of {wanted} tiles at once: memory did not suffice for more")


def _tiles_at_once(plan: TilePlan, session: Session) -> int:
    if not session.takes_batches:
        return 1
    return max(1, min(_MOST, _AT_ONCE // math.prod(plan.patch), len(plan.tiles)))


def give_back_memory() -> None:
    """What torch keeps for later on a card, which ONNX Runtime, another scan or another program may need now."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
