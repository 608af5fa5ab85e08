"""The maps of a jaw phantom, and the shapes that are drawn on them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..capsule import capsule_distance
from ..lattice import Array, Lattice
from ..tissue_canvas import TissueCanvas
from .spec import Tissue


@dataclass(frozen=True, eq=False)
class Canvas(TissueCanvas):
    """A lattice (RAS mm; z rises, y and x fall with the index) and the maps `[k, j, i]` drawn on it.

    nearest: mm to the nearest tooth's surface, negative inside; by it teeth that meet share the voxels between them.
    """

    teeth: NDArray[np.uint8]
    canal: NDArray[np.bool_]
    nearest: NDArray[np.float32]

    @classmethod
    def empty(cls, lattice: Lattice) -> Canvas:
        shape = lattice.shape
        far = np.full(shape, 9.0, np.float32)
        return cls(lattice, np.zeros(shape, np.uint8), np.zeros(shape, np.uint8), np.zeros(shape, np.bool_), far)

    def ellipsoid(
        self, center: ArrayLike, radii: ArrayLike, tissue: Tissue, over: Iterable[Tissue] | None = None
    ) -> None:
        """Fill an ellipsoid with axes along x, y, z (mm)."""
        center, radii = np.asarray(center, float), np.asarray(radii, float)
        box = self.box(np.stack([center - radii, center + radii]), 0)
        z, y, x = self.lattice.part(box).open()
        square = [((a - np.float32(c)) / np.float32(r)) ** 2 for a, c, r in zip((x, y, z), center, radii, strict=True)]
        self.fill(box, square[0] + square[1] + square[2] < 1, tissue, over)

    def tube(
        self,
        points: ArrayLike,
        radii: ArrayLike,
        tissue: Tissue,
        over: Iterable[Tissue] | None = None,
        flat: ArrayLike = (1, 1, 1),
    ) -> None:
        """Fill a bent tube through points `[n, 3]`; `flat` as in `tube_distance`."""
        box = self.box(points, float(np.max(radii) / np.min(flat)) + 1)
        if min(self.lattice.part(box).shape) > 1:
            self.fill(box, tube_distance(self.lattice.part(box), points, radii, flat) < 0, tissue, over)


def tube_distance(lattice: Lattice, points: ArrayLike, radii: ArrayLike, flat: ArrayLike = (1, 1, 1)) -> Array:
    """Distance (mm) to a bent tube through points `[n, 3]`; 1e3 where it is farther than about its radius + 6.

    radii: one, or one per point. flat: factors along x, y, z by which space is stretched, to flatten the tube.
    """
    points = np.asarray(points, float)
    radii, flat = np.broadcast_to(np.asarray(radii, float), len(points)), np.asarray(flat, float)
    distance = np.full(lattice.shape, 1e3, np.float32)
    reach = float(radii.max() / flat.min()) + 6.0
    for n in range(len(points) - 1):
        ends = points[n : n + 2]
        box = lattice.box(ends.min(axis=0) - reach, ends.max(axis=0) + reach)
        spot = distance[box]
        if spot.size:
            near = capsule_distance(lattice.part(box), ends * flat, radii[n : n + 2], flat)
            np.minimum(spot, near, out=spot)
    return distance
