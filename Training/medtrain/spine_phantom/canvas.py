"""Drawing tissues on a lattice: each implicit shape looks only at the voxels of its own box."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import PchipInterpolator

from ..chest_phantom.lattice import Array, Floats, Lattice, Mask
from .spec import Tissue

Box = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class Canvas:
    """A lattice (RAS mm; z rises, y and x fall with the index) and the two maps `[k, j, i]` drawn on it."""

    lattice: Lattice
    tissues: NDArray[np.uint8]
    vertebrae: NDArray[np.uint8]

    def box(self, points: Floats, reach: float) -> Box:
        """The voxels within `reach` mm of the box around points `[n, 3]` (x, y, z)."""
        return self.lattice.box(points.min(axis=0) - reach, points.max(axis=0) + reach)

    def fill(self, box: Box, inside: Mask, tissue: Tissue, over: Iterable[Tissue] | None = None) -> None:
        """Give the voxels of a box where `inside` holds a tissue, only in place of the tissues `over` if given."""
        target = self.tissues[box]
        if over is not None:
            allowed = np.zeros(256, bool)
            allowed[[int(one) for one in over]] = True
            inside = inside & allowed[target]
        target[inside] = tissue

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

        radii: one, or one a point. flat: factors along x, y, z by which space is stretched, to flatten the tube.
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
                ends = points[n] * stretch, points[n + 1] * stretch
                near = _segment(self.lattice.part(inner), stretch, ends, radii[n], radii[n + 1])
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


def _segment(lattice: Lattice, stretch: Floats, ends: tuple[Floats, Floats], first: float, last: float) -> Array:
    """Distance to a tapering capsule in stretched space."""
    z, y, x = lattice.open()
    start, way = ends[0].astype(np.float32), (ends[1] - ends[0]).astype(np.float32)
    dx, dy, dz = (axis * np.float32(f) - s for axis, f, s in zip((x, y, z), stretch, start, strict=True))
    square = max(float(way @ way), 1e-6)
    t = np.clip((dx * way[0] + dy * way[1] + dz * way[2]) / np.float32(square), 0, 1)
    away = np.sqrt((dx - t * way[0]) ** 2 + (dy - t * way[1]) ** 2 + (dz - t * way[2]) ** 2)
    return cast(Array, away - (np.float32(first) + t * np.float32(last - first)))


def bend(points: ArrayLike, count: int = 24) -> Floats:
    """A smooth curve (monotone cubic through `[n, 3]` points, evenly spaced in parameter) of `count` points."""
    points = np.asarray(points, float)
    way = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1) + 1e-6)])
    result: Floats = PchipInterpolator(way, points)(np.linspace(0, way[-1], count))
    return result


def moved(point: Floats, right: float, front: float, up: float) -> Floats:
    """A point farther to the right, front and head, mm."""
    result: Floats = point + np.array([right, front, up])
    return result
