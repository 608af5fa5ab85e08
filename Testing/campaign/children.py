"""MedInfer in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import medinfer


def child(*words: object, code: str = "", module: str = "medinfer") -> subprocess.Popen[str]:
    """A run of `module` with these words. code: done before it, in the same process."""
    paths = [str(Path(medinfer.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    start = f"{code}\nimport sys\nfrom medinfer.command.cli import main\nsys.exit(main(sys.argv[1:], {{}}))"
    return subprocess.Popen(
        [sys.executable, *(["-c", start] if code else ["-m", module]), *map(str, words)], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
