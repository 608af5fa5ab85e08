"""The object of each foreground voxel, kept both as a label map and as a list of its foreground.

Whatever is asked of neighbours is asked for the foreground alone, and whatever of an object within its box: a volume
of 33 million voxels has a million of foreground.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..tiles.tiling import Shape
from .label_cleanup import Box

Indices = NDArray[np.int64]
Labels = NDArray[np.uint8]


class ObjectVoxels:
    """Foreground voxels of a grid of `shape`, `[n]` flat indices, rising, and the object of each (0: none yet).

    votes: `[3, n]` mm along k, j, i, where each voxel supposes its object's centroid.
    """

    def __init__(self, shape: Shape, indices: Indices, objects: Labels, votes: NDArray[np.float32]) -> None:
        self._inner = (slice(1, -1),) * 3
        # With a rim, so that a voxel's neighbours are always there.
        self._padded = np.zeros([n + 2 for n in shape], np.uint8)
        self._steps = (self._padded.shape[1] * self._padded.shape[2], self._padded.shape[2], 1)
        # [3, n]: long rows.
        self.places = np.stack(np.unravel_index(indices, shape)).astype(np.int32)
        self._at = np.ravel_multi_index(tuple(self.places + 1), self._padded.shape)
        self._flat = self._padded.reshape(-1)
        self._votes = votes
        self._flat[self._at] = objects

    @property
    def labels(self) -> Labels:
        """The label map `[k, j, i]`, a view."""
        view: Labels = self._padded[self._inner]
        return view

    @property
    def objects(self) -> Labels:
        """The object of each foreground voxel `[n]`, 0 for none."""
        objects: Labels = self._flat[self._at]
        return objects

    def relabel(self, values: Labels) -> None:
        """Give each object the value at its own in `values` `[256]`, 0 to drop it."""
        labels = self.labels
        if (values == np.arange(256)).all():
            return
        # All found before any changes: two may change places.
        masks = [(values[value], box, labels[box] == value) for value, box in self.boxes().items()]
        for value, box, mask in masks:
            labels[box][mask] = value

    def boxes(self) -> dict[int, Box]:
        """Each object's box, by rising value."""
        objects = self.objects
        sides: list[list[slice]] = []
        for along, size in zip(self.places, self.labels.shape, strict=True):
            there = np.zeros((256, size), bool)
            there[objects, along] = True
            low, high = there.argmax(axis=1), size - there[:, ::-1].argmax(axis=1)
            sides.append([slice(int(a), int(b)) for a, b in zip(low, high, strict=True)])
        k, j, i = sides
        return {int(value): (k[value], j[value], i[value]) for value in range(1, 256) if there[value].any()}

    def grow(self, peaks: NDArray[np.float64], layers: int) -> None:
        """Assign unassigned voxels to an object they touch (6 neighbours), for a number of layers.

        peaks: `[values, 3]` mm by value − 1; of several objects that one whose peak the voxel's vote is nearest to.
        """
        loose = np.flatnonzero(self._flat[self._at] == 0)
        steps = np.array([sign * step for step in self._steps for sign in (-1, 1)])
        targets = np.concatenate([np.full((1, 3), np.inf), peaks])
        for _ in range(layers):
            beside = self._flat[self._at[loose][:, None] + steps]
            touching = beside.any(axis=1)
            if not touching.any():
                break
            now, beside = loose[touching], beside[touching]
            away = np.linalg.norm(self._votes[:, now].T[:, None] - targets[beside], axis=2)
            self._flat[self._at[now]] = beside[np.arange(len(now)), away.argmin(axis=1)]
            loose = loose[~touching]

    def contact(self, value: int, box: Box) -> NDArray[np.float64]:
        """The shares of an object's surface that lie on each value `[256]` (0: free), by faces of voxels; box: its."""
        wide = self._padded[tuple(slice(side.start, side.stop + 2) for side in box)]
        own = wide[self._inner] == value
        faces = np.zeros(256, np.int64)
        for axis, start in ((axis, start) for axis in range(3) for start in (0, 2)):
            moved = tuple(slice(start, start + n) if axis == b else slice(1, -1) for b, n in enumerate(own.shape))
            faces += np.bincount(wide[moved][own], minlength=256)
        faces[value] = 0
        shares: NDArray[np.float64] = faces / faces.sum()
        return shares
