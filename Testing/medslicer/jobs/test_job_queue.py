"""Jobs take turns, whoever added them; one that fails or is cancelled lets the next one run."""

from __future__ import annotations

import importlib
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medinfer.volume import Grid, Volume
from medslicer.headless import HeadlessSlicer
from medslicer.jobs import job_queue as module
from medslicer.jobs.job import Job, RunSettings
from medslicer.jobs.job_queue import JobQueue, job_queue
from medslicer.nodes.volumes import add_volume

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")

Make = Callable[..., Path]


class Beats:
    """A loop whose beats the test makes itself, and that knows whether it should."""

    def __init__(self) -> None:
        self.beating = False

    def start(self, beat: Callable[[], object], quitting: Callable[[], object]) -> None:
        self.beating = True

    def stop(self) -> None:
        self.beating = False


@pytest.fixture
def scene() -> Iterator[Any]:
    with HeadlessSlicer() as opened:
        yield opened.scene


@pytest.fixture
def beats() -> Beats:
    return Beats()


@pytest.fixture
def queue(beats: Beats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobQueue]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    made = JobQueue(beats)
    yield made
    made.close()


@pytest.fixture
def make_job(scene: Any, blob_scan: Any, blob_package: Make) -> Callable[..., Job]:
    node = add_volume(scene, blob_scan[0])
    model = str(blob_package())
    return lambda name=model: Job(node, RunSettings(name))


def run_all(queue: JobQueue) -> None:
    while queue.jobs:
        queue.step()
        time.sleep(0.01)


def unheard(job: Job) -> None:
    """A panel that shows nothing."""


def test_two_jobs_run_one_after_the_other(queue: JobQueue, beats: Beats, make_job: Callable[..., Job]) -> None:
    first, second = make_job(), make_job()
    told: list[tuple[str, str, int]] = []
    for name, job in (("first", first), ("second", second)):
        queue.add(job, lambda job, name=name: told.append((name, job.state, queue.position(job))))
    assert beats.beating
    assert (queue.position(first), queue.position(second)) == (0, 1)
    while queue.jobs:
        queue.step()
        assert second.state == "waiting" or first.over
        time.sleep(0.01)
    assert (first.state, second.state) == ("done", "done")
    assert not beats.beating
    assert told[-1] == ("second", "done", -1)
    assert ("first", "done", -1) in told
    # The one that waits hears that it moves up.
    assert told.index(("second", "waiting", 0)) > told.index(("first", "done", -1))


def test_a_job_that_fails_lets_the_next_one_run(queue: JobQueue, make_job: Callable[..., Job]) -> None:
    failing, fine = make_job("no-such-model"), make_job()
    queue.add(failing, unheard)
    queue.add(fine, unheard)
    run_all(queue)
    assert (failing.state, fine.state) == ("failed", "done")


def test_a_job_cancelled_while_it_waits_leaves_and_is_told_once(
    queue: JobQueue, make_job: Callable[..., Job]
) -> None:
    first, second, third = make_job(), make_job(), make_job()
    told: list[str] = []
    queue.add(first, unheard)
    queue.add(second, lambda job: told.append(job.state))
    queue.add(third, unheard)
    queue.step()
    second.cancel()
    queue.step()
    assert (queue.position(second), queue.position(third)) == (-1, 1)
    run_all(queue)
    assert told == ["cancelled"]
    assert (first.state, third.state) == ("done", "done")


def test_a_panel_that_fails_stops_nobody(
    queue: JobQueue, make_job: Callable[..., Job], caplog: pytest.LogCaptureFixture
) -> None:
    first, second = make_job(), make_job()

    def gone(job: Job) -> None:
        raise ValueError("the widget was deleted")

    queue.add(first, gone)
    queue.add(second, unheard)
    with caplog.at_level(logging.ERROR):
        run_all(queue)
    assert (first.state, second.state) == ("done", "done")
    assert "the widget was deleted" in caplog.text


def test_a_panel_may_add_a_job_as_one_ends(queue: JobQueue, make_job: Callable[..., Job]) -> None:
    first, second = make_job("no-such-model"), make_job()
    queue.add(first, lambda job: queue.add(second, unheard) if job.over else None)
    run_all(queue)
    assert second.state == "done"


def test_a_panel_may_let_the_window_live_while_it_is_told(queue: JobQueue, make_job: Callable[..., Job]) -> None:
    first, second = make_job(), make_job()
    told: list[str] = []
    queue.add(first, lambda job: queue.step())
    queue.add(second, lambda job: told.append(job.state))
    for job in (first, second):
        job.cancel()
    queue.step()
    assert (queue.jobs, told) == ((), ["cancelled"])


def test_a_job_is_in_the_queue_once(queue: JobQueue, make_job: Callable[..., Job]) -> None:
    job = make_job("no-such-model")
    queue.add(job, unheard)
    queue.add(job, unheard)
    assert len(queue.jobs) == 1
    run_all(queue)
    queue.add(job, unheard)
    assert queue.jobs == ()


def test_cancelling_what_runs_and_what_waits_ends_both(
    queue: JobQueue, scene: Any, blob_scan: Any, blob_package: Make, make_job: Callable[..., Job], tmp_path: Path
) -> None:
    voxels = np.tile(blob_scan[0].voxels, (4, 4, 4))
    large = add_volume(scene, Volume(voxels, Grid(voxels.shape, blob_scan[0].grid.ijk_to_ras), "large"))
    model = blob_package(lambda manifest: manifest["tiling"].update(patch=[8, 8, 8]), "slow")
    running, waiting = Job(large, RunSettings(str(model))), make_job()
    for job in (running, waiting):
        queue.add(job, unheard)
    while running.stage != "Searching":
        queue.step()
        time.sleep(0.01)
    for job in queue.jobs:
        job.cancel()
    run_all(queue)
    assert [job.state for job in (running, waiting)] == ["cancelled", "cancelled"]


def test_closing_the_queue_ends_what_runs_and_leaves_nothing(
    queue: JobQueue, beats: Beats, make_job: Callable[..., Job], tmp_path: Path
) -> None:
    running, waiting = make_job(), make_job()
    for job in (running, waiting):
        queue.add(job, unheard)
    while running.state != "running":
        queue.step()
    queue.close()
    assert (running.state, waiting.state, queue.jobs) == ("cancelled", "cancelled", ())
    assert not beats.beating
    assert list(tmp_path.glob("MedInfer-*")) == []


def test_the_queue_of_the_process_survives_a_reload(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(slicer, "_medinfer_job_queue", raising=False)
    one = job_queue()
    assert job_queue() is one
    assert importlib.reload(module).job_queue() is one


def test_it_runs_in_qts_own_loop_and_leaves_no_timer_behind(
    harness: Any, blob_scan: Any, blob_package: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    queue = JobQueue()
    for _ in range(2):
        job = Job(add_volume(harness.scene, blob_scan[0]), RunSettings(str(blob_package())))
        queue.add(job, unheard)
        harness.wait_until(lambda job=job: job.over)
        assert job.state == "done", job.problem
        job.close()
        assert queue._loop._timer is None


def test_quitting_the_application_ends_the_process(
    harness: Any, blob_scan: Any, blob_package: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    queue = JobQueue()
    job = Job(add_volume(harness.scene, blob_scan[0]), RunSettings(str(blob_package())))
    queue.add(job, unheard)
    harness.wait_until(lambda: job.state == "running")
    harness.quit()
    assert (job.state, queue.jobs) == ("cancelled", ())
    assert list(tmp_path.glob("MedInfer-*")) == []


def test_nothing_heavy_is_loaded_for_it() -> None:
    """What Slicer may not have, or must not load before Run."""
    source = (
        "import sys, medslicer.jobs.job_queue, medslicer.jobs.processing\n"
        "heavy = {'onnxruntime', 'openvino', 'torch', 'scipy', 'SimpleITK', 'pydantic', 'cc3d', 'rich', 'vtk', 'qt'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.strip() == "[]"
