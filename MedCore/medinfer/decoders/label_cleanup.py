"""Cleaning up a label map `[k, j, i]`: each object one piece, without holes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Box = tuple[slice, slice, slice]


def boxes_of(labels: NDArray[Any]) -> dict[int, Box]:
    """The box of each value but 0 in a label map `[k, j, i]`, by rising value."""
    import scipy.ndimage

    boxes = scipy.ndimage.find_objects(labels)
    return {value: (box[0], box[1], box[2]) for value, box in enumerate(boxes, start=1) if box is not None}


def widened(box: Box, margin: Sequence[int], shape: tuple[int, ...]) -> Box:
    """`box` with `margin` (k, j, i) more voxels on each side, within an array of `shape`."""
    k, j, i = (
        slice(max(0, side.start - more), min(n, side.stop + more))
        for side, more, n in zip(box, margin, shape, strict=True)
    )
    return k, j, i


def largest_component(mask: Mask, connectivity: Literal[6, 18, 26] = 26) -> Mask:
    """The largest connected component of a mask `[k, j, i]`; of equal ones the first in memory, of none none."""
    import cc3d

    components, count = cc3d.connected_components(np.ascontiguousarray(mask), connectivity=connectivity, return_N=True)
    if count <= 1:
        return mask
    sizes = np.bincount(components.ravel())
    largest: Mask = components == 1 + int(sizes[1:].argmax())
    return largest


def without_holes(mask: Mask) -> Mask:
    """A mask `[k, j, i]` with its holes filled: background that no path of faces leads out of the array."""
    import cc3d

    outside = np.pad(~mask, 1, constant_values=True)
    components, count = cc3d.connected_components(outside, connectivity=6, return_N=True)
    if count <= 1:
        return mask
    filled: Mask = (components != components[0, 0, 0])[1:-1, 1:-1, 1:-1]
    return filled


def keep_largest_components(labels: NDArray[Any], boxes: Mapping[int, Box] | None = None) -> None:
    """In place: of each value of `labels` `[k, j, i]` only the largest component (26 neighbours) stays.

    boxes: of the values to look at, where they are known.
    """
    for value, box in (boxes_of(labels) if boxes is None else boxes).items():
        here = labels[box]
        mask = here == value
        largest = largest_component(mask)
        if largest is not mask:
            here[mask & ~largest] = 0


def fill_holes(labels: NDArray[Any], boxes: Mapping[int, Box] | None = None) -> list[tuple[Box, Mask]]:
    """In place: the holes of each value of `labels` `[k, j, i]` become its own, where they are background (0).

    A hole between two objects that touch is neither's. boxes: of the values to look at, where they are known.
    Returns what was filled, each as a box and a mask in it.
    """
    filled = []
    for value, box in (boxes_of(labels) if boxes is None else boxes).items():
        here = labels[box]
        mask = here == value
        whole = without_holes(mask)
        if whole is not mask:
            holes = whole & (here == 0)
            here[holes] = value
            filled.append((box, holes))
    return filled
