"""What a flat picture through a scan shows, sampled by numpy: no view, no graphics card.

Pictures here are world-axial and lie as a radiologist looks at them: the patient's right on the left, front on top.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medinfer.findings import Vector
from medinfer.volume import Floats, Grid

from ..nodes.volumes import grid_matrix, in_node


@dataclass(frozen=True)
class AxialPlane:
    """A square of `pixels` × `pixels` that shows `width_mm` around `centre_world` (RAS mm)."""

    centre_world: Vector
    width_mm: float
    pixels: int

    @property
    def millimetres(self) -> float:
        """A pixel's edge."""
        return self.width_mm / self.pixels

    def points_world(self) -> Floats:
        """Where the middles of the pixels lie, `[row, column, 3]`, RAS mm; the first row is the patient's front."""
        steps = (np.arange(self.pixels) - (self.pixels - 1) / 2) * self.millimetres
        r, a, s = self.centre_world
        points = np.empty((self.pixels, self.pixels, 3))
        points[..., 0], points[..., 1], points[..., 2] = r - steps[None, :], a - steps[:, None], s
        return points


def sampled(volume_node: Any, points_world: Floats) -> Floats:
    """The scan's values at `points_world` (`[…, 3]`, RAS mm), linear between voxels; NaN outside the scan."""
    import slicer

    voxels = slicer.util.arrayFromVolume(volume_node)
    grid = Grid(voxels.shape, grid_matrix(volume_node))
    return interpolated(voxels, grid.to_index(in_node(volume_node, points_world)))


def interpolated(voxels: NDArray[np.generic], places: Floats) -> Floats:
    """`voxels` `[k, j, i]` at fractional index points `[…, 3]` (k, j, i), trilinear; NaN more than half a voxel out."""
    last = np.array(voxels.shape) - 1
    outside = ((places < -0.5) | (places > last + 0.5)).any(axis=-1)
    places = np.clip(places, 0, last)
    low = np.minimum(places.astype(int), np.maximum(last - 1, 0))
    share = places - low
    high = np.minimum(low + 1, last)
    # Of an axis: the voxel on either side, and how much it counts.
    sides = [
        ((low[..., axis], 1 - share[..., axis]), (high[..., axis], share[..., axis])) for axis in range(3)
    ]
    values = np.zeros(places.shape[:-1])
    for (k, of_k), (j, of_j), (i, of_i) in product(*sides):
        values += of_k * of_j * of_i * voxels[k, j, i]
    values[outside] = np.nan
    return values


def nearest(voxels: NDArray[np.generic], places: Floats) -> NDArray[np.generic]:
    """`voxels` `[k, j, i]` at the voxels nearest to fractional index points `[…, 3]` (k, j, i); 0 outside."""
    index = np.rint(places).astype(int)
    inside: NDArray[np.bool_] = np.all((index >= 0) & (index < np.array(voxels.shape)), axis=-1)
    k, j, i = np.moveaxis(np.where(inside[..., None], index, 0), -1, 0)
    return np.where(inside, voxels[k, j, i], 0)


def windowed(values: Floats, volume_node: Any) -> NDArray[np.uint8]:
    """`values` of the scan in grey, black to white as its display node says; what is outside the scan is black."""
    display = volume_node.GetDisplayNode()
    low = high = 0.0
    if display is not None and display.IsA("vtkMRMLScalarVolumeDisplayNode"):
        low, high = float(display.GetWindowLevelMin()), float(display.GetWindowLevelMax())
    known = values[np.isfinite(values)]
    if high <= low and known.size:
        low, high = (float(value) for value in np.percentile(known, [1, 99]))
    grey = (np.nan_to_num(values, nan=low) - low) / max(high - low, 1e-9)
    return np.rint(np.clip(grey, 0, 1) * 255).astype(np.uint8)


def edge_of(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels of `mask` that have a neighbour outside it."""
    around = np.pad(mask, 1)
    inner = around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
    return mask & ~inner


def grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """`mask` and all its neighbours."""
    around = np.pad(mask, 1)
    rows, columns = mask.shape
    any_of_nine: NDArray[np.bool_] = np.any(
        [around[dy:dy + rows, dx:dx + columns] for dy in range(3) for dx in range(3)], axis=0
    )
    return any_of_nine


def in_box(roi: Any, points_world: Floats) -> NDArray[np.bool_]:
    """Which of the points (`[…, 3]`, RAS mm) lie in the ROI's box."""
    import slicer

    to_world = slicer.util.arrayFromVTKMatrix(roi.GetObjectToWorldMatrix())
    own = (points_world - to_world[:3, 3]) @ np.linalg.inv(to_world[:3, :3]).T
    inside: NDArray[np.bool_] = (np.abs(own) <= np.array(roi.GetSize()) / 2).all(axis=-1)
    return inside
