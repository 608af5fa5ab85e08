"""A job on real volume nodes, in a real process: it finds what the engine finds, and every end is told and tidy."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from full_disk import files_no_larger_than

from medinfer.errors import OutputError, ScanError
from medinfer.findings import Findings
from medinfer.inference.pipeline import open_package, run
from medinfer.library.package import load_package
from medinfer.volume import Grid, Volume
from medslicer.headless import HeadlessSlicer
from medslicer.jobs.handover import Handover, scan_of
from medslicer.jobs.job import Job, RunSettings
from medslicer.nodes.volumes import add_volume, matrix_of

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
vtk = pytest.importorskip("vtk")

Make = Callable[..., Path]


@pytest.fixture
def scene() -> Iterator[Any]:
    with HeadlessSlicer() as opened:
        yield opened.scene


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary folder of this test alone, to see what is left there."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def volume_node(scene: Any, blob_scan: Any) -> Any:
    return add_volume(scene, blob_scan[0])


@pytest.fixture
def large_node(scene: Any, blob_scan: Any) -> Any:
    voxels = np.tile(blob_scan[0].voxels, (4, 4, 4))
    return add_volume(scene, Volume(voxels, Grid(voxels.shape, blob_scan[0].grid.ijk_to_ras), "large"))


@pytest.fixture
def slow_model(blob_package: Make) -> RunSettings:
    """Thousands of tiles on the large volume: it runs for many seconds if nothing stops it."""
    return RunSettings(str(blob_package(lambda manifest: manifest["tiling"].update(patch=[8, 8, 8]))))


def left_in(temporary: Path) -> list[Path]:
    """Folders and files of jobs."""
    return sorted(path for folder in temporary.glob("MedInfer-*") for path in (folder, *folder.iterdir()))


def until(job: Job, state: Callable[[], Any]) -> None:
    if job.state == "waiting":
        job.start()
    while not job.over and not state():
        job.step()
        time.sleep(0.01)


def finish(job: Job) -> Job:
    until(job, lambda: False)
    return job


def searching(job: Job) -> Callable[[], bool]:
    return lambda: job.stage == "Searching" and job.seconds_left is not None


def engine(package: Path, volume: Volume, **options: Any) -> Findings:
    """What medinfer finds in this process."""
    loaded = load_package(package)
    with open_package(loaded) as session:
        return run(volume, loaded, session, **options)


def close_to(one: Any, other: Any) -> bool:
    return len(one) == len(other) and all(
        np.allclose(a.center_ras, b.center_ras, atol=1e-6) and a.score == pytest.approx(b.score, abs=1e-3)
        for a, b in zip(one, other, strict=True)
    )


def add_roi(scene: Any, low: Any, high: Any) -> Any:
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "lesion")
    roi.SetSize(*np.subtract(high, low))
    roi.SetCenterWorld(*np.add(high, low) / 2)
    return roi


def under_transform(scene: Any, *nodes: Any) -> np.ndarray:
    matrix = np.array([[0, -1, 0, 40], [1, 0, 0, -7], [0, 0, 1, 250], [0, 0, 0, 1.0]])
    transform = scene.AddNewNodeByClass("vtkMRMLTransformNode")
    transform.SetMatrixTransformToParent(matrix_of(matrix))
    for node in nodes:
        node.SetAndObserveTransformNodeID(transform.GetID())
    return matrix


def test_a_job_finds_what_the_engine_finds_tells_how_far_it_is_and_leaves_nothing_behind(
    volume_node: Any, blob_scan: Any, blob_package: Make, temporary: Path
) -> None:
    job = Job(volume_node, RunSettings(str(blob_package())), title="MedDetect")
    assert (job.state, job.findings, job.over) == ("waiting", None, False)
    the_share_never_goes_back_and_the_stages_are_words(job)
    assert job.state == "done", job.problem
    assert job.findings is not None
    for center, diameter in blob_scan[1]:
        nearest = min(job.findings.boxes, key=lambda box: float(np.linalg.norm(np.array(box.center_ras) - center)))
        assert np.linalg.norm(np.array(nearest.center_ras) - center) < 1.8
        assert nearest.diameter_mm == pytest.approx(diameter, abs=2)
    assert close_to(job.findings.boxes, engine(blob_package(), blob_scan[0]).boxes)
    assert job.findings.scan == volume_node.GetName()
    assert "cpu" in job.device
    assert {path.name for path in left_in(temporary) if path.is_file()} <= {"log.txt"}
    job.close()
    assert left_in(temporary) == []


def the_share_never_goes_back_and_the_stages_are_words(job: Job) -> None:
    """Run it to its end, and look at it all the time."""
    shares, stages, left = [job.share], [job.stage], [job.seconds_left]
    job.start()
    while not job.over:
        job.step()
        time.sleep(0.002)
        shares.append(job.share)
        stages.append(job.stage)
        left.append(job.seconds_left)
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)
    assert left[0] is None
    assert all(seconds is None or seconds >= 0 for seconds in left)
    assert list(dict.fromkeys(stages))[:3] == ["Waiting for its turn", "Handing over the scan", "Starting"]
    assert job.log[-1].endswith("  Done")
    assert sum(line.endswith("  Searching") for line in job.log) <= 1


def test_segments_come_with_their_voxels(scene: Any, peas_scan: Volume, peas_package: Make) -> None:
    job = finish(Job(add_volume(scene, peas_scan), RunSettings(str(peas_package()))))
    assert job.findings is not None, job.problem
    expected = engine(peas_package(), peas_scan)
    assert expected.label_map is not None
    assert job.findings.label_map is not None
    assert [segment.label for segment in job.findings.segments] == [segment.label for segment in expected.segments]
    np.testing.assert_array_equal(job.findings.label_map.voxels, expected.label_map.voxels)
    np.testing.assert_allclose(job.findings.label_map.grid.ijk_to_ras, expected.label_map.grid.ijk_to_ras)


def test_settings_reach_the_engine(scene: Any, blob_scan: Any, blob_package: Make) -> None:
    volume, _ = blob_scan
    faint = volume.with_voxels(np.where(volume.voxels == 0, np.int16(-465), volume.voxels))
    node = add_volume(scene, faint)
    model = str(blob_package())
    chosen = RunSettings(
        model, backend="onnxruntime", device="cpu", precision="float32", threshold=0.9, overlap=0.6, threads=1
    )
    job = finish(Job(node, chosen))
    assert job.findings is not None, job.problem
    assert job.findings.boxes == ()
    how = job.findings.run
    assert (how["runtime"], how["device"], how["precision"]) == ("onnxruntime", "cpu", "float32")
    assert (how["threshold"], how["overlap"]) == (0.9, 0.6)
    assert how["tiles"] > engine(Path(model), faint).run["tiles"]


def test_a_parent_transform_changes_nothing_in_the_nodes_own_coordinates(
    scene: Any, volume_node: Any, blob_scan: Any, blob_package: Make
) -> None:
    model = blob_package()
    under_transform(scene, volume_node)
    moved = finish(Job(volume_node, RunSettings(str(model)))).findings
    assert moved is not None
    assert close_to(engine(model, blob_scan[0]).boxes, moved.boxes)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_the_voxels_arrive_as_they_are(scene: Any, tmp_path: Path, blob_scan: Any, kind: Any) -> None:
    voxels = np.random.default_rng(3).integers(0, 255, (5, 300, 4001)).astype(kind)
    node = add_volume(scene, Volume(voxels, Grid(voxels.shape, blob_scan[0].grid.ijk_to_ras), "noise"))
    scan = scan_of(node)
    handover = Handover(scan.voxels, tmp_path / "scan.npy")
    handover.start()
    shares = [handover.share]
    while not handover.step():
        shares.append(handover.share)
    arrived = np.load(tmp_path / "scan.npy", allow_pickle=False)
    assert arrived.dtype == voxels.dtype
    np.testing.assert_array_equal(arrived, voxels)
    np.testing.assert_allclose(scan.grid.ijk_to_ras, blob_scan[0].grid.ijk_to_ras)
    assert shares == sorted(shares)


def test_dicoms_modality_goes_along(scene: Any, blob_scan: Any, blob_package: Make) -> None:
    node = add_volume(scene, blob_scan[0])
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    tree.SetItemAttribute(tree.CreateItem(tree.GetSceneItemID(), node), "DICOM.Modality", "MR")
    job = finish(Job(node, RunSettings(str(blob_package()))))
    assert job.state == "failed"
    assert "is MR, but this model was made for CT" in job.problem


def box_around(center: Any, size: float) -> tuple[Any, Any]:
    return np.asarray(center) - size / 2, np.asarray(center) + size / 2


def test_only_what_lies_in_the_region_is_found(
    scene: Any, volume_node: Any, blob_scan: Any, blob_package: Make
) -> None:
    center, _ = blob_scan[1][1]
    region = add_roi(scene, *box_around(center, 24))
    job = finish(Job(volume_node, RunSettings(str(blob_package())), region=region))
    assert job.findings is not None, job.problem
    (box,) = job.findings.boxes
    assert np.linalg.norm(np.array(box.center_ras) - center) < 1.8
    assert any("only a region of" in note for note in job.findings.notes)


def test_the_region_lies_in_the_world_and_the_volume_under_its_transform(
    scene: Any, volume_node: Any, blob_scan: Any, blob_package: Make
) -> None:
    matrix = under_transform(scene, volume_node)
    center, _ = blob_scan[1][0]
    world = (matrix @ [*center, 1])[:3]
    job = finish(Job(volume_node, RunSettings(str(blob_package())), region=add_roi(scene, *box_around(world, 20))))
    assert job.findings is not None, job.problem
    (box,) = job.findings.boxes
    assert np.linalg.norm(np.array(box.center_ras) - center) < 1.8


def test_a_region_keeps_its_segments_and_their_voxels_alone(
    scene: Any, peas_scan: Volume, peas_package: Make
) -> None:
    # The patient's upper left: 21, 22 and 23.
    region = add_roi(scene, (-22, -25, 1), (0, 5, 12))
    job = finish(Job(add_volume(scene, peas_scan), RunSettings(str(peas_package())), region=region))
    assert job.findings is not None, job.problem
    assert [segment.label for segment in job.findings.segments] == ["21", "22", "23"]
    assert job.findings.label_map is not None
    assert set(np.unique(job.findings.label_map.voxels)) == {0, 21, 22, 23}


def test_a_region_outside_is_refused_at_once(scene: Any, volume_node: Any) -> None:
    with pytest.raises(ScanError, match="lesion lies outside blobs; move it"):
        Job(volume_node, RunSettings("any"), region=add_roi(scene, (900, 900, 900), (910, 910, 910)))
    empty = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "empty")
    with pytest.raises(ScanError, match="empty has no size"):
        Job(volume_node, RunSettings("any"), region=empty)


def test_what_is_no_scan_is_refused_at_once(scene: Any) -> None:
    with pytest.raises(ScanError, match="contains no voxels"):
        Job(None, RunSettings("any"))
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT 7")
    with pytest.raises(ScanError, match="CT 7 contains no voxels"):
        Job(empty, RunSettings("any"))
    colours = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "photo")
    image = vtk.vtkImageData()
    image.SetDimensions(4, 4, 4)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    colours.SetAndObserveImageData(image)
    with pytest.raises(ScanError, match="photo has 3 values per voxel"):
        Job(colours, RunSettings("any"))


@pytest.mark.parametrize(
    ("voxels", "words"),
    [
        (np.full((20, 20, 20), np.nan, np.float32), "not numbers"),
        (np.full((1, 40, 40), -1000, np.int16), "but this model needs at least"),
        (np.full((20, 20, 20), 7, np.int16), "does not look like a CT"),
    ],
    ids=["no numbers", "one slice", "no CT"],
)
def test_what_the_engine_refuses_is_the_jobs_problem(
    scene: Any, blob_package: Make, temporary: Path, voxels: Any, words: str
) -> None:
    node = add_volume(scene, Volume(voxels, Grid(voxels.shape, np.diag([-1.0, -1, 1, 1])), "odd"))
    job = finish(Job(node, RunSettings(str(blob_package()))))
    assert (job.state, job.findings) == ("failed", None)
    assert job.problem.startswith("odd ")
    assert words in job.problem
    assert job.log[-2].endswith(job.problem)


def test_a_model_that_is_not_there_is_the_jobs_problem(volume_node: Any) -> None:
    job = finish(Job(volume_node, RunSettings("no-such-model")))
    assert job.state == "failed"
    assert "There is no model 'no-such-model'" in job.problem


def test_cancelled_before_its_turn_it_was_never_there(volume_node: Any, temporary: Path) -> None:
    job = Job(volume_node, RunSettings("any"))
    job.cancel()
    assert (job.state, job.over) == ("cancelled", True)
    job.start()
    assert not job.step()
    job.close()
    assert left_in(temporary) == []


def test_cancelled_while_handing_over_it_leaves_no_voxels(large_node: Any, temporary: Path) -> None:
    job = Job(large_node, RunSettings("any"))
    job.start()
    assert job.state == "handing over"
    assert list(temporary.glob("*/scan.npy"))
    job.cancel()
    assert job.state == "cancelled"
    job.close()
    assert left_in(temporary) == []


# Loaded by every Python whose path it is on, as a library that starts a helper of its own would be.
HELPER = """
import os, pathlib, subprocess, sys
if "worker" in " ".join(sys.orig_argv) and "stubborn" not in os.environ:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    helper = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "stubborn": "1"})
    pathlib.Path(__file__).with_name("pid").write_text(str(helper.pid))
"""


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks processes up in Linux's /proc")
def test_cancelling_in_the_middle_ends_the_process_and_its_children(
    large_node: Any, slow_model: RunSettings, temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "helper").mkdir()
    (tmp_path / "helper" / "sitecustomize.py").write_text(HELPER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "helper"))
    job = Job(large_node, slow_model)
    until(job, searching(job))
    assert job.state == "running", job.problem
    helper = int((tmp_path / "helper" / "pid").read_text())
    assert lives(helper)
    job.cancel()
    assert job.stage == "Stopping"
    assert job.seconds_left is None
    finish(job)
    assert (job.state, job.findings, job.problem) == ("cancelled", None, "")
    assert not lives(helper)
    job.close()
    assert left_in(temporary) == []


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def workers_pid(job: Job) -> int:
    assert job._child is not None
    assert job._child._process is not None
    return job._child._process.pid


def test_a_worker_that_is_killed_is_told_with_where_the_log_is(
    large_node: Any, slow_model: RunSettings, temporary: Path
) -> None:
    job = Job(large_node, slow_model)
    until(job, searching(job))
    os.kill(workers_pid(job), signal.SIGKILL)
    finish(job)
    assert (job.state, job.findings) == ("failed", None)
    assert "ended unexpectedly" in job.problem
    assert "memory" in job.problem
    job.close()
    assert job.log_file is not None
    assert str(job.log_file) in job.problem
    assert left_in(temporary) == [job.folder, job.log_file]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGSEGV])
def test_a_worker_that_is_stopped_from_outside_is_no_result(
    large_node: Any, slow_model: RunSettings, number: signal.Signals
) -> None:
    job = Job(large_node, slow_model)
    until(job, searching(job))
    os.kill(workers_pid(job), number)
    finish(job)
    assert (job.state, job.findings) == ("failed", None)
    assert ("stopped from outside" if number == signal.SIGTERM else "SIGSEGV") in job.problem


def test_an_exception_in_the_worker_is_told_and_its_stack_trace_kept(
    volume_node: Any, blob_package: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "cc3d.py").write_text("raise ValueError('numpy.dtype size changed')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))
    job = finish(Job(volume_node, RunSettings(str(blob_package()))))
    job.close()
    assert job.state == "failed"
    assert job.problem == (
        "MedInfer failed unexpectedly (ValueError: numpy.dtype size changed); see the log for details: "
        f"{job.log_file}."
    )
    assert any("Traceback" in line for line in job.log)
    assert job.log_file is not None
    assert "cc3d.py" in job.log_file.read_text()


def test_a_disk_that_fills_up_while_handing_over_is_one_sentence_and_nothing_stays(
    large_node: Any, temporary: Path
) -> None:
    job = Job(large_node, RunSettings("any"))
    with files_no_larger_than(1 << 20):
        finish(job)
    assert job.state == "failed"
    assert "scan.npy cannot be written" in job.problem
    job.close()
    assert left_in(temporary) == []


def test_a_disk_without_room_is_told_before_anything_is_written(tmp_path: Path) -> None:
    # A hundred terabytes that take no memory.
    voxels = np.broadcast_to(np.int16(0), (500_000, 10_000, 10_000))
    with pytest.raises(OutputError, match=r"MB free, but handing over the scan needs 100000017 MB"):
        Handover(voxels, tmp_path / "scan.npy").start()
    assert not (tmp_path / "scan.npy").exists()


def test_no_temporary_folder_is_one_sentence(
    volume_node: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    job = finish(Job(volume_node, RunSettings("any")))
    assert job.state == "failed"
    assert "No temporary folder could be made in" in job.problem
    job.close()


def test_a_temporary_folder_that_is_cleared_away_meanwhile_is_one_sentence(
    large_node: Any, blob_package: Make
) -> None:
    failing, cancelled = (Job(large_node, RunSettings(str(blob_package()))) for _ in range(2))
    for job in (failing, cancelled):
        job.start()
        assert job.folder is not None
        shutil.rmtree(job.folder)
    cancelled.cancel()
    assert cancelled.state == "cancelled"
    finish(failing)
    assert (failing.state, failing.findings) == ("failed", None)
    assert "arrived incomplete" in failing.problem


def test_the_volume_may_be_deleted_and_the_scene_closed_while_it_runs(
    scene: Any, blob_scan: Any, blob_package: Make
) -> None:
    model = RunSettings(str(blob_package()))
    for closing in (scene.RemoveNode, lambda node: scene.Clear(0)):
        node = add_volume(scene, blob_scan[0])
        job = Job(node, model)
        job.start()
        closing(node)
        del node
        finish(job)
        assert job.findings is not None, job.problem
        assert len(job.findings.boxes) == len(blob_scan[1])
        job.close()


def test_closing_a_running_job_ends_its_process_at_once(
    large_node: Any, slow_model: RunSettings, temporary: Path
) -> None:
    job = Job(large_node, slow_model)
    until(job, searching(job))
    pid = workers_pid(job)
    job.close()
    assert job.state == "cancelled"
    assert not lives(pid)
    assert left_in(temporary) == []


def test_a_result_that_is_not_whole_is_no_result(
    volume_node: Any, blob_package: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job(volume_node, RunSettings(str(blob_package())))
    until(job, lambda: job.state == "running")
    assert job.folder is not None
    while not (job.folder / "result.json").exists():
        time.sleep(0.01)
    (job.folder / "result.json").write_text('{"format": "medinfer-findings"')
    finish(job)
    assert (job.state, job.findings) == ("failed", None)
    assert "The result could not be read" in job.problem


def test_the_log_is_bounded(volume_node: Any, blob_package: Make, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "chatty").mkdir()
    (tmp_path / "chatty" / "cc3d.py").write_text(
        "import sys\nfor n in range(20000): print('warning', n, file=sys.stderr)\nraise ValueError('enough')"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "chatty"))
    job = finish(Job(volume_node, RunSettings(str(blob_package()))))
    assert len(job.log) <= 500
    assert "enough" in job.problem
