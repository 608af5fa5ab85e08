"""How good is a landmark package: on held-out spine phantoms, and on scans with their truth.

    python -m medtrain evaluate-landmarks spine-centroids --phantoms 24
    python -m medtrain evaluate-landmarks spine-centroids --scans FOLDER --label-names totalsegmentator

Everything runs through the engine as a user's scan would (`medinfer.run`), with the package's own files. A folder holds
NAME.nii.gz (or NAME_ct.nii.gz) beside NAME_seg.nii.gz, NAME.mrk.json or NAME.csv (see `landmark_truth`); vertebrae that
the field of view cuts count neither way.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from medinfer.errors import MedInferError
from medinfer.findings import Findings, Vector
from medinfer.inference.pipeline import PackageSession, open_package, run
from medinfer.library.library import find_package
from medinfer.library.package import ModelPackage
from medinfer.scans.reading import read_volume
from medinfer.volume import Volume

from ..datasets.landmark_truth import TRUTH_FILES, LandmarkTruth, read_truth
from ..datasets.prepare_cases import FIRST_HELD_OUT_SEED
from ..datasets.spine_cases import find_pairs
from ..datasets.vertebra_names import SCHEMES, read_names
from ..metrics.landmark_metrics import LandmarkTrial, named_by_truth, report, score_trial, total
from ..phantoms.spine import ScanSpec, draw_patient, scan_patient


@dataclass(frozen=True)
class Trial:
    """A scan with its truth, before anything was run on it."""

    name: str
    volume: Volume
    truth: LandmarkTruth


def phantom_trials(
    count: int, first_seed: int = FIRST_HELD_OUT_SEED, voxels_mm: float | None = None
) -> Iterator[Trial]:
    """`count` phantoms, drawn one at a time from held-out seeds; patient and scanner are the seed's.

    voxels_mm: isotropic voxels of that size instead of the scanner's own (quicker). The anatomy is drawn at 2 mm.
    """
    for seed in range(first_seed, first_seed + count):
        scan = scan_patient(draw_patient(seed, spacing=2.0), seed, ScanSpec(spacing_mm=voxels_mm))
        cut = {label: part.position_ras for label, part in scan.cut.items()}
        yield Trial(f"phantom-{seed}", scan.volume, LandmarkTruth(scan.truth, cut))


def scan_trials(folder: Path, label_names: str = "totalsegmentator") -> Iterator[Trial]:
    """The scans of `folder` that have a truth. Raises ScanError, and MedInferError for unknown label names."""
    names = read_names(label_names)
    for pair in find_pairs(folder, TRUTH_FILES):
        yield Trial(pair.name, read_volume(pair.image), read_truth(pair.truth, names))


def evaluate(
    trials: Iterable[Trial], package: ModelPackage, session: PackageSession, threshold: float | None = None
) -> list[LandmarkTrial]:
    """Run `package` on every trial, telling each; what landmark metrics are made of."""
    done = []
    for trial in trials:
        begin = time.perf_counter()
        try:
            findings = run(trial.volume, package, session, threshold=threshold)
        except MedInferError as error:
            # A scan that the package refuses counts as one with nothing found.
            print(f"{trial.name}: {error}", flush=True)
            findings = Findings()
        judged = compare(trial.name, trial.truth, findings, package)
        print(f"{_line(judged)}; {time.perf_counter() - begin:.1f} s", flush=True)
        done.append(judged)
    return done


def compare(name: str, truth: LandmarkTruth, findings: Findings, package: ModelPackage) -> LandmarkTrial:
    """Findings beside the truth, as far as the package knows its labels.

    The points of a package that finds many of one label have no names: each takes that of the truth it lies at.
    """
    if _names_its_points(package):
        known = {label.name for label in package.manifest.labels}
        points = {label: place for label, place in truth.points.items() if label in known}
        found = {landmark.label: landmark.position_ras for landmark in findings.landmarks}
        return LandmarkTrial(name, points, found, frozenset(truth.cut))
    places = [landmark.position_ras for landmark in findings.landmarks if landmark.position_ras is not None]
    named: dict[str, Vector | None] = dict(named_by_truth(places, {**truth.points, **truth.cut}))
    return LandmarkTrial(name, truth.points, named, frozenset(truth.cut))


def _names_its_points(package: ModelPackage) -> bool:
    decoder = package.manifest.leading.decoder
    if decoder.kind != "heatmap":
        raise MedInferError(f"{package.id} finds no landmarks (its decoder is {decoder.kind}): give another package.")
    return decoder.peaks == 1


def _line(trial: LandmarkTrial) -> str:
    """One scan in a line: how much was identified and how far off, and by name what was missed or false."""
    tallies = score_trial(trial)
    everything = total(tallies.values())
    text = f"{trial.name}: {everything.identified} of {everything.truths} identified"
    if everything.errors_mm:
        text += f", mean error {everything.mean_mm:.1f} mm"
    wrong = [
        label for label, tally in tallies.items() if tally.errors_mm and not tally.identified and not tally.false
    ]
    for word, labels in (
        ("missed", [label for label, tally in tallies.items() if tally.missed]),
        ("false", [label for label, tally in tallies.items() if tally.false]),
        ("nearer to another", wrong),
    ):
        if labels:
            text += f", {word}: {' '.join(labels)}"
    return text


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Exit code 2 for what cannot be used."""
    chosen = _parser().parse_args(arguments)
    try:
        package = find_package(chosen.model)
        order = [label.name for label in package.manifest.labels] if _names_its_points(package) else []
        with open_package(package, backend=chosen.backend) as session:
            print(f"{package.reference} on {session.device}, {session.runtime}, {session.precision}")
            if chosen.phantoms:
                trials = phantom_trials(chosen.phantoms, chosen.first_seed, chosen.voxels)
            else:
                trials = scan_trials(chosen.scans, chosen.label_names)
            print(report(evaluate(trials, package, session, chosen.threshold), order))
        return 0
    except MedInferError as error:
        print(f"medtrain evaluate-landmarks: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m medtrain evaluate-landmarks", description=__doc__.split("\n")[0])
    parser.add_argument("model", help="id in the library, or a package folder")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--phantoms", type=int, metavar="N", help="number of held-out phantoms to draw")
    source.add_argument("--scans", type=Path, metavar="FOLDER", help="scans with their truth")
    parser.add_argument(
        "--first-seed", type=int, default=FIRST_HELD_OUT_SEED, help="seed of the first phantom (%(default)s)"
    )
    parser.add_argument(
        "--voxels", type=float, metavar="MM", help="isotropic voxel size of the phantoms; default: drawn"
    )
    parser.add_argument(
        "--label-names", default="totalsegmentator",
        help=f"meaning of label values: {', '.join(SCHEMES)} or a JSON file (%(default)s)",
    )
    parser.add_argument("--threshold", type=float, help="least confidence of a found landmark; default: the model's")
    parser.add_argument("--backend", default="auto")
    return parser
