"""A lung nodule in its box: which part of the scan it is, and whether it is solid.

    box -> the scan around on cubes -> threshold between lung and nodule -> chest wall cut off -> vessels cut off

The threshold lies about halfway between the lung around and the nodule, where the scanner's blur leaves a border where
it is. The lung is convex where the chest wall bounds it, so the wall lies outside the convex hull of the air around. A
vessel is thinner than the nodule, so an opening takes it away (both as in Kuhnigk et al., IEEE TMI 2006). Around what
is solid lies ground glass if the lung there is denser than elsewhere, farther out than blur reaches.

The constants were set on chest phantoms of the seeds 5000–5019; `Testing/benchmarks/nodule_measures.py` compares the
measures with the drawn volumes of other seeds, and with LUNA16's diameters on real scans.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..findings import Box, NoduleKind
from ..volume import Volume
from .nodule_block import NoduleBlock, block_around

Mask = NDArray[np.bool_]
Values = NDArray[np.float32]
Index = tuple[int, int, int]

# HU of air for certain, of lung where none is seen around, of what is solid at most, and at least in a core.
_AIR, _LUNG, _SOLID_MOST, _SOLID = -500.0, -860.0, 60.0, -400.0
_DENSE = -350.0
# Where between lung (0) and nodule (1) the border lies. A blurred ball shrinks at one half, the more the smaller it is.
_BORDER, _GLASS_BORDER = 0.45, 0.5
# Of the largest ball inside: an opening with this share of its radius cuts vessels off; the rest grows back by so much.
_OPENED, _GLASS_OPENED, _REGROWN = 0.65, 0.5, 0.15
# How far from the box's centre a nodule can reach, in radii of the box.
_REACH = 1.25
# Ground glass around a core: so many HU above the lung and this share of the whole, in nodules of this radius at least.
_GLASS_HU, _GLASS_SHARE, _GLASS_RADIUS_MM = 120.0, 0.3, 3.0
# Smoothing reaches so far.
_SMOOTHED_MM = 2.5
# The solid share from which ground glass is part-solid.
_SOLID_SHARE = 0.02


@dataclass(frozen=True, eq=False)
class Nodule:
    """mask: `[k, j, i]` on the cubes of `block`. solid: the part of it that is solid. kind: what it is made of."""

    block: NoduleBlock
    mask: Mask
    solid: Mask
    kind: NoduleKind


def segment_nodule(volume: Volume, box: Box) -> Nodule | None:
    """The nodule that `box` marks on a CT in HU; None where nothing denser than lung is in its middle."""
    block = block_around(volume, box)
    return None if block is None else _Search(block).nodule()


class _Search:
    """lung: HU of the lung around. bounds: where the nodule may lie. start: a voxel of it; core: its HU there."""

    def __init__(self, whole: NoduleBlock) -> None:
        around = whole.values[(whole.values < -600) & (whole.from_middle < 2.2 * whole.radius_mm + 6)]
        self.lung = float(np.median(around)) if len(around) > 50 else _LUNG
        reach = _REACH * whole.radius_mm + 1
        # Farther off the lung and the wall count, but no nodule lies there.
        where = whole.near(reach + _SMOOTHED_MM)
        self.block = block = whole.part(where)
        self.step, self.radius = block.step, block.radius_mm
        self.bounds = _within_the_lung(whole)[where] & (block.from_middle < reach)
        self.quiet = self._smoothed(0.8)
        self.start, self.core = self._start()

    def nodule(self) -> Nodule | None:
        near = self.block.from_middle
        middle = self.quiet[(near < 0.45 * self.radius + 0.3) & self.bounds]
        density = float(np.clip(np.median(middle), self.lung + 100, _SOLID_MOST)) if middle.size else self.lung
        if self.core <= _SOLID or density < _SOLID:
            return self._of_glass(density)
        mask = self._grown(self.block.values, self._between(self.core, _BORDER), _OPENED)
        if not mask.any():
            return None
        glass = self._glass_around(mask)
        if glass is None:
            return Nodule(self.block, mask, mask, "solid")
        return Nodule(self.block, glass, mask, "part-solid")

    def _of_glass(self, density: float) -> Nodule | None:
        from scipy.ndimage import binary_erosion, binary_opening

        mask = self._grown(self.quiet, self._between(density, _GLASS_BORDER), _GLASS_OPENED)
        if not mask.any():
            return None
        inner = binary_erosion(mask, iterations=self._steps(1.0))
        solid: Mask = binary_opening((self._smoothed(0.5) > _DENSE) & inner, iterations=self._steps(0.6))
        share = np.count_nonzero(solid) / np.count_nonzero(mask)
        return Nodule(self.block, mask, solid, "part-solid" if share > _SOLID_SHARE else "ground-glass")

    def _glass_around(self, solid: Mask) -> Mask | None:
        """The whole nodule where ground glass lies around what is solid; None where it doesn't."""
        if self.radius < _GLASS_RADIUS_MM:
            return None
        blur = 0.8 + 0.3 * self.block.slices_mm
        away = self._distance(~solid)
        rim = (away > blur) & (away < blur + 1.6) & self.bounds & (self.block.from_middle < 1.15 * self.radius)
        if np.count_nonzero(rim) <= 20:
            return None
        density = float(np.percentile(self.quiet[rim], 45))
        if density <= self.lung + _GLASS_HU:
            return None
        whole = self._grown(self.quiet, self._between(density, _GLASS_BORDER), _GLASS_OPENED) | solid
        beyond = np.count_nonzero(whole & (away > blur)) / np.count_nonzero(whole)
        return whole if beyond > _GLASS_SHARE else None

    def _start(self) -> tuple[Index, float]:
        """What is densest near the middle, and how dense; the nearer, the likelier it is."""
        smooth, near = self._smoothed(max(0.12 * self.radius, 0.5)), self.block.from_middle
        inner = near < 0.6 * self.radius + 0.5
        likely = (smooth - self.lung) * np.exp(-0.5 * (near / (0.5 * self.radius + 0.5)) ** 2)
        k, j, i = np.unravel_index(int(np.where(inner, likely, -np.inf).argmax()), near.shape)
        start = int(k), int(j), int(i)
        return start, float(np.clip(smooth[start], self.lung + 100, _SOLID_MOST))

    def _grown(self, values: Values, threshold: float, opened: float) -> Mask:
        """What lies above the threshold and hangs together with the start, without what is thinner than the rest."""
        from scipy.ndimage import binary_fill_holes

        mask = self._component((values > threshold) & self.bounds, 1.5)
        if not mask.any():
            return mask
        mask = binary_fill_holes(mask)
        depth = self._distance(np.pad(mask, 1))[1:-1, 1:-1, 1:-1]
        largest = float(depth[self.block.from_middle < 0.8 * self.radius + 0.5].max(initial=0))
        core = self._component(depth > opened * largest, self.radius + 2)
        if not core.any():
            return mask
        kept: Mask = mask & (self._distance(~core) <= (opened + _REGROWN) * largest)
        return kept

    def _component(self, mask: Mask, reach_mm: float) -> Mask:
        """The component of `mask` with the voxel nearest to the start; none where that is farther than `reach_mm`."""
        import cc3d

        labels = cc3d.connected_components(mask, connectivity=6)
        found = labels[self.start]
        if not found and mask.any():
            places = np.argwhere(mask)
            away = ((places - self.start) ** 2).sum(axis=1)
            nearest = int(away.argmin())
            if away[nearest] ** 0.5 * self.step <= reach_mm:
                found = labels[tuple(places[nearest])]
        part: Mask = (labels == found) & mask if found else np.zeros_like(mask)
        return part

    def _between(self, density: float, share: float) -> float:
        return self.lung + share * (density - self.lung)

    def _smoothed(self, sigma_mm: float) -> Values:
        from scipy.ndimage import gaussian_filter

        smooth: Values = gaussian_filter(self.block.values, sigma_mm / self.step, truncate=3)
        return smooth

    def _distance(self, mask: Mask) -> NDArray[np.float64]:
        """mm from each voxel of `mask` to the nearest one outside of it."""
        from scipy.ndimage import distance_transform_edt

        distance: NDArray[np.float64] = distance_transform_edt(mask) * self.step
        return distance

    def _steps(self, mm: float) -> int:
        return max(1, round(mm / self.step))


def _within_the_lung(block: NoduleBlock) -> Mask:
    """The convex hull of the lung's air around the nodule; all of the block where there is none."""
    import cc3d
    from scipy.ndimage import binary_erosion
    from scipy.spatial import ConvexHull, QhullError

    labels = cc3d.connected_components(block.values < _AIR, connectivity=6)
    sizes = np.bincount(labels[block.from_middle < 2 * block.radius_mm + 6])
    sizes[0] = 0
    everywhere: Mask = np.ones(block.values.shape, dtype=bool)
    if not sizes.any():
        return everywhere
    air = labels == sizes.argmax()
    try:
        hull = ConvexHull(np.argwhere(air & ~binary_erosion(air)))
    except QhullError:  # air in one plane
        return everywhere
    # Faces of several triangles come once.
    faces = np.unique(np.round(hull.equations, 4), axis=0).astype(np.float32)
    k, j, i = (np.arange(n, dtype=np.float32) for n in block.values.shape)
    inside = everywhere
    for a, b, c, d in faces:
        inside &= a * k[:, None, None] + (b * j[:, None] + c * i[None, :] + d)[None] <= 0.5
    return inside
