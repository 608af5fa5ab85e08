"""The scan around a box, on cubes small enough that borders lie between voxels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..findings import Box
from ..orientation import reorient
from ..volume import Floats, Grid, Volume

# Cubes a box is wide, and their smallest and largest edge; how far around the box is looked.
_CUBES, _SMALLEST_MM, _LARGEST_MM = 24, 0.45, 1.0
_AROUND_MM, _MOST_MM = 8.0, 45.0


@dataclass(frozen=True, eq=False)
class NoduleBlock:
    """HU `[k, j, i]` on cubes of `step` mm; k runs along the patient, j and i lie in the scan's nearly axial slices.

    middle: index (k, j, i) of the box's centre. radius_mm: half of the box's mean edge. slices_mm: the thickest axis of
    the scan itself.
    """

    values: NDArray[np.float32]
    grid: Grid
    step: float
    middle: Floats
    radius_mm: float
    slices_mm: float

    @cached_property
    def from_middle(self) -> NDArray[np.float32]:
        """`[k, j, i]`: mm from the box's centre."""
        squares = [
            (((np.arange(n) - m) * self.step) ** 2).astype(np.float32)
            for n, m in zip(self.values.shape, self.middle, strict=True)
        ]
        distance: NDArray[np.float32] = np.sqrt(
            squares[0][:, None, None] + squares[1][None, :, None] + squares[2][None, None, :]
        )
        return distance

    def near(self, reach_mm: float) -> tuple[slice, slice, slice]:
        """The voxels no farther than `reach_mm` from the box's centre along each axis."""
        reach = reach_mm / self.step
        k, j, i = (
            slice(max(int(np.floor(m - reach)), 0), min(int(np.ceil(m + reach)) + 1, n))
            for m, n in zip(self.middle, self.values.shape, strict=True)
        )
        return k, j, i

    def part(self, where: tuple[slice, slice, slice]) -> NoduleBlock:
        """The same with those voxels only."""
        k, j, i = (part.start for part in where)
        values = self.values[where]
        shape = values.shape[0], values.shape[1], values.shape[2]
        grid = self.grid.cropped((k, j, i), shape)
        return replace(self, values=values, grid=grid, middle=self.middle - (k, j, i))


def block_around(volume: Volume, box: Box) -> NoduleBlock | None:
    """The scan around `box`, as far as it reaches, interpolated linearly; None where the box lies outside of it."""
    from scipy.ndimage import map_coordinates

    axial = reorient(volume, "LPS")
    edge = float(np.mean(box.size_mm))
    step = float(np.clip(edge / _CUBES, _SMALLEST_MM, _LARGEST_MM))
    reach = int(np.ceil(min(max(0.9 * edge, 0.5 * edge + _AROUND_MM), _MOST_MM) / step))
    spacing = np.array(axial.spacing)
    lines = []
    for centre, mm, n in zip(axial.grid.to_index(box.center_ras), spacing, axial.shape, strict=True):
        line = centre + np.arange(-reach, reach + 1) * step / mm
        lines.append(line[(line >= -0.5) & (line <= n - 0.5)])
    if not all(len(line) for line in lines):
        return None
    first = [max(int(line[0]) - 1, 0) for line in lines]
    part = tuple(slice(a, int(line[-1]) + 3) for a, line in zip(first, lines, strict=True))
    places = np.meshgrid(*(line - a for line, a in zip(lines, first, strict=True)), indexing="ij")
    values = map_coordinates(axial.voxels[part].astype(np.float32), places, order=1, mode="nearest")
    matrix = axial.grid.ijk_to_ras.copy()
    matrix[:3, :3] *= step / spacing[::-1]
    matrix[:3, 3] = axial.grid.to_ras([line[0] for line in lines])
    k, j, i = values.shape
    grid = Grid((k, j, i), matrix)
    return NoduleBlock(
        values.astype(np.float32), grid, step, grid.to_index(box.center_ras), edge / 2, float(spacing.max())
    )
