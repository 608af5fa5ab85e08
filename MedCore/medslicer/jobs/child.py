"""A Python process next to Slicer: it reports JSON lines, writes a log, and ends with all its child processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from medinfer.command.process_tree import NO_WINDOW, descendants, kill_tree
from medinfer.command.worker import GREETED
from medinfer.errors import MedInferError

from .interpreter import interpreter

# How long a cancelled process may take to end by itself.
_GRACE_S = 1.5
# What one look at a file reads at most, so that a chatty process cannot hold the window.
_PIECE = 1 << 18
# Windows' BELOW_NORMAL_PRIORITY_CLASS and CREATE_NEW_PROCESS_GROUP: the window comes first.
_WINDOWS_FLAGS = NO_WINDOW | 0x00004000 | 0x00000200


class Child:
    """`python ARGUMENTS` with `folder` as its working folder; nothing here ever waits for it.

    Its standard output goes to `folder`/events.jsonl and is handed on by `poll`, its standard error to
    `folder`/log.txt. Its standard input is a pipe that stays open as long as the child is wanted, so that it ends where
    Slicer ends, however it ends. Call `poll` regularly: it also completes a `cancel`.
    """

    def __init__(self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.log_file = folder / "log.txt"
        self._arguments, self._folder, self._more = tuple(arguments), folder, dict(environment or {})
        self._events, self._log = GrowingFile(folder / "events.jsonl"), GrowingFile(self.log_file)
        self._process: subprocess.Popen[bytes] | None = None
        self._kill_at: float | None = None
        self._others: list[int] = []

    def start(self) -> None:
        """Raises MedInferError where it cannot be started."""
        python = interpreter()
        own_group: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            own_group = {"creationflags": _WINDOWS_FLAGS}
        try:
            with self._events.path.open("wb") as out, self.log_file.open("wb") as log:
                self._process = subprocess.Popen(
                    [python, *self._arguments], stdin=subprocess.PIPE, stdout=out, stderr=log, cwd=self._folder,
                    env=self._environment(), **own_group,
                )
        except OSError as error:
            raise MedInferError(
                f"{python} could not be started ({error.strerror or error}); check that Slicer is completely "
                "installed and that this computer has free memory and disk space."
            ) from error
        # The greeting, without which a worker does not believe the end of its input.
        with suppress(OSError):
            self._input.write(b"\n")
            self._input.flush()

    @property
    def running(self) -> bool:
        """Whether it, or something that it started and that is being ended with it, still runs."""
        if self._process is None:
            return False
        return self._process.poll() is None or (self._kill_at is not None and self._rest_runs())

    @property
    def exit_code(self) -> int | None:
        """Below 0 for a signal that ended it; None while it runs."""
        return None if self._process is None else self._process.poll()

    def poll(self) -> tuple[Mapping[str, Any], ...]:
        """The JSON objects reported since the last call; other lines are left out."""
        if self._kill_at is not None and time.monotonic() >= self._kill_at and self.running:
            self.kill()
        return tuple(event for line in self._new_lines(self._events) for event in _parsed(line))

    def log_lines(self) -> tuple[str, ...]:
        """What it wrote to its log since the last call, without empty lines."""
        return tuple(line.rstrip() for line in self._new_lines(self._log) if line.strip())

    def cancel(self) -> None:
        """Ask it to end; what still runs 1.5 seconds later is killed by `poll`. Asking again changes nothing."""
        if self._process is None or self._kill_at is not None or not self.running:
            return
        self._kill_at = time.monotonic() + _GRACE_S
        # Asked while it lives: what it started cannot be found any more once it is gone.
        self._others = descendants(self._process.pid)
        with suppress(OSError):
            self._input.close()
        if sys.platform != "win32":
            with suppress(OSError):
                os.killpg(self._process.pid, signal.SIGTERM)

    def kill(self, wait_s: float = 0.05) -> None:
        """End it and all that it started, now; return when it is gone, or after `wait_s`."""
        if self._process is None:
            return
        with suppress(OSError):
            self._input.close()
        group = self._process.pid
        kill_tree(group, itself=self._process.poll() is None)
        if sys.platform != "win32":
            with suppress(OSError):
                os.killpg(group, signal.SIGKILL)
            for pid in self._others:
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
        # Nothing outlives this; what the system still lists is being cleared away.
        self._kill_at = None
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=wait_s)

    def _new_lines(self, file: GrowingFile) -> list[str]:
        """Of a process that runs no more than a piece at a time; of one that has ended, all."""
        ended = not self.running
        lines = file.new_lines()
        while ended and (more := file.new_lines()):
            lines += more
        return lines

    @property
    def _input(self) -> Any:
        assert self._process is not None
        return self._process.stdin

    def _environment(self) -> dict[str, str]:
        here = str(Path(__file__).resolve().parents[2])
        path = [here, *filter(None, [os.environ.get("PYTHONPATH")])]
        return {
            **os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONIOENCODING": "utf-8", GREETED: "1", **self._more,
        }

    def _rest_runs(self) -> bool:
        """Whether its group still has members: a launcher may be gone before the Python that it started."""
        assert self._process is not None
        if sys.platform == "win32":
            return False
        try:
            os.killpg(self._process.pid, 0)
        except OSError:
            return any(_lives(pid) for pid in self._others)
        return True


def fresh_folder() -> Path:
    """A temporary folder for the files of a child. Raises MedInferError where none can be made."""
    try:
        return Path(tempfile.mkdtemp(prefix="MedInfer-"))
    except OSError as error:
        raise MedInferError(
            f"No temporary folder could be made in {tempfile.tempdir or 'this computer'} ({error.strerror or error}); "
            "check that it exists, is writable and has free space."
        ) from error


class GrowingFile:
    """A text file that another process writes: its lines as they are finished."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read = 0
        self._begun = b""

    def new_lines(self) -> list[str]:
        """The lines finished since the last call, at most 256 KiB of them."""
        with suppress(OSError), self.path.open("rb") as stream:
            stream.seek(self._read)
            piece = stream.read(_PIECE)
            self._read += len(piece)
            *whole, self._begun = (self._begun + piece).split(b"\n")
            return [line.decode("utf-8", errors="replace") for line in whole]
        return []


def _parsed(line: str) -> list[Mapping[str, Any]]:
    with suppress(ValueError):
        event = json.loads(line)
        if isinstance(event, dict):
            return [event]
    return []


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
