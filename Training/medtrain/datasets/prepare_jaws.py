"""Draw the phantom jaws for training the tooth stages: `python -m medtrain prepare-jaws --out FOLDER`.

One file per patient, named by its seed; existing files are kept, so a run can be stopped and repeated.
Seeds from 9000 on are held out for evaluation.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ..phantoms.jaw import DENTITIONS, Dentition, JawSpec, draw_jaws
from ..phantoms.spine import draw_patient
from .prepare_patients import add_drawing_arguments, draw_many
from .tooth_crops import JAW_MM, jaw_map
from .toothless import TRUNK_MM, trunk_map


def prepare_jaw(seed: int, folder: Path, dentition: Dentition | None = None) -> str:
    """Draw the jaws of `seed` into `folder`; their file's name."""
    path = folder / f"jaws-{seed:05d}.npz"
    if not path.exists():
        jaw_map(draw_jaws(seed, JawSpec(dentition=dentition), spacing=JAW_MM)).save(path)
    return path.name


def prepare_trunk(seed: int, folder: Path) -> str:
    """Draw the trunk of `seed` into `folder`; its file's name."""
    path = folder / f"trunk-{seed:05d}.npz"
    if not path.exists():
        trunk_map(draw_patient(seed, spacing=TRUNK_MM)).save(path)
    return path.name


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m medtrain prepare-jaws", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--dentition", choices=list(DENTITIONS), help="dentition of all patients; default: drawn for each"
    )
    parser.add_argument("--trunks", action="store_true", help="draw trunks, which contain no teeth")
    add_drawing_arguments(parser)
    chosen = parser.parse_args(arguments)
    draw = prepare_trunk if chosen.trunks else partial(prepare_jaw, dentition=chosen.dentition)
    draw_many(draw, chosen, parser)
