"""Smaller tiles of a plan for which memory did not suffice."""

from __future__ import annotations

import math

from ..manifest import Pass
from ..tiles.tiling import Shape, TilePlan, plan_crop


def smaller(plan: TilePlan, one: Pass) -> TilePlan | None:
    """The same with tiles about half as long along one axis, the longest that can be cut so.

    None where the network is to see the patch that it was trained on, or no shorter tile has a core between its
    margins. What is joined of cropped tiles is the same for tiles of any size, as far as their margin suffices.
    """
    tiling = one.tiling
    if tiling.join != "crop" or not tiling.fit:
        return None
    step = math.lcm(tiling.stride, tiling.multiple)
    for axis in sorted(range(3), key=lambda axis: -plan.patch[axis]):
        size = -(-plan.patch[axis] // (2 * step)) * step
        if size < plan.patch[axis] and size - 2 * tiling.margin[axis] >= step:
            return plan_crop(
                plan.volume_shape, patch=_with(plan.patch, axis, size), margin=tiling.margin, stride=tiling.stride,
                multiple=tiling.multiple, border=tiling.border,
            )
    return None


def _with(patch: Shape, axis: int, size: int) -> Shape:
    k, j, i = (size if own == axis else n for own, n in enumerate(patch))
    return k, j, i
