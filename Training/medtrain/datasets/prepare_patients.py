"""Draw the phantom patients for training landmarks: `python -m medtrain prepare-patients --out FOLDER`.

One file per patient, named by its seed; existing files are kept, so a run can be stopped and repeated.
Seeds from 9000 on are held out for evaluation.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path

import numpy as np
from scipy.ndimage import find_objects

from ..phantoms.spine import LEVELS, Patient, draw_patient
from .prepare_cases import FIRST_HELD_OUT_SEED
from .vertebra_crops import PATIENT_MM, PatientMap


def patient_map(patient: Patient) -> PatientMap:
    """The map of a patient that training keeps."""
    points = np.full((len(LEVELS), 3), np.nan)
    low, high = points.copy(), points.copy()
    boxes: Sequence[tuple[slice, ...] | None] = find_objects(patient.vertebrae, max_label=len(LEVELS))
    for level, (name, box) in enumerate(zip(LEVELS, boxes, strict=True)):
        if box is None:
            continue
        points[level] = patient.grid.to_index(patient.centroids[name])
        low[level], high[level] = [part.start for part in box], [part.stop for part in box]
    return PatientMap(patient.tissues, points, low, high)


def prepare_patient(seed: int, folder: Path) -> str:
    """Draw the patient of `seed` into `folder`; its file's name."""
    path = folder / f"patient-{seed:05d}.npz"
    if not path.exists():
        patient_map(draw_patient(seed, spacing=PATIENT_MM)).save(path)
    return path.name


def add_drawing_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of every command that draws phantoms."""
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)


def draw_many(
    draw: Callable[[int, Path], str], chosen: argparse.Namespace, parser: argparse.ArgumentParser
) -> None:
    """Call draw(seed, folder) for the chosen seeds in several processes; held-out seeds are refused."""
    seeds = range(chosen.first_seed, chosen.first_seed + chosen.count)
    if seeds.start < FIRST_HELD_OUT_SEED <= seeds.stop - 1:
        parser.error(f"seeds from {FIRST_HELD_OUT_SEED} on are held out: choose fewer")
    chosen.out.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(chosen.processes) as pool:
        for name in pool.map(draw, seeds, repeat(chosen.out)):
            print(name, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m medtrain prepare-patients", description=__doc__.split("\n")[0])
    add_drawing_arguments(parser)
    draw_many(prepare_patient, parser.parse_args(arguments), parser)
