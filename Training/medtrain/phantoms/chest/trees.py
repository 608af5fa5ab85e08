"""Branching trees that fill a region: arteries, veins and airways.

Volume-filling growth after Tawhai et al. (J Appl Physiol 2004): a branch runs part of the way to the centroid of the
points it must reach; the points are split by a plane through the centroid, and each half gets a branch of its own.
All branches of one generation grow at once. Radii follow Murray's law: r^m = sum of the daughters' r^m.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..lattice import Floats, Ints


@dataclass(frozen=True, eq=False)
class Tree:
    """Branches, parents before daughters.

    start, end: `[n, 3]` x, y, z mm. parent: index or −1. leaves: how many ends each branch feeds.
    """

    start: Floats
    end: Floats
    parent: Ints
    leaves: Ints

    def radius(self, leaf_mm: float, exponent: float) -> Floats:
        """Radius of each branch, mm."""
        result: Floats = leaf_mm * self.leaves ** (1 / exponent)
        return result


def _means(values: Floats, group: Ints, count: Ints) -> Floats:
    sums = [np.bincount(group, values[:, axis], len(count)) for axis in range(values.shape[1])]
    result: Floats = np.stack(sums, axis=1) / count[:, None]
    return result


def _split_axes(points: Floats, group: Ints, center: Floats, heading: Floats) -> Floats:
    """For each group the direction of its largest spread across the heading of its branch."""
    off = points - center[group]
    off -= 0.7 * np.sum(off * heading[group], axis=1, keepdims=True) * heading[group]
    products = off[:, [0, 0, 0, 1, 1, 2]] * off[:, [0, 1, 2, 1, 2, 2]]
    xx, xy, xz, yy, yz, zz = _means(products, group, np.ones(len(center), np.int64)).T
    spread = np.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz], axis=1).reshape(-1, 3, 3)
    result: Floats = np.linalg.eigh(spread)[1][:, :, 2]
    return result


def grow(roots: Floats, points: Floats, region: Ints, rng: np.random.Generator) -> Tree:
    """A tree from `roots[g]` to all `points` whose `region` is g."""
    starts: list[Floats] = []
    ends: list[Floats] = []
    parents: list[Ints] = []
    leaves: list[Ints] = []
    tips, headings = np.asarray(roots, dtype=np.float64), np.zeros((len(roots), 3))
    mother = np.full(len(roots), -1)
    group, total = region.copy(), 0
    while len(points):
        present, group = np.unique(group, return_inverse=True)
        tips, headings, mother = tips[present], headings[present], mother[present]
        count = np.bincount(group)
        center = _means(points, group, count)
        share = np.where(count == 1, 1.0, rng.uniform(0.34, 0.54, len(count)))
        way = center - tips
        length = np.linalg.norm(way, axis=1, keepdims=True) * share[:, None]
        heading = way / (np.linalg.norm(way, axis=1, keepdims=True) + 1e-9)
        stray = 0.25 * headings + 0.12 * rng.standard_normal(way.shape)
        heading = np.where(count[:, None] == 1, heading, heading + stray)
        heading /= np.linalg.norm(heading, axis=1, keepdims=True) + 1e-9
        end = tips + heading * length
        index = total + np.arange(len(count))
        starts.append(tips)
        ends.append(end)
        parents.append(mother)
        leaves.append(count)
        total += len(count)
        axis = _split_axes(points, group, center, heading)
        along = np.sum((points - center[group]) * axis[group], axis=1)
        size = np.sqrt(np.bincount(group, along**2, len(count)) / count)
        shift = rng.uniform(-0.55, 0.55, len(count)) * size
        upper = along > shift[group]
        stays = count[group] > 1
        points, group, upper = points[stays], group[stays], upper[stays]
        group = 2 * group + upper
        tips, headings, mother = (np.repeat(array, 2, axis=0) for array in (end, heading, index))
    return Tree(np.concatenate(starts), np.concatenate(ends), np.concatenate(parents), np.concatenate(leaves))


def curve(tree: Tree, chosen: Ints, pieces: int, bow: float, rng: np.random.Generator) -> Floats:
    """Points `[chosen, pieces + 1, 3]` along each chosen branch: cubic Hermite curves that leave along the parent."""
    start, end = tree.start[chosen], tree.end[chosen]
    way = end - start
    length = np.linalg.norm(way, axis=1, keepdims=True)
    parent = tree.parent[chosen]
    before = np.where(parent[:, None] >= 0, tree.end[parent] - tree.start[parent], way)
    before = before / (np.linalg.norm(before, axis=1, keepdims=True) + 1e-9) * length
    leave = 0.55 * before + 0.45 * way + bow * length * rng.standard_normal(way.shape)
    arrive = way + bow * length * rng.standard_normal(way.shape)
    t = np.linspace(0, 1, pieces + 1)[None, :, None]
    result: Floats = (
        (2 * t**3 - 3 * t**2 + 1) * start[:, None]
        + (t**3 - 2 * t**2 + t) * leave[:, None]
        + (-2 * t**3 + 3 * t**2) * end[:, None]
        + (t**3 - t**2) * arrive[:, None]
    )
    return result
