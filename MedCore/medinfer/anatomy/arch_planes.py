"""The assignment of each tooth to one of several arches.

The teeth of an arch lie near a plane, and the planes of a patient's arches are nearly parallel, however the head is
tilted. What the network says of each tooth and where the tooth lies are weighed together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# How far teeth lie from their arch's plane, mm; how steep the planes are (a tilt of 30° is 0.58).
_HEIGHT_MM, _SLOPE = 5.0, 0.4
# Arches nearer to each other than this are one: whole teeth of two jaws have their centres about 20 mm apart.
_APART_MM = 6.0
_ROUNDS = 10


def arch_probabilities(scores: Floats, positions: Floats) -> Floats:
    """[n, a]: that each of n teeth belongs to each of a arches.

    scores: [n, a], > 0, by the network alone. positions: [n, 3], RAS mm. Expectation and maximisation over one height
    an arch and the slopes that they share. Arches whose planes come out as one are one: all its teeth belong to the
    one or to the other, by what the network says of them together.
    """
    planes = [[arch] for arch in range(scores.shape[1])]
    found = np.zeros_like(scores)
    while len(scores):
        shared = [_shares(scores[:, arches]) for arches in planes]
        lead = [arches[int(share.argmax())] for arches, share in zip(planes, shared, strict=True)]
        belongs, heights = _planes(scores[:, lead], positions)
        order = np.argsort(heights, kind="stable")
        gaps = np.diff(heights[order])
        if not len(gaps) or gaps.min() >= _APART_MM:
            for number, (arches, share) in enumerate(zip(planes, shared, strict=True)):
                found[:, arches] = belongs[:, number, None] * share
            break
        low, high = sorted(int(plane) for plane in order[gaps.argmin() : gaps.argmin() + 2])
        planes[low] += planes.pop(high)
    return found


def _shares(scores: Floats) -> Floats:
    """[a]: that all teeth of one plane are those of each arch, by [n, a] scores."""
    log = np.log(scores / scores.sum(axis=1, keepdims=True)).sum(axis=0)
    share = np.exp(log - log.max())
    shares: Floats = share / share.sum()
    return shares


def _planes(scores: Floats, positions: Floats) -> tuple[Floats, Floats]:
    """The probabilities [n, a], and the heights [a] of the planes over one point."""
    count, arches = scores.shape
    centered = positions - positions.mean(axis=0)
    belongs = scores / scores.sum(axis=1, keepdims=True)
    heights = np.zeros(arches)
    # One row a tooth and arch: height of the arch, slopes to the right and to the front.
    terms = np.concatenate([
        np.column_stack([np.repeat(np.eye(arches)[arch][None], count, axis=0), centered[:, :2]])
        for arch in range(arches)
    ])
    height = np.tile(centered[:, 2], arches)
    held = np.diag([1e-2] * arches + [(_HEIGHT_MM / _SLOPE) ** 2] * 2)
    for _ in range(_ROUNDS):
        weight = belongs.T.ravel()
        solved = np.linalg.solve(terms.T * weight @ terms + held, terms.T @ (weight * height))
        heights = solved[:arches]
        off = ((height - terms @ solved) / _HEIGHT_MM).reshape(arches, count).T
        log = np.log(scores) - 0.5 * off**2
        belongs = np.exp(log - log.max(axis=1, keepdims=True))
        belongs /= belongs.sum(axis=1, keepdims=True)
    return belongs, heights
