"""Which Python a child process is started with."""

from __future__ import annotations

import shutil
import sys


def interpreter() -> str:
    """Slicer's own Python inside Slicer, whose executable is Slicer itself; elsewhere the one that runs this."""
    return shutil.which("PythonSlicer") or sys.executable
