"""Objects on a network's grid: where their voxels are in the world."""

from __future__ import annotations

import numpy as np

from medinfer.decoders import IndexSegment, IndexSegments
from medinfer.inference.found import Named, Objects
from medinfer.volume import Grid


def test_the_voxels_of_an_object_lie_in_the_middle_of_the_voxels_that_they_cover() -> None:
    matrix = np.diag([-0.5, 0.75, 2.0, 1.0])
    matrix[:3, 3] = 10, -20, 30
    grid = Grid((8, 12, 10), matrix)
    labels = np.zeros((4, 6, 5), np.uint8)
    labels[1, 2, 3], labels[3, 0:2, 4] = 1, 2
    segments = tuple(IndexSegment(value, 1.0, (0, 0, 0), 1) for value in (1, 2))
    voxels = IndexSegments(labels, labels * 100, segments)
    objects = Objects(voxels, grid, 2, "RAS", (Named("a", 1.0), Named("b", 1.0)))
    one, two = objects.voxel_places()
    # Output voxel 1 covers voxels 2 and 3 of the grid: its middle is 2.5.
    np.testing.assert_allclose(one, grid.to_ras([[2.5, 4.5, 6.5]]))
    np.testing.assert_allclose(two, grid.to_ras([[6.5, 0.5, 8.5], [6.5, 2.5, 8.5]]))
