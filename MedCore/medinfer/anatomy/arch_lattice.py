"""All ways to name objects that lie in order along an arch: the best one, and the probability of each name.

A way to name gives each object a label or none, no label twice, so that the labels' places follow each other in the
objects' order; labels of one place may stand in any order. Its weight (a logarithm) is the sum of

- what each object's label, or its having none, is worth by itself, and
- how well the distance of two named objects that follow each other agrees with that of their places.

Places that stay empty cost nothing but by that distance. Dynamic programming over (object, its label, what else
of its place is taken): exact, n² · s² steps for n objects and s such states (46 for 16 places, ten of them double).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Spacing:
    """Where objects and labels lie along the arch, mm, and how much that counts.

    objects: [n], ascending or nearly so. labels: [c]. deviation_mm: of a distance between two objects from that of
    their places. most: the largest cost of a distance, so that it decides between readings alike and no more.
    """

    objects: Floats
    labels: Floats
    deviation_mm: float
    most: float

    def cost(self, to: int, labels: NDArray[np.intp]) -> Floats:
        """[to, s, s]: of object `to` with the second label following each object before it with the first."""
        apart = self.objects[to] - self.objects[:to, None, None]
        usual = self.labels[labels] - self.labels[labels][:, None]
        costs: Floats = np.minimum(0.5 * ((apart - usual) / self.deviation_mm) ** 2, self.most)
        return costs


class ArchLattice:
    """The weights of all ways to name n objects with c labels.

    named: [n, c], log-weight of each label for each object, the objects in their order along the arch.
    unnamed: [n], log-weight of an object's having none. place: [c], the place of each label along the arch, 0, 1, ….
    """

    def __init__(self, named: Floats, unnamed: Floats, place: Sequence[int], spacing: Spacing) -> None:
        self._label, self._follows, self._first = _states(place)
        self._named: Floats = named[:, self._label]
        self._skipped = np.concatenate([[0.0], np.cumsum(unnamed)])
        self._labels = len(place)
        # To each object from all before it, [to, s, s], all between them unnamed.
        self._links = [self._links_to(to, spacing) for to in range(len(named))]

    def best(self) -> list[int | None]:
        """The label of each object in the way of the greatest weight; None for an object without."""
        count = len(self._named)
        value = np.empty_like(self._named)
        before: list[tuple[NDArray[np.intp], NDArray[np.intp]]] = []
        for to in range(count):
            through = value[:to, :, None] + self._links[to]
            into = through.reshape(-1, len(self._label))
            start = self._start(to)
            if to:
                chosen = into.argmax(axis=0)
                longer = np.take_along_axis(into, chosen[None], axis=0)[0]
            else:
                chosen, longer = np.zeros(len(self._label), dtype=np.intp), np.full(len(self._label), -np.inf)
            objects, states = np.divmod(chosen, len(self._label))
            before.append((np.where(longer > start, objects, -1), states))
            value[to] = self._named[to] + np.maximum(longer, start)
        return self._traced(value + self._end()[:, None], before)

    def _traced(
        self, whole: Floats, before: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]]
    ) -> list[int | None]:
        """The best way, from its last named object back. whole: [n, s], of the best that ends with each."""
        names: list[int | None] = [None] * len(whole)
        if not whole.size or whole.max() <= self._skipped[-1]:
            return names
        at, state = (int(n) for n in np.unravel_index(whole.argmax(), whole.shape))
        while at >= 0:
            names[at] = int(self._label[state])
            objects, states = before[at]
            at, state = int(objects[state]), int(states[state])
        return names

    def probabilities(self) -> Floats:
        """[n, c]: that an object has a label, by the share of all ways' weights; what lacks to 1 is for none."""
        from scipy.special import logsumexp

        count = len(self._named)
        found = np.zeros((count, self._labels))
        if not count:
            return found
        forward = np.empty_like(self._named)
        for to in range(count):
            through = forward[:to, :, None] + self._links[to]
            longer = logsumexp(through.reshape(-1, len(self._label)), axis=0) if to else -np.inf
            forward[to] = self._named[to] + np.logaddexp(longer, self._start(to))
        backward = np.repeat(self._end()[:, None], len(self._label), axis=1)
        for to in range(count - 1, 0, -1):
            onward = self._links[to] + (self._named[to] + backward[to])
            backward[:to] = np.logaddexp(backward[:to], logsumexp(onward, axis=2))
        total = np.logaddexp(logsumexp(forward + self._end()[:, None]), self._skipped[-1])
        share = np.exp(forward + backward - total)
        for state, label in enumerate(self._label):
            found[:, label] += share[:, state]
        return found

    def _links_to(self, to: int, spacing: Spacing) -> Floats:
        between = self._skipped[to] - self._skipped[1 : to + 1]
        weights = between[:, None, None] - spacing.cost(to, self._label)
        return np.where(self._follows, weights, -np.inf)

    def _start(self, to: int) -> Floats:
        """[s]: log-weight of object `to` being the first that is named."""
        return np.where(self._first, self._skipped[to], -np.inf)

    def _end(self) -> Floats:
        """[n]: log-weight of each object being the last that is named."""
        ends: Floats = self._skipped[-1] - self._skipped[1:]
        return ends


def _states(place: Sequence[int]) -> tuple[NDArray[np.intp], NDArray[np.bool_], NDArray[np.bool_]]:
    """A state is a label just given, and all labels of its place that are given by then.

    Returns the label of each state [s], which may follow which [s, s], and which may be the first of a place [s].
    """
    states = [
        (at, label, frozenset(taken))
        for at in sorted(set(place))
        for here in [[label for label, other in enumerate(place) if other == at]]
        for size in range(1, len(here) + 1)
        for taken in combinations(here, size)
        for label in taken
    ]
    first = np.array([len(taken) == 1 for _, _, taken in states], dtype=np.bool_)
    follows = np.array([
        [
            len(after) == 1 if there > here else there == here and label not in taken and after == taken | {label}
            for there, label, after in states
        ]
        for here, _, taken in states
    ], dtype=np.bool_)
    return np.array([label for _, label, _ in states], dtype=np.intp), follows, first
