"""Draw the phantom jaws that the tooth stages are learnt on: `python -m medtrain.prepare_jaws --out FOLDER`.

One file a patient, named by its seed; files that are there already are kept, so a run can be stopped and repeated.
Seeds from 9000 on are held out for evaluation.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from .jaw_phantom import DENTITIONS, Dentition, JawSpec, draw_jaws
from .prepare_patients import add_drawing_arguments, draw_many
from .tooth_crops import JAW_MM, jaw_map


def prepare_jaw(seed: int, folder: Path, dentition: Dentition | None = None) -> str:
    """Draw the jaws of `seed` into `folder`; their file's name."""
    path = folder / f"jaws-{seed:05d}.npz"
    if not path.exists():
        jaw_map(draw_jaws(seed, JawSpec(dentition=dentition), spacing=JAW_MM)).save(path)
    return path.name


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m medtrain.prepare_jaws", description=__doc__.split("\n")[0])
    parser.add_argument("--dentition", choices=list(DENTITIONS), help="of all patients; drawn for each where not given")
    add_drawing_arguments(parser)
    chosen = parser.parse_args(arguments)
    draw_many(partial(prepare_jaw, dentition=chosen.dentition), chosen, parser)


if __name__ == "__main__":
    main()
