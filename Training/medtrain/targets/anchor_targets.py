"""The assignment of anchors to nodules, and their regression targets (grt123's `LabelMapping`).

Boxes are rows `[z, y, x, d]`: the centre in voxels (voxel centres are whole numbers) and the side of a
cube in voxels, which are 1 mm. A label is `[z, y, x, anchor, 5]` on the grid of stride 4: first 1 for a
positive anchor, −1 for a negative one, 0 for one that the loss leaves alone; then, for positives, the
regression code: the centre's offset from the cell's in units of the anchor, and log(d / anchor).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class AnchorTargets:
    """The parameters of the labels; the defaults are grt123's for training.

    anchors: sides of the anchor cubes, mm.
    stride: voxels between the cells' centres, the first of which is at (stride − 1) / 2.
    th_neg: an anchor is negative where its IoU with every nodule is below this.
    th_pos: an anchor may answer for a nodule where their IoU is at least this.
    negatives: how many negatives are kept, drawn at random; 0 keeps all.
    positives: how many anchors answer for one nodule, drawn at random; where no IoU reaches th_pos, the
        nearest cell's anchor of the nearest size does.
    """

    anchors: tuple[float, ...] = (10.0, 30.0, 60.0)
    stride: int = 4
    th_neg: float = 0.02
    th_pos: float = 0.5
    negatives: int = 800
    positives: int = 1


GRT123_TARGETS = AnchorTargets()

SISTER_TARGETS = AnchorTargets(anchors=(5.0, 10.0, 20.0), th_pos=0.35, negatives=0, positives=3)
"""For the bundled network. Its nodules are 4–30 mm: 5, 10 and 20 lie evenly on the logarithmic scale, each
diameter within a factor √2 of one of them (30 within 1.5), where grt123's 10, 30, 60 would give a third of
their cells to sizes that don't occur and ask 4 mm of an anchor 2.5 times too large. Neighbouring cells are
4 mm apart, so IoU 0.5 is out of reach of most small nodules: 0.35 lets several cells learn from each."""


def cell_centres(cells: int, stride: int) -> Floats:
    """Voxel coordinates of the output cells' centres along one axis: 1.5 + 4 i for stride 4."""
    return (stride - 1) / 2 + stride * np.arange(cells, dtype=np.float64)


def anchor_iou(box: Floats, anchor: float, shape: tuple[int, int, int], stride: int) -> Floats:
    """IoU `[z, y, x]` of the cube `[z, y, x, d]` with an anchor cube in every cell of a grid of `shape`."""
    low, high = max(box[3], anchor) / 2, min(box[3], anchor)
    overlaps = []
    for axis in range(3):
        away = np.abs(cell_centres(shape[axis], stride) - box[axis])
        overlaps.append(np.clip(low + high / 2 - away, 0.0, high))
    shared = overlaps[0][:, None, None] * overlaps[1][None, :, None] * overlaps[2][None, None, :]
    union: Floats = anchor**3 + box[3] ** 3 - shared
    return np.asarray(shared / union)


def make_label(
    boxes: NDArray[np.floating],
    shape: tuple[int, int, int],
    targets: AnchorTargets,
    rng: np.random.Generator,
    ignored: NDArray[np.floating] | None = None,
) -> NDArray[np.float32]:
    """The label of a crop.

    boxes: `[n, 4]` nodules of the crop; those whose centre lies outside are left alone, not positive.
    shape: the crop's voxels (z, y, x), multiples of the stride.
    ignored: `[m, 4]` boxes that are neither: nothing is learnt near them.
    Returns `[z/stride, y/stride, x/stride, anchors, 5]`.
    Raises ValueError where the shape is no multiple of the stride.
    """
    if any(side % targets.stride for side in shape):
        raise ValueError(f"a crop of {shape} voxels is not a multiple of the stride {targets.stride}")
    boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    away = boxes[:0] if ignored is None else np.asarray(ignored, dtype=np.float64).reshape(-1, 4)
    grid = (shape[0] // targets.stride, shape[1] // targets.stride, shape[2] // targets.stride)
    label = np.zeros((*grid, len(targets.anchors), 5), np.float32)
    ious = [[anchor_iou(box, anchor, grid, targets.stride) for anchor in targets.anchors] for box in boxes]
    near = np.zeros(label.shape[:4], bool)
    for overlaps in [*ious, *([anchor_iou(box, a, grid, targets.stride) for a in targets.anchors] for box in away)]:
        near |= np.stack(overlaps, axis=-1) >= targets.th_neg
    _mark_negatives(label, ~near, targets.negatives, rng)
    for box, overlaps in zip(boxes, ious, strict=True):
        if np.all(box[:3] >= -0.5) and np.all(box[:3] <= np.array(shape) - 0.5):
            _mark_positives(label, box, np.stack(overlaps, axis=-1), targets, rng)
    return label


def _mark_negatives(label: NDArray[np.float32], free: NDArray[np.bool_], count: int, rng: np.random.Generator) -> None:
    cells = np.flatnonzero(free)
    if 0 < count < len(cells):
        cells = rng.choice(cells, count, replace=False)
    label.reshape(-1, 5)[cells, 0] = -1


def _mark_positives(
    label: NDArray[np.float32], box: Floats, iou: Floats, targets: AnchorTargets, rng: np.random.Generator
) -> None:
    cells = np.argwhere(iou >= targets.th_pos)
    if len(cells) > targets.positives:
        cells = cells[rng.choice(len(cells), targets.positives, replace=False)]
    if len(cells) == 0:
        nearest = np.rint((box[:3] - (targets.stride - 1) / 2) / targets.stride).astype(int)
        nearest = np.clip(nearest, 0, np.array(iou.shape[:3]) - 1)
        cells = np.array([[*nearest, int(np.argmin(np.abs(np.log(box[3] / np.array(targets.anchors)))))]])
    for z, y, x, a in cells:
        anchor = targets.anchors[a]
        centre = (targets.stride - 1) / 2 + targets.stride * np.array([z, y, x], dtype=np.float64)
        label[z, y, x, a] = [1.0, *((box[:3] - centre) / anchor), np.log(box[3] / anchor)]


def decode(
    answers: NDArray[np.floating], anchors: tuple[float, ...], stride: int, threshold: float
) -> NDArray[np.float64]:
    """The label's inverse: candidates `[n, 5]` = `[logit, z, y, x, d]` of a network's answers.

    answers: `[z, y, x, anchor, 5]`. Kept are those with a logit above `threshold`, highest first.
    """
    z, y, x, a = np.nonzero(answers[..., 0] > threshold)
    found = np.asarray(answers[z, y, x, a], dtype=np.float64)
    size = np.array(anchors)[a]
    cells = np.stack([z, y, x], axis=1)
    centres = (stride - 1) / 2 + stride * cells + found[:, 1:4] * size[:, None]
    rows = np.concatenate([found[:, :1], centres, (np.exp(np.minimum(found[:, 4], 4.0)) * size)[:, None]], axis=1)
    return np.asarray(rows[np.argsort(-rows[:, 0], kind="stable")])
