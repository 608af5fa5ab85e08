"""How good is a tooth package: on held-out jaw phantoms, and on the held-out real jaw.

    python -m medtrain evaluate-teeth teeth --phantoms 24
    python -m medtrain evaluate-teeth teeth --real PostDentalSurgery_Segmentation.nii.gz --scans 6

Everything runs through the engine as a user's scan would (`medinfer.run`), with the package's own files. The real jaw
is a label map without its scan (`real_jaw`): scans of it are simulated as those of phantoms are, each from another
seed. A tooth that is less than 75 % in the field of view is not evaluated.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medinfer.errors import MedInferError
from medinfer.findings import Findings
from medinfer.inference.pipeline import PackageSession, open_package, run
from medinfer.library.library import find_package
from medinfer.library.package import ModelPackage
from medinfer.volume import Volume

from ..datasets.prepare_cases import FIRST_HELD_OUT_SEED
from ..datasets.real_jaw import read_real_jaw
from ..datasets.real_jaw_tissues import furnish
from ..metrics.tooth_metrics import CANAL, Labels, Mask, ToothScore, line, report, score_scan
from ..phantoms.jaw import Jaws, draw_jaws, scan_jaws
from .tooth_pictures import save_picture

IN_VIEW = 0.75
"""The share of a tooth's volume that a scan must show for it to be asked for."""

VOXELS_MM = (0.3, 0.35, 0.4, 0.5)
"""Voxels of held-out phantoms, one drawn for each."""


@dataclass(frozen=True, eq=False)
class ToothTrial:
    """A scan with its truth on the same voxels. cut: the teeth that are too little in view to be asked for."""

    name: str
    volume: Volume
    teeth: Labels
    canal: Mask
    cut: frozenset[int]


def phantom_trials(
    count: int, first_seed: int = FIRST_HELD_OUT_SEED, voxels_mm: float | None = None
) -> Iterator[ToothTrial]:
    """`count` phantoms, drawn one at a time from held-out seeds; patient, scanner and voxels are the seed's.

    voxels_mm: isotropic voxels of that size instead of drawn ones.
    """
    for seed in range(first_seed, first_seed + count):
        drawn = float(np.random.default_rng([seed, 40]).choice(VOXELS_MM))
        yield trial(f"phantom-{seed}", draw_jaws(seed, spacing=voxels_mm or drawn), seed)


def real_trials(path: Path, scans: int, first_seed: int = FIRST_HELD_OUT_SEED) -> Iterator[ToothTrial]:
    """`scans` simulated scans of the real jaw, at its 0.5 mm. Raises ScanError where `path` is another file."""
    jaws = furnish(read_real_jaw(path))
    for seed in range(first_seed, first_seed + scans):
        yield trial(f"real-jaw-{seed}", jaws, seed)


def trial(name: str, jaws: Jaws, seed: int) -> ToothTrial:
    """One scan of these jaws, on their voxels; what is cut shows by comparing the teeth's sizes before and after."""
    scan = scan_jaws(jaws, seed)
    # Outside of a round field a scan holds one value from its lowest slice to its highest: nothing is shown there.
    voxels = np.asarray(scan.volume.voxels)
    seen = (voxels != voxels[0]).any(axis=0)
    teeth, canal = scan.teeth * seen, scan.canal & seen
    whole, shown = _sizes(jaws.teeth), _sizes(teeth)
    cut = np.flatnonzero((shown > 0) & (shown < IN_VIEW * whole))
    return ToothTrial(name, scan.volume, teeth, canal, frozenset(cut.tolist()))


def _sizes(teeth: Labels) -> NDArray[np.intp]:
    """Voxels by value; none of background."""
    return np.bincount(teeth[teeth > 0], minlength=256)


def evaluate(
    trials: Iterable[ToothTrial], package: ModelPackage, session: PackageSession, pictures: Path | None = None
) -> list[ToothScore]:
    """Run `package` on every trial, telling each; what tooth metrics are made of."""
    done = []
    for case in trials:
        begin = time.perf_counter()
        try:
            findings = run(case.volume, package, session)
        except MedInferError as error:
            # A scan that the package refuses counts as one with nothing found.
            print(f"{case.name}: {error}", flush=True)
            findings = Findings()
        seconds = time.perf_counter() - begin
        score = judge(case, findings, pictures)
        size = "×".join(str(n) for n in reversed(case.volume.shape))
        print(f"{line(score)}; {size} at {case.volume.spacing[0]:g} mm, {seconds:.1f} s", flush=True)
        done.append(score)
    return done


def judge(case: ToothTrial, findings: Findings, pictures: Path | None = None) -> ToothScore:
    """Findings beside the truth; a picture of both in the folder `pictures`."""
    if findings.label_map is None:
        found = np.zeros(case.volume.shape, np.uint8)
    else:
        found = np.asarray(findings.label_map.whole(case.volume).voxels)
    score = score_scan(
        case.name, case.teeth, found, canal=case.canal, excluded=case.cut, spacing=case.volume.spacing
    )
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
        true = np.where(case.canal & (case.teeth == 0), np.uint8(CANAL), case.teeth)
        save_picture(pictures / f"{case.name}.png", case.volume, true, found, score)
    return score


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Exit code 2 for what cannot be used."""
    chosen = _parser().parse_args(arguments)
    if not chosen.phantoms and chosen.real is None:
        _parser().error("nothing to evaluate: give --phantoms N or --real FILE, or both")
    try:
        package = find_package(chosen.model)
        if package.manifest.task != "segment":
            raise MedInferError(f"{package.id} finds no teeth (its task is {package.manifest.task}): give another.")
        with open_package(package, backend=chosen.backend) as session:
            print(f"{package.reference} on {session.device}, {session.runtime}, {session.precision}")
            if chosen.phantoms:
                trials = phantom_trials(chosen.phantoms, chosen.first_seed, chosen.voxels)
                print(report(evaluate(trials, package, session, chosen.pictures)))
            if chosen.real is not None:
                trials = real_trials(chosen.real, chosen.scans, chosen.first_seed)
                print(report(evaluate(trials, package, session, chosen.pictures)))
        return 0
    except MedInferError as error:
        print(f"medtrain evaluate-teeth: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m medtrain evaluate-teeth", description=__doc__.split("\n")[0])
    parser.add_argument("model", help="id in the library, or a package folder")
    parser.add_argument("--phantoms", type=int, default=0, metavar="N", help="number of held-out phantoms to draw")
    parser.add_argument("--real", type=Path, metavar="FILE", help="the real jaw's label map")
    parser.add_argument(
        "--scans", type=int, default=6, metavar="N", help="number of scans of the real jaw (%(default)s)"
    )
    parser.add_argument(
        "--first-seed", type=int, default=FIRST_HELD_OUT_SEED, help="first seed of patients and scans (%(default)s)"
    )
    parser.add_argument(
        "--voxels", type=float, metavar="MM", help="isotropic voxel size of the phantoms; default: drawn"
    )
    parser.add_argument(
        "--pictures", type=Path, metavar="FOLDER", help="write truth next to findings, one PNG per scan"
    )
    parser.add_argument("--backend", default="auto")
    return parser
