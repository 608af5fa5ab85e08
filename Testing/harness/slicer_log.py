"""What C++ writes to Slicer's log, for a test to read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import vtk


class SlicerLog:
    """VTK's messages since it was begun."""

    def __init__(self) -> None:
        self._window = vtk.vtkStringOutputWindow()

    @property
    def errors(self) -> list[str]:
        """Errors and generic warnings, without the place in the source: Slicer's log shows both as errors."""
        blocks = [block.strip() for block in self._window.GetOutput().split("\n\n")]
        return [block.splitlines()[-1] for block in blocks if block.startswith(("ERROR", "Generic Warning"))]


@contextmanager
def slicer_log() -> Iterator[SlicerLog]:
    """Keep what VTK complains of in the block; else it goes to the terminal."""
    log, before = SlicerLog(), vtk.vtkOutputWindow.GetInstance()
    vtk.vtkOutputWindow.SetInstance(log._window)
    try:
        yield log
    finally:
        vtk.vtkOutputWindow.SetInstance(before)
