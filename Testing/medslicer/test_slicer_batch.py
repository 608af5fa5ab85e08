"""The shell command inside Slicer: Scripts/medinfer_batch.py as Slicer runs it."""

from __future__ import annotations

import csv
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import SlicerHarness

from medinfer.scans.writing import write_volume
from medslicer import slicer_batch
from medslicer.models.dependencies import REQUIRED

SCRIPT = Path(__file__).resolve().parents[2] / "MedCore" / "Scripts" / "medinfer_batch.py"

Slicer = Callable[..., int]


@pytest.fixture
def in_slicer(harness: SlicerHarness, monkeypatch: pytest.MonkeyPatch) -> Slicer:
    """`Slicer --python-script medinfer_batch.py -- ARGUMENTS`: its exit code.

    As ctkAbstractPythonManager.executeFile does it: the script's folder first on the path, __file__ in the globals.
    """
    import slicer

    codes: list[int] = []
    monkeypatch.setattr(slicer.util, "exit", codes.append)

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
        monkeypatch.setattr(sys, "path", [str(SCRIPT.parent), *sys.path])
        exec(SCRIPT.read_text(encoding="ascii"), {"__name__": "__main__", "__file__": str(SCRIPT)})
        (code,) = codes
        codes.clear()
        return code

    return run


@pytest.fixture
def scans(tmp_path: Path, blob_scan: Any) -> Path:
    """A folder with two scans of two blobs each."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for number, name in enumerate(("one", "two")):
        voxels = blob_scan[0].voxels.copy()
        # One voxel differs: a copy would be known as the same scan.
        voxels[0, 0, 0] += number
        write_volume(blob_scan[0].with_voxels(voxels), folder / f"{name}.nrrd")
    return folder


def test_a_folder_is_run_with_the_arguments_of_the_shell_command(
    in_slicer: Slicer, scans: Path, blob_package: Callable[..., Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    code = in_slicer("detect", str(scans), "-o", str(out), "--model", str(blob_package()), "--no-scene")
    assert code == 0
    for name in ("one", "two"):
        with (out / f"scans-{name}" / "nodules.csv").open(encoding="utf-8") as file:
            assert len(list(csv.DictReader(file))) == 2


def test_each_scans_scene_holds_that_scan_alone_and_slicers_own_is_left_empty(
    harness: SlicerHarness, in_slicer: Slicer, scans: Path, blob_package: Callable[..., Path], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Drawing is tested elsewhere and takes long.
    monkeypatch.setattr("medslicer.export.output.draw_scene", lambda scene, folder: [])
    out = tmp_path / "out"
    assert in_slicer("detect", str(scans), "-o", str(out), "--model", str(blob_package())) == 0
    for name in ("one", "two"):
        with zipfile.ZipFile(out / f"scans-{name}" / "scene.mrb") as bundle:
            files = [Path(entry).name for entry in bundle.namelist()]
        assert [file for file in files if file.endswith(".nrrd")] == [f"scans-{name}.nrrd"]
        assert sum(file.endswith(".mrk.json") for file in files) == 2
    assert harness.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0


def test_wrong_arguments_end_slicer_with_the_shells_exit_code(
    in_slicer: Slicer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_slicer("detect") == 2
    assert "SCAN" in capsys.readouterr().err
    assert in_slicer("--version") == 0


def test_a_scan_that_is_not_there_is_one_sentence_and_exit_code_1(
    in_slicer: Slicer, blob_package: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "none.nrrd"
    assert in_slicer("detect", str(missing), "-o", str(tmp_path / "out"), "--model", str(blob_package())) == 1
    told = capsys.readouterr()
    assert "none.nrrd" in told.out + told.err
    assert "Traceback" not in told.out + told.err


def test_an_error_nobody_thought_of_still_ends_slicer(
    in_slicer: Slicer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> Any:
        raise RuntimeError("unheard of")

    monkeypatch.setattr(slicer_batch, "missing", broken)
    assert in_slicer("models") == 1
    assert "unheard of" in capsys.readouterr().err


def test_without_its_packages_it_says_what_it_needs_and_installs_nothing(
    in_slicer: Slicer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(slicer_batch, "missing", lambda: REQUIRED)
    monkeypatch.setattr(slicer_batch, "install", lambda needs: pytest.fail("it installed without consent"))
    assert in_slicer("models") == 2
    told = capsys.readouterr().err
    assert "onnxruntime, pydantic, connected-components-3d" in told
    assert "add --install" in told
    assert "33 MB" in told


def test_install_among_the_arguments_is_the_consent(
    in_slicer: Slicer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed: list[Any] = []
    monkeypatch.setattr(slicer_batch, "missing", lambda: REQUIRED[:1])
    monkeypatch.setattr(slicer_batch, "install", installed.extend)
    assert in_slicer("models", "--install") == 0
    assert installed == [REQUIRED[0]]
    assert "chest-nodules" in capsys.readouterr().out


def test_the_script_is_plain_ascii_and_alone_in_its_folder() -> None:
    """Slicer reads it in the system's encoding, and puts its folder first on the path for good."""
    SCRIPT.read_text(encoding="ascii")
    assert [path.name for path in SCRIPT.parent.iterdir() if path.name != "__pycache__"] == [SCRIPT.name]
