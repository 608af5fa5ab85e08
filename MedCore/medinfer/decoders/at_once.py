"""The labels of voxels from channels that come one after the other, whole arrays at a time.

For tensors on a device, which is fast where little is asked of it often: on the host the same is done plane by plane.
Memory: the labels, and of the channels two at once and a byte per voxel.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..arrays import Array, library_of


def highest_of(channels: Iterator[tuple[int, Array]]) -> Array:
    """Which channel is the highest, as bytes `[k, j, i]`; of equal ones the one that comes first.

    channels: each with its number.
    """
    number, best = next(channels)
    library = library_of(best)
    labels = library.full_like(best, number, dtype=library.uint8)
    for number, here in channels:
        labels[here > best] = number
        best = library.maximum(here, best)
    return labels


def last_above(channels: Iterator[tuple[int, Array]], level: float) -> Array:
    """One more than the number of the last channel that is above the level, as bytes `[k, j, i]`; 0: none is."""
    number, here = next(channels)
    library = library_of(here)
    labels = library.asarray(here > level, dtype=library.uint8) * (number + 1)
    for number, here in channels:
        labels[here > level] = number + 1
    return labels
