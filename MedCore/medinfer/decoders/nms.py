"""Non-maximum suppression of boxes in 3-D: of overlapping boxes, the best is kept.

The result is that of the plain definition: go through the boxes from the best score down and keep each whose
intersection over union (IoU) with every box kept so far is below the threshold; equal scores in the order given.

It is fast because few pairs are ever looked at. Boxes are taken in blocks; a block is resolved, and what its kept boxes
suppress is struck from all that follow, so that a crowd is gone once its best box is found. Who is near whom is
answered by shelves: boxes of like size, sorted by the cell of a grid that they lie in.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import PackageError

Indices = NDArray[np.intp]
Floats = NDArray[np.float64]

# Pairs in memory at once (about 100 bytes each while they are compared).
_MOST_PAIRS = 1 << 18
# Boxes resolved at once: more where most of them stay, fewer in a crowd, whose pairs grow with the square.
_FIRST_BLOCK, _SMALLEST_BLOCK, _LARGEST_BLOCK = 512, 64, 4096
# Ratio of the largest to the smallest edge on one shelf.
_SHELF_RATIO = 4.0


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
            "low and high must be [n, 3] and scores [n], not "
            f"{list(lows.shape)}, {list(highs.shape)} and {list(values.shape)}"
        )
    return _suppressed(lows, highs, values, iou, least_ratio=float(iou))


@dataclass(frozen=True)
class _Boxes:
    """Boxes, best first. low, high, center: `[3, n]` (z, y, x). edge: the longest of each box."""

    low: Floats
    high: Floats
    center: Floats
    volume: Floats
    edge: Floats


@dataclass(frozen=True)
class _Shelf:
    """Boxes of like size by the cell of a grid that their centre lies in (row-major over z, y, x).

    members[begins[c]:begins[c + 1]] are those of cell c; cell_of is the cell of each member.
    """

    members: Indices
    cell_of: Indices
    begins: Indices
    smallest: float
    largest: float
    origin: tuple[float, float, float]
    step: tuple[float, float, float]
    size: tuple[int, int, int]


def _suppressed(low: Floats, high: Floats, scores: Floats, iou: float, least_ratio: float) -> Indices:
    if not 0 < iou <= 1:
        raise ValueError(f"iou must lie above 0 and be at most 1, not {iou}")
    _check(low, high, scores)
    order = np.argsort(-scores, kind="stable")
    boxes = _columns(low[order], high[order])
    # Along each axis IoU in 1-D is at least IoU in 3-D. With edges a and b, |Δ| apart, IoU ≥ t needs
    # |Δ| ≤ (a + b) (1/2 − t / (1 + t)); a millionth more allows for rounding.
    reach = 0.5 - iou / (1 + iou) + 1e-6
    ratio = least_ratio - 1e-6
    kept: list[Indices] = []
    alive = np.ones(len(order), dtype=bool)
    shelves = _shelved(boxes, np.arange(len(order)))
    left, size = np.arange(len(order)), _FIRST_BLOCK
    while len(left):
        block, left = left[:size], left[size:]
        stay = _resolved(boxes, block, iou, reach, ratio)
        kept.append(stay)
        alive[block] = False
        shelves = [_thinned(shelf, alive) for shelf in shelves]
        for shelf in shelves:
            for _, struck in _overlapping(boxes, stay, shelf, iou, reach, ratio):
                alive[struck] = False
        left = left[alive[left]]
        size = min(2 * size, _LARGEST_BLOCK) if 2 * len(stay) > len(block) else max(size // 2, _SMALLEST_BLOCK)
    return order[np.concatenate(kept)] if kept else order


def _check(low: Floats, high: Floats, scores: Floats) -> None:
    broken = ~(np.isfinite(low) & np.isfinite(high) & (low < high)).all(axis=1) | np.isnan(scores)
    if broken.any():
        row = int(broken.argmax())
        raise PackageError(
            f"Candidate {row} of {len(scores)} has an invalid score, position or size (score {scores[row]:g}, "
            f"from {low[row].tolist()} to {high[row].tolist()}): the network's output is invalid; "
            "try float32 or another backend, or reinstall the model."
        )


def _columns(low: Floats, high: Floats) -> _Boxes:
    """Boxes from corners `[n, 3]`; by columns, so that one axis of many boxes lies together in memory."""
    lows, highs = np.ascontiguousarray(low.T), np.ascontiguousarray(high.T)
    edges = highs - lows
    return _Boxes(lows, highs, (lows + highs) / 2, edges.prod(axis=0), edges.max(axis=0))


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
    smallest, largest = float(edge.min()), float(edge.max())
    # Long cells make few ranges to look up, short ones along x few pairs in them. No more than 8 cells a box in all.
    most = math.ceil(len(members) ** (1 / 3)) * 2
    origin, step, size, cell_of = [], [], [], np.zeros(len(members), dtype=np.intp)
    for center, share in zip(boxes.center, (1.5, 1.5, 0.25), strict=True):
        place = center[members]
        first, extent = float(place.min()), float(np.ptp(place))
        length = max(share * largest, extent / most)
        origin.append(first)
        step.append(length)
        cell = ((place - first) / length).astype(np.intp)
        size.append(int(cell.max()) + 1)
        cell_of = cell_of * size[-1] + cell
    order = np.argsort(cell_of)
    shelf = _Shelf(
        members[order], cell_of[order], np.empty(0, dtype=np.intp), smallest, largest,
        (origin[0], origin[1], origin[2]), (step[0], step[1], step[2]), (size[0], size[1], size[2]),
    )
    return replace(shelf, begins=_begins(shelf.cell_of, math.prod(size)))


def _begins(cell_of: Indices, cells: int) -> Indices:
    return np.concatenate([[0], np.cumsum(np.bincount(cell_of, minlength=cells))])


def _thinned(shelf: _Shelf, alive: NDArray[np.bool_]) -> _Shelf:
    """`shelf` without the members that are gone."""
    there = alive[shelf.members]
    cell_of = shelf.cell_of[there]
    return replace(
        shelf, members=shelf.members[there], cell_of=cell_of, begins=_begins(cell_of, len(shelf.begins) - 1)
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
    stays: Indices = block[np.frombuffer(gone, dtype=np.uint8)[block - first] == 0]
    return stays


def _overlapping(
    boxes: _Boxes, queries: Indices, shelf: _Shelf, iou: float, reach: float, ratio: float, only_worse: bool = False,
) -> Iterator[tuple[Indices, Indices]]:
    """Pairs (query, member of `shelf`) with IoU ≥ `iou`, some at a time; `only_worse`: of members behind the query."""
    edge = boxes.edge[queries]
    queries = queries[(edge >= ratio * shelf.smallest) & (ratio * edge <= shelf.largest)]
    for query, member in _near(boxes, queries, shelf, reach):
        if only_worse:
            behind = query < member
            yield _of_enough(boxes, query[behind], member[behind], iou)
        else:
            yield _of_enough(boxes, query, member, iou)


def _of_enough(boxes: _Boxes, one: Indices, other: Indices, iou: float) -> tuple[Indices, Indices]:
    """The pairs of boxes whose IoU is at least `iou`. Axis by axis, so that most drop out after the first."""
    common = np.ones(len(one))
    for low, high in zip(boxes.low, boxes.high, strict=True):
        overlap = np.minimum(high[one], high[other]) - np.maximum(low[one], low[other])
        meet = overlap > 0
        one, other, common = one[meet], other[meet], common[meet] * overlap[meet]
    enough = common / (boxes.volume[one] + boxes.volume[other] - common) >= iou
    return one[enough], other[enough]


def _near(boxes: _Boxes, queries: Indices, shelf: _Shelf, reach: float) -> Iterator[tuple[Indices, Indices]]:
    """Pairs (query, member of `shelf`) whose cells are near enough for them to overlap, at most so many at a time."""
    if not len(queries) or not len(shelf.members):
        return
    radius = (boxes.edge[queries] + shelf.largest) * reach
    (z, z_last), (y, y_last), (x, x_last) = (
        # Rounding is the same for members and queries, and monotonic: no member within the radius is missed.
        [
            np.clip((center[queries] + side - first) / length, -1, n).astype(np.intp).clip(0, n - 1)
            for side in (-radius, radius)
        ]
        for center, first, length, n in zip(boxes.center, shelf.origin, shelf.step, shelf.size, strict=True)
    )
    depth, height = np.arange(int((z_last - z).max()) + 1), np.arange(int((y_last - y).max()) + 1)
    rows_z, rows_y = z[:, None] + depth, y[:, None] + height
    wanted = (rows_z <= z_last[:, None])[:, :, None] & (rows_y <= y_last[:, None])[:, None]
    row = (rows_z[:, :, None] * shelf.size[1] + rows_y[:, None])[wanted] * shelf.size[2]
    of = np.nonzero(wanted)[0]
    begin = shelf.begins[row + x[of]]
    count = shelf.begins[row + x_last[of] + 1] - begin
    some = count > 0
    begin, count, query = begin[some], count[some], queries[of[some]]
    end = np.cumsum(count)
    at = 0
    while at < len(count):
        before = int(end[at - 1]) if at else 0
        to = max(at + 1, int(np.searchsorted(end, before + _MOST_PAIRS, side="right")))
        n = count[at:to]
        place = np.arange(int(end[to - 1]) - before) + np.repeat(begin[at:to] - (end[at:to] - n - before), n)
        yield np.repeat(query[at:to], n), shelf.members[place]
        at = to
