"""Results of a detector and the truth about the same scans: which findings hit what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import MedInferError
from ..findings import Box, Findings
from .luna16 import Candidate, Nodule, Scan
from .truth import TrueScan


@dataclass(frozen=True)
class Paired:
    """scans: results with their truth, in the results' order, then scans of the truth that count without results.
    absent: names of scans of the truth without results. healthy: names of results that the truth does not name; they
    are among `scans`, as scans without a nodule."""

    scans: tuple[Scan, ...]
    absent: tuple[str, ...]
    healthy: tuple[str, ...]


@dataclass(frozen=True)
class Hit:
    """A nodule of the truth and the best candidate on it. rank: of that candidate in its scan, from 1; None where none
    hit. distance_mm: from the nodule's centre."""

    scan: str
    nodule: Nodule
    score: float | None = None
    rank: int | None = None
    distance_mm: float | None = None


def paired(results: Mapping[str, Findings], truth: Sequence[TrueScan], *, count_absent: bool = False) -> Paired:
    """Bring results (by name) and truth together: by the scan's name, or by the series.

    count_absent: scans of the truth without results count as scans in which nothing was found.
    Raises MedInferError where no scan is in both, or two results are of one scan.
    """
    of: dict[str, TrueScan] = {}
    for scan in truth:
        names = [name for name, findings in results.items() if _is_of(scan, name, findings)]
        if len(names) > 1:
            raise MedInferError(f"{' and '.join(names)} are results of one scan, {scan.name}; leave one of them out.")
        of.update(dict.fromkeys(names, scan))
    if not of:
        wanted = _some([scan.name for scan in truth])
        raise MedInferError(
            f"None of the {len(truth)} scans of the truth ({wanted}) is among the results ({_some([*results])}); they "
            "are compared by the scan's name and by SeriesInstanceUID."
        )
    known = {scan.name for scan in of.values()}
    absent = [scan for scan in truth if scan.name not in known]
    scans = [_scan(name, findings, of.get(name)) for name, findings in results.items()]
    if count_absent:
        scans += [Scan(scan.name, scan.nodules, (), scan.excluded) for scan in absent]
    healthy = tuple(name for name in results if name not in of)
    return Paired(tuple(scans), tuple(scan.name for scan in absent), healthy)


def hits_of(scan: Scan) -> list[Hit]:
    """What hit each nodule of a scan: the candidate with the highest score within half its diameter, as in FROC."""
    ranked = sorted(scan.candidates, key=lambda candidate: -candidate.score)
    found = []
    for nodule in scan.nodules:
        away = [float(np.linalg.norm(np.subtract(one.center_mm, nodule.center_mm))) for one in ranked]
        rank = next((n for n, distance in enumerate(away) if distance < nodule.diameter_mm / 2), None)
        found.append(
            Hit(scan.name, nodule) if rank is None
            else Hit(scan.name, nodule, ranked[rank].score, rank + 1, away[rank])
        )
    return found


def _is_of(scan: TrueScan, name: str, findings: Findings) -> bool:
    return bool({name, findings.scan, findings.series} & ({scan.name, scan.series} - {""}))


def _scan(name: str, findings: Findings, truth: TrueScan | None) -> Scan:
    boxes: tuple[Box, ...] = (*findings.boxes, *findings.candidates)
    candidates = tuple(Candidate(box.center_ras, box.score) for box in boxes)
    if truth is None:
        return Scan(name, candidates=candidates)
    return Scan(name, truth.nodules, candidates, truth.excluded)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
