"""Opening the modules needs nothing that Slicer has not, and loads nothing heavy before Run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
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


# What Slicer does when it starts: every module's file is read, also of those that nobody opens.
START = f"""
import sys, tempfile
from pathlib import Path
from harness import SlicerHarness, loaded_modules

with tempfile.TemporaryDirectory() as folder, SlicerHarness(Path(folder)) as harness:
    before = set(sys.modules)
    for name in {MODULES!r}:
        loaded_modules.load(Path({str(REPOSITORY)!r}, name, name + ".py"))
    print(*sorted(set(sys.modules) - before))
"""


def loaded_by(code: str) -> list[str]:
    """What the code prints, run in a fresh Python."""
    path = os.pathsep.join(str(REPOSITORY / folder) for folder in ("Testing", "MedCore"))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": path, "QT_QPA_PLATFORM": "offscreen"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_opening_the_modules_loads_nothing_heavy() -> None:
    assert loaded_by(OPEN) == []


def test_the_modules_open_with_nothing_installed() -> None:
    """As in a fresh Slicer: what is not there cannot be imported."""
    assert loaded_by(f"import sys\nsys.modules.update(dict.fromkeys({HEAVY!r}))\n{OPEN}") == []


def test_starting_slicer_loads_neither_panel_nor_engine() -> None:
    loaded = loaded_by(START)
    assert {name.partition(".")[0] for name in loaded} <= {*MODULES, "medslicer"}
    heavy = ("medslicer.panel", "medslicer.jobs.job", "medslicer.results.result")
    assert not any(name.startswith(heavy) for name in loaded)
