"""Voxels passed between processes as `.npy` files: numpy's own format, uncompressed and memory-mapped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..atomic_files import atomic_path
from ..errors import ScanError
from ..label_map import LabelMap
from ..preparation.focus import focused_on
from ..scans.voxel_values import MAX_VOXELS, check_size, finite
from ..volume import Grid, Volume

_AGAIN = "run it again, and if it fails again, check that the disk of the temporary folder has free space"


def read_handed_over(
    path: Path, ijk_to_ras: Sequence[Sequence[float]], name: str, modality: str | None = None,
    focus: Sequence[Sequence[int]] | None = None, max_voxels: int = MAX_VOXELS,
) -> Volume:
    """The volume whose voxels `[k, j, i]` lie in the `.npy` file `path`, mapped into memory and not copied.

    ijk_to_ras: 4×4, mm. focus: the block [first, behind the last) (k, j, i) to look at. A sheared grid becomes
    orthogonal, padding becomes air and voxels that are not numbers are filled, as in `read_volume`. Raises ScanError,
    one sentence: a file cut short, not 3-D, no numbers, impossible geometry.
    """
    from ..scans.geometry import orthogonal, scan_grid
    from ..scans.padding import aired

    try:
        voxels: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as cause:
        raise ScanError(f"The voxels of {name} arrived incomplete ({cause}); {_AGAIN}.") from cause
    if voxels.ndim != 3 or voxels.dtype.kind not in "iufb":
        what = f"{voxels.ndim} axes of {voxels.dtype.name}"
        raise ScanError(f"{name} has {what}; a scan has three axes and one number per voxel: choose another volume.")
    try:
        matrix = np.array(ijk_to_ras, dtype=np.float64).reshape(4, 4)
    except (TypeError, ValueError):
        raise ScanError(f"{name} has no valid geometry: ijk_to_ras must be a 4×4 matrix of numbers.") from None
    k, j, i = voxels.shape
    check_size(name, (k, j, i), voxels.dtype, max_voxels)
    # Not a memmap: what it is sliced and reordered into would drag the class along.
    volume = Volume(np.asarray(voxels), scan_grid(name, (k, j, i), matrix), name, modality)
    if focus is not None:
        try:
            first, stop = ([int(n) for n in corner] for corner in focus)
            volume = focused_on(volume, first, stop)
        except (TypeError, ValueError):
            raise ScanError(f"The region of interest in {name} is not a block of voxels ({focus}).") from None
    return orthogonal(aired(finite(volume)), max_voxels=max_voxels)


def write_label_map(labels: LabelMap, path: Path) -> None:
    """The block of voxels as `.npy`, of several layers four-dimensional; its `labels.grid.ijk_to_ras` goes another way.
    Raises OutputError."""
    with atomic_path(path) as partial, partial.open("wb") as stream:
        voxels = np.stack([labels.voxels, *labels.above]) if labels.above else np.ascontiguousarray(labels.voxels)
        np.save(stream, voxels, allow_pickle=False)


def read_label_map(path: Path, ijk_to_ras: Sequence[Sequence[float]]) -> LabelMap:
    """The inverse of `write_label_map`. Raises OSError or ValueError where the file is not whole."""
    voxels = np.load(path, allow_pickle=False)
    first, *above = voxels if voxels.ndim == 4 else voxels[None]
    return LabelMap(first, Grid(first.shape, np.array(ijk_to_ras, dtype=np.float64)), tuple(above))
