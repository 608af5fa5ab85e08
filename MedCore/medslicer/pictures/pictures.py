"""Pictures of a saved scene: three slices through what was found, and the scan or its segments in 3-D.

They are drawn in a child process (`python -m medslicer.pictures SCENE FOLDER`): a crash in a graphics driver then
costs the pictures and not the run, and another way of drawing without a display can be tried in a fresh process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from medinfer.atomic_files import staging
from medinfer.errors import MedInferError, OutputError

from ..headless import HeadlessSlicer
from ..jobs.interpreter import interpreter
from ..nodes.lookup import nodes_of
from ..nodes.markups import CONFIDENCE, VOLUME_ROLE
from ..quiet import quiet_libraries
from .box_pictures import draw_boxes
from .failures import WINDOW_VARIABLE, ending, no_window
from .landmark_pictures import draw_landmarks
from .offscreen import try_window
from .segment_pictures import draw_segments

# Ways to draw, as VTK calls them: the graphics card or Mesa through EGL, then Mesa alone.
_WINDOWS = ("vtkEGLRenderWindow", "vtkOSOpenGLRenderWindow")
_TIME_LIMIT_S = 300
# The child's exit codes when it prints a reason. Where there is nothing to draw with, VTK ends it by a crash: a file
# says how far it came.
_REFUSED, _NOT_WRITTEN, _BROKEN = 3, 4, 5
_STAGE_FILE = "stage.txt"
BEGUN, OPENING, DRAWING = "begun", "opening a window", "drawing"


class PictureError(MedInferError):
    """Pictures that could not be drawn. The other results are not touched by it."""


def draw_scene(scene_file: Path, folder: Path) -> list[Path]:
    """Draw the scene in `scene_file` (`.mrb`) to PNG files in `folder` and return them, in a child process.

    Raises OutputError where they cannot be written, and PictureError, saying why, where they cannot be drawn; none is
    left behind then.
    """
    why = ""
    with staging(folder / "pictures") as place:
        for window in _windows():
            child = _run_child(scene_file, place, window)
            words = child.stdout.strip().replace(str(place), str(folder))
            if child.returncode == _NOT_WRITTEN:
                raise OutputError(words)
            if child.returncode == _REFUSED:
                raise PictureError(f"No pictures were drawn: {words}")
            if child.returncode == 0:
                return [path.replace(folder / path.name) for path in map(Path, child.stdout.splitlines())]
            if child.returncode == _BROKEN or _stage(place) == BEGUN:
                raise PictureError(f"No pictures were drawn: {ending(child.returncode, words or child.stderr)}")
            if _stage(place) == DRAWING:
                # Another way to draw may live through it; if none does, this is why.
                why = ending(child.returncode, child.stderr)
    raise PictureError(f"No pictures were drawn: {why or no_window()}")


def _run_child(scene_file: Path, folder: Path, window: str) -> subprocess.CompletedProcess[str]:
    """The child, done. Raises PictureError where it could not be started or took too long."""
    command = [interpreter(), "-m", "medslicer.pictures", str(scene_file), str(folder)]
    # The names of files come back whole, whatever the terminal's encoding is.
    coding = {"PYTHONIOENCODING": "utf-8:surrogateescape"}
    environment = {**os.environ, **coding, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    if window:
        environment[WINDOW_VARIABLE] = window
    _tell_stage(folder, BEGUN)
    try:
        return subprocess.run(
            command, env=environment, timeout=_TIME_LIMIT_S, stdin=subprocess.DEVNULL, check=False,
            capture_output=True, encoding="utf-8", errors="surrogateescape",
        )
    except subprocess.TimeoutExpired as error:
        raise PictureError(
            f"No pictures were drawn: it took longer than {_TIME_LIMIT_S} s and was stopped."
        ) from error
    except OSError as error:
        raise PictureError(
            f"No pictures were drawn: {command[0]} could not be started ({error.strerror or error})."
        ) from error


def _windows() -> Sequence[str]:
    """What to try: the user's own choice where there is one; a display's own window elsewhere than on Linux."""
    if os.environ.get(WINDOW_VARIABLE) or not sys.platform.startswith("linux"):
        return ("",)
    return (*_WINDOWS, "") if os.environ.get("DISPLAY") else _WINDOWS


def _tell_stage(folder: Path, stage: str) -> None:
    (folder / _STAGE_FILE).write_text(stage, encoding="ascii")


def _stage(folder: Path) -> str:
    """How far the child came."""
    return (folder / _STAGE_FILE).read_text(encoding="ascii")


def draw_file(scene_file: Path, folder: Path) -> list[Path]:
    """Draw the findings of `scene_file` (`.mrb`) in this process. Raises MedInferError for a file that is no scene."""
    with quiet_libraries(), HeadlessSlicer() as headless:
        _tell_stage(folder, OPENING)
        try_window()
        _tell_stage(folder, DRAWING)
        volumes = []
        if headless.scene.ReadFromMRB(str(scene_file), True):
            volumes = nodes_of(headless.scene, "vtkMRMLScalarVolumeNode")
        if not volumes:
            raise PictureError(f"{scene_file} is not a Slicer scene with a scan.")
        logic, (volume_node, *_) = headless.application_logic, volumes
        for segmentation in nodes_of(headless.scene, "vtkMRMLSegmentationNode"):
            if segmentation.GetNodeReference(VOLUME_ROLE):
                return draw_segments(logic, volume_node, segmentation, folder)
        for fiducials in nodes_of(headless.scene, "vtkMRMLMarkupsFiducialNode"):
            if fiducials.GetMeasurement(CONFIDENCE):
                return draw_landmarks(logic, volume_node, fiducials, folder)
        rois = [
            roi for roi in nodes_of(headless.scene, "vtkMRMLMarkupsROINode")
            if roi.GetMeasurement(CONFIDENCE) and roi.GetDisplayNode().GetVisibility()
        ]
        return draw_boxes(logic, volume_node, rois, folder)


def main(arguments: Sequence[str]) -> int:
    """The child: draw, and print the files or why not, one line each."""
    scene_file, folder = (Path(argument) for argument in arguments)
    try:
        print(*draw_file(scene_file, folder), sep="\n")
    except MedInferError as error:
        print(error)
        return _NOT_WRITTEN if isinstance(error, OutputError) else _REFUSED
    except Exception as error:  # a bug of ours, or of the Slicer that draws: whoever wanted pictures must know which
        print(f"{type(error).__name__}: {error}")
        return _BROKEN
    return 0
