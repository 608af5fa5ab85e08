"""The intensity steps of a package, applied in place to float32 voxels."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ..manifest import Clip, IntensityStep, Percentiles, Range, Scale

# Every third voxel along each axis is enough for a percentile.
_EVERY = 3


def apply_intensity(
    voxels: NDArray[np.float32], steps: Iterable[IntensityStep], scan: NDArray[np.generic],
    inside: NDArray[np.bool_] | None = None,
) -> NDArray[np.float32]:
    """Run `steps` over `voxels` (any shape, changed in place) and return them.

    inside: what counts as not 0, where several images decide; None: what is not 0 in these voxels.

    scan: the whole scan `[k, j, i]` as it was read, whose percentiles `Percentiles` means: so all stages see the
    same values, whatever part of the scan they look at.
    """
    for step in steps:
        if isinstance(step, Clip):
            np.clip(voxels, step.low, step.high, out=voxels)
        elif isinstance(step, Scale):
            voxels -= np.float32(step.subtract)
            voxels *= np.float32(1 / step.divide)
        elif isinstance(step, Percentiles):
            low, high = np.percentile(scan[::_EVERY, ::_EVERY, ::_EVERY].astype(np.float32), (step.low, step.high))
            voxels -= np.float32(low)
            voxels *= np.float32(1 / (high - low) if high > low else 1)
        elif isinstance(step, Range):
            voxels -= voxels.min()
            highest = voxels.max()
            voxels *= np.float32(1 / highest if highest > 0 else 1)
        elif step.of != "all":
            mask = voxels != 0 if inside is None or step.of != "nonzero" else inside
            if step.of == "nonzero":
                from scipy.ndimage import binary_fill_holes

                mask = binary_fill_holes(mask)
            if mask.any():
                voxels[mask] = _standardised(voxels[mask])
        else:
            _standardised(voxels)
    return voxels


def _standardised(voxels: NDArray[np.float32]) -> NDArray[np.float32]:
    """In place: less their mean, divided by their standard deviation."""
    # float64 sums: a large scan's float32 mean is off in the third digit.
    voxels -= np.float32(voxels.mean(dtype=np.float64))
    deviation = float(voxels.std(dtype=np.float64))
    voxels *= np.float32(1 / deviation if deviation > 0 else 1)
    return voxels
