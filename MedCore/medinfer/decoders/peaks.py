"""Peaks of a heatmap: local maxima, their separation, and their positions with sub-voxel precision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ..manifest import HeatmapDecoder
from ..tiles.tiling import Shape
from .bright_voxels import KEPT_SHARE, BrightVoxels, plane_maxima
from .index_box import Point

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]

# Offsets to a voxel's neighbours `[26, 3]`, faces first: most voxels fail there.
_NEIGHBOURS = np.array(sorted((o for o in product((-1, 0, 1), repeat=3) if any(o)), key=lambda o: sum(map(abs, o))))
# A fit looks this many voxels along each axis, at those that reach this share of the peak's height: noise hardly does.
# Of a spot of two or three voxels these are too few; the second fit takes all that are kept of it.
_FITS = ((5, 0.25), (2, KEPT_SHARE))
_WINDOW = np.array(list(product(range(-5, 6), repeat=3)))
# On a flat (or noisy) top the fit walks to its middle, so many steps of up to two voxels that are this bright.
_MOST_STEPS, _FLAT = 5, 0.85


@dataclass(frozen=True)
class Peak:
    """position: k, j, i on the output grid, fractional. height: the heatmap's there.
    deviation: in voxels of that grid, where the distribution was looked at."""

    position: Point
    height: float
    deviation: Point | None = None


class PeakReading:
    """Reads the peaks of every channel of an output grid of `shape`; spacing: mm of its voxels along k, j, i.

    most: peaks asked for a channel, at least the decoder's separation apart, each at least its threshold high.
    """

    def __init__(self, decoder: HeatmapDecoder, channels: int, shape: Shape, spacing: Point, most: int) -> None:
        self._shape, self._spacing, self._most = shape, np.array(spacing), most
        # As float32, as the values are that it is compared to.
        self._least = np.float32(decoder.threshold * decoder.peak)
        # Neighbouring voxels are never two peaks.
        self._separation = max(decoder.separation_mm, 1.001 * float(np.linalg.norm(spacing)))
        self._bright = [BrightVoxels(shape, float(self._least), only_best=most == 1) for _ in range(channels)]

    def feed(self, start: Shape, values: NDArray[np.float32]) -> None:
        """Take the finished block `values` `[c, k, j, i]` whose first voxel is `start`."""
        maxima = plane_maxima(values)
        levels = np.array([bright.level for bright in self._bright])
        finite = np.where(np.isfinite(maxima), maxima, -np.inf)
        for bright, highest in zip(self._bright, finite.max(axis=1), strict=True):
            bright.saw(highest)
        # Not “>=”: a slice with a NaN must be looked at too.
        for channel, k in zip(*np.nonzero(~(maxima < levels[:, None])), strict=True):
            place = (start[0] + int(k), start[1], start[2])
            self._bright[channel].add(place, values[channel, k], maxima[channel, k])

    def highest(self, channel: int) -> float:
        """The highest value of a channel, −∞ if it has none."""
        return self._bright[channel].highest

    def peaks(self, channel: int) -> list[Peak]:
        """The channel's peaks, best first, without those whose true position lies outside the grid.

        Where one peak is asked for it is the highest voxel (of equal ones the first, as `numpy.argmax`), or none.
        """
        spots = _Spots(*self._bright[channel].collected(), self._shape)
        if self._most == 1:
            order = iter(spots.highest(self._least))
        else:
            places, heights = spots.local_maxima(self._least)
            order = (places[n] for n in separated(places * self._spacing, heights, self._separation))
        found: list[Peak] = []
        for place in order:
            position = spots.refined(place, self._spacing, self._separation / 2)
            if position is not None:
                found.append(Peak(position, float(spots.at(place[None])[0])))
            if len(found) == self._most:
                break
        return found


def separated(places: Floats, heights: NDArray[np.floating], separation: float) -> Iterator[int]:
    """Indices of points `[n, 3]` from the highest down, leaving out those nearer than `separation` to one before.

    Equal heights in the order given.
    """
    from scipy.spatial import KDTree

    tree, there = KDTree(places), np.ones(len(places), dtype=bool)
    # A little less: points exactly `separation` apart are both reported.
    radius = separation * (1 - 1e-9)
    for n in np.argsort(-heights, kind="stable"):
        if there[n]:
            yield int(n)
            there[tree.query_ball_point(places[n], radius)] = False


class _Spots:
    """The bright voxels of one channel; all others are dark (0)."""

    def __init__(self, indices: Indices, heights: NDArray[np.float32], shape: Shape) -> None:
        self._indices, self._heights, self._shape = indices, heights, np.array(shape)
        self._steps = np.array([shape[1] * shape[2], shape[2], 1])

    def at(self, places: Indices) -> NDArray[np.float32]:
        """Heights at voxels `[n, 3]`; 0 outside of the grid."""
        if not len(self._indices):
            return np.zeros(len(places), np.float32)
        wanted = places @ self._steps
        slot = np.minimum(np.searchsorted(self._indices, wanted), len(self._indices) - 1)
        inside = ((places >= 0) & (places < self._shape)).all(axis=1)
        return np.where(inside & (self._indices[slot] == wanted), self._heights[slot], np.float32(0))

    def highest(self, least: np.float32) -> Indices:
        """The highest voxel `[1, 3]`, or `[0, 3]` where it is below `least`."""
        if not len(self._heights) or self._heights.max() < least:
            return np.empty((0, 3), np.int64)
        return self._places(self._indices[[int(self._heights.argmax())]])

    def local_maxima(self, least: np.float32) -> tuple[Indices, NDArray[np.float32]]:
        """Voxels `[n, 3]` of at least `least` that none of the 26 neighbours tops, and their heights."""
        bright = self._heights >= least
        places, heights = self._places(self._indices[bright]), self._heights[bright]
        for offset in _NEIGHBOURS:
            topped = self.at(places + offset) > heights
            places, heights = places[~topped], heights[~topped]
        return places, heights

    def refined(self, place: Indices, spacing: Floats, radius_mm: float) -> Point | None:
        """The true place of the peak whose highest voxel is `place`; None where it lies outside of the grid.

        The vertex of a Gaussian through the voxels around, no farther than `radius_mm` (but with all 26 neighbours);
        where it is nearer to another voxel, as on a flat top, the one through the voxels around that. Only a peak whose
        highest voxel sits on the border can lie outside.
        """
        window = _WINDOW[(np.abs(_WINDOW * spacing) <= np.maximum(radius_mm, spacing)).all(axis=1)]
        height, middle = self.at(place[None])[0], place
        for _ in range(_MOST_STEPS):
            offset = self._vertex(middle, window, height)
            nearest = np.clip(middle + np.rint(np.clip(offset, -2, 2)).astype(np.int64), 0, self._shape - 1)
            if (nearest == middle).all():
                break
            far = float(np.linalg.norm((nearest - place) * spacing)) > radius_mm
            if far or self.at(nearest[None])[0] < _FLAT * height:
                # The vertex is elsewhere than the top: no Gaussian, or noise.
                offset = np.clip(offset, -1, 1)
                break
            offset, middle = offset - (nearest - middle), nearest
        true = middle + offset
        k, j, i = (float(x) for x in np.clip(true, -0.5, self._shape - 0.5))
        at_border = (place == 0) | (place == self._shape - 1)
        return None if (at_border & (true != (k, j, i))).any() else (k, j, i)

    def _vertex(self, middle: Indices, window: Indices, height: np.float32) -> Floats:
        """From `middle`, where the vertex of a Gaussian through the voxels around it lies: those of `window` `[n, 3]`
        that reach a share of `height`."""
        heights = self.at(middle + window).astype(np.float64)
        # Brighter than what lies half-way: the slope of another peak.
        same = self.at(middle + np.rint(window / 2).astype(np.int64)) >= 0.9 * heights
        for reach, share in _FITS:
            used = same & (np.abs(window).max(axis=1) <= reach) & (heights >= share * height)
            vertex = gaussian_vertex(window[used], heights[used])
            if vertex is not None:
                return vertex
        return np.array([self._along(middle, axis) for axis in range(3)])

    def _along(self, place: Indices, axis: int) -> float:
        """The vertex along one axis alone, from the voxel and its two neighbours; at the border from the two inside."""
        thick = self._shape[axis] > 2
        inward = {0: 1, self._shape[axis] - 1: -1}.get(place[axis], 0) if thick else 0
        steps = np.zeros((3, 3), np.int64)
        steps[:, axis] = inward * np.arange(3) if inward else (-1, 0, 1)
        before, middle, after = self.at(place + steps).astype(np.float64)
        if inward:
            return -inward * beyond(before, middle, after)
        if min(before, after) > 0:
            curvature = np.log(before) - 2 * np.log(middle) + np.log(after)
            return float((np.log(before) - np.log(after)) / (2 * curvature)) if curvature < 0 else 0.0
        # A spot, or a grid, of one or two voxels: the centre of mass.
        return float((after - before) / (before + middle + after))

    def _places(self, indices: Indices) -> Indices:
        return np.stack(np.unravel_index(indices, tuple(self._shape)), axis=1)


def beyond(first: float, second: float, third: float) -> float:
    """How far outside of the first voxel of a line the vertex of a Gaussian through its first three heights lies.

    In voxels, negative inside; ∞ where the heights rise ever more steeply towards the border, 0 where they tell
    nothing.
    """
    if min(first, second, third) <= 0 or not first > second:
        return 0.0
    slope = np.log(first) - np.log(second)
    curvature = np.log(first) - 2 * np.log(second) + np.log(third)
    # l(x) = l0 + b x + c x²/2 with l(1) − l(0) = −slope: b = −slope − c/2; the vertex is at −b / c.
    return float("inf") if curvature >= 0 else float(-slope / curvature - 0.5)


def gaussian_vertex(offsets: Indices, heights: Floats) -> Floats | None:
    """The centre `[3]` of the Gaussian that fits `heights` (above 0) at `offsets` `[n, 3]` best, None where none does.

    Least squares on the logarithm, which is a quadratic, weighted by the heights (Guo, IEEE Signal Processing
    Magazine 28(5), 2011). Axes and cross terms free: the Gaussian may be of any shape and lie aslant, and the
    offsets on one side only. None as well where fewer than three different offsets are known along an axis.
    """
    if any(len(np.unique(along)) < 3 for along in offsets.T):
        return None
    x = offsets.astype(np.float64)
    first, second = np.triu_indices(3)
    terms = np.column_stack([np.ones(len(x)), x, x[:, first] * x[:, second]])
    weights = heights / heights.max()
    fit = np.linalg.lstsq(terms * weights[:, None], np.log(heights) * weights, rcond=None)[0]
    bend = np.zeros((3, 3))
    bend[first, second] = fit[4:]
    bend = bend + bend.T
    if np.linalg.eigvalsh(bend).max() > -1e-9:
        return None
    vertex: Floats = -np.linalg.solve(bend, fit[1:4])
    return vertex
