"""Pictures of a saved scene: three slices through the best finding, and the chest in 3-D.

They are drawn in a child process (`python -m medslicer.pictures SCENE FOLDER`): a crash in a graphics driver then
costs the pictures and not the run, and another way of drawing without a display can be tried in a fresh process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medinfer.errors import MedInferError, OutputError
from medinfer.writing import staging

from .headless import HeadlessSlicer
from .lookup import nodes_of
from .quiet import quiet_libraries
from .rois import CONFIDENCE, DIAMETER, VOLUME_ROLE, measured
from .slice_picture import draw_slice
from .views import SLICE_VIEWS, turn_views
from .volume_picture import draw_volume
from .volumes import centre_ras

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


def draw_finding(
    application_logic: Any, volume_node: Any, rois: Sequence[Any], best: Any | None, folder: Path
) -> list[Path]:
    """Draw `best` (one of `rois`, or None) in axial, coronal and sagittal slices and all `rois` in 3-D.

    Without a finding the slices go through the middle of the scan. Writes axial.png, coronal.png, sagittal.png and
    view3d.png to `folder` and returns them. Raises OutputError.
    """
    scene = application_logic.GetMRMLScene()
    turn_views(scene, volume_node, best.GetCenterWorld() if best else centre_ras(volume_node))
    paths = []
    for layout_name, orientation in SLICE_VIEWS.items():
        paths.append(folder / f"{orientation.lower()}.png")
        draw_slice(application_logic, layout_name, _caption(best), paths[-1])
    paths.append(folder / "view3d.png")
    draw_volume(application_logic, volume_node, rois, paths[-1])
    return paths


def _windows() -> Sequence[str]:
    """What to try: the user's own choice where there is one; a display's own window elsewhere than on Linux."""
    if os.environ.get(_WINDOW_VARIABLE) or not sys.platform.startswith("linux"):
        return ("",)
    return _WINDOWS


def _caption(best: Any | None) -> str:
    if best is None:
        return "nothing found"
    side = best.GetNthControlPointDescription(0)
    return f"{best.GetName()}   score {measured(best, CONFIDENCE):.2f}   {measured(best, DIAMETER):.1f} mm" + (
        f"   {side}" if side else ""
    )


def draw_file(scene_file: Path, folder: Path) -> list[Path]:
    """Draw the findings of `scene_file` (`.mrb`) in this process. Raises MedInferError for a file that is no scene."""
    with quiet_libraries(), HeadlessSlicer() as headless:
        volumes = []
        if headless.scene.ReadFromMRB(str(scene_file), True):
            volumes = nodes_of(headless.scene, "vtkMRMLScalarVolumeNode")
        if not volumes:
            raise PictureError(f"{scene_file} is no Slicer scene with a scan in it.")
        rois = [roi for roi in nodes_of(headless.scene, "vtkMRMLMarkupsROINode") if roi.GetMeasurement(CONFIDENCE)]
        best = max(rois, key=lambda roi: measured(roi, CONFIDENCE), default=None)
        volume_node = best.GetNodeReference(VOLUME_ROLE) if best else volumes[0]
        return draw_finding(headless.application_logic, volume_node, rois, best, folder)


def main(arguments: Sequence[str]) -> int:
    """The child: draw, and print the files or why not, a line each."""
    scene_file, folder = (Path(argument) for argument in arguments)
    try:
        print(*draw_file(scene_file, folder), sep="\n")
    except MedInferError as error:
        print(error)
        return _NOT_WRITTEN if isinstance(error, OutputError) else _REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
