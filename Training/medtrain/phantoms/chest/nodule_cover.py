"""How much of each voxel a nodule covers, and the HU it brings there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from ..lattice import Array, Floats
from .nodule_shape import NoduleModel, StarShape, Strand

Placing = Callable[[Floats], Floats]  # index points [n, 3] (k, j, i) -> x, y, z mm


def coverage(
    shape: StarShape, box: tuple[int, int, int], place: Placing, spacing: Floats, *, edge: float = 0.0
) -> Array:
    """Part of each voxel of a block `[k, j, i]` that lies inside the shape, averaged over sub-voxels.

    box: size of the block. place: its index points (k, j, i) to mm. spacing: voxel size along k, j, i, mm.
    edge: width of a soft border, mm (0: sharp).
    """
    parts = np.clip(np.ceil(spacing / max(shape.reach / 7, 0.25)), 1, 6).astype(int)
    whole = np.moveaxis(np.indices(box, dtype=np.float64), 0, -1).reshape(-1, 3)
    away = np.linalg.norm(place(whole) - shape.origin, axis=1)
    half = 0.5 * float(np.linalg.norm(spacing)) + edge / 2
    cover = np.where(away < float(shape.table.min()) - half, 1.0, 0.0)
    rim = np.flatnonzero((cover == 0) & (away < shape.reach + half))
    soft = max(edge, float(np.cbrt(np.prod(spacing / parts))))
    total = np.zeros(len(rim))
    for sub in np.ndindex(*parts):
        shift = (np.array(sub) + 0.5) / parts - 0.5
        total += np.clip(0.5 + shape.depth(place(whole[rim] + shift)) / soft, 0, 1)
    cover[rim] = total / np.prod(parts)
    return cover.reshape(box).astype(np.float32)


def strand_cover(strands: tuple[Strand, ...], points: Floats, voxel_mm: float) -> Floats:
    """Part of the air that strands fill at `points` `[n, 3]` (voxel centres)."""
    cover: Floats = np.zeros(len(points))
    for strand in strands:
        for start, end in zip(strand.points[:-1], strand.points[1:], strict=True):
            way = end - start
            t = np.clip((points - start) @ way / max(float(way @ way), 1e-9), 0, 1)
            distance = np.linalg.norm(points - start - t[:, None] * way, axis=1)
            inside = np.clip((strand.radius - distance) / voxel_mm + 0.5, 0, min(1.0, 2 * strand.radius / voxel_mm))
            np.maximum(cover, strand.fill * inside, out=cover)
    return cover


def unevenness(model: NoduleModel, shape: tuple[int, ...], spacing: Floats, rng: np.random.Generator) -> Array:
    """Factor of the filling `[k, j, i]`: mottle, and bubbles of air."""
    lumps = ndimage.gaussian_filter(rng.standard_normal(shape), 1.5 / spacing, mode="wrap")
    lumps /= lumps.std() + 1e-9
    factor = np.clip(1 + model.mottle * lumps, 0.2, 1.8)
    if model.bubbles:
        factor = factor * (1 - np.clip((lumps - np.quantile(lumps, 1 - model.bubbles)) * 2, 0, 0.9))
    result: Array = factor.astype(np.float32)
    return result


def blend(
    hu: Array,
    quiet: Array,
    model: NoduleModel,
    place: Placing,
    spacing: Floats,
    rng: np.random.Generator,
    soften: Callable[[Array], Array] = lambda part: part,
) -> tuple[Array, Array]:
    """HU of a block with the nodule in it, and its coverage.

    hu + filled · max(target − quiet, 0): only air is replaced, so noise and vessels stay.
    quiet: the block without its noise. soften: the scanner's blur, for a block that has been blurred already.
    """
    size = (hu.shape[0], hu.shape[1], hu.shape[2])
    cover = coverage(model.outer, size, place, spacing, edge=model.edge_mm)
    filled = model.fill * cover
    if model.mottle or model.bubbles:
        filled = np.minimum(filled * unevenness(model, size, spacing, rng), cover)
    if model.core is not None:
        filled = np.maximum(filled, coverage(model.core, size, place, spacing, edge=0.8))
    if model.strands:
        whole = np.moveaxis(np.indices(size, dtype=np.float64), 0, -1).reshape(-1, 3)
        lines = strand_cover(model.strands, place(whole), float(np.cbrt(np.prod(spacing))))
        filled = np.maximum(filled, lines.reshape(size))
    result = hu + soften(filled.astype(np.float32)) * np.maximum(model.target_hu - quiet, 0)
    if model.calcified is not None:
        result = result + soften(coverage(model.calcified, size, place, spacing, edge=1.0) * cover) * 350
    return result.astype(np.float32), cover
