"""Where the border of a segment lies between voxels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def around_half(values: NDArray[np.float32], threshold: float) -> NDArray[np.float32]:
    """`values` (0…1) bent so that `threshold` becomes a half, at which the border between voxels is looked for."""
    if threshold == 0.5:
        return values
    below, above = values / np.float32(2 * threshold), 1 - (1 - values) / np.float32(2 * (1 - threshold))
    return np.where(values < threshold, below, above)
