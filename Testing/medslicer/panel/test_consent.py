"""What is missing is asked for on Run, installed by a real pip after a yes, and nothing happens after a no."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from harness import SlicerHarness
from panel_user import PanelUser, workers
from wheels import wheel

from medslicer.models import dependencies
from medslicer.models.dependencies import REQUIRED, Dependency

TINY = Dependency("medinfer-tiny", "medinfer_tiny", "1.0", 1, "makes a test of it")


@pytest.fixture
def site_packages(user: PanelUser, slicer_python: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Slicer lacks `TINY`; where pip would put it."""
    monkeypatch.setattr(dependencies, "REQUIRED", (*REQUIRED, TINY))
    return slicer_python


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
    assert user.message == "Not run: the packages it needs are not installed."
    assert not user.complains
    assert user.may_run


def test_after_a_yes_it_is_installed_and_runs_and_is_not_asked_again(
    user: PanelUser, harness: SlicerHarness, site_packages: Path, tmp_path: Path
) -> None:
    wheel(tmp_path / "wheels", TINY.distribution, "1.3")
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


@pytest.mark.parametrize("meanwhile", ["closes the scene", "presses Run"])
def test_what_a_user_does_while_it_is_installed_is_safe(
    user: PanelUser, harness: SlicerHarness, site_packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    meanwhile: str,
) -> None:
    """Slicer's pip_install lets the window live."""
    import slicer

    wheel(tmp_path / "wheels", TINY.distribution, "1.3")
    install = slicer.util.pip_install

    def slow_install(arguments: list[str]) -> None:
        assert user.message == "Installing…"
        assert not user.may_run
        if meanwhile == "closes the scene":
            harness.scene.Clear(0)
        harness.process_events()
        assert not user.may_run
        install(arguments)

    monkeypatch.setattr(slicer.util, "pip_install", slow_install)
    harness.answer(True)
    user.run()
    if meanwhile == "closes the scene":
        assert (user.running, user.message) == (False, "Choose a scan to run on.")
    else:
        user.wait_for_the_end()
        assert user.message.startswith("2 nodules found")


def test_devices_are_unknown_until_it_is_installed_and_that_is_said(user: PanelUser, site_packages: Path) -> None:
    user.unfold("advancedSection")
    assert not workers()
    assert user.entries("deviceSelector") == ["Automatic (fastest)"]


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
