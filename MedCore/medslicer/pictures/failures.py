"""Why nothing was drawn, in words for whoever wanted pictures."""

from __future__ import annotations

import os
import sys

from ..jobs.endings import signal_name

# Which window VTK opens where a user has chosen one.
WINDOW_VARIABLE = "VTK_DEFAULT_OPENGL_WINDOW"
_WINDOWS_CRASHES = {0xC0000005: "an access violation", 0xC0000017: "lack of memory"}


def ending(exit_code: int, said: str) -> str:
    """How the process that draws ended. said: what it wrote; its last line is the reason, if any is."""
    last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "")
    if exit_code == -9:
        return "the system stopped the process that draws; the memory of this computer may be used up."
    if exit_code < 0:
        return f"the process that draws was stopped by {signal_name(-exit_code)}{f' ({last})' if last else ''}."
    crash = _WINDOWS_CRASHES.get(exit_code)
    if crash:
        return f"the process that draws was stopped by {crash}."
    return f"{last.removesuffix('.')}." if last else f"the process that draws ended with exit code {exit_code}."


def no_window() -> str:
    """Why no window could be opened, and what to do."""
    chosen = os.environ.get(WINDOW_VARIABLE)
    if chosen:
        return f"{WINDOW_VARIABLE} is set to {chosen}, which does not work here; unset it to let a way be found."
    if not sys.platform.startswith("linux"):
        return "no window can be opened for them here; update the driver of the graphics card."
    return "neither EGL nor OSMesa works here; install one of them, e.g.: apt-get install libegl1 libosmesa6"
