"""Non-maximum suppression of boxes in 3-D: of boxes that overlap, the best stays.

The result is that of the plain definition: go through the boxes from the best score down and keep each whose
intersection over union (IoU) with every box kept so far is below the threshold; equal scores in the order given.

It is fast because few pairs are ever looked at. Boxes are taken in blocks; a block is resolved, and what its kept boxes
suppress is struck from all that follow, so that a crowd is gone once its best box is found. Who is near whom is
answered by shelves: boxes of like size, sorted by their row in a grid over k and j and, within a row, by i.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import PackageError

Indices = NDArray[np.intp]
Floats = NDArray[np.float64]

# Pairs in memory at once (about 100 bytes each while they are compared).
_MOST_PAIRS = 1 << 18
# Boxes resolved at once: more where most of them stay, fewer in a crowd, whose pairs grow with the square.
_FIRST_BLOCK, _SMALLEST_BLOCK, _LARGEST_BLOCK = 512, 64, 4096
# Ratio of the largest to the smallest edge on one shelf.
_SHELF_RATIO = 4.0
_MOST_ROWS = 1024


def nms_cubes(cubes: ArrayLike, iou: float) -> Indices:
    """Non-maximum suppression of cubes.

    cubes: `[n, 5]`, rows of score, z, y, x (centre) and d (edge), all in voxels of one isotropic grid (or all in mm).
    iou: of two cubes that overlap at least so much only the better stays; above 0, at most 1.
    Returns the indices of the rows to keep, best first. Raises PackageError where a value is not finite or an edge is
    not above 0, since then the network that gave it is broken.
    """
    rows = np.asarray(cubes, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != 5:
        raise ValueError(f"cubes must be [n, 5] (score, z, y, x, d), not {list(rows.shape)}")
    half = rows[:, 4:] / 2
    # An edge is at least the cube root of the threshold times the other's, or IoU cannot reach it.
    return _suppressed(rows[:, 1:4] - half, rows[:, 1:4] + half, rows[:, 0], iou, least_ratio=float(iou) ** (1 / 3))


def nms_boxes(low: ArrayLike, high: ArrayLike, scores: ArrayLike, iou: float) -> Indices:
    """Non-maximum suppression of boxes.

    low, high: `[n, 3]`, the corners along z, y, x; scores: `[n]`. Else as `nms_cubes`.
    """
    lows, highs, values = (np.asarray(array, dtype=np.float64) for array in (low, high, scores))
    if values.ndim != 1 or lows.shape != (len(values), 3) or highs.shape != lows.shape:
        raise ValueError(
            f"low and high must be [n, 3] and scores [n], not {list(lows.shape)}, {list(highs.shape)}, {list(values.shape)}"
        )
    return _suppressed(lows, highs, values, iou, least_ratio=float(iou))


@dataclass(frozen=True)
class _Boxes:
    """Boxes, best first. low, high, center: one array `[n]` an axis (z, y, x). edge: the longest of each box."""

    low: tuple[Floats, Floats, Floats]
    high: tuple[Floats, Floats, Floats]
    center: tuple[Floats, Floats, Floats]
    volume: Floats
    edge: Floats


@dataclass(frozen=True)
class _Shelf:
    """Boxes with edges in [smallest, largest], by `key`: row · span + x. A row is a cell of the grid over z and y."""

    members: Indices
    key: Floats
    smallest: float
    largest: float
    cell: float
    origin: tuple[float, float, float]
    rows: tuple[int, int]
    span: float


def _suppressed(low: Floats, high: Floats, scores: Floats, iou: float, least_ratio: float) -> Indices:
    if not 0 < iou <= 1:
        raise ValueError(f"iou must lie above 0 and be at most 1, not {iou}")
    _check(low, high, scores)
    order = np.argsort(-scores, kind="stable")
    boxes = _columns(low[order], high[order])
    # Along each axis IoU in 1-D is at least IoU in 3-D. With edges a and b, |Δ| apart, IoU ≥ t needs
    # |Δ| ≤ (a + b) (1/2 − t / (1 + t)); a little is added for rounding.
    reach = (0.5 - iou / (1 + iou)) * (1 + 1e-9) + 1e-12
    ratio = least_ratio * (1 - 1e-9)
    kept: list[Indices] = []
    alive = np.ones(len(order), dtype=bool)
    shelves = _shelved(boxes, np.arange(len(order)))
    start, size = 0, _FIRST_BLOCK
    while start < len(order):
        block = start + np.flatnonzero(alive[start : start + 8 * size])[:size]
        if not len(block):
            start += 8 * size
            continue
        stay = _resolved(boxes, block, iou, reach, ratio)
        kept.append(stay)
        start = int(block[-1]) + 1
        alive[:start] = False
        shelves = [_thinned(shelf, alive) for shelf in shelves]
        for shelf in shelves:
            for _, struck in _overlapping(boxes, stay, shelf, iou, reach, ratio):
                alive[struck] = False
        size = min(2 * size, _LARGEST_BLOCK) if 2 * len(stay) > len(block) else max(size // 2, _SMALLEST_BLOCK)
    return order[np.concatenate(kept)] if kept else order


def _check(low: Floats, high: Floats, scores: Floats) -> None:
    broken = ~(np.isfinite(low) & np.isfinite(high) & (low < high)).all(axis=1) | np.isnan(scores)
    if broken.any():
        row = int(broken.argmax())
        raise PackageError(
            f"Candidate {row} of {len(scores)} has a score, place or size that makes no box (score {scores[row]:g}, "
            f"from {low[row].tolist()} to {high[row].tolist()}): the network's output is broken; "
            "try float32 or another backend, or reinstall the model."
        )


def _columns(low: Floats, high: Floats) -> _Boxes:
    lows, highs = (tuple(np.ascontiguousarray(a[:, axis]) for axis in range(3)) for a in (low, high))
    edges = high - low
    centers = tuple((a + b) / 2 for a, b in zip(lows, highs, strict=True))
    return _Boxes(lows, highs, centers, edges.prod(axis=1), edges.max(axis=1))


def _shelved(boxes: _Boxes, members: Indices) -> list[_Shelf]:
    """`members` by size, largest first."""
    shelves = []
    while len(members):
        edge = boxes.edge[members]
        on_it = edge * _SHELF_RATIO >= edge.max()
        shelves.append(_shelf(boxes, members[on_it]))
        members = members[~on_it]
    return shelves


def _shelf(boxes: _Boxes, members: Indices) -> _Shelf:
    edge = boxes.edge[members]
    z, y, x = (axis[members] for axis in boxes.center)
    origin = float(z.min()), float(y.min()), float(x.min())
    extent = max(float(z.max()) - origin[0], float(y.max()) - origin[1])
    cell = max(float(edge.max()) / 2, extent / _MOST_ROWS)
    row_z, row_y = ((axis - first) // cell for axis, first in zip((z, y), origin, strict=False))
    rows = int(row_z.max()) + 1, int(row_y.max()) + 1
    span = (float(x.max()) - origin[2]) * 1.5 + cell
    key = (row_z * rows[1] + row_y) * span + (x - origin[2])
    order = np.argsort(key)
    return _Shelf(members[order], key[order], float(edge.min()), float(edge.max()), cell, origin, rows, span)


def _thinned(shelf: _Shelf, alive: NDArray[np.bool_]) -> _Shelf:
    """`shelf` without the members that are gone."""
    there = alive[shelf.members]
    if there.all():
        return shelf
    return _Shelf(
        shelf.members[there], shelf.key[there],
        shelf.smallest, shelf.largest, shelf.cell, shelf.origin, shelf.rows, shelf.span,
    )


def _resolved(boxes: _Boxes, block: Indices, iou: float, reach: float, ratio: float) -> Indices:
    """Those of `block` (best first) that stay when only `block` is looked at."""
    found = [
        pair for shelf in _shelved(boxes, block)
        for pair in _overlapping(boxes, block, shelf, iou, reach, ratio, only_worse=True)
    ]
    if not found:
        return block
    better, worse = (np.concatenate(side) for side in zip(*found, strict=True))
    by_score = np.argsort(better, kind="stable")
    first = int(block[0])
    gone = bytearray(int(block[-1]) - first + 1)
    # All that could suppress a box comes before it, so its fate is settled when its own pairs are reached.
    for a, b in zip((better[by_score] - first).tolist(), (worse[by_score] - first).tolist(), strict=True):
        if not gone[a]:
            gone[b] = 1
    return block[np.frombuffer(gone, dtype=np.uint8)[block - first] == 0]


def _overlapping(
    boxes: _Boxes, queries: Indices, shelf: _Shelf, iou: float, reach: float, ratio: float, only_worse: bool = False,
) -> Iterator[tuple[Indices, Indices]]:
    """Pairs (query, member of `shelf`) with IoU ≥ `iou`, some at a time; `only_worse`: of members behind the query."""
    edge = boxes.edge[queries]
    queries = queries[(edge >= ratio * shelf.smallest) & (ratio * edge <= shelf.largest)]
    for query, member in _near(boxes, queries, shelf, reach):
        if only_worse:
            behind = query < member
            query, member = query[behind], member[behind]
        common: Floats | None = None
        for low, high in zip(boxes.low, boxes.high, strict=True):
            overlap = np.minimum(high[query], high[member]) - np.maximum(low[query], low[member])
            meet = overlap > 0
            query, member = query[meet], member[meet]
            common = overlap[meet] if common is None else common[meet] * overlap[meet]
        assert common is not None
        enough = common / (boxes.volume[query] + boxes.volume[member] - common) >= iou
        yield query[enough], member[enough]


def _near(boxes: _Boxes, queries: Indices, shelf: _Shelf, reach: float) -> Iterator[tuple[Indices, Indices]]:
    """Pairs (query, member of `shelf`) close enough to overlap along x and in nearby rows, at most so many at a time."""
    if not len(queries) or not len(shelf.members):
        return
    radius = (boxes.edge[queries] + shelf.largest) * reach
    z, y, x = (axis[queries] - first for axis, first in zip(boxes.center, shelf.origin, strict=True))
    ranges = [
        np.clip(np.stack([axis - radius, axis + radius]) // shelf.cell, [[0], [-1]], [[n], [n - 1]]).astype(np.intp)
        for axis, n in zip((z, y), shelf.rows, strict=True)
    ]
    steps = [np.arange(int((last - first).max()) + 1) for first, last in ranges]
    row_z, row_y = (first[:, None] + step for (first, _), step in zip(ranges, steps, strict=True))
    wanted = (row_z <= ranges[0][1][:, None])[:, :, None] & (row_y <= ranges[1][1][:, None])[:, None]
    row = (row_z[:, :, None] * shelf.rows[1] + row_y[:, None])[wanted]
    of = np.repeat(np.arange(len(queries)), np.count_nonzero(wanted, axis=(1, 2)))
    # Rounding of the keys, which grow with the row.
    slack = 4 * np.spacing(float(shelf.rows[0] * shelf.rows[1]) * shelf.span)
    left = np.clip(x - radius - slack, 0, shelf.span)
    right = np.clip(x + radius + slack, 0, shelf.span)
    begin = np.searchsorted(shelf.key, row * shelf.span + left[of] - slack)
    count = np.searchsorted(shelf.key, row * shelf.span + right[of] + slack) - begin
    some = count > 0
    begin, count, of = begin[some], np.minimum(count[some], len(shelf.members)), of[some]
    end = np.cumsum(count)
    at = 0
    while at < len(count):
        before = int(end[at - 1]) if at else 0
        to = max(at + 1, int(np.searchsorted(end, before + _MOST_PAIRS, side="right")))
        n = count[at:to]
        place = np.arange(int(end[to - 1]) - before) + np.repeat(begin[at:to] - (end[at:to] - n - before), n)
        yield np.repeat(queries[of[at:to]], n), shelf.members[place]
        at = to
