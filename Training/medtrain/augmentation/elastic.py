"""Elastic deformation (Simard, Steinkraus, Platt, ICDAR 2003): a smooth random displacement of every voxel.

    displacement = alpha · (uniform noise in −1 … 1, under a Gaussian of sigma voxels)

With alpha 20 and sigma 5 in three dimensions a voxel moves by 0.15 voxels (one standard deviation along each axis):
the noise averages out over more voxels than in Simard's planes. Ask for a larger alpha where that is too tame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

ALPHA = 20.0
SIGMA = 5.0


def displacement(
    shape: Sequence[int], rng: np.random.Generator, alpha: float = ALPHA, sigma: float = SIGMA
) -> NDArray[np.float32]:
    """The offset from each voxel to the position that it takes its value from: `[3, k, j, i]`, voxels along k, j, i."""
    noise = rng.random((3, *shape), dtype=np.float32) * 2 - 1
    # The noise is taken as 0 outside, so that the displacement fades towards the borders.
    smooth = [ndimage.gaussian_filter(axis, sigma, mode="constant") for axis in noise]
    return np.stack(smooth) * np.float32(alpha)


def deformed(
    volume: NDArray[Any], shift: NDArray[np.float32], order: Literal[1, 3] = 3,
    mode: Literal["reflect", "nearest"] = "reflect",
) -> NDArray[np.float32]:
    """`volume` `[k, j, i]` at each voxel's place plus `shift` `[3, k, j, i]`, by splines of `order`, as float32."""
    places: NDArray[np.float32] = np.indices(volume.shape, dtype=np.float32) + shift
    moved: NDArray[np.float32] = ndimage.map_coordinates(volume, places, np.float32, order=order, mode=mode)
    return moved


def deformed_mask(mask: NDArray[Any], shift: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A mask of 0 and 1 under the same `shift` as its image: 1 where at least half of the interpolated mask is."""
    moved: NDArray[np.uint8] = (deformed(mask, shift, order=1) >= 0.5).astype(np.uint8)
    return moved
