"""From stored numbers to values: size limits, rescaling, and voxels that are not numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..errors import ScanError
from ..volume import Volume

# 1024 × 1024 × 1024: four times a long whole-body CT (512 × 512 × 1000), 2 GiB as int16.
MAX_VOXELS = 1024**3

# With fewer finite voxels than this, a scan is a damaged file and not a scan with a masked background.
_LEAST_FINITE = 0.02


def check_size(path: Path | str, shape: tuple[int, int, int], dtype: DTypeLike, max_voxels: int) -> None:
    """Refuse a scan of `shape` (k, j, i) that is empty or larger than `max_voxels`, before memory is taken.

    Raises ScanError, which says the size, the memory it would need and the limit.
    """
    k, j, i = shape
    voxels = k * j * i
    if min(shape) < 1:
        raise ScanError(f"{path} contains no voxels ({i} × {j} × {k}); export the scan again.")
    if voxels > max_voxels:
        gib = voxels * np.dtype(dtype).itemsize / 2**30
        raise ScanError(
            f"{path} is too large: {i} × {j} × {k} voxels would need {gib:.1f} GiB as {np.dtype(dtype).name}, "
            f"but the limit is {max_voxels / 1e6:.0f} million voxels; crop or downsample it first."
        )


def rescaled(stored: NDArray[np.generic], slope: float, intercept: float) -> NDArray[np.generic]:
    """`stored · slope + intercept`: as the smallest of int16 and int32 that holds it when both are whole numbers,
    as float32 otherwise. With slope 1 and intercept 0 the array itself.
    """
    if slope == 1 and intercept == 0:
        return stored
    whole_numbers = all(float(value).is_integer() and abs(value) < 2**31 for value in (slope, intercept))
    if stored.dtype.kind in "iu" and whole_numbers:
        low, high = (int(edge) * int(slope) + int(intercept) for edge in (stored.min(), stored.max()))
        whole = smallest_int(min(low, high), max(low, high))
        if whole is not None:
            # Modular arithmetic in the target type is exact, as the results fit; no wider copy is made.
            values = stored.astype(whole)
            values *= np.array(int(slope)).astype(whole)
            values += np.array(int(intercept)).astype(whole)
            return values
    # A damaged slope gives infinities, which `finite` counts and reports.
    with np.errstate(over="ignore", invalid="ignore"):
        scaled: NDArray[np.generic] = (stored.astype(np.float64) * slope + intercept).astype(np.float32)
    return scaled


def smallest_int(low: int, high: int) -> type[np.signedinteger] | None:
    """int16 or int32, the first that holds low…high; None where neither does."""
    for kind in (np.int16, np.int32):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return kind
    return None


def finite(volume: Volume) -> Volume:
    """The volume with NaN and −∞ replaced by its smallest finite value, +∞ by its largest, and a note of how many.

    Raises ScanError when fewer than 2 % of the voxels are finite.
    """
    if volume.voxels.dtype.kind != "f":
        return volume
    good = np.isfinite(volume.voxels)
    bad = good.size - int(np.count_nonzero(good))
    if bad == 0:
        return volume
    if good.size - bad < max(1, _LEAST_FINITE * good.size):
        raise ScanError(f"{volume.name} has {bad} of {good.size} voxels that are not numbers (NaN or infinite); "
                        "export the scan again.")
    low, high = (float(edge(volume.voxels, where=good, initial=start))
                 for edge, start in ((np.min, np.inf), (np.max, -np.inf)))
    voxels = np.nan_to_num(volume.voxels, nan=low, neginf=low, posinf=high)
    note = f"{bad} of {good.size} voxels are NaN or infinite; they were set to {low:g} (+∞ to {high:g})"
    return replace(volume, voxels=voxels, notes=(*volume.notes, note))
