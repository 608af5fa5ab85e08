"""Opening the modules needs nothing that Slicer has not, and loads nothing heavy before Run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MODULES = ("MedCore", "MedDetect", "MedLandmark", "MedToothSeg")
HEAVY = (
    "onnxruntime", "openvino", "torch", "scipy", "pydantic", "SimpleITK", "pydicom", "onnx", "h5py", "cc3d", "rich",
    "platformdirs",
)

# What a user does before Run: opens each module, looks at its models, unfolds every part.
OPEN = f"""
import sys, tempfile
from pathlib import Path
from harness import SlicerHarness

with tempfile.TemporaryDirectory() as folder, SlicerHarness(Path(folder)) as harness:
    for name in {MODULES[1:]!r}:
        module = harness.load_module(name)
        for section in ("cardSection", "resultsSection", "logSection"):
            widget = module.ui(section)
            widget.setProperty("collapsed", not widget.property("collapsed"))
        harness.process_events()
        assert module.ui("modelSelector").count() > 0
        assert module.ui("cardText").toPlainText()
    print(*sorted(name for name in {HEAVY!r} if sys.modules.get(name) is not None))
"""


def opened(before: str = "") -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(REPOSITORY / folder) for folder in ("Testing", "MedCore"))
    return subprocess.run(
        [sys.executable, "-c", before + OPEN], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": path, "QT_QPA_PLATFORM": "offscreen"},
    )


def test_opening_the_modules_loads_nothing_heavy() -> None:
    done = opened()
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_the_modules_open_with_nothing_installed() -> None:
    """As in a fresh Slicer: what is not there cannot be imported."""
    done = opened(f"import sys\nsys.modules.update(dict.fromkeys({HEAVY!r}))\n")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", MODULES)
def test_a_module_file_imports_next_to_nothing_before_it_is_opened(name: str) -> None:
    """Slicer reads every module's file when it starts, also of those that nobody opens."""
    code = f"""
import sys, tempfile
from pathlib import Path
from harness import SlicerHarness, loaded_modules
with tempfile.TemporaryDirectory() as folder, SlicerHarness(Path(folder)) as harness:
    before = set(sys.modules)
    loaded_modules.load(Path({str(REPOSITORY)!r}) / {name!r} / "{name}.py")
    print(*sorted(set(sys.modules) - before))
"""
    path = os.pathsep.join(str(REPOSITORY / folder) for folder in ("Testing", "MedCore"))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": path, "QT_QPA_PLATFORM": "offscreen"},
    )
    assert done.returncode == 0, done.stderr
    light = {"medslicer", *(f"medslicer.{part}" for part in ("address", "profiles", "sample_scans", "scripted_module"))}
    assert set(done.stdout.split()) <= {name, *light}
