"""The intensity steps of a package, applied in place to float32 voxels."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from .manifest import Clip, IntensityStep, Scale


def apply_intensity(voxels: NDArray[np.float32], steps: Iterable[IntensityStep]) -> NDArray[np.float32]:
    """Run `steps` over `voxels` (any shape, changed in place) and return them."""
    for step in steps:
        if isinstance(step, Clip):
            np.clip(voxels, step.low, step.high, out=voxels)
        elif isinstance(step, Scale):
            voxels -= np.float32(step.subtract)
            voxels *= np.float32(1 / step.divide)
        else:
            # float64 sums: a large scan's float32 mean is off in the third digit.
            voxels -= np.float32(voxels.mean(dtype=np.float64))
            deviation = float(voxels.std(dtype=np.float64))
            voxels *= np.float32(1 / deviation if deviation > 0 else 1)
    return voxels
