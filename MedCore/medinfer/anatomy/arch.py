"""The names of teeth along the dental arches, decided for all teeth together.

A network that sees one tooth after the other takes a tooth for its neighbour, gives two teeth one number, or one of the
left the number of the right. Together, the teeth leave little doubt: no number twice, and along each arch the
numbers follow each other. What an arch is, the model's manifest says; this code knows of places in an order, not of a
numbering scheme. Sides are the patient's: positions are in RAS millimetres, and places run from the right to the left.

Which arch (`arch_planes`), where along it (`arch_curve`), which name (`arch_lattice`); the last two in turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..manifest import Arch
from .arch_curve import ArchCurve, fit_curve, places_along
from .arch_lattice import ArchLattice, Spacing
from .arch_planes import arch_probabilities

Floats = NDArray[np.float64]

# So much of a network's answers is taken for chance: no label is impossible, none certain.
_CHANCE = 0.1
# How often an object is not a tooth of the arch: a supernumerary one, or none at all.
_EXTRA = 0.0005
# Positions are weak evidence: deviations of a tooth from its place and of a distance from the usual, mm, and the most
# that either may count (a logarithm of odds).
_PLACE_MM, _PLACE_MOST = 4.0, 2.0
_STEP_MM, _STEP_MOST = 2.5, 3.0
# Teeth nearer to each other along the arch than twice this (crowded ones) are ordered by what the network says.
_CROWDED_MM = 1.5
# A tooth out of order is no further than this from where its number belongs, along the arch.
_ECTOPIC_MM = 20.0
# A kind of alternative that no tooth shows is as common as so many teeth of it would be.
_RARE = 0.2
_ROUNDS = 4

_EXTRA_TOOTH = "extra tooth"


@dataclass(frozen=True)
class ArchName:
    """label: None for an object whose number is uncertain or absent. confidence: 0…1, of the label, or of the
    most likely one. flags: what a user should know, one phrase each."""

    label: str | None
    confidence: float
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Named:
    """What is known of n objects. best: [n], the column of each one's label in the best way to name all, −1 for none.
    probability: [n, c], of each label. near: [n, c], whether a tooth of that label may have been displaced to there."""

    best: NDArray[np.intp]
    probability: Floats
    near: NDArray[np.bool_]


def names_along_arches(
    scores: ArrayLike, names: Sequence[str], positions_ras: ArrayLike, arches: Sequence[Arch], threshold: float
) -> list[ArchName]:
    """The name of each of n objects, by what all of them together make most probable.

    scores: [n, c], probabilities of the labels `names`; those in none of the arches count for none of their teeth.
    positions_ras: [n, 3], mm. threshold: the probability (of the label, among all ways to name all objects) under which
    a label is not given but flagged: "number unsure: 14 or 15". An object that no label is left for is flagged
    "extra tooth"; one that the network is sure of by itself, against the order, keeps its label: "out of order".
    Raises ValueError where the shapes differ, a value isn't finite, or an arch has a label that isn't in `names`.
    """
    values, positions = _checked(scores, names, positions_ras)
    columns = [_columns(arch, names) for arch in arches]
    if not len(values) or not columns:
        return [ArchName(None, 0.0)] * len(values)
    known = (1 - _CHANCE) * values + _CHANCE / len(names)
    none = _EXTRA + np.delete(values, np.concatenate(columns), axis=1).sum(axis=1)
    belongs = arch_probabilities(np.stack([known[:, of].sum(axis=1) for of in columns], axis=1), positions)
    own = [belongs.argmax(axis=1) == number for number in range(len(arches))]
    found = _together([
        _ArchTeeth(arch, known[members][:, of], none[members], positions[members])
        for arch, of, members in zip(arches, columns, own, strict=True)
    ])
    named = _Named(np.full(len(values), -1), np.zeros(values.shape), np.zeros(values.shape, dtype=np.bool_))
    for number, (of, members, here) in enumerate(zip(columns, own, found, strict=True)):
        # A tooth of another arch has this one's labels by what the network alone says.
        alone = known[:, of] / known[:, of].sum(axis=1, keepdims=True)
        alone[members] = here.probability
        named.best[members] = np.where(here.best < 0, -1, of[here.best])
        named.near[np.ix_(members, of)] = here.near
        named.probability[:, of] += alone * belongs[:, number, None]
    return _answers(named, names, values, threshold)


def _checked(scores: ArrayLike, names: Sequence[str], positions_ras: ArrayLike) -> tuple[Floats, Floats]:
    values, positions = np.asarray(scores, dtype=np.float64), np.asarray(positions_ras, dtype=np.float64)
    count = len(values)
    values, positions = values.reshape(count, -1 if count else len(names)), positions.reshape(-1, 3)
    if values.shape[1] != len(names) or len(positions) != count:
        raise ValueError(
            f"scores {values.shape} and positions {positions.shape} must have one row per object, and scores one "
            f"column for each of the {len(names)} labels"
        )
    if not (np.isfinite(values).all() and np.isfinite(positions).all()):
        raise ValueError("scores and positions must be finite")
    return values.clip(0, 1), positions


def _columns(arch: Arch, names: Sequence[str]) -> NDArray[np.intp]:
    """Where the labels of an arch are among all."""
    wanted = [name for place in arch.places for name in place]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise ValueError(f"an arch has the label {unknown[0]!r}, which is not one of the labels {', '.join(names)}")
    return np.array([list(names).index(name) for name in wanted])


def _together(arches: Sequence[_ArchTeeth]) -> list[_Named]:
    """The labels within each arch, in turns with how common the first, second, … alternatives of places are.

    Alternatives are alike in all arches (permanent teeth are the first, deciduous the second ones), and a patient has
    many of a kind or none: one deciduous tooth among thirty permanent ones needs more to be believed.
    """
    common = np.ones(max((teeth.alternative.max() + 1 for teeth in arches), default=1))
    for _ in range(_ROUNDS):
        for teeth in arches:
            teeth.take_turn(common)
        counts = np.full(len(common), _RARE)
        for teeth in arches:
            counts += np.bincount(teeth.alternative, teeth.probability.sum(axis=0) * teeth.has_others, len(counts))
        common = counts / counts.sum()
    return [teeth.named() for teeth in arches]


class _ArchTeeth:
    """The objects of one arch: scores [n, c] of the arch's labels, none [n], both > 0; positions [n, 3], RAS mm."""

    def __init__(self, arch: Arch, scores: Floats, none: Floats, positions: Floats) -> None:
        self._place = [at for at, alternatives in enumerate(arch.places) for _ in alternatives]
        self._usual = places_along(len(arch.places))[self._place]
        self._scores, self._none, self._positions = scores, none, positions
        self._curve: ArchCurve | None = None
        self._along, self._order = np.zeros(len(scores)), np.arange(len(scores))
        self._lattice: ArchLattice | None = None
        # [n, c]: that an object has a label, as far as is known by now.
        self.probability = scores / scores.sum(axis=1, keepdims=True)
        # [c]: which of its place's alternatives each label is, and whether there are others.
        self.alternative = np.array([n for alternatives in arch.places for n in range(len(alternatives))])
        self.has_others = np.array([len(alternatives) > 1 for alternatives in arch.places for _ in alternatives])

    def take_turn(self, common: Floats) -> None:
        """What is known of the names draws the curve; the curve orders the objects; their order says more of the names.

        common: how common the first, second, … alternatives of places are.
        """
        if not len(self._scores):
            return
        self._curve = fit_curve(self._positions, self.probability, self._usual, self._curve)
        self._along, _ = self._curve.nearest(self._positions, float(np.abs(self._usual).max()))
        off = 0.5 * ((self._along[:, None] - self._usual) / _PLACE_MM) ** 2
        weights = np.log(self._scores) - np.minimum(off, _PLACE_MOST)
        weights += np.where(self.has_others, np.log(common)[self.alternative], 0.0)
        order = self._order = _order(self._along, np.exp(weights), self._usual)
        spacing = Spacing(self._along[order], self._usual, _STEP_MM, _STEP_MOST)
        self._lattice = ArchLattice(weights[order], np.log(self._none)[order], self._place, spacing)
        self.probability[order] = self._lattice.probabilities()

    def named(self) -> _Named:
        """After the last turn."""
        best = np.full(len(self._scores), -1)
        if self._lattice is not None:
            best[self._order] = [-1 if label is None else label for label in self._lattice.best()]
        return _Named(best, self.probability, np.abs(self._along[:, None] - self._usual) <= _ECTOPIC_MM)


def _order(along: Floats, weights: Floats, usual: Floats) -> NDArray[np.intp]:
    """The objects by where they lie along the arch, crowded ones by where their likeliest places are."""
    places = (weights * usual).sum(axis=1) / weights.sum(axis=1)
    return np.lexsort((along, along + (places - along).clip(-_CROWDED_MM, _CROWDED_MM)))


def _answers(named: _Named, names: Sequence[str], scores: Floats, threshold: float) -> list[ArchName]:
    """The probabilities in words."""
    astray = _out_of_order(named, scores, max(threshold, 0.5))
    answers = []
    for n, (best, row) in enumerate(zip(named.best, named.probability, strict=True)):
        none = 1 - float(row.sum())
        if n in astray:
            answers.append(ArchName(names[astray[n]], float(scores[n, astray[n]]), ("out of order",)))
        elif best >= 0 and row[best] >= threshold:
            answers.append(ArchName(names[best], min(float(row[best]), 1.0)))
        elif best < 0 and none >= threshold:
            answers.append(ArchName(None, float(row.max()), (_EXTRA_TOOTH,)))
        else:
            answers.append(ArchName(None, float(row.max()), (_unsure([*row, none], [*names, _EXTRA_TOOTH]),)))
    return answers


def _unsure(probabilities: Sequence[float], words: Sequence[str]) -> str:
    """"number unsure: 14 or 15": the two likeliest, and a third where it is half as likely as the first."""
    order = sorted(range(len(words)), key=lambda n: (-probabilities[n], n))[:3]
    likely = [words[n] for at, n in enumerate(order) if at < 2 or probabilities[n] >= probabilities[order[0]] / 2]
    return f"number unsure: {' or '.join(likely)}"


def _out_of_order(named: _Named, scores: Floats, least: float) -> dict[int, int]:
    """Columns of the labels that objects left without one keep: sure by the network alone, free, and not far off."""
    unnamed = (named.best < 0)[:, None] & named.near & (scores >= least)
    unnamed[:, named.best[named.best >= 0]] = False
    kept: dict[int, int] = {}
    for n, column in sorted(np.argwhere(unnamed).tolist(), key=lambda at: (-scores[at[0], at[1]], *at)):
        if n not in kept and column not in kept.values():
            kept[n] = column
    return kept
