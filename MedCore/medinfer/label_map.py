"""The voxels of segments, on the scan's own grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .volume import Grid, Volume


@dataclass(frozen=True, eq=False)
class LabelMap:
    """voxels: `[k, j, i]`; 0 is background, anything else a `Segment.value`.
    grid: a box cut out of the scan's own grid: the same directions and spacing.
    above: the voxels of further layers in the same box, for segments that overlap those below."""

    voxels: NDArray[np.uint8]
    grid: Grid
    above: tuple[NDArray[np.uint8], ...] = ()

    @property
    def layers(self) -> tuple[LabelMap, ...]:
        """Each layer by itself, in the order in which `Segment.layer` counts them."""
        return tuple(LabelMap(voxels, self.grid) for voxels in (self.voxels, *self.above))

    def start_in(self, grid: Grid) -> tuple[int, int, int]:
        """The voxel (k, j, i) of `grid`, the whole scan's, at which this box begins."""
        k, j, i = (int(n) for n in np.rint(grid.to_index(self.grid.to_ras((0, 0, 0)))))
        return k, j, i

    def whole(self, volume: Volume) -> Volume:
        """The whole scan with these labels, background outside the box. One byte per voxel.

        Raises ValueError where segments overlap: then each of `layers` is one."""
        if self.above:
            raise ValueError("the segments overlap, and one label map cannot hold them: take each of its layers")
        voxels = np.zeros(volume.shape, np.uint8)
        begin = self.start_in(volume.grid)
        voxels[tuple(slice(a, a + n) for a, n in zip(begin, self.voxels.shape, strict=True))] = self.voxels
        return Volume(voxels, volume.grid, volume.name, form_codes=volume.form_codes)
