"""The maps of a spine phantom, and the shapes that are drawn on them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..capsule import capsule_distance
from ..lattice import Array, Floats
from ..tissue_canvas import Box, TissueCanvas
from .spec import Tissue


@dataclass(frozen=True, eq=False)
class Canvas(TissueCanvas):
    """A lattice (RAS mm; z rises, y and x fall with the index) and the two maps `[k, j, i]` drawn on it."""

    vertebrae: NDArray[np.uint8]

    def ellipsoid(
        self, center: ArrayLike, radii: ArrayLike, tissue: Tissue, over: Iterable[Tissue] | None = None
    ) -> None:
        """Fill an ellipsoid with axes along x, y, z (mm)."""
        center, radii = np.asarray(center, float), np.asarray(radii, float)
        box = self.box(np.stack([center - radii, center + radii]), 0)
        z, y, x = self.lattice.part(box).open()
        near = ((x - center[0]) / radii[0]) ** 2 + ((y - center[1]) / radii[1]) ** 2 + ((z - center[2]) / radii[2]) ** 2
        self.fill(box, near < 1, tissue, over)

    def tube_distance(self, points: Floats, radii: ArrayLike, flat: ArrayLike = (1, 1, 1)) -> tuple[Box, Array]:
        """Distance (mm) to the surface of a bent tube through `points` `[n, 3]`, and the box it lies in.

        radii: one, or one per point. flat: factors along x, y, z by which space is stretched, to flatten the tube.
        """
        points, radii = np.asarray(points, float), np.broadcast_to(np.asarray(radii, float), len(points))
        stretch = np.asarray(flat, float)
        widest = float(radii.max() / stretch.min()) + 1.0
        box = self.box(points, widest)
        distance = np.full([s.stop - s.start for s in box], 1e3, np.float32)
        for n in range(len(points) - 1):
            inner = self.box(points[n : n + 2], widest)
            k, j, i = (slice(a.start - b.start, a.stop - b.start) for a, b in zip(inner, box, strict=True))
            spot = distance[k, j, i]
            if spot.size:
                ends = points[n : n + 2] * stretch
                near = capsule_distance(self.lattice.part(inner), ends, radii[n : n + 2], stretch)
                np.minimum(spot, near, out=spot)
        return box, distance

    def tube(
        self,
        points: ArrayLike,
        radii: ArrayLike,
        tissue: Tissue,
        over: Iterable[Tissue] | None = None,
        flat: ArrayLike = (1, 1, 1),
    ) -> None:
        """Fill a bent tube."""
        box, distance = self.tube_distance(np.asarray(points, float), radii, flat)
        self.fill(box, distance < 0, tissue, over)

    def bone(self, points: ArrayLike, radii: ArrayLike, shell: float = 1.8, flat: ArrayLike = (1, 1, 1)) -> None:
        """Fill a bent tube with cancellous bone in a cortical shell (mm)."""
        box, distance = self.tube_distance(np.asarray(points, float), radii, flat)
        self.shell(box, distance, shell)

    def shell(self, box: Box, distance: Array, shell: float) -> None:
        """Cancellous bone within `distance` < −shell, cortical around it."""
        self.fill(box, distance < 0, Tissue.CORTICAL)
        self.fill(box, distance < -shell, Tissue.CANCELLOUS)
