"""Runs that fail: each is one sentence that says what to do, the log where there is one, and an untouched scene."""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from full_disk import files_no_larger_than
from harness import SlicerHarness
from panel_user import PanelUser, workers

pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="looks processes up in Linux's /proc")


@pytest.fixture
def nodes(harness: SlicerHarness) -> Callable[[], set[str]]:
    return lambda: {harness.scene.GetNthNode(n).GetID() for n in range(harness.scene.GetNumberOfNodes())}


def log_named_in(message: str) -> Path:
    (path,) = [Path(word.rstrip(".;,")) for word in message.split() if word.rstrip(".;,").endswith("log.txt")]
    return path


def test_a_worker_that_is_killed_is_told_with_where_its_log_is(
    long_run: PanelUser, temporary: Path, nodes: Callable[[], set[str]]
) -> None:
    before = nodes()
    long_run.run()
    long_run.wait_for_the_middle()
    for pid in workers():
        os.kill(pid, signal.SIGKILL)
    long_run.wait_for_the_end()
    assert long_run.complains
    assert "ended unexpectedly" in long_run.message
    assert log_named_in(long_run.message).is_file()
    assert long_run.message in long_run.log
    assert nodes() == before
    assert long_run.may_run
    left = [path for folder in temporary.iterdir() for path in folder.iterdir()]
    assert left == [log_named_in(long_run.message)]


def test_an_exception_in_the_worker_is_one_sentence_and_its_trace_in_the_log(
    user: PanelUser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nodes: Callable[[], set[str]]
) -> None:
    # What an installation of libraries that don't fit each other does.
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "cc3d.py").write_text("raise ValueError('numpy.dtype size changed')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))
    before = nodes()
    user.run_to_the_end()
    assert user.complains
    assert user.message.startswith("MedInfer failed unexpectedly (ValueError: numpy.dtype size changed)")
    assert "cc3d.py" in log_named_in(user.message).read_text()
    assert "Traceback" in user.log
    assert "cc3d.py" in user.log
    assert "\n" not in user.message
    assert nodes() == before


def spoil_network(folder: Path, network: bytes) -> None:
    """Another network, with the checksum that fits it."""
    manifest = folder / "model.json"
    before = hashlib.sha256((folder / "network.onnx").read_bytes()).hexdigest()
    (folder / "network.onnx").write_bytes(network)
    manifest.write_text(manifest.read_text().replace(before, hashlib.sha256(network).hexdigest()))


def network_that_fails_at_run_time() -> bytes:
    """Its checksum, its names and its type are right; it wants to multiply shapes that don't fit."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    axes = ["batch", 1, "k", "j", "i"]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Add", ["image", "wrong"], ["probability"])], "blobs",
        [value("image", TensorProto.FLOAT, axes)], [value("probability", TensorProto.FLOAT, axes)],
        [numpy_helper.from_array(np.zeros((1, 1, 3, 5, 7), np.float32), "wrong")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("network", [network_that_fails_at_run_time, lambda: b"no network at all"], ids=["run", "open"])
def test_a_network_that_cannot_be_run_is_one_sentence(
    user: PanelUser, own_library: Path, network: Callable[[], bytes], nodes: Callable[[], set[str]]
) -> None:
    spoil_network(own_library / "blobs", network())
    before = nodes()
    user.run_to_the_end()
    assert user.complains
    assert "\n" not in user.message
    assert len(user.message) < 600
    assert user.message.endswith(".")
    assert nodes() == before


def test_a_network_with_another_checksum_is_not_run(user: PanelUser, own_library: Path) -> None:
    (own_library / "blobs" / "network.onnx").write_bytes(b"exchanged")
    user.run_to_the_end()
    assert user.complains
    assert "is damaged or was replaced" in user.message
    assert "network.onnx" in user.message


def test_a_disk_that_fills_up_is_one_sentence_and_nothing_stays(long_run: PanelUser, temporary: Path) -> None:
    with files_no_larger_than(1 << 20):
        long_run.run_to_the_end()
    assert long_run.complains
    assert "scan.npy cannot be written" in long_run.message
    assert not list(temporary.iterdir())
    assert long_run.may_run


def test_a_disk_that_fills_up_in_the_worker_is_one_sentence(
    user: PanelUser, temporary: Path, nodes: Callable[[], set[str]]
) -> None:
    before = nodes()
    user.run()
    user.wait(lambda: workers() or not user.running)
    for pid in workers():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (200, resource.RLIM_INFINITY))
    user.wait_for_the_end()
    assert user.complains
    assert "\n" not in user.message
    assert nodes() == before
    assert {path.name for folder in temporary.iterdir() for path in folder.iterdir()} <= {"log.txt"}


def test_no_temporary_folder_is_one_sentence(user: PanelUser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    user.run_to_the_end()
    assert user.complains
    assert "No temporary folder could be made in" in user.message


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="this computer may have the GPU")
def test_a_gpu_that_is_not_there_is_one_sentence(user: PanelUser, harness: SlicerHarness) -> None:
    """The scene comes from a computer that had one."""
    harness.scene.GetFirstNodeByClass("vtkMRMLScriptedModuleNode").SetParameter("device", "onnxruntime:cuda")
    user.run_to_the_end()
    assert user.complains
    assert "cuda" in user.message
    assert "\n" not in user.message


def test_a_scan_of_another_kind_is_one_sentence(user: PanelUser, harness: SlicerHarness) -> None:
    import slicer

    node = harness.scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(harness.scene)
    tree.SetItemAttribute(tree.CreateItem(tree.GetSceneItemID(), node), "DICOM.Modality", "MR")
    user.run_to_the_end()
    assert user.complains
    assert "is MR, but this model was made for CT" in user.message


def test_the_next_run_takes_the_complaint_away(user: PanelUser, own_library: Path) -> None:
    whole = (own_library / "blobs" / "network.onnx").read_bytes()
    (own_library / "blobs" / "network.onnx").write_bytes(b"exchanged")
    user.run_to_the_end()
    assert user.complains
    (own_library / "blobs" / "network.onnx").write_bytes(whole)
    user.run_to_the_end()
    assert not user.complains
    assert user.message.startswith("2 nodules found")


def test_the_log_does_not_grow_without_bound(
    user: PanelUser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "chatty").mkdir()
    (tmp_path / "chatty" / "cc3d.py").write_text(
        "import sys\nfor n in range(20000): print('warning', n, file=sys.stderr)\nraise ValueError('enough')"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "chatty"))
    user.run_to_the_end()
    assert "enough" in user.message
    assert user.ui("logText").blockCount() <= 500
