"""What went wrong where nobody was there to catch it: in a slot, a VTK observer, a timer, a thread.

Slicer prints such an exception and goes on. A test has to fail on it, so the harness keeps them all; also one that was
caught and only logged with its trace (`log.exception`).
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from types import TracebackType


class SlotError(AssertionError):
    """One or more exceptions were raised where Slicer would only have printed them."""


class UncaughtErrors(logging.Handler):
    """The exceptions since `clear`, each with its trace as text. After `watch`, Python's hooks and logs report here."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.exceptions: list[BaseException] = []
        self.traces: list[str] = []
        self._hooks: tuple[object, object] | None = None

    def record(self, error: BaseException) -> None:
        self.exceptions.append(error)
        self.traces.append("".join(traceback.format_exception(error)))

    def raise_if_any(self) -> None:
        """Raise SlotError from the first one, with every trace, and forget them."""
        if not self.exceptions:
            return
        first, traces = self.exceptions[0], "\n".join(self.traces)
        self.clear()
        raise SlotError(f"an exception was raised in a slot, an observer or a thread:\n{traces}") from first

    def clear(self) -> None:
        self.exceptions.clear()
        self.traces.clear()

    def watch(self) -> None:
        """VTK's observers and Qt's virtual overrides print through sys.excepthook, threads through threading's."""
        if self._hooks is not None:
            return
        self._hooks = (sys.excepthook, threading.excepthook)
        sys.excepthook = self._on_error
        threading.excepthook = lambda given: self._on_error(given.exc_type, given.exc_value, given.exc_traceback)
        logging.getLogger().addHandler(self)

    def unwatch(self) -> None:
        if self._hooks is not None:
            sys.excepthook, threading.excepthook = self._hooks  # type: ignore[assignment]
            self._hooks = None
            logging.getLogger().removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Of the log: what was logged with its trace."""
        if record.exc_info and record.exc_info[1] is not None:
            self.record(record.exc_info[1])

    def _on_error(
        self, kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.record(error if error is not None else kind())


UNCAUGHT = UncaughtErrors()
