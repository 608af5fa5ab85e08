"""How a chest CT is made see-through for the 3-D picture: bones as glass, lungs as a shell, vessels, findings.

Volume rendering gives a colour to a value, but a vessel in the lung has the same HU as the muscle around it. So the
voxels are recoded first, in a copy of at most 256 voxels an edge:

    outside the lungs   HU, nothing below 0      soft tissue clear, bone ivory
    lung                HU                       −850 clear, the border at −600…−300 a blue shell
    lung, above −500    down from −1000          vessels red
    the same in a box   up from 4000             findings in orange
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
    inside = dense & lungs
    # Not held to the lungs: their mask leaves out what touches the wall. Bone in a box stays bone.
    found = dense & (values < BONE) & _in_boxes(coarse.grid, boxes)
    result = np.where(rim, values, np.maximum(values, 0))
    result[inside] = -1000 - 2 * np.clip(values[inside] + 500, 0, 600)
    result[found] = 4000 + np.clip(values[found] + 500, 0, 600)
    return coarse.with_voxels(result.astype(np.int16))


def _in_boxes(grid: Grid, boxes: Sequence[Box]) -> NDArray[np.bool_]:
    """`[k, j, i]`: whether a voxel centre lies in the index box around one of `boxes`."""
    inside = np.zeros(grid.shape, dtype=bool)
    for box in boxes:
        corners = grid.to_index(box.corners_ras())
        low = np.clip(np.ceil(corners.min(axis=0)).astype(int), 0, grid.shape)
        high = np.clip(np.floor(corners.max(axis=0)).astype(int) + 1, 0, grid.shape)
        inside[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return inside
