"""Draw the phantom jaws that the tooth stages are learnt on: `python -m medtrain.prepare_jaws --out FOLDER`.

One file a patient, named by its seed; files that are there already are kept, so a run can be stopped and repeated.
Seeds from 9000 on are held out for evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .jaw_phantom import draw_jaws
from .prepare_patients import draw_many
from .tooth_crops import JAW_MM, jaw_map


def prepare_jaw(seed: int, folder: Path) -> str:
    """Draw the jaws of `seed` into `folder`; their file's name."""
    path = folder / f"jaws-{seed:05d}.npz"
    if not path.exists():
        jaw_map(draw_jaws(seed, spacing=JAW_MM)).save(path)
    return path.name


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    draw_many(prepare_jaw, "python -m medtrain.prepare_jaws", __doc__.split("\n")[0], arguments)


if __name__ == "__main__":
    main()
