"""Whole folders in Slicer without a window: the arguments of the shell command, run in Slicer's own Python.

Scripts/medinfer_batch.py calls it. What is made is what the shell makes; the scene is Slicer's own.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from medinfer.errors import MedInferError
from medinfer.findings import Findings
from medinfer.volume import Volume

from .models.dependencies import install, missing

if TYPE_CHECKING:
    from medinfer.manifest import Manifest

_REFUSED, _BROKEN = 2, 1
_INSTALL = "--install"


def run_and_exit(arguments: Sequence[str]) -> None:
    """Run the command and end Slicer with its exit code, whatever happens."""
    import slicer

    code = _BROKEN
    try:
        code = run(arguments)
    except SystemExit as end:  # argparse has said what is wrong, or printed its help
        code = end.code if isinstance(end.code, int) else _BROKEN
    except BaseException:
        # Slicer would go on running, without a window, for ever.
        traceback.print_exc()
    slicer.util.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run the command and return its exit code (as in medinfer.command.cli). Raises SystemExit for wrong arguments.

    What it needs must be installed, or --install among the arguments, which is the consent.
    """
    words = [word for word in arguments if word != _INSTALL]
    # Slicer takes it for itself; other versions may hand it on.
    words = words[1:] if words[:1] == ["--"] else words
    needs = missing()
    if needs and _INSTALL not in arguments:
        wanted = ", ".join(need.distribution for need in needs)
        total = sum(need.megabytes for need in needs)
        _tell(
            f"MedInfer needs packages that do not come with Slicer ({wanted}): add {_INSTALL} to the arguments to "
            f"download about {total} MB from the Python Package Index and install them into this Slicer."
        )
        return _REFUSED
    try:
        install(needs)
    except MedInferError as error:
        _tell(str(error))
        return _REFUSED
    from medinfer.command.cli import main

    from .export.stl import write_surfaces

    return main(words, {"scene": _write_scene, "stl": write_surfaces})


def _write_scene(volume: Volume, findings: Findings, manifest: Manifest, folder: Path) -> Sequence[Path]:
    """The scan's scene in Slicer's own, which is emptied before and after: no scan is in the scene of another."""
    import slicer

    from .export.output import write_scene

    slicer.mrmlScene.Clear(0)
    try:
        return write_scene(volume, findings, manifest, folder)
    finally:
        slicer.mrmlScene.Clear(0)


def _tell(sentence: str) -> None:
    print(f"error: {sentence}", file=sys.stderr, flush=True)
