"""The block of a scan inside an ROI."""

from __future__ import annotations

from typing import Any

import numpy as np

from medinfer.errors import ScanError
from medinfer.volume import Floats, Volume

from ..nodes.volumes import in_node

# Half a voxel: a voxel that the ROI touches up to its middle is in.
_TOUCH = 0.5 - 1e-6

Block = tuple[tuple[int, int, int], tuple[int, int, int]]


def block_of(region: Any, scan: Volume, volume_node: Any) -> Block:
    """The voxels [first, behind the last) (k, j, i) of `scan`, the one of `volume_node`, that lie in the ROI node
    `region`; parent transforms of both count.

    A ROI that lies askew to the scan gets the smallest block that holds it. Raises ScanError where it has no size or
    lies outside of the scan.
    """
    name, box = scan.name, region.GetName() or "The region"
    if not region.IsA("vtkMRMLMarkupsROINode"):
        raise ScanError(f"{box} is not a region of interest; choose an ROI around the part of {name} to search.")
    size = np.zeros(3)
    region.GetSizeWorld(size)
    if region.GetNumberOfControlPoints() < 1 or not (size > 0).all():
        raise ScanError(f"{box} has no size; draw it around the part of {name} to search.")
    index = scan.grid.to_index(in_node(volume_node, _corners(region, size)))
    if not np.isfinite(index).all():
        raise ScanError(f"{box} has no valid position (it or its transform is not a number); draw it again.")
    low = np.maximum(np.ceil(index.min(axis=0) - _TOUCH).astype(int), 0)
    high = np.minimum(np.floor(index.max(axis=0) + _TOUCH).astype(int) + 1, scan.shape)
    if (high <= low).any():
        raise ScanError(f"{box} lies outside {name}; move it to the part of the scan to search.")
    (a, b, c), (d, e, f) = low.tolist(), high.tolist()
    return (a, b, c), (d, e, f)


def _corners(region: Any, size: Floats) -> Floats:
    """The eight corners [8, 3], world RAS mm."""
    import slicer

    frame = slicer.util.arrayFromVTKMatrix(region.GetObjectToWorldMatrix())
    signs = np.array(np.meshgrid(*[[-0.5, 0.5]] * 3, indexing="ij")).reshape(3, 8).T
    axes = frame[:3, :3] / np.linalg.norm(frame[:3, :3], axis=0)
    corners: Floats = (signs * size) @ axes.T + frame[:3, 3]
    return corners
