"""Keep the error output of C++ libraries off the terminal: the user gets one message from MedInfer."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence VTK's error lines, and what ITK writes straight to the process's standard output and error."""
    import vtk

    before = vtk.vtkObject.GetGlobalWarningDisplay()
    vtk.vtkObject.GlobalWarningDisplayOff()
    try:
        with _no_output():
            yield
    finally:
        vtk.vtkObject.SetGlobalWarningDisplay(before)


@contextmanager
def _no_output() -> Iterator[None]:
    """Point descriptors 1 and 2 at the null device. A process without them (a windowed one) has nothing to hide."""
    kept = []
    with suppress(OSError):
        kept = [os.dup(1), os.dup(2)]
    if len(kept) < 2:
        yield
        return
    sys.stdout.flush()
    sys.stderr.flush()
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 1)
        os.dup2(null, 2)
        yield
    finally:
        for descriptor, copy in enumerate(kept, start=1):
            os.dup2(copy, descriptor)
            os.close(copy)
        os.close(null)
