"""How a chest CT is made see-through for the 3-D picture: bones as glass, lungs as a shell, vessels, findings.

Volume rendering gives a colour to a value, but a vessel in the lung has the same HU as the muscle around it. So the
voxels are recoded first, in a copy of at most 256 voxels an edge:

    outside the lungs   HU, nothing below 0      soft tissue clear, bone ivory
    lung                HU                       −850 clear, the border at −600…−300 a blue shell
    lung, above −500    down from −1000          vessels red
    the same in a box   up from 4000             findings in orange

Slice by slice, the mask of the lungs closes over the top of the liver (and over whatever else a lung surrounds in a
slice): a flat disc of tissue inside the lungs, which in the colour of vessels would read as a lesion. So what is too
thick for a vessel, and goes on outside the lungs, is left to the tissue outside.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medinfer.errors import ScanError
from medinfer.findings import Box
from medinfer.volume import Grid, Volume

from .rendering import Transfer, coarsened

BONE = 190.0
# Half the width of the widest vessels inside the lungs, and what an opening of that leaves of a round surface.
THICK_MM, RIM_MM = 8.0, 3.0
Mask = NDArray[np.bool_]
CHEST_TRANSFER: Transfer = (
    (-2200.0, 0.35, (0.88, 0.28, 0.22)),
    (-1200.0, 0.10, (0.75, 0.30, 0.30)),
    (-1050.0, 0.00, (0.45, 0.60, 0.85)),
    (-650.0, 0.00, (0.45, 0.62, 0.90)),
    (-500.0, 0.08, (0.50, 0.68, 0.95)),
    (-380.0, 0.08, (0.55, 0.72, 0.98)),
    (-250.0, 0.00, (0.70, 0.75, 0.90)),
    (BONE, 0.00, (0.90, 0.84, 0.72)),
    (320.0, 0.05, (0.93, 0.88, 0.76)),
    (800.0, 0.16, (0.97, 0.94, 0.86)),
    (3000.0, 0.25, (1.00, 1.00, 0.97)),
    (3600.0, 0.50, (1.00, 0.68, 0.20)),
    (4600.0, 0.90, (1.00, 0.74, 0.25)),
)


def recoded_chest(volume: Volume, boxes: Sequence[Box]) -> Volume:
    """`volume` (CT in HU), coarser and recoded as above; a scan without lungs shows its bones alone."""
    from scipy.ndimage import binary_dilation

    from medinfer.anatomy.lungs import lung_mask

    coarse = coarsened(volume)
    values = coarse.voxels.astype(np.float32)
    try:
        lungs = lung_mask(coarse).mask > 0
    except ScanError:
        return coarse.with_voxels(np.maximum(values, 0).astype(np.int16))
    rim = binary_dilation(lungs, iterations=2)
    dense = values > -500
    inside = dense & lungs & ~_reaching_in(dense, lungs, coarse.spacing)
    # Not held to the lungs: their mask leaves out what touches the wall. Bone in a box stays bone.
    found = dense & (values < BONE) & _in_boxes(coarse.grid, boxes)
    result = np.where(rim, values, np.maximum(values, 0))
    result[inside] = -1000 - 2 * np.clip(values[inside] + 500, 0, 600)
    result[found] = 4000 + np.clip(values[found] + 500, 0, 600)
    return coarse.with_voxels(result.astype(np.int16))


def _reaching_in(dense: Mask, lungs: Mask, spacing: tuple[float, float, float]) -> Mask:
    """Which dense voxels belong to something thicker than a vessel that lies outside the lungs as well."""
    import cc3d
    from scipy.ndimage import distance_transform_edt

    reach = np.ceil((THICK_MM + RIM_MM) / np.array(spacing)).astype(int)
    occupied = np.argwhere(lungs)
    low = np.maximum(occupied.min(axis=0) - reach, 0)
    block = tuple(slice(a, b) for a, b in zip(low, occupied.max(axis=0) + reach + 1, strict=True))
    # The middles of balls that fit into it: an opening, as fast for a large ball as for a small one.
    middles = distance_transform_edt(dense[block], sampling=spacing) > THICK_MM
    parts = cc3d.connected_components(middles, connectivity=6)
    outside = np.unique(parts[middles & ~lungs[block]])
    result = np.zeros(dense.shape, dtype=bool)
    if len(outside):
        away = distance_transform_edt(~np.isin(parts, outside), sampling=spacing)
        # Blur and the rounding of voxels leave a rim.
        result[block] = dense[block] & (away <= THICK_MM + RIM_MM)
    return result


def _in_boxes(grid: Grid, boxes: Sequence[Box]) -> Mask:
    """`[k, j, i]`: whether a voxel centre lies in the index box around one of `boxes`."""
    inside = np.zeros(grid.shape, dtype=bool)
    for box in boxes:
        corners = grid.to_index(box.corners_ras())
        low = np.clip(np.ceil(corners.min(axis=0)).astype(int), 0, grid.shape)
        high = np.clip(np.floor(corners.max(axis=0)).astype(int) + 1, 0, grid.shape)
        inside[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return inside
