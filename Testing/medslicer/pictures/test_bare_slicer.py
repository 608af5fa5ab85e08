"""Pictures drawn with PythonSlicer, whose `slicer` is bare, and the true cause where none are drawn."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from medinfer.findings import Findings, box_from_index
from medinfer.volume import Volume
from medslicer.export.saving import save_scene
from medslicer.headless import HeadlessSlicer
from medslicer.nodes.volumes import add_volume
from medslicer.pictures import pictures
from medslicer.pictures.failures import ending
from medslicer.pictures.pictures import PictureError, draw_scene
from medslicer.results.results import add_findings

BARE = Path(__file__).resolve().parents[2] / "harness" / "python_slicer"

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="EGL and OSMesa are Linux libraries")


@pytest.fixture
def scene_file(volume: Volume, tmp_path: Path) -> Path:
    box = box_from_index(volume.grid, (3, 5, 7), (8, 9, 17), label="nodule", score=0.9)
    with HeadlessSlicer() as headless:
        add_findings(headless.scene, Findings((box,)), add_volume(headless.scene, volume), name="Nodules")
        save_scene(headless.scene, tmp_path / "scene.mrb")
    return tmp_path / "scene.mrb"


@pytest.fixture
def python_slicer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PythonSlicer on the path; the returned file is run by it before anything else."""
    folder, first = tmp_path / "bin", tmp_path / "first.py"
    folder.mkdir()
    first.write_text("")
    program = folder / "PythonSlicer"
    program.write_text(
        f'#!/bin/sh\nPYTHONPATH="{BARE}:{tmp_path}:$PYTHONPATH" exec "{sys.executable}" -c '
        f'"import runpy, sys; sys.argv[0:2] = []; import first; '
        f'runpy.run_module(sys.argv[0], run_name=\'__main__\', alter_sys=True)" "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(folder), os.environ["PATH"]]))
    return first


def test_a_bare_slicer_is_completed_and_draws(scene_file: Path, python_slicer: Path, tmp_path: Path) -> None:
    python_slicer.write_text(
        "import slicer\nassert not hasattr(slicer, 'vtkSlicerMarkupsLogic') and not hasattr(slicer, 'util')\n"
    )
    (tmp_path / "out").mkdir()
    drawn = draw_scene(scene_file, tmp_path / "out")
    assert [path.name for path in drawn] == ["axial.png", "coronal.png", "sagittal.png", "view3d.png"]


@pytest.mark.parametrize(("broken", "told"), [
    ("import sys; sys.modules['medslicer.pictures.box_pictures'] = None", "box_pictures"),
    ("raise ImportError('libfoo.so: cannot open')", "libfoo.so: cannot open"),
    ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "the memory of this computer may be used up"),
    ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
    (
        "import sys, types; sys.modules['vtkSlicerMarkupsModuleLogicPython'] = types.ModuleType('x')",
        "vtkSlicerMarkupsModuleLogicPython",
    ),
    (
        "import slicer.util\ndef updateVolumeFromArray(*_): raise RuntimeError('no such array')\n"
        "slicer.util.updateVolumeFromArray = updateVolumeFromArray", "RuntimeError: no such array",
    ),
], ids=["no module", "no library", "out of memory", "crash", "no logic", "bug"])
def test_the_true_cause_is_told_and_no_graphics_are_blamed(
    scene_file: Path, python_slicer: Path, tmp_path: Path, broken: str, told: str
) -> None:
    python_slicer.write_text(broken)
    (tmp_path / "out").mkdir()
    with pytest.raises(PictureError) as caught:
        draw_scene(scene_file, tmp_path / "out")
    assert told in str(caught.value)
    assert str(caught.value).startswith("No pictures were drawn: ")
    assert "\n" not in str(caught.value)
    assert "EGL" not in str(caught.value)
    assert os.listdir(tmp_path / "out") == []


def test_one_that_hangs_or_cannot_be_started_is_said_to(
    scene_file: Path, python_slicer: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python_slicer.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(pictures, "_TIME_LIMIT_S", 1)
    with pytest.raises(PictureError, match="longer than 1 s"):
        draw_scene(scene_file, tmp_path)
    monkeypatch.setattr(pictures, "interpreter", lambda: str(tmp_path / "none"))
    with pytest.raises(PictureError, match="none could not be started"):
        draw_scene(scene_file, tmp_path)


def test_a_window_that_a_user_chose_and_that_is_none_is_named(
    scene_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "lib"
    folder.mkdir()
    for name in ("libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so"):
        (folder / name).touch()
    monkeypatch.setenv("LD_LIBRARY_PATH", str(folder))
    monkeypatch.setenv("VTK_DEFAULT_OPENGL_WINDOW", "vtkOSOpenGLRenderWindow")
    with pytest.raises(PictureError, match="VTK_DEFAULT_OPENGL_WINDOW is set to vtkOSOpenGLRenderWindow"):
        draw_scene(scene_file, tmp_path)


def test_an_ending_without_a_word_has_its_exit_code() -> None:
    assert ending(7, "\n") == "the process that draws ended with exit code 7."
