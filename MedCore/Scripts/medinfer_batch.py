"""The shell command `medinfer` inside Slicer, for computers that have Slicer and no Python of their own.

    Slicer --no-main-window --python-script .../Scripts/medinfer_batch.py -- detect scan.nrrd -o results

takes the arguments of the shell command and ends Slicer with its exit code. --install, once, lets it install the
packages that it needs. Slicer reads this file in the system's encoding and puts its folder first on the path: only
ASCII here, and no file beside it.
"""

import sys
from pathlib import Path


def _run():
    modules = str(Path(__file__).resolve().parents[1])
    if modules not in sys.path:
        sys.path.append(modules)
    from medslicer.slicer_batch import run_and_exit

    run_and_exit(sys.argv[1:])


_run()
