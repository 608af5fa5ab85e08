"""The label of each voxel from the channels of a block."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..arrays import Array, is_tensor, library_of

# Voxels that stay in a core's second-level cache while they are worked on, with what they are compared to.
_CACHED = 1 << 16


def labels_of(values: Array) -> Array:
    """The channel with the highest value, `[c, k, j, i]` to `[k, j, i]`; the first of equal ones, as numpy.argmax.

    One byte per voxel, two for more than 256 channels. On the host a running maximum over a few slices at a time, which
    stay in the processor's cache; of a tensor torch's argmax, whose indices have eight bytes per voxel.
    """
    if is_tensor(values):
        torch = library_of(values)
        return values.argmax(0).to(torch.uint8 if len(values) <= 256 else torch.int16)
    return _on_host(values)


def _on_host(values: NDArray[np.float32]) -> NDArray[np.uint8] | NDArray[np.uint16]:
    channels, slices, rows, columns = values.shape
    kind = np.uint8 if channels <= 256 else np.uint16
    labels = np.zeros((slices, rows, columns), dtype=kind)
    step = max(1, _CACHED // (rows * columns))
    shape = (step, rows, columns)
    highest, rival = np.empty(shape, dtype=values.dtype), np.empty(shape, dtype=values.dtype)
    higher, number = np.empty(shape, dtype=bool), np.empty(shape, dtype=kind)
    for first in range(0, slices, step):
        band = labels[first : first + step]
        top, other, above, named = (buffer[: len(band)] for buffer in (highest, rival, higher, number))
        top[...] = values[0, first : first + step]
        for channel in range(1, channels):
            # Copied, because `values` is often a view with short rows and the three steps below like long ones.
            other[...] = values[channel, first : first + step]
            np.greater(other, top, out=above)
            np.maximum(other, top, out=top)
            # Channels come in rising order: the highest number that ever took the lead is the label.
            np.maximum(band, np.multiply(above, kind(channel), out=named), out=band)
    return labels
