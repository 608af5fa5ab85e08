"""Ending a process together with all processes that it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

NO_WINDOW = 0x08000000  # subprocess.CREATE_NO_WINDOW, which only Windows knows by name


def descendants(pid: int) -> list[int]:
    """The processes that `pid` started, and those that they started. Empty on Windows, where `kill_tree` asks the
    system."""
    parents = _parents()
    found: list[int] = []
    edge = {pid}
    while edge:
        edge = {child for child, parent in parents.items() if parent in edge} - {*found, pid}
        found += sorted(edge)
    return found


def kill_tree(pid: int, *, itself: bool = True) -> None:
    """End what `pid` started, at once, and the process itself; what is gone already is no error.

    On Windows the process is never left: nothing but `taskkill` knows its children there.
    """
    if sys.platform == "win32":
        with suppress(OSError):
            subprocess.Popen(
                ["taskkill", "/T", "/F", "/PID", str(pid)], creationflags=NO_WINDOW,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
        return
    for one in [*descendants(pid), *([pid] if itself else [])]:
        with suppress(OSError):
            os.kill(one, signal.SIGKILL)


def _parents() -> dict[int, int]:
    """The parent of each process that can be seen."""
    if sys.platform == "win32":
        return {}
    if not Path("/proc/self/stat").exists():
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=False).stdout
        return {int(pid): int(parent) for pid, parent in (line.split() for line in listed.splitlines())}
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with suppress(OSError, ValueError, IndexError):
                # The name in brackets may hold anything; behind it come the state and the parent.
                parents[int(name)] = int(Path("/proc", name, "stat").read_text().rpartition(")")[2].split()[1])
    return parents
