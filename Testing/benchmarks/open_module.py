"""Seconds to open each module beyond Slicer's own imports: reading its file, making its panel, showing it.

    python Testing/benchmarks/open_module.py

Each opening is the first of a fresh process in which Slicer's own things (slicer, numpy, vtk, Qt, the harness) are
there already; the median of several. What the harness takes for PythonQt's manners counts as the module's. Python has
its compiled files, as in every start of Slicer after the one in which a module was opened first; that one stands in a
column of its own. The limit of 0.3 s is for the median. Exit code 1 where a module takes longer.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

REPOSITORY = Path(__file__).resolve().parents[2]
MODULES = ("MedDetect", "MedLandmark", "MedToothSeg")
LIMIT_S = 0.3

OPEN = """
import sys, tempfile, time
from pathlib import Path
import numpy, slicer, slicer.util, vtk
from harness import SlicerHarness
with tempfile.TemporaryDirectory() as folder, SlicerHarness(Path(folder)) as harness:
    harness.process_events()
    begin = time.perf_counter()
    harness.load_module(sys.argv[1])
    print(time.perf_counter() - begin)
"""


def seconds_to_open(name: str, compiled: Path) -> float:
    """The first opening of the module in a process. compiled: where Python finds and leaves its compiled files."""
    path = os.pathsep.join(str(REPOSITORY / folder) for folder in ("Testing", "MedCore"))
    variables = {"PYTHONPATH": path, "PYTHONPYCACHEPREFIX": str(compiled), "QT_QPA_PLATFORM": "offscreen"}
    plain = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", OPEN, name], capture_output=True, text=True, check=True, env={**plain, **variables}
    )
    return float(done.stdout.split()[-1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=5, help="openings of each module (5)")
    times = parser.parse_args().times
    late = 0
    print(f"{'module':<14}{'median':>10}{'fastest':>10}{'slowest':>10}{'first ever':>12}   limit {LIMIT_S} s")
    for name in MODULES:
        with tempfile.TemporaryDirectory() as compiled:
            first = seconds_to_open(name, Path(compiled))
            later = sorted(seconds_to_open(name, Path(compiled)) for _ in range(times))
        late += median(later) > LIMIT_S
        print(f"{name:<14}{median(later):>8.3f} s{later[0]:>8.3f} s{later[-1]:>8.3f} s{first:>10.3f} s")
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
