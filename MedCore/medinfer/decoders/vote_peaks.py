"""The clusters of votes for object centroids, and the cluster that each vote belongs to.

Votes are counted in cells of about a third of the objects' separation (2 voxels of 0.5 mm for teeth), so that what is
looked at are some thousands of cells that hold votes, not a million of voxels.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from ..tiles.tiling import Shape
from .peaks import separated

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]

_NEIGHBOURS = np.array([offset for offset in product((-1, 0, 1), repeat=3) if any(offset)])
# Empty cells around the votes: what the smoothing reaches.
_RIM = 3
# Two peaks are one where the density between them stays above this share of the lesser: two Gaussians of one width
# (with the smoothing) make it at 2.2 standard deviations from each other, and are one hill below 2.
_SADDLE = 0.85
# A cell's state where its votes are no peak's, and where they may be different ones'.
_NONE, _UNSURE = -1, -2


class VoteCells:
    """Votes `[3, n]` (mm along k, j, i) counted in cells.

    spacing: mm of the grid's voxels along k, j, i. separation: mm between two objects' centroids. shape: of the grid;
    a vote more than 4 × separation outside of it is none.
    """

    def __init__(self, votes: Floats32, spacing: Floats, separation: float, shape: Shape) -> None:
        import scipy.ndimage

        self.votes, self._separation = votes, separation
        self._cell = spacing * np.maximum(1, np.rint(separation / 3 / spacing))
        far = 4 * separation
        valid = np.ones(votes.shape[1], bool)
        for along, size, n in zip(votes, spacing, shape, strict=True):
            valid &= (along > -far) & (along < size * (n - 1) + far)
        used = votes[:, valid] if valid.any() else np.zeros((3, 1), np.float32)
        self._low = np.floor(used.min(axis=1) / self._cell) * self._cell - _RIM * self._cell
        self._shape = ((used.max(axis=1) - self._low) / self._cell).astype(np.int64) + 1 + _RIM
        self._steps = np.array([self._shape[1] * self._shape[2], self._shape[2], 1])
        # The cell of each vote, the one behind the last for none.
        self._of_vote = np.full(votes.shape[1], self._shape.prod(), np.int32)
        if valid.any():
            self._of_vote[valid] = self._cells_of(used)
        counts = np.bincount(self._of_vote, minlength=int(self._shape.prod()) + 1)[:-1]
        self._occupied = np.flatnonzero(counts)
        self._counts = counts[self._occupied]
        self._centres = self._middle(self._occupied)
        self._density = scipy.ndimage.gaussian_filter(
            counts.reshape(self._shape).astype(np.float32), separation / 4 / self._cell, mode="constant", truncate=2.5
        )

    def peaks(self, least: float, seeds: Floats | None = None) -> Floats:
        """The peaks of the votes, `[peaks, 3]` mm, most votes first.

        least: the fewest votes of a peak, all those nearer to it than to others and within twice the separation.
        seeds: `[n, 3]` mm, where objects are supposed: one with no peak within the separation, but enough votes, is
        a peak too.
        """
        maxima = self._maxima(least)
        peaks = self._apart(maxima)
        peaks = self._with_votes(peaks, least)
        if seeds is not None and len(seeds):
            peaks = self._with_seeds(peaks, seeds, least)
        votes = self._votes_of(peaks, 2 * self._separation)
        order = np.lexsort((*peaks.T[::-1], -votes))
        return peaks[order]

    def nearest(self, peaks: Floats, reach: float) -> NDArray[np.int32]:
        """For each vote the nearest of `peaks` `[n, 3]`, −1 where none is within `reach` mm."""
        from scipy.spatial import KDTree

        if len(peaks) == 0:
            return np.full(self.votes.shape[1], _NONE, np.int32)
        tree = KDTree(peaks)
        distance, nearest = (np.asarray(both) for both in tree.query(self._centres, k=[1, 2]))
        half = float(np.linalg.norm(self._cell)) / 2 * (1 + 1e-5) + 1e-4
        state = np.where(distance[:, 1] - distance[:, 0] > 2 * half, nearest[:, 0], _UNSURE)
        state[distance[:, 0] + half > reach] = _UNSURE
        state[distance[:, 0] - half > reach] = _NONE
        of_cell = np.full(int(self._shape.prod()) + 1, _NONE, np.int32)
        of_cell[self._occupied] = state
        found: NDArray[np.int32] = of_cell[self._of_vote]
        unsure = np.flatnonzero(found == _UNSURE)
        if len(unsure):
            # A little more: a vote exactly at the reach is within.
            away, which = tree.query(self.votes[:, unsure].T, distance_upper_bound=reach * (1 + 1e-9))
            found[unsure] = np.where(np.isfinite(away), which, _NONE)
        return found

    def _maxima(self, least: float) -> Floats:
        """Cells' places `[n, 3]` mm that none of the 26 neighbours tops, below the cell by the mass around, densest
        first."""
        # What a peak of that few votes comes to, if they are spread as widely as the separation.
        floor = least * float(self._cell.prod()) / ((2 * np.pi) ** 1.5 * self._separation**3)
        inner = (slice(1, -1),) * 3
        cells = np.argwhere(self._density[inner] >= min(floor, float(self._density.max()))) + 1
        flat = self._density.ravel()
        at = cells @ self._steps
        for step in _NEIGHBOURS @ self._steps:
            at = at[flat[at + step] <= flat[at]]
        at = at[flat[at] > 0]
        around = np.concatenate([[[0, 0, 0]], _NEIGHBOURS])
        mass = flat[at[:, None] + around @ self._steps].astype(np.float64)
        shift = (mass @ around) / mass.sum(axis=1, keepdims=True) * self._cell
        order = np.argsort(-flat[at], kind="stable")
        places: Floats = (self._middle(at) + shift)[order]
        return places

    def _apart(self, maxima: Floats) -> Floats:
        """Of maxima, densest first, those at least the separation apart that are hills of their own."""
        heights = self._density_at(maxima)
        kept: list[int] = []
        for n in separated(maxima, heights, self._separation):
            near = np.linalg.norm(maxima[kept] - maxima[n], axis=1) < 3 * self._separation
            if not any(self._one_hill(maxima[m], maxima[n], heights[n]) for m in np.array(kept, np.int64)[near]):
                kept.append(n)
        return maxima[kept]

    def _one_hill(self, higher: Floats, lower: Floats, height: float) -> bool:
        along = np.linspace(0, 1, 13)[:, None]
        return bool(self._density_at(higher + along * (lower - higher)).min() >= _SADDLE * height)

    def _density_at(self, places: Floats) -> Floats:
        import scipy.ndimage

        at = ((places - self._low) / self._cell - 0.5).T
        density: Floats = scipy.ndimage.map_coordinates(self._density, at, order=1, mode="constant", output=np.float64)
        return density

    def _with_votes(self, peaks: Floats, least: float) -> Floats:
        """Those that get enough votes. The weakest go first, and leave theirs to the others."""
        while len(peaks):
            votes = self._votes_of(peaks, 2 * self._separation)
            failing = np.flatnonzero(votes < least)
            if len(failing) == 0:
                break
            weakest = failing[np.argsort(votes[failing], kind="stable")]
            peaks = np.delete(peaks, weakest[: -(-len(weakest) // 2)], axis=0)
        return peaks

    def _with_seeds(self, peaks: Floats, seeds: Floats, least: float) -> Floats:
        for seed in np.asarray(seeds, np.float64):
            if len(peaks) and np.linalg.norm(peaks - seed, axis=1).min() < self._separation:
                continue
            several = np.concatenate([peaks, seed[None]])
            if self._votes_of(several, self._separation)[-1] >= least:
                peaks = several
        return peaks

    def _votes_of(self, peaks: Floats, reach: float) -> NDArray[np.int64]:
        """Votes nearer to each peak than to others and within `reach` mm, by cells."""
        from scipy.spatial import KDTree

        if len(peaks) == 0:
            return np.zeros(0, np.int64)
        _, nearest = KDTree(peaks).query(self._centres, distance_upper_bound=reach)
        votes = np.bincount(nearest, weights=self._counts, minlength=len(peaks) + 1)[: len(peaks)]
        return votes.astype(np.int64)

    def _cells_of(self, votes: Floats32) -> NDArray[np.int32]:
        cells = np.zeros(votes.shape[1], np.int32)
        for along, low, size, step in zip(votes, self._low, self._cell, self._steps, strict=True):
            cells += ((along - np.float32(low)) / np.float32(size)).astype(np.int32) * np.int32(step)
        return cells

    def _middle(self, cells: NDArray[np.int64]) -> Floats:
        """Cells' middles, mm."""
        places: Floats = (np.stack(np.unravel_index(cells, tuple(self._shape)), axis=1) + 0.5) * self._cell + self._low
        return places
