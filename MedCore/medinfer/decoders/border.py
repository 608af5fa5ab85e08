"""The position of a segment's border between voxels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Of the bytes that stand for 0…1, the highest below the border.
OUTSIDE = 127


def around_half(values: NDArray[np.float32], threshold: float) -> NDArray[np.float32]:
    """`values` (0…1) remapped so that `threshold` becomes 0.5, the level of the border between voxels."""
    if threshold == 0.5:
        return values
    below, above = values / np.float32(2 * threshold), 1 - (1 - values) / np.float32(2 * (1 - threshold))
    return np.where(values < threshold, below, above)


def agreeing(levels: NDArray[np.float32] | NDArray[np.uint8], inside: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Levels 0…255 as bytes that lie above the border exactly where `inside` is true."""
    kept = np.where(inside, np.maximum(levels, OUTSIDE + 1), np.minimum(levels, OUTSIDE))
    return kept.astype(np.uint8)
