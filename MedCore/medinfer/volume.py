"""A scan in memory: voxels and their position in the world.

Arrays are `[k, j, i]` (slowest first); the world is RAS millimetres. `Grid.ijk_to_ras` maps the
column `(i, j, k, 1)` of a voxel *centre* to `(R, A, S, 1)`, as Slicer's IJKToRAS matrix does.
Index points in this code base are rows `(k, j, i)`, in the order of the array's axes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Grid:
    """The geometry of a voxel array.

    shape: voxels along k, j, i.
    ijk_to_ras: 4×4, mm; its columns may be oblique, of unequal length and left-handed.
    """

    shape: tuple[int, int, int]
    ijk_to_ras: Floats

    def __post_init__(self) -> None:
        matrix = np.array(self.ijk_to_ras, dtype=np.float64)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            raise ValueError(f"ijk_to_ras must be a finite 4×4 matrix, not {matrix.shape}")
        if abs(np.linalg.det(matrix[:3, :3])) < 1e-12:
            raise ValueError("ijk_to_ras has no inverse: two axes are parallel or a spacing is zero")
        matrix.setflags(write=False)
        object.__setattr__(self, "ijk_to_ras", matrix)
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres between voxel centres along k, j, i."""
        i, j, k = np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0)
        return float(k), float(j), float(i)

    @property
    def directions(self) -> Floats:
        """3×3; columns are the unit RAS directions of i, j, k."""
        columns: Floats = self.ijk_to_ras[:3, :3]
        unit: Floats = columns / np.linalg.norm(columns, axis=0)
        return unit

    def to_ras(self, kji: ArrayLike) -> Floats:
        """Index points `[..., 3]` (k, j, i; may be fractional) to RAS mm `[..., 3]`."""
        points = np.asarray(kji, dtype=np.float64)
        mapped: Floats = points[..., ::-1] @ self.ijk_to_ras[:3, :3].T + self.ijk_to_ras[:3, 3]
        return mapped

    def to_index(self, ras: ArrayLike) -> Floats:
        """RAS points `[..., 3]` in mm to fractional index points `[..., 3]` (k, j, i)."""
        points = np.asarray(ras, dtype=np.float64) - self.ijk_to_ras[:3, 3]
        ijk: Floats = points @ np.linalg.inv(self.ijk_to_ras[:3, :3]).T
        return ijk[..., ::-1]

    def cropped(self, start: tuple[int, int, int], shape: tuple[int, int, int]) -> Grid:
        """The grid of the block of `shape` voxels whose first voxel is `start` (k, j, i; may lie outside)."""
        matrix = self.ijk_to_ras.copy()
        matrix[:3, 3] = self.to_ras(start)
        return Grid(shape, matrix)


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels with their geometry.

    voxels: `[k, j, i]`, one value per voxel (HU for CT).
    grid: where they lie; `grid.shape == voxels.shape`.
    name: the scan's name in lists and messages.
    modality: the DICOM modality ("CT", "MR", …) if the file gives it, else None.
    notes: what the reader noticed and the user should know (gantry tilt, missing slices, …).
    form_codes: qform_code and sform_code of the NIfTI file that it came from; its label map gets the same.
    focus: the block to look at where it is not the whole scan (see `medinfer.preparation.focus`).
    further: voxels of further images of the same patient on the same grid (T1 beside T2), by the names that a model
    gives them; see `medinfer.preparation.images`.
    series: DICOM's SeriesInstanceUID; empty of other files. slice_numbers: along k, the InstanceNumber of the image
    nearest to each slice, where DICOM gives all of them; empty where it doesn't.
    """

    voxels: NDArray[np.generic]
    grid: Grid
    name: str = "scan"
    modality: str | None = None
    notes: tuple[str, ...] = field(default=())
    focus: Grid | None = None
    form_codes: tuple[int, int] = (1, 1)
    further: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)
    series: str = ""
    slice_numbers: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.voxels.shape != self.grid.shape:
            raise ValueError(f"voxels are {self.voxels.shape} but the grid is {self.grid.shape}")
        if any(voxels.shape != self.grid.shape for voxels in self.further.values()):
            raise ValueError("further images must have the scan's grid")

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.grid.shape

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres along k, j, i."""
        return self.grid.spacing

    def with_voxels(self, voxels: NDArray[np.generic]) -> Volume:
        """The same place and name with other values."""
        return replace(self, voxels=voxels)
