"""What is missing is asked for on Run, installed by a real pip after a yes, and nothing happens after a no."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from harness import SlicerHarness
from panel_user import PanelUser, workers

from medslicer import dependencies
from medslicer.dependencies import REQUIRED, Dependency

TINY = Dependency("medinfer-tiny", "medinfer_tiny", "1.0", 1, "makes a test of it")


def add_wheel(folder: Path) -> None:
    """A wheel with one empty module, as PEP 427 wants it."""
    info = "medinfer_tiny-1.3.dist-info"
    folder.mkdir()
    with zipfile.ZipFile(folder / "medinfer_tiny-1.3-py3-none-any.whl", "w") as archive:
        archive.writestr("medinfer_tiny.py", "")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: medinfer-tiny\nVersion: 1.3\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def site_packages(user: PanelUser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Slicer lacks `TINY`, and has a site-packages folder (returned) and a folder of wheels, still without it.

    `slicer.util.pip_install` of slicer-core needs Slicer's own launcher; the same pip runs here without it.
    """
    import slicer

    target, wheels = tmp_path / "site-packages", tmp_path / "wheels"
    target.mkdir()
    monkeypatch.syspath_prepend(str(target))
    monkeypatch.setattr(dependencies, "REQUIRED", (*REQUIRED, TINY))

    def pip_install(arguments: list[str]) -> None:
        options = ["--target", str(target), "--no-index", "--find-links", str(wheels), "--quiet"]
        subprocess.run([sys.executable, "-m", "pip", "install", *options, *arguments], check=True, capture_output=True)

    monkeypatch.setattr(slicer.util, "pip_install", pip_install)
    return target


def test_after_a_no_nothing_is_installed_and_nothing_runs(
    user: PanelUser, harness: SlicerHarness, site_packages: Path
) -> None:
    assert user.may_run
    harness.answer(False)
    user.run()
    (dialog,) = harness.shown_dialogs
    assert "medinfer-tiny, 1 MB: makes a test of it" in dialog.text
    assert "onnxruntime" not in dialog.text
    assert not user.running
    assert not workers()
    assert not list(site_packages.iterdir())
    assert user.message == "Not run: what it needs is not installed."
    assert not user.complains
    assert user.may_run


def test_after_a_yes_it_is_installed_and_runs_and_is_not_asked_again(
    user: PanelUser, harness: SlicerHarness, site_packages: Path, tmp_path: Path
) -> None:
    add_wheel(tmp_path / "wheels")
    harness.answer(True)
    user.run_to_the_end()
    assert user.message.startswith("2 nodules found")
    assert (site_packages / "medinfer_tiny.py").is_file()
    user.run_to_the_end()
    assert len(harness.shown_dialogs) == 1


def test_where_pip_fails_the_sentence_says_what_to_do(
    user: PanelUser, harness: SlicerHarness, site_packages: Path, tmp_path: Path
) -> None:
    (tmp_path / "wheels").mkdir()
    harness.answer(True)
    user.run()
    assert not user.running
    assert user.complains
    assert "pip could not install medinfer-tiny" in user.message
    assert "pip download" in user.message
    assert user.may_run


def test_devices_are_unknown_until_it_is_installed_and_that_is_said(user: PanelUser, site_packages: Path) -> None:
    user.unfold("advancedSection")
    assert not workers()
    assert user.entries("deviceSelector") == ["Automatic (the fastest)"]


def test_adding_a_model_asks_as_well(
    user: PanelUser, harness: SlicerHarness, site_packages: Path, tmp_path: Path
) -> None:
    harness.choose_file(tmp_path)
    harness.answer(False)
    user.menu("modelMenuButton", "Add from a folder")
    assert "medinfer-tiny" in harness.shown_dialogs[-1].text
    assert not workers()
    assert user.may_run


def test_a_script_is_told_and_never_asked(user: PanelUser, harness: SlicerHarness, site_packages: Path) -> None:
    from medinfer.errors import MedInferError

    node = harness.scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    with pytest.raises(MedInferError, match="MedInfer needs medinfer-tiny: press Run in its panel"):
        sys.modules["MedDetect"].MedDetectLogic().process(node, model="blobs")
    assert harness.shown_dialogs == []
