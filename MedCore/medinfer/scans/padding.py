"""What lies outside the field of view becomes air, whatever number the scanner put there.

DICOM marks it by PixelPaddingValue and PixelPaddingRangeLimit (PS3.3 C.7.5.1.1.2); other files, and many DICOM ones,
hold a constant there that no tissue has: −2000, −3024, 63536, 65535.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..volume import Volume

AIR_HU = -1000.0

# No tissue and no metal has such values, whether they are HU or HU + 1024; noise in air reaches −1200.
_LOWEST, _HIGHEST = -1200.0, 30000.0
# Air is darker than this in HU, and nothing is in HU + 1024.
_HOUNSFIELD = -500.0
_RESCALED = -3024.0  # −2000 with the usual −1024 added: only in HU
# Of the corners of all slices, how many must be padding; of all voxels, how many may be.
_CORNERS = 0.75
_LEAST, _MOST = 0.002, 0.98

Plane = NDArray[Any]


def padding_mask(stored: Plane, padding: tuple[int, int]) -> NDArray[np.bool_]:
    """Which stored values `[j, i]` lie in `padding` (lowest, highest); a bound of the other sign is the same bits."""
    low, high = padding
    if stored.dtype.kind in "iu":
        bits = 8 * stored.dtype.itemsize
        limits = np.iinfo(stored.dtype)
        low, high = (bound + (2**bits if bound < limits.min else -(2**bits) if bound > limits.max else 0)
                     for bound in (low, high))
    mask: NDArray[np.bool_] = (stored >= min(low, high)) & (stored <= max(low, high))
    return mask


def without_padding(
    planes: Sequence[Plane], masks: Sequence[NDArray[np.bool_] | None], hounsfield: bool
) -> tuple[list[Plane], tuple[str, ...]]:
    """The values `[j, i]` of slices with what `masks` mark set to air, and a note.

    hounsfield: the values are a CT's, rescaled. Air is then −1000 HU, else the lowest value that is no padding. A mark
    that is within the image and not around it is no padding, whatever its tag says; it is left alone, and told.
    """
    marked = [(plane, mask) for plane, mask in zip(planes, masks, strict=True) if mask is not None and mask.any()]
    if not marked:
        return list(planes), ()
    count = sum(int(np.count_nonzero(mask)) for _, mask in marked)
    low = min(float(plane[mask].min()) for plane, mask in marked)
    high = max(float(plane[mask].max()) for plane, mask in marked)
    rest = [float(plane[~mask].min()) for plane, mask in zip(planes, masks, strict=True)
            if mask is not None and not mask.all()]
    rest += [float(plane.min()) for plane, mask in zip(planes, masks, strict=True) if mask is None]
    if hounsfield and low >= AIR_HU - 100 and high <= AIR_HU + 100:
        return list(planes), ()  # air already
    share = count / sum(plane.size for plane in planes)
    corners = np.mean([mask[j, i] for _, mask in marked for j in (0, -1) for i in (0, -1)])
    around = corners >= _CORNERS or low <= _LOWEST or high >= _HIGHEST
    if not rest or not around:
        return list(planes), (f"PixelPaddingValue marks {100 * share:.1f} % of its voxels within the image, so it was "
                              "not taken as padding",)
    air = AIR_HU if hounsfield else min(rest)
    filled = [plane if mask is None else np.where(mask, np.array(air).astype(_holding(plane.dtype, air)), plane)
              for plane, mask in zip(planes, masks, strict=True)]
    return filled, (_note(share, f"{low:g}" if low == high else f"{low:g} to {high:g}", air),)


def aired(volume: Volume, hounsfield: bool = False) -> Volume:
    """The volume with a constant that fills the corners of its slices, and that no tissue has, set to air; with a note.

    Air is −1000 where the rest looks like HU, or is known to be (`hounsfield`), else the lowest value of the rest. Any
    axis may run across the slices.
    The volume itself where there is no such constant.
    """
    constant = _constant_corners(volume.voxels)
    if constant is None:
        return volume
    high = constant >= _HIGHEST

    def is_padding(plane: Plane) -> NDArray[np.bool_]:
        mask: NDArray[np.bool_] = plane >= _HIGHEST if high else plane == constant
        return mask

    count, lows, darks = 0, [], []
    for plane in volume.voxels:  # one at a time: together they would be the volume once more
        rest = plane[~is_padding(plane)]
        count += plane.size - rest.size
        if rest.size:
            lows.append(float(rest.min()))
            darks.append(np.percentile(rest[::7], 1))
    share = count / volume.voxels.size
    if not _LEAST <= share <= _MOST:
        return volume
    lowest, dark = min(lows), float(np.median(darks))
    if not high and lowest < constant + 50:
        return volume  # no gap: the values go down that far
    air = AIR_HU if hounsfield or dark < _HOUNSFIELD or constant == _RESCALED else lowest
    voxels = volume.voxels.astype(_holding(volume.voxels.dtype, air))
    for plane in voxels:
        plane[is_padding(plane)] = air
    return replace(volume, voxels=voxels, notes=(*volume.notes, _note(share, f"{constant:g}", air)))


def _constant_corners(voxels: NDArray[Any]) -> float | None:
    """The value that most voxels on the four edges along one of the axes have, where no tissue has it."""
    if min(voxels.shape) < 2:
        return None
    for axis in range(3):
        along = np.moveaxis(voxels, axis, 0)
        edges = along[:, [0, 0, -1, -1], [0, -1, 0, -1]].ravel()
        values, counts = np.unique(edges, return_counts=True)
        constant = float(values[counts.argmax()])
        if counts.max() >= _CORNERS * edges.size and (constant <= _LOWEST or constant >= _HIGHEST):
            return constant
    return None


def _holding(dtype: np.dtype[Any], value: float) -> np.dtype[Any]:
    """`dtype`, or a signed one that holds `value` too."""
    if dtype.kind in "iu" and not np.iinfo(dtype).min <= value <= np.iinfo(dtype).max:
        return np.dtype(np.int32)
    return dtype


def _note(share: float, what: str, air: float) -> str:
    return f"{100 * share:.0f} % of its voxels lie outside the field of view ({what}); they were set to {air:g}, as air"
