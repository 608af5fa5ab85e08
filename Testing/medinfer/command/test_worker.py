"""The worker process: a job file in, JSON lines out, the result by file, and it ends when it should."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medinfer.findings import Findings
from medinfer.scans.writing import write_volume
from medinfer.volume import Volume

Make = Callable[..., Path]


def start(job: dict[str, Any], folder: Path, **environment: str) -> subprocess.Popen[str]:
    (folder / "job.json").write_text(json.dumps(job))
    return subprocess.Popen(
        [sys.executable, "-m", "medinfer.command.worker", str(folder / "job.json")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **environment},
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
        ({"threshold": "high"}, "the field threshold is 'high'"),
        ({"overlap": 1.5}, "overlap must be at least 0 and less than 1"),
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


def test_a_crash_is_told_with_its_error_and_the_stack_trace_goes_to_standard_error(
    job: dict[str, Any], tmp_path: Path
) -> None:
    # What an installation of libraries that don't fit each other does.
    words = "numpy.dtype size changed, may indicate binary incompatibility"
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "cc3d.py").write_text(f"raise ValueError({words!r})")
    code, said, complained = end(start(job, tmp_path, PYTHONPATH=str(tmp_path / "broken")))
    last = json.loads(said.splitlines()[-1])
    assert code == 1
    assert last["event"] == "error"
    assert last["crash"] is True
    assert last["text"] == (
        f"MedInfer failed unexpectedly (ValueError: {words}); see the log for details."
    )
    assert "Traceback" in complained
    assert "cc3d.py" in complained
    assert not list(tmp_path.glob("*result*"))


def test_a_result_that_cannot_be_written_is_an_error(job: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    code, said, _ = end(start({**job, "result": str(tmp_path / "file" / "result.json")}, tmp_path))
    assert code == 2
    assert "cannot be written" in json.loads(said.splitlines()[-1])["text"]


def events(said: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.splitlines()]


@pytest.fixture
def handed_over(blob_scan: Any, blob_package: Make, tmp_path: Path) -> dict[str, Any]:
    """A job whose scan is an array in a file."""
    volume, _ = blob_scan
    np.save(tmp_path / "scan.npy", volume.voxels)
    return {
        "scan": str(tmp_path / "scan.npy"), "ijk_to_ras": volume.grid.ijk_to_ras.tolist(), "name": "CHEST 1",
        "modality": "CT", "model": str(blob_package()), "result": str(tmp_path / "result.json"),
    }


def test_a_scan_by_file_or_handed_over_gives_the_same_result_file_and_every_line_is_json(
    job: dict[str, Any], handed_over: dict[str, Any], tmp_path: Path
) -> None:
    found = []
    for wanted in (job, handed_over):
        code, said, complained = end(start(wanted, tmp_path))
        assert code == 0, complained
        assert events(said)[-1] == {"event": "result", "file": wanted["result"]}
        assert {"read", "open", "prepare", "network", "findings"} <= {event.get("stage") for event in events(said)}
        it_says_what_it_will_run_and_on_what(said)
        found.append(Findings.from_json(Path(wanted["result"]).read_text()))
    read, handed = found
    assert handed.scan == "CHEST 1"
    assert {event.get("scan") for event in events(said) if event["event"] == "progress"} == {"CHEST 1"}
    assert len(handed.boxes) == len(read.boxes) == 2
    for one, other in zip(read.boxes, handed.boxes, strict=True):
        np.testing.assert_allclose(one.center_ras, other.center_ras, atol=1e-3)


def it_says_what_it_will_run_and_on_what(said: str) -> None:
    (steps,) = [event for event in events(said) if event["event"] == "steps"]
    (session,) = [event for event in events(said) if event["event"] == "session"]
    assert [step["name"] for step in steps["steps"]] == ["prepare", "network", "findings"]
    assert session["device"] == "cpu"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"modality": "MR"}, "CHEST 1 is MR"),
        ({"ijk_to_ras": [[1, 0], [0, 1]]}, "CHEST 1 has no valid geometry"),
        ({"focus": [[900, 0, 0], [901, 1, 1]]}, "lies outside CHEST 1"),
    ],
)
def test_what_is_wrong_with_an_array_is_one_sentence(
    handed_over: dict[str, Any], tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    code, said, _ = end(start({**handed_over, **change}, tmp_path))
    assert code == 2
    assert words in events(said)[-1]["text"]


def test_an_array_that_did_not_arrive_whole_is_one_sentence(handed_over: dict[str, Any], tmp_path: Path) -> None:
    whole = (tmp_path / "scan.npy").read_bytes()
    (tmp_path / "scan.npy").write_bytes(whole[: len(whole) // 2])
    code, said, _ = end(start(handed_over, tmp_path))
    assert code == 2
    assert "The voxels of CHEST 1 arrived incomplete" in events(said)[-1]["text"]


def test_an_overlap_and_a_focus_are_obeyed_and_kept(
    handed_over: dict[str, Any], tmp_path: Path, blob_scan: Any
) -> None:
    tiles = []
    for overlap in (None, 0.6):
        code, _, complained = end(start({**handed_over, "overlap": overlap}, tmp_path))
        assert code == 0, complained
        findings = Findings.from_json(Path(handed_over["result"]).read_text())
        assert findings.run.get("overlap") == overlap
        assert len(findings.boxes) == 2
        tiles.append(findings.run["tiles"])
    assert tiles[1] > tiles[0]
    end(start({**handed_over, "focus": [[20, 24, 34], [34, 42, 54]]}, tmp_path))
    (box,) = Findings.from_json(Path(handed_over["result"]).read_text()).boxes
    assert np.linalg.norm(np.array(box.center_ras) - blob_scan[1][1][0]) < 1.8


def test_the_block_of_segments_comes_as_an_array_with_its_place(
    peas_scan: Volume, peas_package: Make, tmp_path: Path
) -> None:
    from medinfer.command.handed_over import read_label_map
    from medinfer.scans.reading import read_volume

    write_volume(peas_scan, tmp_path / "peas.nii.gz")
    job = {"scan": str(tmp_path / "peas.nii.gz"), "model": str(peas_package()), "result": str(tmp_path / "result.json")}
    code, _, complained = end(start({**job, "label_map": str(tmp_path / "whole.nii.gz")}, tmp_path))
    assert code == 0, complained
    code, said, complained = end(start({**job, "label_map": str(tmp_path / "block.npy")}, tmp_path))
    assert code == 0, complained
    told = events(said)[-1]["label_map"]
    block = read_label_map(Path(told["file"]), told["ijk_to_ras"])
    whole = read_volume(tmp_path / "whole.nii.gz")
    np.testing.assert_array_equal(block.whole(whole).voxels, whole.voxels)
    assert block.voxels.size < whole.voxels.size


@pytest.fixture
def long_tile(blob_scan: Any, blob_package: Make, tmp_path: Path) -> dict[str, Any]:
    """A job of one tile that takes half a minute: nothing between two tiles could stop it."""
    from onnx import TensorProto, helper, numpy_helper

    def value(name: str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 1, "k", "j", "i"])

    layers = ["image", *(f"layer{n}" for n in range(12)), "probability"]
    sizes = [1, *[32] * 12, 1]
    nodes, weights = [], []
    for n, (before, after) in enumerate(pairwise(layers)):
        weights.append(numpy_helper.from_array(np.zeros((sizes[n + 1], sizes[n], 5, 5, 5), np.float32), f"weight{n}"))
        nodes.append(helper.make_node("Conv", [before, f"weight{n}"], [after], pads=[2] * 6))
    graph = helper.make_graph(nodes, "slow", [value("image")], [value("probability")], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    network = bytes(model.SerializeToString())

    def change(manifest: dict[str, Any]) -> None:
        manifest["network"]["files"][0]["sha256"] = hashlib.sha256(network).hexdigest()
        manifest["tiling"] = {"join": "crop", "patch": [112, 112, 112], "margin": [2, 2, 2]}

    folder = blob_package(change, "slow")
    (folder / "network.onnx").write_bytes(network)
    write_volume(blob_scan[0], tmp_path / "scan.nrrd")
    return {
        "scan": str(tmp_path / "scan.nrrd"), "model": str(folder), "result": str(tmp_path / "result.json"),
        "backend": "onnxruntime", "precision": "float32",
    }


# Loaded by every Python whose path it is on, as a library that starts a helper of its own would be.
HELPER = """
import os, pathlib, subprocess, sys
if "worker" in " ".join(sys.orig_argv) and "stubborn" not in os.environ:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    helper = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "stubborn": "1"},
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    pathlib.Path(__file__).with_name("pid").write_text(str(helper.pid))
"""


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks processes up in Linux's /proc")
def test_in_the_middle_of_a_long_tile_it_ends_itself_and_what_it_started(
    long_tile: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "helper").mkdir()
    (tmp_path / "helper" / "sitecustomize.py").write_text(HELPER)
    worker = start(long_tile, tmp_path, PYTHONPATH=str(tmp_path / "helper"))
    assert worker.stdout is not None
    assert worker.stdin is not None
    for line in worker.stdout:
        event = json.loads(line)
        if event.get("stage") == "network" and event["total"] == 1 and event["done"] == 0:
            break
    time.sleep(0.5)  # into the tile
    helper = Path("/proc", (tmp_path / "helper" / "pid").read_text(), "stat")
    assert helper.exists()
    worker.stdin.close()
    code, _, complained = end(worker)
    assert code == 130, complained
    assert not helper.exists() or helper.read_text().rpartition(")")[2].split()[0] == "Z"
    assert not list(tmp_path.glob("*result*"))
    assert not list(tmp_path.glob(".*result*"))


def test_an_input_that_a_launcher_keeps_to_itself_stops_nothing(job: dict[str, Any], tmp_path: Path) -> None:
    """Its parent greets, but the greeting never comes: the end of this input is not the parent's."""
    worker = start(job, tmp_path, MEDINFER_GREETED="1")
    assert worker.stdin is not None
    worker.stdin.close()
    code, _, complained = end(worker)
    assert code == 0, complained
    assert Path(job["result"]).exists()


def test_a_greeted_worker_heeds_the_end_of_its_input(long_job: dict[str, Any], tmp_path: Path) -> None:
    worker = start(long_job, tmp_path, MEDINFER_GREETED="1")
    assert worker.stdin is not None
    worker.stdin.write("\n")
    worker.stdin.flush()
    wait_for_tiles(worker)
    worker.stdin.close()
    assert end(worker)[0] == 130


@pytest.mark.parametrize("error", ["MemoryError()", "RuntimeError('Failed to allocate memory for image')"])
def test_memory_used_up_is_told_as_such(job: dict[str, Any], tmp_path: Path, error: str) -> None:
    """As numpy says it, and as ITK does; from where the voxels are labelled."""
    (tmp_path / "starved").mkdir()
    (tmp_path / "starved" / "cc3d.py").write_text(f"raise {error}")
    code, said, complained = end(start(job, tmp_path, PYTHONPATH=str(tmp_path / "starved")))
    last = events(said)[-1]
    assert code == 2
    assert last["text"].startswith("This computer ran out of memory")
    assert "crash" not in last
    assert "Traceback" in complained


def test_a_library_that_is_missing_is_one_sentence(job: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "cc3d.py").write_text("import a_library_that_nobody_has")
    code, said, complained = end(start(job, tmp_path, PYTHONPATH=str(tmp_path / "broken")))
    assert code == 2
    assert events(said)[-1]["text"] == (
        "A library that MedInfer needs is missing or incomplete (No module named 'a_library_that_nobody_has'); "
        "reinstall MedInfer's packages."
    )
    assert "Traceback" in complained
