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
from ..nodes.lookup import nodes_of
from ..nodes.markups import CONFIDENCE, VOLUME_ROLE
from ..quiet import quiet_libraries
from .box_pictures import draw_boxes
from .landmark_pictures import draw_landmarks
from .segment_pictures import draw_segments

# Ways to draw, as VTK calls them: the graphics card or Mesa through EGL, then Mesa alone.
_WINDOWS = ("vtkEGLRenderWindow", "vtkOSOpenGLRenderWindow")
_WINDOW_VARIABLE = "VTK_DEFAULT_OPENGL_WINDOW"
_TIME_LIMIT_S = 300
# The child's exit codes when it prints a reason. Where there is nothing to draw with, VTK ends it by a crash.
_REFUSED, _NOT_WRITTEN = 3, 4


class PictureError(MedInferError):
    """Pictures that could not be drawn. The other results are not touched by it."""


def draw_scene(scene_file: Path, folder: Path) -> list[Path]:
    """Draw the scene in `scene_file` (`.mrb`) to PNG files in `folder` and return them, in a child process.

    Raises OutputError where they cannot be written, and PictureError, saying what to install, where nothing here can
    draw; none is left behind then.
    """
    with staging(folder / "pictures") as place:
        for window in _windows():
            child = _run_child(scene_file, place, window)
            if child is None:
                continue
            words = child.stdout.strip().replace(str(place), str(folder))
            if child.returncode == _REFUSED:
                raise PictureError(f"No pictures were drawn: {words}")
            if child.returncode == _NOT_WRITTEN:
                raise OutputError(words)
            if child.returncode == 0:
                return [path.replace(folder / path.name) for path in map(Path, child.stdout.splitlines())]
    raise PictureError(
        "No pictures were drawn: neither EGL nor OSMesa works here; "
        "install one of them, e.g.: apt-get install libegl1 libosmesa6"
    )


def _run_child(scene_file: Path, folder: Path, window: str) -> subprocess.CompletedProcess[str] | None:
    """The child, done; None where it could not be started or hung."""
    command = [sys.executable, "-m", "medslicer.pictures", str(scene_file), str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    if window:
        environment[_WINDOW_VARIABLE] = window
    try:
        return subprocess.run(
            command, env=environment, timeout=_TIME_LIMIT_S, stdin=subprocess.DEVNULL, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8",
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


def _windows() -> Sequence[str]:
    """What to try: the user's own choice where there is one; a display's own window elsewhere than on Linux."""
    if os.environ.get(_WINDOW_VARIABLE) or not sys.platform.startswith("linux"):
        return ("",)
    return _WINDOWS


def draw_file(scene_file: Path, folder: Path) -> list[Path]:
    """Draw the findings of `scene_file` (`.mrb`) in this process. Raises MedInferError for a file that is no scene."""
    with quiet_libraries(), HeadlessSlicer() as headless:
        volumes = []
        if headless.scene.ReadFromMRB(str(scene_file), True):
            volumes = nodes_of(headless.scene, "vtkMRMLScalarVolumeNode")
        if not volumes:
            raise PictureError(f"{scene_file} is no Slicer scene with a scan in it.")
        logic, (volume_node, *_) = headless.application_logic, volumes
        for segmentation in nodes_of(headless.scene, "vtkMRMLSegmentationNode"):
            if segmentation.GetNodeReference(VOLUME_ROLE):
                return draw_segments(logic, volume_node, segmentation, folder)
        for fiducials in nodes_of(headless.scene, "vtkMRMLMarkupsFiducialNode"):
            if fiducials.GetMeasurement(CONFIDENCE):
                return draw_landmarks(logic, volume_node, fiducials, folder)
        rois = [roi for roi in nodes_of(headless.scene, "vtkMRMLMarkupsROINode") if roi.GetMeasurement(CONFIDENCE)]
        return draw_boxes(logic, volume_node, rois, folder)


def main(arguments: Sequence[str]) -> int:
    """The child: draw, and print the files or why not, a line each."""
    scene_file, folder = (Path(argument) for argument in arguments)
    try:
        print(*draw_file(scene_file, folder), sep="\n")
    except MedInferError as error:
        print(error)
        return _NOT_WRITTEN if isinstance(error, OutputError) else _REFUSED
    return 0
