"""The position of a segment's border between voxels."""

from __future__ import annotations

from ..arrays import Array, library_of

# Of the bytes that stand for 0…1, the highest below the border.
OUTSIDE = 127


def around_half(values: Array, threshold: float) -> Array:
    """`values` (0…1) remapped so that `threshold` becomes 0.5, the level of the border between voxels."""
    if threshold == 0.5:
        return values
    below, above = values / (2 * threshold), 1 - (1 - values) / (2 * (1 - threshold))
    return library_of(values).where(values < threshold, below, above)


def agreeing(levels: Array, inside: Array) -> Array:
    """Levels 0…255 as bytes that lie above the border exactly where `inside` is true."""
    library = library_of(levels)
    return library.where(inside, library.clip(levels, OUTSIDE + 1, None), library.clip(levels, None, OUTSIDE))
