"""Label maps of passes as the layers of one: what does not overlap shares a layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..findings import Segment
from ..label_map import LabelMap
from ..volume import Grid

Labels = NDArray[np.uint8]


def in_layers(apart: Sequence[LabelMap], overlapping: Sequence[LabelMap], grid: Grid) -> LabelMap:
    """One map of the box around all of them, which lie on `grid`, the scan's; each map has one layer.

    apart: share the lowest layer; where two claim a voxel, the first keeps it. overlapping: each stays whole, in the
    lowest layer that has room for it.
    """
    maps = [*apart, *overlapping]
    if len(maps) == 1:
        return maps[0]
    starts = np.array([entry.start_in(grid) for entry in maps])
    low = starts.min(axis=0)
    shape = (starts + [entry.voxels.shape for entry in maps]).max(axis=0) - low
    boxes = [
        tuple(slice(a, a + n) for a, n in zip(start, entry.voxels.shape, strict=True))
        for entry, start in zip(maps, starts - low, strict=True)
    ]
    layers = [np.zeros(shape, np.uint8)]
    for entry, box in list(zip(maps, boxes, strict=True))[: len(apart)][::-1]:
        _write(layers[0][box], entry.voxels)
    for entry, box in list(zip(maps, boxes, strict=True))[len(apart) :]:
        _write(_free(layers, box, entry.voxels), entry.voxels)
    k, j, i = (int(n) for n in low)
    first, *above = layers
    return LabelMap(first, grid.cropped((k, j, i), first.shape), tuple(above))


def with_layers(segments: Sequence[Segment], labels: LabelMap) -> tuple[tuple[Segment, ...], LabelMap | None]:
    """The segments with the numbers of their layers, where there are several, and the map without empty layers; None
    without segments."""
    layers = [layer for layer in (labels.voxels, *labels.above) if layer.any()]
    if not segments or not layers:
        return (), None
    whole = replace(labels, voxels=layers[0], above=tuple(layers[1:]))
    if not whole.above:
        return tuple(segments), whole
    where = {int(value): number for number, layer in enumerate(layers) for value in np.unique(layer) if value}
    return tuple(replace(segment, layer=where[segment.value]) for segment in segments), whole


def _free(layers: list[Labels], box: tuple[slice, ...], voxels: Labels) -> Labels:
    """The first layer's part in `box` that has nothing where `voxels` are; a new one's where there is none."""
    for layer in layers:
        if not (layer[box] * (voxels > 0)).any():
            return layer[box]
    layers.append(np.zeros(layers[0].shape, np.uint8))
    return layers[-1][box]


def _write(there: Labels, voxels: Labels) -> None:
    np.copyto(there, voxels, where=voxels > 0)
