"""Which air in a chest CT is lung: grt123's rules (github.com/lfz/DSB2017, `preprocessing/step1.py`).

Air is sought slice by slice; of its 3-D components those are lung that do not reach the borders, have a
lung's volume and lie around the middle of the image. All arrays are `[k, j, i]` in LPS: k runs to the head.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ..errors import Cancelled
from .slice_shapes import Mask, keep_round, labelled, slice_counts

Spacing = tuple[float, float, float]
Cancel = Callable[[], bool] | None

_AIR_HU = -600
# Lower than any air, noise apart: what a scanner or a program put where it had no data.
_NO_AIR_HU = -1100
# Gaussian of σ 1 pixel cut at 2 σ.
_KERNEL = np.exp(-0.5 * np.arange(3) ** 2)
_KERNEL = (_KERNEL / (_KERNEL[0] + 2 * _KERNEL[1:].sum())).astype(np.float32)
_LEAST_SLICE_MM2, _MOST_ECCENTRICITY = 30.0, 0.99
_LUNGS_ML = (680.0, 7500.0)
# grt123 asks for 0.68 l of any scan. Whoever scans only part of the chest has less of it: from here on in proportion.
_WHOLE_CHEST_MM = 200.0
_WIDE_SLICE_MM2, _MIDDLE_MM = 6000.0, 62.0
_CORNER = 10


def stop_if(cancel: Cancel) -> None:
    """Raise Cancelled if the user has asked for it."""
    if cancel is not None and cancel():
        raise Cancelled("The run was cancelled during the search for the lungs.")


def find_lungs(voxels: NDArray[np.generic], spacing: Spacing, cancel: Cancel = None) -> Mask:
    """The lungs' air `[k, j, i]` (bool; empty where none is found), holes (vessels, nodules) not yet filled.

    voxels: HU. spacing: mm along k, j, i. Memory: about 5 bytes per voxel while components are counted.
    """
    air = np.empty(voxels.shape, dtype=bool)
    for k, pixels in enumerate(voxels):
        if k % 16 == 0:
            stop_if(cancel)
        air[k] = _slice_air(pixels, spacing)
    # Where the windpipe opens to the outside on top, lung and room are one component: cut slices off until they part.
    step = max(2, round(5 / spacing[0]))
    for cut in range(0, max(1, len(air) // 3), step):
        stop_if(cancel)
        body = _lung_components(air[: len(air) - cut], spacing)
        if body is not None:
            return body if cut == 0 else _with_top(body, air, cut)
    return np.zeros(voxels.shape, dtype=bool)


def _slice_air(pixels: NDArray[np.generic], spacing: Spacing) -> Mask:
    values = pixels.astype(np.float32)
    if not np.issubdtype(pixels.dtype, np.integer):
        np.nan_to_num(values, copy=False, nan=-2000)
    found = _smoothed(_smoothed(values, 0), 1) < _AIR_HU
    corner = values[:_CORNER, :_CORNER]
    if found.any() and corner.min() == corner.max():
        found &= _inside(values, float(corner[0, 0]))
    return keep_round(found, _LEAST_SLICE_MM2 / (spacing[1] * spacing[2]), _MOST_ECCENTRICITY)


def _smoothed(values: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    padded = np.pad(values, [(2, 2) if other == axis else (0, 0) for other in range(2)], mode="symmetric")
    n = values.shape[axis]

    def at(shift: int) -> NDArray[np.float32]:
        return padded[shift : shift + n] if axis == 0 else padded[:, shift : shift + n]

    total: NDArray[np.float32] = at(2) * _KERNEL[0]
    total += (at(1) + at(3)) * _KERNEL[1]
    total += (at(0) + at(4)) * _KERNEL[2]
    return total


def _inside(values: NDArray[np.float32], padding: float) -> Mask:
    """What the scanner reconstructed, two pixels in: the inscribed circle, as in grt123.

    An image that is not square was cropped or resampled: there it is what differs from the corner's value, if that is
    padding (−2048, −3024, …) and not air.
    """
    rows, columns = values.shape
    if rows == columns:
        return _circle(rows)
    return _shrunk(values != padding) if padding < _NO_AIR_HU else np.ones_like(values, dtype=bool)


@cache
def _circle(side: int) -> Mask:
    offset = np.arange(side) - (side - 1) / 2
    return _shrunk(np.hypot(offset[:, None], offset) < side / 2)


def _shrunk(seen: Mask) -> Mask:
    for axis in (0, 1):
        padded = np.pad(seen, [(2, 2) if other == axis else (0, 0) for other in range(2)], mode="edge")
        seen = np.asarray(sliding_window_view(padded, 5, axis=axis).all(-1))
    return seen


def _lung_components(air: Mask, spacing: Spacing) -> Mask | None:
    labels, count = labelled(air, 6)
    area = slice_counts(labels, air, count)
    volume_ml = area.sum(0) * np.prod(spacing) / 1000
    least = _LUNGS_ML[0] * min(1.0, len(air) * spacing[0] / _WHOLE_CHEST_MM)
    chosen = (volume_ml >= least) & (volume_ml <= _LUNGS_ML[1])
    chosen[0] = False
    # The room: what holds a corner of the scan or the middle of its front or back edge.
    ends = labels[[0, -1]]
    middle = air.shape[2] // 2
    chosen[ends[:, [0, 0, 0, -1, -1, -1], [0, middle, -1, 0, middle, -1]].ravel()] = False
    j, i = (np.arange(n) - (n - 1) / 2 for n in air.shape[1:])
    off_centre = np.hypot(j[:, None] * spacing[1], i * spacing[2])
    for label in np.flatnonzero(chosen):
        wide = np.flatnonzero(area[:, label] * spacing[1] * spacing[2] > _WIDE_SLICE_MM2)
        nearest = [off_centre[labels[k] == label].min() for k in wide]
        chosen[label] = bool(nearest) and float(np.mean(nearest)) < _MIDDLE_MM
    if not chosen.any():
        return None
    lungs = np.empty_like(air)
    for k, plane in enumerate(labels):
        lungs[k] = chosen[plane]
    return lungs


def _with_top(body: Mask, air: Mask, cut: int) -> Mask:
    """`body` (all but the top `cut` slices) with what lies on it in those slices, at most `cut` steps away."""
    whole = np.zeros_like(air)
    whole[: len(body)] = body
    low = max(0, len(air) - 2 * cut - 1)
    near = dilated(whole[low:], cut)
    whole[len(body) :] = (air[low:] & near)[len(body) - low :]
    labels, count = labelled(whole, 6)
    held = np.zeros(count + 1, dtype=bool)
    held[np.unique(labels[: len(body)][body])] = True
    kept: Mask = held[labels]
    return kept


def dilated(mask: Mask, steps: int) -> Mask:
    """`mask` [k, j, i] grown `steps` times by its 6 neighbours. Eight voxels a byte: a tenth of the memory traffic."""
    width = mask.shape[2]
    bits: NDArray[np.uint8] = np.packbits(mask, axis=2)
    for _ in range(steps):
        grown = bits | (bits >> 1) | (bits << 1)
        grown[:, :, 1:] |= bits[:, :, :-1] << 7
        grown[:, :, :-1] |= bits[:, :, 1:] >> 7
        grown[:, 1:] |= bits[:, :-1]
        grown[:, :-1] |= bits[:, 1:]
        grown[1:] |= bits[:-1]
        grown[:-1] |= bits[1:]
        bits = grown.astype(np.uint8, copy=False)
    return np.unpackbits(bits, axis=2, count=width).view(bool)


def eroded(mask: Mask) -> Mask:
    """`mask` [k, j, i] without the voxels that lack one of their 6 neighbours; beyond the array there is none."""
    core = np.zeros_like(mask)
    if min(mask.shape) > 2:
        inner = core[1:-1, 1:-1, 1:-1]
        inner[...] = mask[1:-1, 1:-1, 1:-1]
        for axis in range(3):
            for side in (slice(None, -2), slice(2, None)):
                inner &= mask[tuple(side if a == axis else slice(1, -1) for a in range(3))]
    return core
