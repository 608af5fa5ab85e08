"""What a detector reports on the real chest CT at its own threshold, and what of that is false by the tables of truth.

    python Testing/benchmarks/real_chests.py                       the bundled detector
    python Testing/benchmarks/real_chests.py --model FOLDER|ID     another one

LIDC-IDRI-0001 and -0003 have LUNA16's reference standard; what fewer than three readers marked counts neither way.
`rider_pilot_partial_chest` has no table: every finding there counts as false, though many of them are round and solid
and may well be nodules (nobody has read this scan for us).
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import medinfer
from medinfer.findings import Box, Findings
from medinfer.scoring.froc import ScanMatch, match
from medinfer.scoring.luna16 import Candidate, Nodule
from medinfer.scoring.truth import TrueScan, read_truth

DATA = Path(os.environ.get("MEDINFER_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
SCANS = {
    "LIDC-IDRI-0001": "chest/LIDC-IDRI-0001.nii.gz", "LIDC-IDRI-0003": "chest/LIDC-IDRI-0003.nii.gz",
    "rider_pilot_partial_chest": "real_chest/rider_pilot_partial_chest.nii.gz",
}


@dataclass(frozen=True)
class Outcome:
    """A scan's truth, what was found in it, and the matching of what is above the threshold."""

    truth: TrueScan
    findings: Findings
    matched: ScanMatch
    seconds: float


def outcomes(model: str) -> list[Outcome]:
    package = medinfer.find_package(model)
    truth = {scan.name: scan for scan in read_truth(DATA / "chest" / "nodules.csv")}
    found = []
    with medinfer.open_package(package) as session:
        print(f"{package.reference} on {session.device}, {session.runtime}, {session.precision}")
        for name, file in SCANS.items():
            begin = time.perf_counter()
            findings = medinfer.run(medinfer.read_volume(DATA / file), package, session)
            true = truth.get(name, TrueScan(name))
            reported = [Candidate(box.center_ras, box.score) for box in findings.boxes]
            found.append(
                Outcome(true, findings, match(true.nodules, reported, true.excluded), time.perf_counter() - begin)
            )
    return found


def tell(one: Outcome) -> None:
    hit = int(np.isfinite(one.matched.nodule_scores).sum())
    print(
        f"{one.truth.name:<26} {one.findings.run['threshold']:9g} {len(one.findings.boxes):9} "
        f"{f'{hit} of {len(one.truth.nodules)}':>8} {len(one.matched.false_positive_scores):6} {one.matched.ignored:9} "
        f"{one.matched.double:7} {len(one.findings.candidates):11} {one.seconds:8.1f}"
    )


def false_ones(one: Outcome) -> list[tuple[int, Box]]:
    """Rank and box of each finding on no nodule and on no excluded finding."""
    known = (*one.truth.nodules, *one.truth.excluded)
    return [
        (rank, box) for rank, box in enumerate(one.findings.boxes, start=1)
        if not any(inside(box, nodule) for nodule in known)
    ]


def inside(box: Box, nodule: Nodule) -> bool:
    return float(np.linalg.norm(np.subtract(box.center_ras, nodule.center_mm))) < nodule.diameter_mm / 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="chest-nodules")
    found = outcomes(parser.parse_args().model)
    print(f"{'scan':<26} threshold  findings  nodules  false  excluded  double  candidates  seconds")
    for one in found:
        tell(one)
    print("\nfalse findings: rank, score, place (RAS mm), measures")
    for one in found:
        for rank, box in false_ones(one):
            place = ", ".join(f"{value:.1f}" for value in box.center_ras)
            words = box.measures.words if box.measures else f"{box.diameter_mm:.1f} mm"
            print(f"{one.truth.name:<26} {rank:>3}  {box.score:.3f}  {place:<22}  {words}")


if __name__ == "__main__":
    main()
