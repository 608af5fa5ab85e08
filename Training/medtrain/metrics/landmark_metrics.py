"""How good landmarks are: radial errors, success rates, VerSe's identification rate, missed and false ones.

    trials (predictions beside the truth) -> score_each (a tally a landmark) -> total -> report

- Radial error: the distance of a prediction from its truth, over all that have both.
- Success rate at r mm: the share of the truths in view with a prediction at most r mm away; missed ones fail.
- Identification rate (VerSe; Sekuboyina et al., MedIA 73 (2021) 102166): the share of the truths in view whose
  prediction is nearer to its own truth than to any other, and nearer than 20 mm.
- Missed: a truth in view without a prediction. False: a prediction where no truth is in view, or 20 mm or more from it.
- Excluded landmarks (cut by the field of view) are not evaluated: both a prediction and none are right.

All positions are RAS mm.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from medinfer.findings import Vector

RADII_MM: tuple[float, ...] = (2.0, 2.5, 3.0, 4.0, 10.0, 20.0)
"""Where success rates are read: at those of the cephalometric challenges (2–4 mm) and of vertebra labelling."""

IDENTIFIED_MM = 20.0


@dataclass(frozen=True)
class LandmarkTrial:
    """One scan: where landmarks are, and where a model says they are (None or absent: missing)."""

    name: str
    truth: Mapping[str, Vector]
    found: Mapping[str, Vector | None]
    excluded: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Tally:
    """The results of one landmark, or of all, over the trials.

    truths: how often it is in view. errors_mm: of each prediction that has a truth.
    """

    label: str
    truths: int = 0
    errors_mm: tuple[float, ...] = field(default=(), repr=False)
    identified: int = 0
    missed: int = 0
    false: int = 0

    @property
    def mean_mm(self) -> float:
        """Mean radial error; NaN if there is none."""
        return float(np.mean(self.errors_mm)) if self.errors_mm else float("nan")

    @property
    def median_mm(self) -> float:
        """Median radial error; NaN if there is none."""
        return float(np.median(self.errors_mm)) if self.errors_mm else float("nan")

    @property
    def identification_rate(self) -> float:
        """Identified of those in view; NaN where none is."""
        return self._share(self.identified)

    def success(self, radius_mm: float) -> float:
        """Found at most `radius_mm` away, of those in view; NaN where none is."""
        return self._share(sum(error <= radius_mm for error in self.errors_mm))

    def _share(self, count: int) -> float:
        return count / self.truths if self.truths else float("nan")


def score_trial(trial: LandmarkTrial) -> dict[str, Tally]:
    """One tally for each landmark that is in view or predicted, excluded ones left out."""
    found = {label: point for label, point in trial.found.items() if point is not None}
    in_view = {label: point for label, point in trial.truth.items() if label not in trial.excluded}
    names, places = list(in_view), np.array(list(in_view.values()), dtype=np.float64).reshape(-1, 3)
    tallies = {}
    for label in dict.fromkeys([*in_view, *found]):
        if label in trial.excluded:
            continue
        if label not in in_view:
            tallies[label] = Tally(label, false=1)
        elif label not in found:
            tallies[label] = Tally(label, truths=1, missed=1)
        else:
            distances = np.linalg.norm(places - np.asarray(found[label], dtype=np.float64), axis=1)
            error = float(distances[names.index(label)])
            # Two truths at the same distance: its own is as near as any.
            identified = error <= distances.min() and error < IDENTIFIED_MM
            tallies[label] = Tally(
                label, truths=1, errors_mm=(error,), identified=int(identified), false=int(error >= IDENTIFIED_MM)
            )
    return tallies


def score_each(trials: Iterable[LandmarkTrial], order: Sequence[str] = ()) -> dict[str, Tally]:
    """A tally for each landmark over all trials; those in `order` first, the others as they come."""
    by_label: dict[str, list[Tally]] = {label: [] for label in order}
    for trial in trials:
        for label, tally in score_trial(trial).items():
            by_label.setdefault(label, []).append(tally)
    return {label: total(tallies, label) for label, tallies in by_label.items() if tallies}


def total(tallies: Iterable[Tally], label: str = "all") -> Tally:
    """The sum of tallies."""
    each = list(tallies)
    return Tally(
        label,
        truths=sum(tally.truths for tally in each),
        errors_mm=tuple(error for tally in each for error in tally.errors_mm),
        identified=sum(tally.identified for tally in each),
        missed=sum(tally.missed for tally in each),
        false=sum(tally.false for tally in each),
    )


def named_by_truth(
    points: Sequence[Vector], truth: Mapping[str, Vector], within_mm: float = IDENTIFIED_MM
) -> dict[str, Vector]:
    """Names for the points of a model that gives none: each truth's goes to one point nearer than `within_mm`.

    As many pairs as can be made, then the shortest sum of distances (Hungarian method). Points that are left over are
    called "unnamed 1", "unnamed 2", …; no truth has such a name, so they count as false. Put the centroids of cut
    landmarks among `truth`, so that a point there is not false.
    """
    names = list(truth)
    distances = cdist(_array(points), _array(truth.values()))
    # A pair that is too far apart costs more than all others together, so that it is only made where nothing else is.
    costs = np.where(distances < within_mm, distances, within_mm * (1 + min(distances.shape)))
    rows, columns = linear_sum_assignment(costs)
    owner = {
        int(row): names[column] for row, column in zip(rows, columns, strict=True) if distances[row, column] < within_mm
    }
    unnamed = iter(range(1, len(points) + 1))
    return {owner.get(row) or f"unnamed {next(unnamed)}": point for row, point in enumerate(points)}


def report(trials: Sequence[LandmarkTrial], order: Sequence[str] = ()) -> str:
    """The table a person reads: all landmarks together, then each."""
    each = score_each(trials, order)
    everything = total(each.values())
    width = max(len("landmark"), *(len(label) for label in each), 0)
    radii = "  ".join(f"{f'≤ {radius:g}':>6}" for radius in RADII_MM)
    head = f"{'landmark':<{width}}  in view  mean mm  median  {radii}  identified  missed  false"
    lines = [_line(tally, width) for tally in (everything, *each.values())]
    return "\n".join([f"{len(trials)} scans, {everything.truths} landmarks in view", head, *lines])


def _line(tally: Tally, width: int) -> str:
    rates = "  ".join(f"{_percent(tally.success(radius)):>6}" for radius in RADII_MM)
    errors = f"{_millimetres(tally.mean_mm):>7}  {_millimetres(tally.median_mm):>6}"
    return (
        f"{tally.label:<{width}}  {tally.truths:>7}  {errors}  {rates}  "
        f"{_percent(tally.identification_rate):>10}  {tally.missed:>6}  {tally.false:>5}"
    )


def _percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{share * 100:.1f}%"


def _millimetres(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.2f}"


def _array(points: Iterable[Vector]) -> NDArray[np.float64]:
    return np.array(list(points), dtype=np.float64).reshape(-1, 3)
