"""Spares the processor, here and in what a test starts: one core, one thread, bytecode kept. Import it before NumPy.

Tests run side by side and compute little at a time. Threads would mostly spin while they wait for one another, which
took a fifth of the suite's processor time: so a worker of pytest-xdist takes a core of its own, where there are enough,
and a process that a test starts has that core, too, and counts one. Whoever asks for a number of threads still gets it.

Containers like to forbid Python to keep bytecode: then pytest and hundreds of processes compile each module every time.
"""

from __future__ import annotations

import os
import sys

# Read once, as the libraries are loaded: OpenBLAS is NumPy's and SciPy's, OpenMP is torch's.
os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")

_worker = os.environ.get("PYTEST_XDIST_WORKER", "")  # "gw0", "gw1" …
if _worker and hasattr(os, "sched_setaffinity"):  # Linux
    _cores = sorted(os.sched_getaffinity(0))
    if len(_cores) >= int(os.environ["PYTEST_XDIST_WORKER_COUNT"]):
        os.sched_setaffinity(0, {_cores[int(_worker.removeprefix("gw"))]})

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
