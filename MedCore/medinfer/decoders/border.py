"""The position of a segment's border between voxels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def around_half(values: NDArray[np.float32], threshold: float) -> NDArray[np.float32]:
    """`values` (0…1) remapped so that `threshold` becomes 0.5, the level of the border between voxels."""
    if threshold == 0.5:
        return values
    below, above = values / np.float32(2 * threshold), 1 - (1 - values) / np.float32(2 * (1 - threshold))
    return np.where(values < threshold, below, above)
