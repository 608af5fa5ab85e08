"""How good tooth instances are: found (F1 at IoU 0.5), well outlined, numbered right; and the canal's Dice.

    maps of one scan -> overlaps (one joint histogram) -> score_scan (pairs, missed, false) -> figures -> report

- Pairs: as many as can be made of a true and a found tooth with an IoU of 0.5 or more, then the largest sum of IoU
  (Hungarian method); each tooth is in one pair at most. F1 = 2 pairs / (true + found).
- Dice and average symmetric surface distance (mm): means over the pairs. The surface distance is the mean over the
  border voxels of both, each to the nearest border voxel of the other.
- Numbered right: the share of the pairs whose found tooth has the true one's FDI number. A supernumerary tooth has
  none: there it is right to give none.
- Teeth that the field of view cuts (`excluded`) count neither way, and neither do found ones with at least half of
  their voxels on them.
- Canal: the mean of the Dice over the scans that show it.

Values of label maps: 11 … 85 an FDI number, 101 the canal, 201 and more a tooth without a number.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from ..datasets.tooth_names import FDI, ToothType, tooth_type

Labels = NDArray[np.uint8]
Mask = NDArray[np.bool_]

CANAL = 101
MATCHED_IOU = 0.5


@dataclass(frozen=True)
class Overlap:
    """What a true and a found object share, in voxels."""

    shared: int
    true: int
    found: int

    @property
    def iou(self) -> float:
        """Intersection over union; NaN where both are empty."""
        union = self.true + self.found - self.shared
        return self.shared / union if union else float("nan")

    @property
    def dice(self) -> float:
        """Twice the intersection over the sum; NaN where both are empty."""
        total = self.true + self.found
        return 2 * self.shared / total if total else float("nan")


@dataclass(frozen=True)
class ToothPair:
    """A true tooth and the found tooth matched to it, as values of the two label maps."""

    true: int
    found: int
    overlap: Overlap
    surface_mm: float

    @property
    def numbered_right(self) -> bool:
        """The same number, or none where there is none."""
        return self.found == self.true if self.true in FDI else self.found not in FDI


@dataclass(frozen=True)
class ToothScore:
    """The evaluation of one scan's teeth.

    missed, false: values of the true and of the found map. canal: None where none is in view.
    """

    name: str
    pairs: tuple[ToothPair, ...] = ()
    missed: tuple[int, ...] = ()
    false: tuple[int, ...] = ()
    canal: Overlap | None = None


@dataclass(frozen=True)
class ToothFigures:
    """The figures over several scans; NaN where the denominator is 0."""

    f1: float
    precision: float
    recall: float
    dice: float
    surface_mm: float
    numbered_right: float
    canal_dice: float


def overlaps(true: Labels, found: Labels) -> tuple[dict[int, int], dict[int, int], dict[tuple[int, int], int]]:
    """Voxels of each true value, of each found one, and of each pair that meets; 0 is background.

    One joint histogram over the voxels where either map `[k, j, i]` has something. Raises ValueError for other shapes.
    """
    if true.shape != found.shape:
        raise ValueError(f"the true map is {true.shape}, but the found map {found.shape}: resample both to one grid")
    somewhere = (true | found) != 0
    joint = np.bincount(true[somewhere].astype(np.uint16) << 8 | found[somewhere], minlength=1 << 16).reshape(256, 256)
    of_true, of_found = joint.sum(axis=1), joint.sum(axis=0)
    pairs = {(int(t), int(f)): int(joint[t, f]) for t, f in np.argwhere(joint[1:, 1:]) + 1}
    return _sizes(of_true), _sizes(of_found), pairs


def _sizes(counts: NDArray[np.intp]) -> dict[int, int]:
    return {int(value): int(counts[value]) for value in np.flatnonzero(counts) if value}


def score_scan(
    name: str, true: Labels, found: Labels, *, canal: Mask | None = None, excluded: Collection[int] = (),
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
) -> ToothScore:
    """One scan's score; `true`, `found` and `canal` are `[k, j, i]` on one grid, `spacing` its mm along k, j, i.

    found: teeth and canal. canal: the true one; None or empty where it is not in view.
    """
    of_true, of_found, shared = overlaps(true, found)
    teeth = sorted(of_true.keys() - set(excluded))
    candidates = sorted(of_found.keys() - {CANAL})
    table = [[Overlap(shared.get((t, f), 0), of_true[t], of_found[f]) for f in candidates] for t in teeth]
    matched = match([[overlap.iou for overlap in row] for row in table])
    boxes = ndimage.find_objects(true, 255), ndimage.find_objects(found, 255)
    pairs = []
    for row, column in matched:
        t, f = teeth[row], candidates[column]
        box = _hull(boxes[0][t - 1], boxes[1][f - 1])
        distance = surface_distance(true[box] == t, found[box] == f, spacing)
        pairs.append(ToothPair(t, f, table[row][column], distance))
    on_excluded = {f: sum(shared.get((t, f), 0) for t in excluded) for f in candidates}
    taken = {pair.found for pair in pairs}
    return ToothScore(
        name,
        tuple(pairs),
        missed=tuple(t for t in teeth if t not in {pair.true for pair in pairs}),
        false=tuple(f for f in candidates if f not in taken and 2 * on_excluded[f] < of_found[f]),
        canal=_canal(canal, found == CANAL),
    )


def match(ious: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """Rows and columns of the pairs in a table of IoU: most pairs of `MATCHED_IOU` or more, then the largest sum."""
    table = np.array(ious, dtype=np.float64)
    if table.size == 0:
        return []
    # One more pair must outweigh every sum of IoU.
    gain = np.where(table >= MATCHED_IOU, table + table.size, 0)
    rows, columns = linear_sum_assignment(gain, maximize=True)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if table[r, c] >= MATCHED_IOU]


def surface_distance(one: Mask, other: Mask, spacing: Sequence[float]) -> float:
    """Average symmetric surface distance in mm of two masks `[k, j, i]`, neither of them empty."""
    # A border of background, so that what touches the block's faces has its surface there as well.
    one, other = np.pad(one, 1), np.pad(other, 1)
    borders = [mask & ~ndimage.binary_erosion(mask) for mask in (one, other)]
    ways = [
        ndimage.distance_transform_edt(~there, sampling=spacing)[here]
        for here, there in (borders, borders[::-1])
    ]
    return float(np.concatenate(ways).mean())


def _hull(one: tuple[slice, ...], other: tuple[slice, ...]) -> tuple[slice, ...]:
    return tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, other, strict=True))


def _canal(true: Mask | None, found: Mask) -> Overlap | None:
    if true is None or not true.any():
        return None
    return Overlap(int((true & found).sum()), int(true.sum()), int(found.sum()))


def figures(scores: Sequence[ToothScore]) -> ToothFigures:
    """The figures over all teeth of `scores`; the canal's over its scans."""
    pairs = [pair for score in scores for pair in score.pairs]
    true = len(pairs) + sum(len(score.missed) for score in scores)
    found = len(pairs) + sum(len(score.false) for score in scores)
    return ToothFigures(
        f1=_share(2 * len(pairs), true + found),
        precision=_share(len(pairs), found),
        recall=_share(len(pairs), true),
        dice=_mean([pair.overlap.dice for pair in pairs]),
        surface_mm=_mean([pair.surface_mm for pair in pairs]),
        numbered_right=_share(sum(pair.numbered_right for pair in pairs), len(pairs)),
        canal_dice=_mean([score.canal.dice for score in scores if score.canal is not None]),
    )


def bootstrap(
    scores: Sequence[ToothScore], *, samples: int = 1000, seed: int = 0, confidence: float = 0.95
) -> dict[str, tuple[float, float]]:
    """Low and high of each figure when scans are drawn anew, with replacement, `samples` times (seeded).

    Draws where a figure cannot be formed are left out of it; NaN where all are.
    """
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(samples):
        chosen = figures([scores[number] for number in rng.integers(len(scores), size=len(scores))])
        drawn.append([getattr(chosen, field.name) for field in fields(chosen)])
    columns = np.array(drawn).T
    bounds = {}
    for field, column in zip(fields(ToothFigures), columns, strict=True):
        there = column[~np.isnan(column)]
        low, high = np.quantile(there, [(1 - confidence) / 2, (1 + confidence) / 2]) if there.size else (np.nan,) * 2
        bounds[field.name] = (float(low), float(high))
    return bounds


def by_type(scores: Sequence[ToothScore]) -> dict[str, ToothFigures]:
    """The figures of the true teeth of each type (false ones belong to none, so precision is 1 there)."""
    split: Mapping[str, list[ToothScore]] = {
        name: [
            ToothScore(
                score.name,
                tuple(pair for pair in score.pairs if kind(pair.true) == name),
                tuple(value for value in score.missed if kind(value) == name),
            )
            for score in scores
        ]
        for name in ("incisor", "canine", "premolar", "molar", "deciduous", "supernumerary")
    }
    return {name: figures(part) for name, part in split.items() if any(score.pairs or score.missed for score in part)}


def kind(value: int) -> ToothType | str:
    """A true tooth's row in the report."""
    if value not in FDI:
        return "supernumerary"
    return "deciduous" if value > 50 else tooth_type(value)


def line(score: ToothScore) -> str:
    """One scan in a line: its figures, and by number what was missed, false or numbered wrongly."""
    of = figures([score])
    text = (
        f"{score.name}: {len(score.pairs)} of {len(score.pairs) + len(score.missed)} teeth found, "
        f"Dice {_text(of.dice)}, numbered right {_text(of.numbered_right)}"
    )
    if score.canal is not None:
        text += f", canal Dice {_text(of.canal_dice)}"
    wrong = [f"{pair.true}→{pair.found}" for pair in score.pairs if not pair.numbered_right]
    for word, entries in (("missed", score.missed), ("false", score.false), ("number wrong", wrong)):
        if entries:
            text += f", {word}: {' '.join(str(entry) for entry in entries)}"
    return text


def report(scores: Sequence[ToothScore]) -> str:
    """The table a person reads: all figures with their 95 % intervals over scans, then the teeth by type."""
    if not scores:
        return "0 scans"
    everything, bounds = figures(scores), bootstrap(scores)
    true = sum(len(score.pairs) + len(score.missed) for score in scores)
    lines = [f"{len(scores)} scans, {true} teeth", f"{'figure':<24}  value  95 % over scans"]
    for name, words in _WORDS.items():
        low, high = bounds[name]
        lines.append(f"{words:<24}  {_text(getattr(everything, name))}  {_text(low)} – {_text(high)}")
    lines.append(f"{'type':<24}  recall   Dice  number right")
    for name, of in by_type(scores).items():
        lines.append(f"{name:<24}  {_text(of.recall):>6}  {_text(of.dice):>5}  {_text(of.numbered_right):>12}")
    return "\n".join(lines)


_WORDS = {
    "f1": "F1 at IoU 0.5",
    "precision": "precision",
    "recall": "recall",
    "dice": "Dice of found teeth",
    "surface_mm": "surface distance, mm",
    "numbered_right": "number right, of found",
    "canal_dice": "canal Dice",
}


def _share(count: int, of: int) -> float:
    return count / of if of else float("nan")


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _text(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"
