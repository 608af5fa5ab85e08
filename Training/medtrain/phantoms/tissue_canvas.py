"""Drawing tissues on a lattice: each implicit shape looks only at the voxels of its own box."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .lattice import Lattice, Mask

Box = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class TissueCanvas:
    """A lattice (RAS mm; z rises, y and x fall with the index) and the tissues `[k, j, i]` drawn on it."""

    lattice: Lattice
    tissues: NDArray[np.uint8]

    def box(self, points: ArrayLike, reach: float) -> Box:
        """The voxels within `reach` mm of the box around points `[n, 3]` (x, y, z)."""
        points = np.asarray(points, float)
        return self.lattice.box(points.min(axis=0) - reach, points.max(axis=0) + reach)

    def fill(self, box: Box, inside: Mask, tissue: int, over: Iterable[int] | None = None) -> None:
        """Give the voxels of a box where `inside` holds a tissue, only in place of the tissues `over` if given."""
        target = self.tissues[box]
        if over is not None:
            allowed = np.zeros(256, bool)
            allowed[[int(one) for one in over]] = True
            inside = inside & allowed[target]
        target[inside] = tissue
