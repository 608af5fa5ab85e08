"""The self-test for the real application: run in it where SLICER_EXECUTABLE names one, and as far as it goes here."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import SlicerHarness, loaded_modules

REPOSITORY = Path(__file__).resolve().parents[3]
SCRIPT = REPOSITORY / "Testing" / "slicer_selftest.py"
MODULES = ("MedCore", "MedDetect", "MedLandmark", "MedToothSeg")


@pytest.fixture(scope="module")
def real_slicer() -> str:
    """The Slicer application that SLICER_EXECUTABLE names."""
    executable = os.environ.get("SLICER_EXECUTABLE", "")
    if not executable:
        told = "THE REAL SLICER WAS NOT TESTED: set SLICER_EXECUTABLE to run Testing/slicer_selftest.py in it"
        # The summary shows warnings, and of skipped tests only the number.
        warnings.warn(told, stacklevel=1)
        pytest.skip(told)
    return executable


def run_in(executable: str, script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = [
        executable, "--no-main-window", "--no-splash", "--ignore-slicerrc",
        "--additional-module-paths", *(str(REPOSITORY / module) for module in MODULES),
        "--python-script", str(script), "--", *arguments,
    ]
    return subprocess.run(words, capture_output=True, text=True, timeout=1800, check=False)


def test_the_self_test_passes_in_the_real_slicer(real_slicer: str) -> None:
    install = ["--install"] if os.environ.get("SLICER_INSTALL") else []
    ran = run_in(real_slicer, SCRIPT, *install)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_batch_passes_its_exit_code_through_the_real_slicer(real_slicer: str, tmp_path: Path) -> None:
    batch = REPOSITORY / "MedCore" / "Scripts" / "medinfer_batch.py"
    assert run_in(real_slicer, batch, "--version").returncode == 0
    ran = run_in(real_slicer, batch, "detect", str(tmp_path / "none.nrrd"), "-o", str(tmp_path / "out"))
    assert ran.returncode in (1, 2)
    assert not list(tmp_path.glob("out/*"))


@pytest.fixture
def self_test(harness: SlicerHarness, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The self-test run in the harness with its arguments: its exit code. It cannot see from there what is Slicer's."""
    import slicer

    codes: list[int] = []
    monkeypatch.setattr(slicer.util, "exit", codes.append)
    for name in MODULES[1:]:
        harness.load_module(name)

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
        exec(SCRIPT.read_text(encoding="ascii"), {"__name__": "__main__", "__file__": str(SCRIPT)})
        return codes.pop()

    return run


def test_each_panel_opens_and_each_modules_own_test_passes(
    self_test: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    code = self_test("panels", "self_tests")
    told = capsys.readouterr().out
    assert "ok       panels" in told, told
    assert "ok       self_tests" in told, told
    assert code == 0


def test_what_can_go_wrong_in_slicer_only_goes_right_here(
    self_test: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    checks = ("signals", "selectors", "child", "reload")
    code = self_test(*checks)
    told = capsys.readouterr().out
    assert [name for name in checks if f"ok       {name}:" not in told] == [], told
    assert code == 0


def test_the_module_that_the_others_share_is_hidden(harness: SlicerHarness) -> None:
    module = loaded_modules.load(REPOSITORY / "MedCore" / "MedCore.py")
    assert module.hidden
    assert module.title == "MedCore"


def test_a_check_that_fails_is_told_and_is_the_exit_code(
    self_test: Callable[..., int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: object) -> None:
        raise AssertionError("no vertebra")

    monkeypatch.setattr(sys.modules["MedDetect"].MedDetectTest, "runTest", lambda self: None)
    monkeypatch.setattr(sys.modules["MedLandmark"].MedLandmarkTest, "runTest", broken)
    assert self_test("self_tests") == 1
    told = capsys.readouterr().out
    assert "WRONG    self_tests: no vertebra" in told
    assert "MedInfer self-test: 1 wrong" in told


@pytest.mark.parametrize(("words", "told"), [
    (("panel",), "no check is called panel; there are modules, names, panels"),
    (("panels", "--skip", "reloading"), "no check is called reloading"),
    (("--verbose",), "no check is called --verbose"),
    (("panels", "--skip", "panels"), "nothing was left to test"),
], ids=str)
def test_a_word_that_is_no_check_and_nothing_tested_are_failures(
    self_test: Callable[..., int], capsys: pytest.CaptureFixture[str], words: tuple[str, ...], told: str
) -> None:
    assert self_test(*words) == 1
    assert told in capsys.readouterr().out


def test_scores_that_a_table_keeps_in_six_digits_are_the_same() -> None:
    names: dict[str, Any] = {"__name__": "self_test", "__file__": str(SCRIPT)}
    exec(SCRIPT.read_text(encoding="ascii"), names)
    before = [("Nodule 1", 0.99999946, "found"), ("Nodule 2", 0.5, "found")]
    assert names["same"](before, [("Nodule 1", 0.999999, "found"), ("Nodule 2", 0.5, "found")])
    assert not names["same"](before, [("Nodule 1", 0.9998, "found"), ("Nodule 2", 0.5, "found")])
    assert not names["same"](before, before[:1])
    assert not names["same"](before, [("Nodule 1", 0.999999, "removed"), ("Nodule 2", 0.5, "found")])
