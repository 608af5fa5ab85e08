"""The jaws unrolled along the dental arch, as on a panoramic radiograph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medinfer.volume import Floats, Volume

from ..nodes.labelmaps import Layer
from .dental_arch import DentalArch

PIXEL_MM = 0.25
# The wall that is shown: as thick as the roots stand out of it, sampled coarsely: their mean is looked at.
DEPTH_MM, DEPTH_STEP_MM = 14.0, 1.0
# Around the teeth.
BESIDE_MM, ABOVE_MM = 8.0, 9.0
# Radians, for the curve's direction.
_NUDGE = 1e-3


@dataclass(frozen=True, eq=False)
class Panorama:
    """Pixels `[row, column]`, the head up and the patient's right on the left, PIXEL_MM apart.

    grey: the mean of the scan's values through the wall. masks: by a segment's ID, where it is met.
    """

    grey: NDArray[np.float32]
    masks: dict[str, NDArray[np.bool_]]


def panorama(
    arch: DentalArch, heights: tuple[float, float], volume: Volume, layers: Sequence[Layer], to_world: Floats
) -> Panorama:
    """Unroll `volume` and the segments of `layers` along `arch`, which is given in the world.

    heights: the lowest and highest S (mm) that there is to see. to_world: 4×4, mm, from the coordinates of `volume` and
    of the segments to the world (their parent transform).
    """
    from scipy.ndimage import map_coordinates

    wall = _wall(arch, heights)
    local = (wall - to_world[:3, 3]) @ np.linalg.inv(to_world[:3, :3]).T
    voxels: NDArray[Any] = volume.voxels
    outside = float(voxels.min())
    grey = np.zeros(wall.shape[:2], np.float32)
    labels = [np.zeros(wall.shape[:3], np.uint8) for _ in layers]
    # One sheet of the wall at a time: no copy of all places in voxels.
    for depth in range(wall.shape[2]):
        sheet = local[:, :, depth]
        at = np.moveaxis(volume.grid.to_index(sheet), -1, 0)
        grey += map_coordinates(voxels, at, np.float32, order=1, cval=outside)
        for layer, met in zip(layers, labels, strict=True):
            at = np.moveaxis(layer.label_map.grid.to_index(sheet), -1, 0)
            met[:, :, depth] = map_coordinates(layer.label_map.voxels, at, order=0)
    return Panorama(grey / wall.shape[2], {
        one: (met == value).any(axis=2)
        for layer, met in zip(layers, labels, strict=True) for one, value in layer.values.items()
    })


def _wall(arch: DentalArch, heights: tuple[float, float]) -> Floats:
    """World places (RAS mm) `[row, column, depth, 3]` from the highest row down, from outside inwards."""
    angles, beyond = arch.along(PIXEL_MM, BESIDE_MM)
    rows = np.arange(heights[1] + ABOVE_MM, heights[0] - ABOVE_MM, -PIXEL_MM)
    middle = sum(arch.heights) / 2
    ahead = arch.points(angles + _NUDGE, middle) - arch.points(angles - _NUDGE, middle)
    along = ahead / np.linalg.norm(ahead, axis=1, keepdims=True)
    outwards = np.stack([along[:, 1], -along[:, 0]], axis=1)
    # The middles of the layers, from outside inwards.
    depths = np.arange((DEPTH_MM - DEPTH_STEP_MM) / 2, -DEPTH_MM / 2, -DEPTH_STEP_MM)
    wall = np.zeros((len(rows), len(angles), len(depths), 3), np.float64)
    for row, height in enumerate(rows):
        curve = arch.points(angles, height) + along * beyond[:, None]
        wall[row, :, :, :2] = curve[:, None] + outwards[:, None] * depths[:, None]
        wall[row, :, :, 2] = height
    return wall
