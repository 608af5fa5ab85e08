"""The position of a segment's border between voxels."""

from __future__ import annotations

from ..arrays import Array, library_of


def around_half(values: Array, threshold: float) -> Array:
    """`values` (0…1) remapped so that `threshold` becomes 0.5, the level of the border between voxels."""
    if threshold == 0.5:
        return values
    below, above = values / (2 * threshold), 1 - (1 - values) / (2 * (1 - threshold))
    return library_of(values).where(values < threshold, below, above)
