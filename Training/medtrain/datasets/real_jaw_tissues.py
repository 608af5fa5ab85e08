"""The tissues around and in the teeth of the real jaw, so that a CBCT of it can be simulated (`jaw_phantom.scan_jaws`).

The label map knows bones, teeth and canal; the rest is set here, in the order in which it is painted:

- skin, fat and muscle by depth under the convex hull of all that is labelled, widened by 9 mm, and of a neck;
- air in nose, sinuses, mouth and throat, tongue and a spine as ellipsoids and tubes placed by hand;
- bone: a cortex of 1.5 mm (upper skull 1 mm), cancellous within and where the file leaves marrow out;
- teeth: enamel on surfaces far from bone and near the biting edge, pulp along the middle, dentin between; a ligament
  of one voxel towards the bone.

Bones, teeth and canal have a real patient's shapes; everything else is plausible, no more.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull

from medinfer.volume import Grid

from ..phantoms.jaw import Jaws, Tissue
from .real_jaw import CANAL, MANDIBLE, MAXILLA, Labels, Mask, RealJaw
from .tooth_names import is_upper

TOP = 260
"""Slices that are kept: up to the orbits' roof."""

_EDGES = (113, 72, 184)  # between the edges of upper and lower incisors

_COARSE = 4  # voxels a side of those in which the hull is computed

# Centres and radii in voxels of the file (k, j, i); the midline is i = 184.
_TONGUE = (106, 150, 184), (30, 58, 36)
_MOUTH = (110, 149, 184), (30, 59, 36)
_THROAT = (110, 222, 184), (130, 12, 22)
_NOSE = ((200, 140, 172), (34, 62, 9)), ((200, 140, 196), (34, 62, 9))
_CONCHAE = tuple(((k, 145, i), (8, 45, 5)) for k in (184, 204, 220) for i in (168, 200))
_SINUSES = ((188, 124, 132), (30, 30, 24)), ((188, 124, 236), (30, 30, 24))
_SPINE, _CORD = (262, 184, 21), (296, 184, 11)  # middle j, i and radius of upright tubes
_VERTEBRA, _DISC = 34, 8  # slices from one to the next, and of the disc between
_NECK = [(0, j, i) for j in (200, 330) for i in (120, 248)]  # corners of the flesh at the bottom

# What the upper skull encloses in a slice is marrow below the nose and before the throat; elsewhere it is air or brain.
_MARROW_BELOW, _MARROW_BEFORE = 160, 190


def furnish(jaw: RealJaw) -> Jaws:
    """The jaw with all tissues, up to slice `TOP`; its world is moved as phantoms' lie (`Jaws.grid`)."""
    groups, teeth = jaw.groups[:TOP], jaw.teeth[:TOP]
    tissues = _flesh(groups)
    _cavities(tissues)
    _spine(tissues)
    _bones(tissues, groups, teeth)
    canal = groups == CANAL
    tissues[canal] = Tissue.CANAL
    _teeth(tissues, groups, teeth)
    return Jaws(tissues, teeth.copy(), canal & (teeth == 0), _about_incisors(jaw.grid, teeth.shape))


def _about_incisors(grid: Grid, shape: tuple[int, int, int]) -> Grid:
    """The grid moved so that RAS (0, 0, 0) lies between the incisors' edges, as in phantoms: it aims their scans."""
    matrix = grid.ijk_to_ras.copy()
    matrix[:3, 3] -= grid.to_ras(_EDGES)
    return Grid(shape, matrix)


def _flesh(groups: Labels) -> Labels:
    """Skin, fat and muscle from outside inwards."""
    coarse = groups[::_COARSE, ::_COARSE, ::_COARSE]
    points = np.vstack([np.argwhere(coarse) * _COARSE, _NECK]) * 0.5
    planes = ConvexHull(points).equations.astype(np.float32)
    lines = [np.arange(size, dtype=np.float32) * 0.5 * _COARSE for size in coarse.shape]
    outward = np.full(coarse.shape, -np.inf, np.float32)
    for a, b, c, d in planes:
        plane = a * lines[0][:, None, None] + b * lines[1][:, None] + (c * lines[2] + d)
        np.maximum(outward, plane, out=outward)
    fine = ndimage.zoom(outward, _COARSE, order=1, grid_mode=True, mode="nearest")
    outward = fine[tuple(slice(size) for size in groups.shape)]
    tissues = np.full(groups.shape, Tissue.MUSCLE, np.uint8)
    for beyond_mm, tissue in ((-4, Tissue.SOFT), (2, Tissue.FAT), (7, Tissue.SKIN), (9, Tissue.AIR)):
        tissues[outward > beyond_mm] = tissue
    return tissues


def _cavities(tissues: Labels) -> None:
    for where in (_MOUTH, _THROAT, *_NOSE):
        _ellipsoid(tissues, *where, Tissue.AIRWAY)
    for where in _CONCHAE:
        _ellipsoid(tissues, *where, Tissue.SOFT)
    _ellipsoid(tissues, *_TONGUE, Tissue.TONGUE)
    for where in _SINUSES:
        _ellipsoid(tissues, *where, Tissue.SINUS)


def _ellipsoid(tissues: Labels, center: ArrayLike, radii: ArrayLike, tissue: Tissue) -> None:
    middle, half = np.asarray(center), np.asarray(radii)
    low, high = np.maximum(middle - half, 0), np.minimum(middle + half + 1, tissues.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    k, j, i = (
        ((np.arange(a, b) - c) / r) ** 2 for a, b, c, r in zip(low, high, middle, half, strict=True)
    )
    tissues[box][k[:, None, None] + j[:, None] + i < 1] = tissue


def _spine(tissues: Labels) -> None:
    """Vertebral bodies with discs between them, and the cord behind, as upright tubes below the skull."""
    below = tissues[:_MARROW_BELOW]
    j, i = np.ogrid[: tissues.shape[1], : tissues.shape[2]]
    away = np.hypot(j - _SPINE[0], i - _SPINE[1])
    is_disc = np.arange(len(below)) % _VERTEBRA < _DISC
    below[:, away < _SPINE[2]] = Tissue.SPINE_CORTICAL
    below[:, away < _SPINE[2] - 2] = np.where(is_disc, Tissue.DISC, Tissue.SPINE_CANCELLOUS)[:, None]
    below[:, np.hypot(j - _CORD[0], i - _CORD[1]) < _CORD[2]] = Tissue.CORD


def _bones(tissues: Labels, groups: Labels, teeth: Labels) -> None:
    """Cortex and marrow. A bone's outside counts from what it encloses, teeth and canal included."""
    for group, cortex_voxels in ((MAXILLA, 2), (MANDIBLE, 3)):
        bone = groups == group
        box = _margin(ndimage.find_objects(groups, group)[group - 1], 6, groups.shape)
        its, roots = bone[box], (teeth[box] > 0) | (groups[box] == CANAL)
        solid = ndimage.binary_closing(its | roots, iterations=3) | its
        part = np.s_[: _MARROW_BELOW - box[0].start, : _MARROW_BEFORE - box[1].start] if group == MAXILLA else np.s_[:]
        solid[part] = np.stack([ndimage.binary_fill_holes(level) for level in solid[part]])
        deep = ndimage.binary_erosion(solid, iterations=cortex_voxels)
        here = tissues[box]
        here[deep & ((groups[box] == 0) | its)] = Tissue.CANCELLOUS
        here[its & ~deep] = Tissue.CORTICAL


def _teeth(tissues: Labels, groups: Labels, teeth: Labels) -> None:
    boxes = ndimage.find_objects(teeth)
    for number in map(int, np.unique(teeth[teeth > 0])):
        box = _margin(boxes[number - 1], 4, teeth.shape)
        tooth = teeth[box] == number
        bone = (groups[box] == MAXILLA) | (groups[box] == MANDIBLE)
        here = tissues[box]
        here[ndimage.binary_dilation(tooth) & bone] = Tissue.LIGAMENT
        here[tooth] = Tissue.DENTIN
        depth = ndimage.distance_transform_edt(tooth) * 0.5
        thickest = ndimage.maximum_filter(depth, size=11)
        from_edge = _from_edge(tooth, is_upper(number))
        # Root canals and, wider, the chamber; the file's own holes are filled, so that it has no say here.
        here[tooth & (depth > 0.74 * thickest) & (depth > 0.6) & (from_edge > 4)] = Tissue.PULP
        here[tooth & (depth <= _enamel_mm(from_edge)) & ~_near(bone, 1.5)] = Tissue.ENAMEL


def _from_edge(tooth: Mask, upper: bool) -> NDArray[np.float64]:
    """Millimetres of each slice, as `[k, 1, 1]`, from the tooth's biting edge towards its root."""
    there = np.flatnonzero(tooth.any(axis=(1, 2)))
    away = np.arange(len(tooth)) - there[0] if upper else there[-1] - np.arange(len(tooth))
    from_edge: NDArray[np.float64] = (away * 0.5)[:, None, None]
    return from_edge


def _enamel_mm(from_edge: NDArray[np.float64]) -> NDArray[np.float64]:
    """Thick at the biting edge, thin at the neck, none from 11 mm on."""
    thickness: NDArray[np.float64] = np.where(from_edge < 11, np.maximum(1.6 - 0.12 * from_edge, 0.5), 0)
    return thickness


def _near(bone: Mask, mm: float) -> Mask:
    near: Mask = ndimage.distance_transform_edt(~bone) * 0.5 < mm if bone.any() else bone
    return near


def _margin(box: tuple[slice, ...], voxels: int, shape: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(
        slice(max(part.start - voxels, 0), min(part.stop + voxels, size))
        for part, size in zip(box, shape, strict=True)
    )
