"""Questions on a terminal."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable

from ..errors import Cancelled


def asker(stopped: threading.Event) -> Callable[[str], str] | None:
    """What asks a question and returns the answer; None where nobody sits at a terminal. It raises Cancelled for Ctrl-C
    and the end of the input, and where `stopped` was set before."""
    # Closed streams are None.
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout)):
        return None

    def ask(question: str) -> str:
        # Elsewhere Ctrl-C waits for the end of a step; an answer may never come.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            if stopped.is_set():
                raise KeyboardInterrupt
            return input(question)
        except (EOFError, KeyboardInterrupt):
            print()
            raise Cancelled("stopped; nothing was installed") from None
        finally:
            signal.signal(signal.SIGINT, before)

    return ask
