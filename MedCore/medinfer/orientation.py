"""Reorienting a scan's axes to the order and directions that a network was trained on, without copying."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from .label_map import LabelMap
from .volume import Grid, Volume

Scalar = TypeVar("Scalar", bound=np.generic)

# RAS component and sign of each direction letter.
_LETTERS = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}


def reorient(volume: Volume, orientation: str | None) -> Volume:
    """Permute and flip the axes so that i, j, k run nearest to the three letters (e.g. "LPS"); None: as they are.

    An oblique scan stays oblique: each axis goes to the letter that it is nearest to, and
    `ijk_to_ras` follows, so every voxel keeps its place in the world. The voxels are a view.
    """
    if orientation is None:
        return volume
    wanted = [_LETTERS[letter] for letter in orientation]
    directions = volume.grid.directions
    # The assignment of axes to letters with the largest sum of |cosine|; greedy choices can clash at 45°.
    source = max(
        permutations(range(3)),
        key=lambda axes: sum(abs(directions[ras, axis]) for (ras, _), axis in zip(wanted, axes, strict=True)),
    )
    matrix = volume.grid.ijk_to_ras[:, list(source)]
    signs = [float(np.sign(matrix[ras, column]) * sign) for column, (ras, sign) in enumerate(wanted)]
    voxels, grid = _turned(volume.voxels, volume.grid, list(source), signs)
    further = {name: _turned(image, volume.grid, list(source), signs)[0] for name, image in volume.further.items()}
    return Volume(voxels, grid, volume.name, volume.modality, volume.notes, further=further)


def aligned(labels: LabelMap, grid: Grid) -> LabelMap:
    """The same labels with their axes in the order and direction of `grid`'s, to which they are parallel."""
    # Column c of `turn`: the axis c of the labels (i, j, k) in axes of the grid.
    turn = np.linalg.inv(grid.directions) @ labels.grid.directions
    source = [int(axis) for axis in np.abs(turn).argmax(axis=1)]
    signs = [float(turn[column, axis]) for column, axis in enumerate(source)]
    voxels, turned = _turned(labels.voxels, labels.grid, source, signs)
    return LabelMap(np.ascontiguousarray(voxels), turned)


def _turned(
    voxels: NDArray[Scalar], grid: Grid, source: Sequence[int], signs: Sequence[float]
) -> tuple[NDArray[Scalar], Grid]:
    """Axis c (of i, j, k) becomes what was axis source[c], turned round where signs[c] is negative. A view."""
    matrix = grid.ijk_to_ras[:, [*source, 3]].copy()
    voxels = np.transpose(voxels, [2 - axis for axis in reversed(source)])
    for column, sign in enumerate(signs):
        if sign < 0:
            array_axis = 2 - column
            matrix[:, 3] += matrix[:, column] * (voxels.shape[array_axis] - 1)
            matrix[:, column] *= -1
            voxels = np.flip(voxels, array_axis)
    k, j, i = voxels.shape
    return voxels, Grid((k, j, i), matrix)
