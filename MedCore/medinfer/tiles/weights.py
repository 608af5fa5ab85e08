"""How much a tile's voxels count where tiles overlap."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .tiling import Shape, Weights

Floats32 = NDArray[np.float32]


def gaussian_weights(patch: Shape, sigma_scale: float = 0.125) -> Floats32:
    """How much a tile's voxels count, `[k, j, i]`, highest in the middle: sigma is `sigma_scale` of each side.

    At least 1e-3, so that no voxel goes without: the importance map of MONAI (`compute_importance_map`,
    "gaussian"), which is nnU-Net's but for that floor.
    """
    sides = [np.arange(size, dtype=np.float64) - (size - 1) / 2 for size in patch]
    k, j, i = (np.exp(-0.5 * (x / (sigma_scale * len(x))) ** 2) for x in sides)
    weights: Floats32 = np.einsum("k,j,i->kji", k, j, i).astype(np.float32)
    return np.maximum(weights, np.float32(1e-3), out=weights)


def nnunet_weights(patch: Shape) -> Floats32:
    """nnU-Net's Gaussian (`compute_gaussian`): in the middle voxel size // 2, cut off at four sigma, in half precision;
    where that is 0, the smallest value that is not."""
    from scipy.ndimage import gaussian_filter1d

    sides = []
    for size in patch:
        middle = np.zeros(size)
        middle[size // 2] = 1
        sides.append(gaussian_filter1d(middle, size / 8, mode="constant"))
    weights = np.einsum("k,j,i->kji", *sides)
    halves: Floats32 = (10 * weights / weights.max()).astype(np.float16).astype(np.float32)
    halves[halves == 0] = halves[halves > 0].min()
    return halves


def constant_weights(patch: Shape) -> Floats32:
    """All voxels count alike."""
    return np.ones(patch, np.float32)


def weights_of(kind: Weights, patch: Shape) -> Floats32:
    """The weights of that kind, `[k, j, i]`."""
    return _KINDS[kind](patch)


_KINDS: dict[Weights, Callable[[Shape], Floats32]] = {
    "gaussian": gaussian_weights, "nnunet": nnunet_weights, "constant": constant_weights,
}
