"""FROC by LUNA16's own rules: how many nodules a detector finds, at how many false alarms a scan.

    scans -> match (hits, misses, false positives of each scan) -> froc (the curve) and bootstrap (its band)

The rules are those of LUNA16's evaluation script (`noduleCADEvaluationLUNA16.py`; Setio et al., Med Image Anal 2017).
`medinfer score` prints the figures of results, `python -m medtrain froc` those of a submission.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import MedInferError
from .luna16 import Candidate, Nodule, Scan

Floats = NDArray[np.float64]

# The false positives a scan at which LUNA16 reads the curve; the mean sensitivity there is the CPM.
RATES: tuple[float, ...] = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)

# LUNA16 keeps no more candidates than this of one scan.
MAX_CANDIDATES = 100


@dataclass(frozen=True, eq=False)
class ScanMatch:
    """The matching of one scan's candidates.

    nodule_scores: `[nodules]`, the best score that hit each nodule; −inf where none did.
    false_positive_scores: `[false positives]`.
    ignored: candidates on excluded findings. double: further candidates on a nodule that was hit already.
    candidates: all that took part, after the cut to the highest-scoring ones.
    """

    nodule_scores: Floats
    false_positive_scores: Floats
    ignored: int
    double: int
    candidates: int


@dataclass(frozen=True)
class Counts:
    """The sums over all scans, as LUNA16's script prints them."""

    scans: int
    nodules: int
    candidates: int
    true_positives: int
    false_positives: int
    false_negatives: int
    ignored: int
    double: int


@dataclass(frozen=True, eq=False)
class Froc:
    """The curve: by falling threshold, what is found and what it costs.

    thresholds, sensitivity (0…1), false_positives_per_scan: `[points]` each; a point counts the candidates whose
    score is at least its threshold. Points within a straight run are left out.
    """

    thresholds: Floats
    sensitivity: Floats
    false_positives_per_scan: Floats
    counts: Counts

    def at(self, rate: float) -> float:
        """Sensitivity at `rate` false positives a scan, linear between points and level after the last one."""
        return float(_read_curve(self.false_positives_per_scan, self.sensitivity, [rate])[0])

    @property
    def cpm(self) -> float:
        """Competition performance metric: mean sensitivity at ⅛, ¼, ½, 1, 2, 4 and 8 false positives a scan."""
        return float(np.mean([self.at(rate) for rate in RATES]))


@dataclass(frozen=True, eq=False)
class Band:
    """How far the curve would move with other scans.

    rates: false positives a scan; mean, low, high: sensitivity at each, `[rates]`.
    cpm_low, cpm_high: the same interval of the CPM. confidence: the share of resampled curves between low and high.
    """

    rates: Floats
    mean: Floats
    low: Floats
    high: Floats
    cpm_low: float
    cpm_high: float
    confidence: float


def match(
    nodules: Sequence[Nodule], candidates: Sequence[Candidate], excluded: Sequence[Nodule] = (), *,
    max_candidates: int = MAX_CANDIDATES,
) -> ScanMatch:
    """Tell hits from false positives on one scan; all positions in one frame, mm.

    A candidate hits a nodule when its distance from the centre is less than half the diameter. The best one finds the
    nodule, the others are double. A candidate on no nodule but on an excluded finding is ignored; the rest are false
    positives. As in LUNA16's script, one candidate within two nodules finds both.
    Raises MedInferError for a score that is not finite.
    """
    kept = _highest(candidates, max_candidates)
    scores = np.array([candidate.score for candidate in kept], dtype=np.float64)
    if not np.isfinite(scores).all():
        raise MedInferError("A candidate's score is not a finite number, so it has no place on the curve.")
    hits = _within(nodules, kept)
    on_nodule = hits.any(axis=0)
    on_excluded = _within(excluded, kept).any(axis=0) & ~on_nodule
    return ScanMatch(
        nodule_scores=np.where(hits, scores, -np.inf).max(axis=1, initial=-np.inf),
        false_positive_scores=scores[~on_nodule & ~on_excluded],
        ignored=int(on_excluded.sum()),
        double=int(np.maximum(hits.sum(axis=1) - 1, 0).sum()),
        candidates=len(kept),
    )


def match_all(scans: Iterable[Scan], *, max_candidates: int = MAX_CANDIDATES) -> list[ScanMatch]:
    """`match` for every scan."""
    return [match(scan.nodules, scan.candidates, scan.excluded, max_candidates=max_candidates) for scan in scans]


def froc(matches: Sequence[ScanMatch]) -> Froc:
    """The FROC curve over all scans; scans without candidates count too. Raises MedInferError without any nodule."""
    counts = _count(matches)
    if counts.nodules == 0:
        raise MedInferError("These scans contain no nodule, so the sensitivity is undefined.")
    pool = _pool(matches)
    # Rows: threshold, nodules found, false positives; one column per point.
    points = np.stack([pool.scores, *_running(pool, np.ones(len(pool.scores)))])[:, pool.last_of_tie]
    points = points[:, _corners(points[1:])]
    # The curve starts where nothing is marked yet, unless its first point has no false positives anyway.
    if points.shape[1] == 0 or points[2, 0] > 0:
        points = np.column_stack([[np.inf, 0, 0], points])
    return Froc(points[0], points[1] / counts.nodules, points[2] / counts.scans, counts)


def bootstrap(
    matches: Sequence[ScanMatch], *, samples: int = 1000, seed: int = 0, confidence: float = 0.95,
    rates: ArrayLike = RATES,
) -> Band:
    """The band of the curve when scans are drawn anew, with replacement, `samples` times (seeded; LUNA16 draws 1000).

    The bounds are the order statistics floor(p·samples) of the sorted sensitivities, as in LUNA16's script. A draw
    without any nodule has no sensitivity and is left out. Raises MedInferError where no draw has one.
    """
    pool = _pool(matches)
    nodules = np.array([len(scan.nodule_scores) for scan in matches])
    rng = np.random.default_rng(seed)
    wanted = np.concatenate([np.asarray(rates, dtype=np.float64), RATES])
    curves = []
    for _ in range(samples):
        times = np.bincount(rng.integers(len(matches), size=len(matches)), minlength=len(matches))
        if times @ nodules == 0:
            continue
        hits, false_positives = _running(pool, times[pool.scan])[:, pool.last_of_tie]
        curves.append(_read_curve(
            np.insert(false_positives, 0, 0) / len(matches), np.insert(hits, 0, 0) / (times @ nodules), wanted
        ))
    if not curves:
        raise MedInferError("No resampled set of scans contains a nodule, so there is no confidence band.")
    at_rates, at_cpm = np.split(np.array(curves), [len(wanted) - len(RATES)], axis=1)
    low, high = _interval(at_rates, confidence)
    cpm_low, cpm_high = _interval(at_cpm.mean(axis=1), confidence)
    return Band(
        wanted[:-len(RATES)], at_rates.mean(axis=0), low, high, float(cpm_low), float(cpm_high), confidence
    )


@dataclass(frozen=True, eq=False)
class _Pool:
    """All nodules that were hit and all false positives, best score first.

    scores, is_hit, scan (number of the scan): `[marks]`. last_of_tie: the last mark of each distinct score, because
    marks of one score pass a threshold together.
    """

    scores: Floats
    is_hit: NDArray[np.bool_]
    scan: NDArray[np.intp]
    last_of_tie: NDArray[np.intp]


def _pool(matches: Sequence[ScanMatch]) -> _Pool:
    parts: list[tuple[Floats, bool, int]] = []
    for number, scan in enumerate(matches):
        parts.append((scan.nodule_scores[np.isfinite(scan.nodule_scores)], True, number))
        parts.append((scan.false_positive_scores, False, number))
    lengths = [len(scores) for scores, _, _ in parts]
    scores = np.concatenate([np.empty(0), *(scores for scores, _, _ in parts)])
    is_hit = np.repeat(np.array([hit for _, hit, _ in parts], dtype=bool), lengths)
    scan_of = np.repeat(np.array([number for _, _, number in parts], dtype=np.intp), lengths)
    order = np.argsort(-scores, kind="stable")
    scores = scores[order]
    last_of_tie = np.flatnonzero(np.append(np.diff(scores) != 0, [True] * (len(scores) > 0)))
    return _Pool(scores, is_hit[order], scan_of[order], last_of_tie)


def _count(matches: Sequence[ScanMatch]) -> Counts:
    nodules = sum(len(scan.nodule_scores) for scan in matches)
    found = sum(int(np.isfinite(scan.nodule_scores).sum()) for scan in matches)
    return Counts(
        scans=len(matches),
        nodules=nodules,
        candidates=sum(scan.candidates for scan in matches),
        true_positives=found,
        false_positives=sum(len(scan.false_positive_scores) for scan in matches),
        false_negatives=nodules - found,
        ignored=sum(scan.ignored for scan in matches),
        double=sum(scan.double for scan in matches),
    )


def _highest(candidates: Sequence[Candidate], limit: int) -> list[Candidate]:
    """At most `limit` candidates; as in LUNA16's script, those strictly above the first score that is too many."""
    if len(candidates) <= limit:
        return list(candidates)
    cut = sorted((candidate.score for candidate in candidates), reverse=True)[limit]
    return [candidate for candidate in candidates if candidate.score > cut]


def _within(nodules: Sequence[Nodule], candidates: Sequence[Candidate]) -> NDArray[np.bool_]:
    """`[nodules, candidates]`: whether the candidate lies inside the nodule's radius."""
    centers = np.array([nodule.center_mm for nodule in nodules], dtype=np.float64).reshape(-1, 1, 3)
    radii = np.array([nodule.diameter_mm for nodule in nodules], dtype=np.float64).reshape(-1, 1) / 2
    places = np.array([candidate.center_mm for candidate in candidates], dtype=np.float64).reshape(1, -1, 3)
    inside: NDArray[np.bool_] = ((centers - places) ** 2).sum(axis=2) < radii**2
    return inside


def _running(pool: _Pool, weights: NDArray[Any]) -> Floats:
    """`[2, marks]`: nodules found and false positives down to each mark, when each counts `weights` `[marks]` times."""
    running: Floats = np.cumsum(np.stack([pool.is_hit, ~pool.is_hit]) * weights, axis=1, dtype=np.float64)
    return running


def _corners(points: Floats) -> NDArray[np.intp]:
    """Where the curve `[2, points]` bends, with its two ends: points between add nothing to a straight, even run."""
    if points.shape[1] <= 2:
        return np.arange(points.shape[1])
    bends = (np.diff(points, 2, axis=1) != 0).any(axis=0)
    return np.flatnonzero(np.concatenate([[True], bends, [True]]))


def _read_curve(false_positives_per_scan: Floats, sensitivity: Floats, rates: ArrayLike) -> Floats:
    """Sensitivity at `rates`; where the curve rises straight up, its upper end."""
    return np.interp(np.asarray(rates, dtype=np.float64), false_positives_per_scan, sensitivity)


def _interval(values: Floats, confidence: float) -> tuple[Floats, Floats]:
    """The order statistics along the first axis that leave half of 1 − confidence on either side."""
    ordered, outside = np.sort(values, axis=0), (1 - confidence) / 2
    last = len(ordered) - 1
    return ordered[int(outside * len(ordered))], ordered[min(int((1 - outside) * len(ordered)), last)]
