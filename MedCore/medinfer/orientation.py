"""Bringing a scan's axes into the order and direction a network was trained on. Only views are made."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from .volume import Grid, Volume

# RAS component and sign of each direction letter.
_LETTERS = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}


def reorient(volume: Volume, orientation: str) -> Volume:
    """Permute and flip the axes so that i, j, k run nearest to the three letters (e.g. "LPS").

    An oblique scan stays oblique: each axis goes to the letter that it is nearest to, and
    `ijk_to_ras` follows, so every voxel keeps its place in the world. The voxels are a view.
    """
    wanted = [_LETTERS[letter] for letter in orientation]
    directions = volume.grid.directions
    # The assignment of axes to letters with the largest sum of |cosine|; greedy choices can clash at 45°.
    source = max(
        permutations(range(3)),
        key=lambda axes: sum(abs(directions[ras, axis]) for (ras, _), axis in zip(wanted, axes, strict=True)),
    )
    matrix = volume.grid.ijk_to_ras[:, [*source, 3]].copy()
    voxels = np.transpose(volume.voxels, [2 - axis for axis in reversed(source)])
    for column, (ras, sign) in enumerate(wanted):
        if np.sign(matrix[ras, column]) != sign:
            array_axis = 2 - column
            matrix[:, 3] += matrix[:, column] * (voxels.shape[array_axis] - 1)
            matrix[:, column] *= -1
            voxels = np.flip(voxels, array_axis)
    k, j, i = voxels.shape
    return Volume(voxels, Grid((k, j, i), matrix), volume.name, volume.modality, volume.notes)
