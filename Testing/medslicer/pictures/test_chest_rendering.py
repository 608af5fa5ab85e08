"""What the 3-D picture of a chest takes for vessels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medinfer.anatomy.lungs import lung_mask
from medinfer.volume import Grid, Volume
from medslicer.pictures.chest_rendering import recoded_chest

GRID = Grid((60, 70, 100), np.array([[-3.0, 0, 0, 150], [0, -3, 0, 100], [0, 0, 3, -90], [0, 0, 0, 1]]))


def chest() -> tuple[Volume, dict[str, NDArray[np.bool_]]]:
    """Two lungs: the dome of the liver rises into one, a vessel and a mass lie in the other."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in GRID.shape), indexing="ij"), axis=-1)
    r, a, s = np.moveaxis(GRID.to_ras(index), -1, 0)
    voxels = np.full(GRID.shape, -1000, np.int16)
    voxels[(r / 140) ** 2 + (a / 95) ** 2 < 1] = 40
    lung = np.zeros(GRID.shape, bool)
    for side in (-65, 65):
        lung |= ((r - side) / 50) ** 2 + (a / 70) ** 2 + (s / 75) ** 2 < 1
    voxels[lung] = -850
    parts = {
        "liver": ((r - 65) / 35) ** 2 + (a / 45) ** 2 + ((s + 75) / 60) ** 2 < 1,
        "vessel": ((r + 65) ** 2 + a**2 < 4**2) & (s > -30) & (s < 40),
        "mass": (r + 80) ** 2 + (a - 30) ** 2 + (s - 10) ** 2 < 13**2,
    }
    for part in parts.values():
        voxels[part & lung] = 40
    return Volume(voxels, GRID, "CHEST", "CT"), parts


def test_the_dome_of_the_liver_is_no_vessel_and_what_lies_in_the_lung_is() -> None:
    volume, parts = chest()
    lungs = lung_mask(volume).mask > 0
    # Slice by slice the lung closes over the top of the dome: this is what was red.
    covered = parts["liver"] & lungs
    assert covered.sum() > 100
    red = recoded_chest(volume, ()).voxels <= -1200
    assert not red[parts["liver"]].any()
    for name in ("vessel", "mass"):
        assert red[parts[name] & lungs].mean() > 0.6, name


def test_a_scan_without_lungs_shows_its_bones_alone() -> None:
    volume, _ = chest()
    solid = volume.with_voxels(np.full(GRID.shape, 40, np.int16))
    assert recoded_chest(solid, ()).voxels.min() == 40
