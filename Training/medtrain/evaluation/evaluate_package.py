"""How good is a detection package: FROC on held-out phantoms, and on scans with a table of truth.

    python -m medtrain evaluate-package chest-nodules --phantoms 24
    python -m medtrain evaluate-package chest-nodules --scans FOLDER --truth nodules.csv

Everything runs through the engine as a user's scan would (`medinfer.run`), with the package's own files.
The table is one that `medinfer score` takes (see `medinfer.scoring.truth`).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from medinfer.errors import MedInferError
from medinfer.findings import Findings
from medinfer.inference.pipeline import PackageSession, open_package, run
from medinfer.library.library import find_package
from medinfer.library.package import ModelPackage
from medinfer.scans.reading import read_volume
from medinfer.scoring.froc import bootstrap, froc, match_all
from medinfer.scoring.luna16 import Candidate, Nodule, Scan
from medinfer.scoring.truth import read_truth
from medinfer.scoring.words import sensitivity_text
from medinfer.volume import Volume

from ..datasets.prepare_cases import FIRST_HELD_OUT_SEED
from ..phantoms.chest import ChestSpec, make_chest

# Low enough that eight false positives a scan are reached.
THRESHOLD = 0.02


@dataclass(frozen=True)
class Trial:
    """A scan with its truth (RAS mm), before anything was run on it."""

    name: str
    volume: Volume
    nodules: tuple[Nodule, ...]
    excluded: tuple[Nodule, ...] = ()


def phantom_trials(count: int, first_seed: int = FIRST_HELD_OUT_SEED) -> Iterator[Trial]:
    """`count` phantoms, drawn one at a time from held-out seeds; every choice of the scanner is the seed's."""
    for seed in range(first_seed, first_seed + count):
        phantom = make_chest(seed, ChestSpec())
        truth = tuple(Nodule(nodule.center_ras, nodule.diameter_mm) for nodule in phantom.nodules)
        yield Trial(f"phantom-{seed}", phantom.volume, truth)


def scan_trials(folder: Path, table: Path) -> Iterator[Trial]:
    """The scans of `folder` that `table` names. Raises ScanError for one that is missing."""
    for scan in read_truth(table):
        yield Trial(scan.name, read_volume(folder / f"{scan.name}.nii.gz"), scan.nodules, scan.excluded)


def evaluate(trials: Iterable[Trial], package: ModelPackage, session: PackageSession) -> list[Scan]:
    """Run `package` on every trial, telling each; the scans as FROC wants them."""
    scans = []
    for trial in trials:
        begin = time.perf_counter()
        try:
            findings = run(trial.volume, package, session, threshold=THRESHOLD)
        except MedInferError as error:
            # A scan that the package refuses counts as one with nothing found.
            print(f"{trial.name}: {error}", flush=True)
            findings = Findings()
        candidates = tuple(Candidate(box.center_ras, box.score) for box in findings.boxes)
        scans.append(Scan(trial.name, trial.nodules, candidates, trial.excluded))
        best = [f"{_best(nodule, candidates):.2f}" for nodule in trial.nodules]
        print(
            f"{trial.name}: {len(trial.nodules)} nodules with scores {' '.join(best)}; {len(candidates)} candidates, "
            f"{time.perf_counter() - begin:.1f} s",
            flush=True,
        )
    return scans


def _best(nodule: Nodule, candidates: Iterable[Candidate]) -> float:
    def distance(candidate: Candidate) -> float:
        squared = sum((a - b) ** 2 for a, b in zip(candidate.center_mm, nodule.center_mm, strict=True))
        return float(squared**0.5)

    return max((c.score for c in candidates if distance(c) <= nodule.diameter_mm / 2), default=0.0)


def report(scans: list[Scan], samples: int) -> None:
    """Print the curve at LUNA16's seven rates, the CPM and, with enough scans, a 95 % band."""
    matches = match_all(scans)
    curve = froc(matches)
    print(f"{len(scans)} scans, {sum(len(scan.nodules) for scan in scans)} nodules")
    # With fewer scans the band says nothing.
    print(sensitivity_text(curve, bootstrap(matches, samples=samples) if len(scans) >= 10 else None))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m medtrain evaluate-package", description=__doc__.split("\n")[0])
    parser.add_argument("model", help="id in the library, or a package folder")
    parser.add_argument("--phantoms", type=int, default=0, metavar="N", help="number of held-out phantoms to draw")
    parser.add_argument("--first-seed", type=int, default=FIRST_HELD_OUT_SEED)
    parser.add_argument("--scans", type=Path, help="folder with CASE.nii.gz")
    parser.add_argument("--truth", type=Path, help="table of their nodules")
    parser.add_argument("--backend", default="auto")
    chosen = parser.parse_args(arguments)
    package = find_package(chosen.model)
    with open_package(package, backend=chosen.backend) as session:
        print(f"{package.id} {package.manifest.version} on {session.device}, {session.runtime}, {session.precision}")
        if chosen.phantoms:
            report(evaluate(phantom_trials(chosen.phantoms, chosen.first_seed), package, session), samples=1000)
        if chosen.scans:
            table = chosen.truth or chosen.scans / "nodules.csv"
            report(evaluate(scan_trials(chosen.scans, table), package, session), samples=1000)
