"""Questions on a terminal."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

from ..errors import Cancelled


def asker() -> Callable[[str], str] | None:
    """What asks a question and returns the answer; None where nobody sits at a terminal."""
    # Closed streams are None.
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout)):
        return None
    return _ask


def _ask(question: str) -> str:
    # Elsewhere Ctrl-C waits for the end of a step; an answer may never come.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return input(question)
    except (EOFError, KeyboardInterrupt):
        print()
        raise Cancelled("stopped; nothing was installed") from None
    finally:
        signal.signal(signal.SIGINT, before)
