"""Turn scans into cases for training: `python -m medtrain prepare-cases --out FOLDER --seeds 1 100`.

A scan takes the way it takes in `medinfer`: axes to LPS, lungs found and the rest painted over, the lungs' box
with its margin, 1 mm, luminance. The chest phantoms made here hold more nodules than a patient does, so that each
is worth more.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medinfer.anatomy.lungs import Lungs
from medinfer.errors import ScanError
from medinfer.preparation.prepare import prepare
from medinfer.volume import Volume

from ..phantoms.chest import ChestSpec, make_chest
from .detection_data import PREPARE, Case, luminance, save_case

FIRST_HELD_OUT_SEED = 9000
"""Phantoms of seeds from here on are never trained on."""


def prepare_case(
    volume: Volume, centers_ras: ArrayLike, diameters_mm: ArrayLike, name: str, lungs: Lungs | None = None
) -> Case:
    """A scan with nodules at `centers_ras` `[n, 3]` (RAS mm) as a case.

    lungs: what is known of them, on the scan's grid with axes LPS; looked for where None.
    Raises ScanError where the scan shows no lungs.
    """
    prepared = prepare(volume, PREPARE, lungs=lungs)
    centres = prepared.grid.to_index(np.asarray(centers_ras, dtype=np.float64).reshape(-1, 3))
    cubes = np.column_stack([centres, np.asarray(diameters_mm, dtype=np.float64).reshape(-1)])
    return Case(name, luminance(prepared.voxels), cubes, np.zeros((0, 4)))


def training_spec(seed: int, nodules: tuple[int, int] = (10, 20)) -> ChestSpec:
    """The phantom to draw for `seed`: slices of 0.8–3 mm, pixels of 0.75–1 mm (the network sees 1 mm)."""
    rng = np.random.default_rng([seed, 20])
    spacing = float(rng.choice([0.8, 1.25, 1.5, 2.0, 2.5, 3.0], p=[0.1, 0.2, 0.15, 0.2, 0.25, 0.1]))
    return ChestSpec(nodules=nodules, slice_spacing_mm=spacing, pixel_mm=float(rng.uniform(0.75, 1.0)))


def phantom_case(seed: int, spec: ChestSpec, find_lungs: bool = True) -> Case:
    """The phantom of `seed` as a case; its lungs are segmented as in a real scan, or (faster) taken from its truth."""
    phantom = make_chest(seed, spec)
    known = None if find_lungs else Lungs(phantom.lungs, (), split=True)
    centers: NDArray[np.float64] = np.array([nodule.center_ras for nodule in phantom.nodules])
    diameters = [nodule.diameter_mm for nodule in phantom.nodules]
    return prepare_case(phantom.volume, centers, diameters, f"phantom-{seed:05d}", known)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m medtrain prepare-cases", description="Make training cases from phantoms."
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--seeds", type=int, nargs="+", required=True, metavar="SEED", help="FIRST LAST [STEP]; LAST is included"
    )
    parser.add_argument("--held-out", action="store_true", help="phantoms with default settings, for evaluation")
    chosen = parser.parse_args(arguments)
    first, last, *step = chosen.seeds
    if max(first, last) >= FIRST_HELD_OUT_SEED and not chosen.held_out:
        parser.error(f"seeds from {FIRST_HELD_OUT_SEED} on are for evaluation (--held-out), never for training")
    for seed in range(first, last + 1, *step):
        path = chosen.out / f"phantom-{seed:05d}.npz"
        if path.exists():
            continue
        began = time.monotonic()
        try:
            spec = ChestSpec() if chosen.held_out else training_spec(seed)
            case = phantom_case(seed, spec, find_lungs=chosen.held_out)
        except ScanError as error:
            print(f"phantom {seed} left out: {error}", flush=True)
            continue
        save_case(case, path)
        seconds = time.monotonic() - began
        print(f"{path.name}: {case.image.shape}, {len(case.nodules)} nodules, {seconds:.0f} s", flush=True)
