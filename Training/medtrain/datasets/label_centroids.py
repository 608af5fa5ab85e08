"""Centres of mass of all labels of a label map, in one pass over its voxels that are not 0."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.integer]


@dataclass(frozen=True)
class LabelCentroid:
    """One label of a map.

    centroid: its centre of mass, k, j, i in voxels, centres on integers. voxels: how many it has.
    at_border: whether it reaches an outer face of the map, so that part of it may lie beyond.
    """

    centroid: tuple[float, float, float]
    voxels: int
    at_border: bool


def label_centroids(labels: Integers) -> dict[int, LabelCentroid]:
    """The labels of the map `labels` `[k, j, i]` by value, in rising order, without 0."""
    places = np.nonzero(labels)
    values, rank = np.unique(labels[places], return_inverse=True)
    counts = np.bincount(rank, minlength=len(values))
    sums = [np.bincount(rank, weights=place, minlength=len(values)) for place in places]
    on_face = np.zeros(len(rank), bool)
    for place, size in zip(places, labels.shape, strict=True):
        on_face |= (place == 0) | (place == size - 1)
    at_border = np.bincount(rank, weights=on_face, minlength=len(values)) > 0
    return {
        int(value): LabelCentroid((float(k), float(j), float(i)), int(count), bool(border))
        for value, k, j, i, count, border in zip(
            values, *(total / counts for total in sums), counts, at_border, strict=True
        )
    }
