"""slicer-core's own `slicer.util`."""

from pathlib import Path

import slicer_core

_FILE = Path(slicer_core.__file__).resolve().parents[1] / "slicer" / "util.py"
exec(compile(_FILE.read_text(encoding="utf-8"), str(_FILE), "exec"), globals())
