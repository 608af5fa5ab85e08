"""The inputs of a pass's network for each tile: the image, its position, and the findings of earlier passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import Array, is_tensor
from ..manifest import ImageInput, LabelsInput, LandmarksInput, NetworkInput, Pass
from ..preparation.prepare import Prepared
from ..preparation.zoom import resized, thick_axis
from ..tiles.tiling import Tile, TilePlan, cut_tile
from ..volume import Floats, Grid
from .found import Earlier, Objects, as_points

# Rounding must not take what lies right between two labels from both.
_HALF = 0.5 - 1e-6

Channels = Callable[[Tile], Array]
"""The channels [c, k, j, i] of an input for a tile of the prepared volume; of an image, good until the next call."""


@dataclass(frozen=True, eq=False)
class _Sources:
    """What inputs are made of. images: their voxels, as arrays or tensors. plan: of the tiles; None for patches."""

    one: Pass
    prepared: Prepared
    images: Sequence[Array]
    earlier: Earlier
    plan: TilePlan | None


def feeds_of(one: Pass, prepared: Prepared, earlier: Earlier, plan: TilePlan | None) -> list[Channels]:
    """The channels of each of the network's inputs, in their order. plan: of the tiles; None for patches.

    Memory: the image's buffer of one tile; one byte per voxel of the prepared volume for each input of labels.
    """
    return _feeds(_Sources(one, prepared, prepared.images, earlier, plan))


def feeds_on_device(one: Pass, prepared: Prepared, earlier: Earlier, plan: TilePlan, device: Any) -> list[Channels]:
    """The same as tensors on a device of torch. Images are cut there, each tile in memory of its own; what earlier
    passes found is drawn on the host, tile by tile.

    Memory on the device: four bytes per voxel of the prepared volume and image.
    """
    import torch

    images = [torch.as_tensor(voxels, device=device) for voxels in prepared.images]
    feeds = _feeds(_Sources(one, prepared, images, earlier, plan))

    def moved(channels: Channels, tile: Tile) -> Array:
        return torch.as_tensor(channels(tile), device=device)

    return [partial(moved, channels) for channels in feeds]


def _feeds(sources: _Sources) -> list[Channels]:
    return [_FEEDS[entry.role](entry, sources) for entry in sources.one.network.inputs]


def _image(entry: NetworkInput, sources: _Sources) -> Channels:
    assert isinstance(entry, ImageInput)
    images = sources.one.network.images
    place = next(n for n, image in enumerate(images) if image is entry)
    pad, voxels = sources.one.tiling.pad, sources.images[place]
    # On the host one for all tiles: touching fresh memory costs more than the copy.
    buffer: list[NDArray[np.float32]] = []

    def channels(tile: Tile) -> Array:
        if not buffer and not is_tensor(voxels):
            buffer.append(np.empty(tile.shape, np.float32))
        out = buffer[0] if buffer else None
        if isinstance(pad, str):
            return cut_tile(voxels, tile, pad_mode=pad, out=out)[None]
        return cut_tile(voxels, tile, pad_value=pad, out=out)[None]

    return channels


def _coordinates(entry: NetworkInput, sources: _Sources) -> Channels:
    assert sources.plan is not None
    return partial(coordinates_of, plan=sources.plan)


def coordinates_of(tile: Tile, plan: TilePlan) -> NDArray[np.float32]:
    """Where a tile's output cells lie in the prepared volume: [3, k, j, i], −0.5…0.5 (grt123, recipe step 4)."""
    out = tile.at_stride(plan.stride)
    axes = []
    for start, size, cells in zip(out.start, out.shape, plan.output_shape, strict=True):
        cell = np.clip(np.arange(start, start + size), 0, cells - 1)
        axes.append(cell / max(cells - 1, 1) - 0.5)
    return np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)


def _point(entry: NetworkInput, sources: _Sources) -> Channels:
    # The point lies on the middle voxel of every patch: one Gaussian, drawn where the network wants it, serves all.
    gaussian = cache(lambda: middle_gaussian(sources.one))
    return lambda tile: gaussian()


def middle_gaussian(one: Pass) -> NDArray[np.float32]:
    """The input `point` of a patch: [1, k, j, i], a Gaussian of height 1 on its middle voxel (size // 2)."""
    assert one.tiling.join == "patches"
    sigma = next(entry.sigma for entry in one.network.inputs if entry.role == "point")
    axes = [np.exp(-0.5 * ((np.arange(size) - size // 2) / sigma) ** 2) for size in one.tiling.patch]
    return _outer(axes)[None]


def _labels(entry: NetworkInput, sources: _Sources) -> Channels:
    assert isinstance(entry, LabelsInput)
    found = sources.earlier.found[entry.of]
    assert isinstance(found, Objects)
    wanted = entry.labels or sources.earlier.told[entry.of]
    on_grid = _interpolated_labels if entry.sampling == "linear" else _nearest_labels
    layers = [on_grid(layer, wanted, sources) for layer in found.layers]
    numbers = np.arange(1, len(wanted) + 1, dtype=np.uint8)[:, None, None, None]
    return lambda tile: np.logical_or.reduce(
        [cut_tile(layer, tile)[None] == numbers for layer in layers]
    ).astype(np.float32)


def _nearest_labels(found: Objects, wanted: Sequence[str], sources: _Sources) -> NDArray[np.uint8]:
    return labels_on(found, wanted, sources.prepared.grid)


def _interpolated_labels(found: Objects, wanted: Sequence[str], sources: _Sources) -> NDArray[np.uint8]:
    """As nnU-Net brings the labels of a cascade's first stage to the grid of the second (`resize_segmentation`)."""
    prepared, resampling = sources.prepared, sources.one.prepare.resampling
    assert prepared.scan is not None
    on_scan = labels_on(found, wanted, prepared.scan)
    shape, apart = prepared.voxels.shape, resampling.thick == "nearest"
    spacing = sources.one.prepare.spacing_on(prepared.scan.spacing)
    thick = thick_axis(prepared.scan.spacing, spacing) if apart else None
    here = np.zeros(shape, np.uint8)
    for number in range(1, len(wanted) + 1):
        mask = on_scan == number
        if mask.any():
            here[resized(mask, (shape[0], shape[1], shape[2]), "linear", thick) >= _HALF] = number
    return here


def _landmarks(entry: NetworkInput, sources: _Sources) -> Channels:
    assert isinstance(entry, LandmarksInput)
    points = as_points(sources.earlier.found[entry.of]).landmarks
    labels = entry.labels or sources.earlier.told[entry.of]
    places = [
        [sources.prepared.grid.to_index(point.position_ras) for point in points
         if point.label == label and point.position_ras is not None]
        for label in labels
    ]
    return lambda tile: np.stack([_gaussians(tile, of_label, entry.sigma) for of_label in places])


def _gaussians(tile: Tile, places: Sequence[Floats], sigma: float) -> NDArray[np.float32]:
    """[k, j, i] of a tile: the highest of the Gaussians at `places` (voxels of the prepared volume)."""
    result = np.zeros(tile.shape, np.float32)
    for place in places:
        axes = [
            np.exp(-0.5 * ((start + np.arange(size) - at) / sigma) ** 2)
            for start, size, at in zip(tile.start, tile.shape, place, strict=True)
        ]
        np.maximum(result, _outer(axes), out=result)
    return result


def _outer(axes: Sequence[Floats]) -> NDArray[np.float32]:
    product: NDArray[np.float32] = np.einsum("k,j,i->kji", *axes).astype(np.float32)
    return product


_FEEDS = {
    "image": _image, "coordinates": _coordinates, "point": _point, "labels": _labels, "landmarks": _landmarks,
}


def labels_on(found: Objects, labels: Sequence[str], grid: Grid) -> NDArray[np.uint8]:
    """The number of each voxel's label in `labels`, from 1 on, or 0: uint8 `[k, j, i]` of `grid`, by the nearest voxel
    of the objects, which have one layer. The grids' axes are parallel, in whatever order and direction."""
    table = np.zeros(256, np.uint8)
    for entry, name in zip(found.voxels.segments, found.names, strict=True):
        table[entry.value] = labels.index(name.label) + 1 if name.label in labels else 0
    begin = found.grid.to_index(grid.to_ras((0, 0, 0)))
    steps = found.grid.to_index(grid.to_ras(np.eye(3))) - begin  # [axis of `grid`, axis of the objects]
    picks, inside, axes = [], [], []
    for axis, size in enumerate(found.voxels.labels.shape):
        mine = int(np.abs(steps[:, axis]).argmax())
        place = begin[axis] + steps[mine, axis] * np.arange(grid.shape[mine])
        nearest = np.floor((place - (found.stride - 1) / 2) / found.stride + 0.5 + 1e-6).astype(int)
        picks.append(np.clip(nearest, 0, size - 1))
        inside.append((nearest >= 0) & (nearest < size))
        axes.append(mine)
    result = table[found.voxels.labels[np.ix_(*picks)]]
    result *= np.einsum("k,j,i->kji", *inside).astype(np.uint8)
    return np.ascontiguousarray(result.transpose(np.argsort(axes)))
