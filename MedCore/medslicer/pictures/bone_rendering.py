"""How a CT is made see-through for the 3-D picture of landmarks: the bones around them in ivory, all others as glass.

    soft tissue and air                0                        clear
    bone near a landmark               HU                       ivory
    bone elsewhere (ribs, pelvis)      HU with its sign turned  a pale shade
"""

from __future__ import annotations

import numpy as np

from medinfer.volume import Floats, Volume

from .rendering import Transfer, coarsened

BONE = 110
# From a vertebra's centroid to the tips of its processes.
NEAR_MM = 60.0
BONE_TRANSFER: Transfer = (
    (-3000.0, 0.030, (0.62, 0.70, 0.80)),
    (-600.0, 0.012, (0.62, 0.70, 0.80)),
    (-260.0, 0.000, (0.62, 0.70, 0.80)),
    (130.0, 0.000, (0.72, 0.58, 0.44)),
    (200.0, 0.120, (0.80, 0.68, 0.54)),
    (320.0, 0.350, (0.90, 0.82, 0.70)),
    (700.0, 0.600, (0.97, 0.92, 0.83)),
    (3000.0, 0.800, (1.00, 1.00, 0.97)),
)


def recoded_bones(volume: Volume, points_ras: Floats) -> Volume:
    """`volume` (CT in HU), coarser and recoded as above; points_ras: landmarks `[n, 3]`, RAS mm.

    Without landmarks all bones are near.
    """
    from scipy.spatial import KDTree

    coarse = coarsened(volume)
    values = coarse.voxels.astype(np.int16)
    values[values < BONE] = 0
    bone = np.argwhere(values)
    if len(points_ras) and len(bone):
        distance, _ = KDTree(points_ras).query(coarse.grid.to_ras(bone), distance_upper_bound=NEAR_MM)
        far = bone[np.isinf(distance)]
        values[tuple(far.T)] *= -1
    return coarse.with_voxels(values)
