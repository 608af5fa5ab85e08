"""The worker process: a job file in, JSON lines out, the result by file, and it ends when it should."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medinfer.findings import Findings
from medinfer.volume import Volume
from medinfer.writing import write_volume

Make = Callable[..., Path]


def start(job: dict[str, Any], folder: Path) -> subprocess.Popen[str]:
    (folder / "job.json").write_text(json.dumps(job))
    return subprocess.Popen(
        [sys.executable, "-m", "medinfer.worker", str(folder / "job.json")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )


@pytest.fixture
def job(blob_scan: Any, blob_package: Make, tmp_path: Path) -> dict[str, Any]:
    write_volume(blob_scan[0], tmp_path / "scan.nrrd")
    return {"scan": str(tmp_path / "scan.nrrd"), "model": str(blob_package()), "result": str(tmp_path / "result.json")}


@pytest.fixture
def long_job(blob_scan: Any, blob_package: Make, tmp_path: Path) -> dict[str, Any]:
    """A job of thousands of tiles, which runs for many seconds if nothing stops it."""
    voxels = np.tile(blob_scan[0].voxels, (4, 4, 4))
    write_volume(Volume(voxels, blob_scan[0].grid.cropped((0, 0, 0), voxels.shape)), tmp_path / "large.mha")
    model = blob_package(lambda manifest: manifest["tiling"].update(patch=[8, 8, 8]))
    return {"scan": str(tmp_path / "large.mha"), "model": str(model), "result": str(tmp_path / "result.json")}


def wait_for_tiles(worker: subprocess.Popen[str]) -> None:
    assert worker.stdout is not None
    for line in worker.stdout:
        event = json.loads(line)
        if event.get("stage") == "network" and event["done"] > 2:
            return
    raise AssertionError(f"the worker ended early: {worker.stderr.read() if worker.stderr else ''}")


def end(worker: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = worker.stdout, worker.stderr
    assert out is not None
    assert err is not None
    said, complained = out.read(), err.read()
    return worker.wait(timeout=60), said, complained


def test_a_job_gives_a_result_file_and_every_line_is_json(job: dict[str, Any], tmp_path: Path) -> None:
    code, said, _ = end(start(job, tmp_path))
    events = [json.loads(line) for line in said.splitlines()]
    assert code == 0
    assert events[-1] == {"event": "result", "file": job["result"]}
    assert {"read", "open", "prepare", "network", "findings"} <= {event.get("stage") for event in events}
    assert len(Findings.from_json(Path(job["result"]).read_text()).boxes) == 2


def test_closing_its_input_cancels_it_and_leaves_no_result(long_job: dict[str, Any], tmp_path: Path) -> None:
    worker = start(long_job, tmp_path)
    wait_for_tiles(worker)
    assert worker.stdin is not None
    worker.stdin.close()
    code, said, complained = end(worker)
    assert code == 130, complained
    assert json.loads(said.splitlines()[-1])["event"] == "cancelled"
    assert not list(tmp_path.glob("*result*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_cancels_it(long_job: dict[str, Any], tmp_path: Path, number: signal.Signals) -> None:
    worker = start(long_job, tmp_path)
    wait_for_tiles(worker)
    worker.send_signal(number)
    code, _, complained = end(worker)
    assert code == 130, complained
    assert not list(tmp_path.glob("*result*"))


def test_killed_in_the_middle_it_leaves_no_result(long_job: dict[str, Any], tmp_path: Path) -> None:
    worker = start(long_job, tmp_path)
    wait_for_tiles(worker)
    worker.kill()
    assert end(worker)[0] == -signal.SIGKILL
    assert not list(tmp_path.glob("*result*"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scan": "/nowhere.nii.gz"}, "nowhere.nii.gz"),
        ({"model": "nothing"}, "There is no model 'nothing'"),
        ({"device": "cuda:9"}, "cuda"),
        ({"speed": 9}, "the field speed is unknown"),
    ],
)
def test_what_is_refused_is_one_event_with_one_sentence(
    job: dict[str, Any], tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    code, said, complained = end(start({**job, **change}, tmp_path))
    last = json.loads(said.splitlines()[-1])
    assert code == 2, complained
    assert last["event"] == "error"
    assert words in last["text"]
    assert not Path(job["result"]).exists()


def test_a_crash_is_a_stack_trace_on_standard_error_and_exit_code_1(job: dict[str, Any], tmp_path: Path) -> None:
    job["threshold"] = "high"  # a type that the job file cannot hold
    code, said, complained = end(start(job, tmp_path))
    assert (code, "Traceback" in complained) in {(1, True), (2, False)}
    assert all(json.loads(line) for line in said.splitlines())
    assert not Path(job["result"]).exists()


def test_a_result_that_cannot_be_written_is_an_error(job: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    code, said, _ = end(start({**job, "result": str(tmp_path / "file" / "result.json")}, tmp_path))
    assert code == 2
    assert "cannot be written" in json.loads(said.splitlines()[-1])["text"]
