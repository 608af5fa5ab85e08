"""A nodule blended into any CT, synthetic or real."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from medinfer.volume import Volume

from ..lattice import Array, Floats
from .nodule_cover import blend
from .nodule_shape import NoduleModel, draw_nodule
from .spec import Kind

BLUR_MM = 0.5  # in-plane blur of a middling kernel (standard deviation)


def place_nodule(volume: Volume, model: NoduleModel, rng: np.random.Generator) -> Volume:
    """The volume with this nodule in it (a copy). Its border is blurred as the scanner would have done."""
    grid = volume.grid
    spacing = np.array(grid.spacing)
    reach = model.reach + 2 * float(spacing.max()) + 2.0
    middle = grid.to_index(model.outer.origin)
    low = np.maximum(np.floor(middle - reach / spacing), 0).astype(int)
    high = np.minimum(np.ceil(middle + reach / spacing) + 1, grid.shape).astype(int)
    voxels: NDArray[np.generic] = np.array(volume.voxels)
    if np.any(high <= low):
        return volume.with_voxels(voxels)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    sigma = BLUR_MM / spacing
    sigma[0] *= 0.5  # the slice profile is in the coverage already

    def soften(part: Array) -> Array:
        result: Array = ndimage.gaussian_filter(part, sigma, mode="nearest")
        return result

    def to_world(index: Floats) -> Floats:
        return grid.to_ras(index + low)

    before = np.asarray(voxels[box], dtype=np.float32)
    quiet = ndimage.gaussian_filter(before, 0.9 / spacing, mode="nearest")
    after, _ = blend(before, quiet, model, to_world, spacing, rng, soften)
    if np.issubdtype(voxels.dtype, np.integer):
        after = np.rint(after)
    voxels[box] = after.astype(voxels.dtype)
    return volume.with_voxels(voxels)


def insert_nodule(
    volume: Volume, center_ras: ArrayLike, diameter_mm: float, kind: Kind, rng: np.random.Generator
) -> Volume:
    """The CT with a nodule drawn at `center_ras` (RAS mm), of the volume of a sphere of `diameter_mm`.

    Only air is filled: the scan's noise and its vessels stay. Voxels outside the nodule's neighbourhood are untouched.
    """
    return place_nodule(volume, draw_nodule(rng, np.asarray(center_ras, float), diameter_mm, kind), rng)
