"""Two lungs from one mask, each tidied: grt123's rules (github.com/lfz/DSB2017, `preprocessing/step1.py`)."""

from __future__ import annotations

import numpy as np

from .lung_air import Cancel, Spacing, dilated, eroded, stop_if
from .slice_shapes import Mask, fill_slice, hull, labelled, slice_counts

_MOST_EROSIONS, _MOST_RATIO = 22, 4.8
_MAIN_PART = 0.95


def fill_holes(mask: Mask) -> Mask:
    """`mask` [k, j, i] with its holes filled: background (26-connected) that reaches no corner of the array."""
    labels, count = labelled(~mask, 26)
    outside = np.zeros(count + 1, dtype=bool)
    outside[labels[::max(1, len(mask) - 1), ::max(1, mask.shape[1] - 1), ::max(1, mask.shape[2] - 1)].ravel()] = True
    outside[0] = False
    filled = np.empty_like(mask)
    for k, plane in enumerate(labels):
        filled[k] = ~outside[plane]
    return filled


def split_lungs(mask: Mask, spacing: Spacing, cancel: Cancel = None) -> tuple[Mask, Mask] | None:
    """The two lungs of `mask` [k, j, i], larger core first, or None where it cannot be parted.

    The mask is eroded until its two largest components are of like size; each of its voxels then goes to the
    nearer of the two, in mm. Of each lung the main part of every slice is kept and its holes are filled.
    """
    core = mask
    for _ in range(_MOST_EROSIONS):
        stop_if(cancel)
        labels, count = labelled(core, 18)
        size = slice_counts(labels, core, count).sum(0)
        if count > 1:
            first, second = np.argsort(-size, kind="stable")[:2]
            if size[first] < _MOST_RATIO * size[second]:
                parts = _nearer(mask, labels == first, labels == second, spacing)
                return fill_slices(_main_part(parts[0])), fill_slices(_main_part(parts[1]))
        elif count == 0:
            break
        core = eroded(core)
    return None


def fill_slices(mask: Mask) -> Mask:
    """`mask` [k, j, i] with the holes of each slice filled."""
    return np.stack([fill_slice(plane) for plane in mask])


def _nearer(mask: Mask, one: Mask, other: Mask, spacing: Spacing) -> tuple[Mask, Mask]:
    """The voxels of `mask` nearer to `one`, and those nearer to `other`; those at the same distance to neither.

    grt123 takes two distance transforms of the whole scan (20 of its 35 s). Nearly every voxel is close to one lung
    and far from the other, which two dilations show; only for the rest are distances measured.
    """
    from scipy.spatial import cKDTree

    parts = one, other
    rest = mask & ~one & ~other
    # At most 3 steps from one lung, so no further than `reach`, and the other is beyond `reach`: decided.
    # A ball of radius r lies within r · √Σ(1/s²) steps (Cauchy–Schwarz).
    reach = 3 * max(spacing)
    beyond = int(np.ceil(reach * np.sqrt(sum(s**-2 for s in spacing))))
    close = [rest & dilated(part, 3) & ~dilated(rival, beyond) for part, rival in (parts, parts[::-1])]
    points = np.argwhere(rest & ~close[0] & ~close[1])
    if len(points):
        surfaces = [np.argwhere(part & ~eroded(part)) * spacing for part in parts]
        # Trees cut at the middle of space, not of the points, answer far-off queries four times as fast here.
        trees = [cKDTree(surface, balanced_tree=False, compact_nodes=False) for surface in surfaces]
        first, second = (tree.query(points * spacing)[0] for tree in trees)
        close[0][tuple(points[first < second].T)] = True
        close[1][tuple(points[second < first].T)] = True
    return one | close[0], other | close[1]


def _main_part(lung: Mask) -> Mask:
    """The largest 3-D component of `lung` once each slice is cut to its main part.

    The main part is the convex hulls of the largest components that together cover 95 % of the slice's area.
    """
    kept = lung.copy()
    for k, plane in enumerate(lung):
        labels, count = labelled(plane, 8)
        if count < 2:
            continue
        area = np.bincount(labels.ravel())[1:]
        order = np.argsort(-area, kind="stable")
        needed = int(np.searchsorted(np.cumsum(area[order]), _MAIN_PART * area.sum())) + 1
        if needed < count:
            kept[k] &= np.any([hull(labels == label) for label in order[:needed] + 1], axis=0)
    labels, count = labelled(kept, 26)
    size = slice_counts(labels, kept, count).sum(0)
    largest: Mask = labels == int(size.argmax())
    return largest if count else kept
