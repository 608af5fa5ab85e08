"""Whether the window stays live while a job runs: the longest that a 20 ms timer of the same Qt loop had to wait.

    python Testing/benchmarks/window_live.py            512×512×300, the bundled chest-nodules
    python Testing/benchmarks/window_live.py --quick    128×128×60, to see that it runs

The job is a real one: a volume node of real MRML, from the panel's own queue, in a real process, beside real Qt
(PySide6 offscreen, through the harness). Every phase has a line: no job at all (what the machine itself takes), waiting
for the turn, handing the scan over, running; and again for a job that is cancelled in the middle of a run, with the
seconds from `cancel()` until its process and what that started are gone.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness import SlicerHarness
from PySide6 import QtCore

from medinfer.volume import Grid, Volume

TIMER_MS, ALLOWED_MS = 20, 100


def chest(shape: tuple[int, int, int]) -> Volume:
    """Two lungs with a few balls in a body, in HU; as large as a real chest whatever the voxels."""
    k, j, i = (np.linspace(-1, 1, n, dtype=np.float32) for n in shape)
    rng = np.random.default_rng(0)
    voxels = np.empty(shape, np.int16)
    for n, height in enumerate(k):
        plane = np.full(shape[1:], -1000, np.float32)
        plane[(i[None] / 0.95) ** 2 + (j[:, None] / 0.7) ** 2 < 1] = 40
        width = np.sqrt(max(0.0, 1 - (height / 0.9) ** 2))
        for side in (-1, 1):
            inside = ((i[None] - side * 0.42) / 0.33) ** 2 + (j[:, None] / 0.5) ** 2 < width**2
            plane[inside] = -850
            ball = ((i[None] - side * 0.42) ** 2 + (j[:, None] - 0.1) ** 2) / 0.04**2 + ((height - 0.2) / 0.05) ** 2 < 1
            plane[ball] = 30
        voxels[n] = plane + rng.normal(0, 15, shape[1:])
    spacing = np.array([360, 360, 375]) / np.array(shape[::-1])
    matrix = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    matrix[:3, 3] = 180, 180, -190
    return Volume(voxels, Grid(shape, matrix), "chest", "CT")


class Waits:
    """A 20 ms timer, and how long it waited in each phase."""

    def __init__(self, phase: Callable[[], str]) -> None:
        self.longest: dict[str, float] = {}
        self.beats: dict[str, int] = {}
        self._phase, self._last = phase, time.perf_counter()
        self._was = phase()
        self._timer = QtCore.QTimer()
        self._timer.setTimerType(QtCore.Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)
        self._timer.start(TIMER_MS)

    def _beat(self) -> None:
        now, phase = time.perf_counter(), self._phase()
        # A wait belongs to the phase in which it began and to the one in which it ended.
        for name in {self._was, phase}:
            self.longest[name] = max(self.longest.get(name, 0), 1000 * (now - self._last))
            self.beats[name] = self.beats.get(name, 0) + 1
        self._last, self._was = now, phase


def main() -> int:
    """Print the table; 1 where a wait was too long."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    shape = (60, 128, 128) if parser.parse_args().quick else (300, 512, 512)
    with tempfile.TemporaryDirectory() as settings, SlicerHarness(Path(settings)) as harness:
        return measure(harness, shape)


def measure(harness: SlicerHarness, shape: tuple[int, int, int]) -> int:
    from medslicer.jobs.job import Job, RunSettings
    from medslicer.jobs.job_queue import job_queue
    from medslicer.nodes.volumes import add_volume

    node = add_volume(harness.scene, chest(shape))
    job: Any = None
    phase = Waits(lambda: "no job" if job is None or job.over else f"{word} {job.state}".strip())
    word = ""
    wait(harness, lambda: sum(phase.beats.values()) > 50)
    job = Job(node, RunSettings("chest-nodules"))
    begin = time.perf_counter()
    job_queue().add(job, lambda job: None)
    wait(harness, lambda: job.over)
    found = f"{job.findings.found} found" if job.findings else job.problem
    size = " × ".join(map(str, shape[::-1]))
    print(f"{size} voxels, {job.device}: {job.state} in {time.perf_counter() - begin:.1f} s, {found}")
    job.close()

    job, word = Job(node, RunSettings("chest-nodules")), "cancelled run:"
    job_queue().add(job, lambda job: None)
    wait(harness, lambda: job.over or (job.stage == "Searching" and job.state == "running"))
    wait(harness, pause(1.0))
    begin = time.perf_counter()
    job.cancel()
    wait(harness, lambda: job.over)
    ended = time.perf_counter() - begin
    job.close()
    print(f"{'phase':<28}{'beats':>7}{'longest wait of a 20 ms timer':>32}")
    for name, longest in phase.longest.items():
        print(f"{name:<28}{phase.beats[name]:>7}{longest:>29.0f} ms")
    print(f"from cancel() in the middle of a tile to the end of the process: {ended:.2f} s ({job.state})")
    late = [name for name, longest in phase.longest.items() if longest > ALLOWED_MS]
    if late:
        print(f"longer than {ALLOWED_MS} ms: {', '.join(late)}")
    return 1 if late else 0


def wait(harness: SlicerHarness, until: Callable[[], bool]) -> None:
    """Run the Qt loop, which sleeps until something happens, as Slicer's does."""
    while not until():
        harness.app.processEvents(QtCore.QEventLoop.ProcessEventsFlag.WaitForMoreEvents)


def pause(seconds: float) -> Callable[[], bool]:
    end = time.perf_counter() + seconds
    return lambda: time.perf_counter() >= end


if __name__ == "__main__":
    sys.exit(main())
