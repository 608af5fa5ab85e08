"""The message for a process that ended without reporting a reason."""

from __future__ import annotations

import signal
from pathlib import Path

# Windows' STATUS_NO_MEMORY, STATUS_COMMITMENT_LIMIT.
_NO_MEMORY = (0xC0000017, 0xC000012D)


def unexpected_end(exit_code: int | None, log_file: Path) -> str:
    """One sentence for the user. exit_code: below 0 for a signal, as subprocess has it."""
    where = f"the log is in {log_file}"
    if exit_code == -9 or exit_code in _NO_MEMORY:
        return (
            "The run ended unexpectedly because its process was stopped, most likely for lack of memory: close other "
            f"programs and run it again; {where}."
        )
    if exit_code is not None and exit_code < 0:
        return f"The run ended unexpectedly: its process was stopped by {signal_name(-exit_code)}; {where}."
    if exit_code in (130, 143):
        return f"The run was stopped from outside Slicer: run it again; {where}."
    return (
        f"The run ended unexpectedly without an error message (exit code {exit_code}); a library may have crashed, or "
        f"memory or disk space may have run out: {where}."
    )


def signal_name(number: int) -> str:
    """As this system calls it (SIGKILL for 9), or "signal" and the number where it has no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
