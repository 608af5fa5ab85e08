"""A task in a process next to Slicer, followed by a timer."""

from __future__ import annotations

from collections.abc import Callable

import qt
import slicer

from ..jobs.errand import Errand

_STEP_MS = 50


class ErrandWork:
    """One errand at a time. on_step(errand): it goes on; on_over(errand): it ended, whichever way."""

    def __init__(self, on_step: Callable[[Errand], None], on_over: Callable[[Errand], None]) -> None:
        self._on_step, self._on_over = on_step, on_over
        self._errand: Errand | None = None
        self._timer = qt.QTimer()
        self._timer.setInterval(_STEP_MS)
        self._timer.connect("timeout()", self._step)

    @property
    def going_on(self) -> bool:
        """Whether there is one."""
        return self._errand is not None

    def begin(self, errand: Errand) -> None:
        """Start it and follow it. Raises MedInferError where it cannot be started."""
        errand.start()
        self._errand = errand
        self._timer.start()
        # A module's cleanup is not sure to be called when Slicer quits.
        slicer.app.connect("aboutToQuit()", self.close)

    def cancel(self) -> None:
        """Ask it to stop; on_over comes then."""
        if self._errand is not None:
            self._errand.cancel()

    def close(self) -> None:
        """End it now, without notification, because the panel is closing."""
        errand = self._let_go()
        if errand is not None:
            errand.close()

    def _let_go(self) -> Errand | None:
        self._timer.stop()
        errand, self._errand = self._errand, None
        if errand is not None:
            slicer.app.disconnect("aboutToQuit()", self.close)
        return errand

    def _step(self) -> None:
        errand = self._errand
        if errand is None:
            self._timer.stop()
            return
        errand.step()
        if not errand.over:
            self._on_step(errand)
            return
        self._let_go()
        try:
            self._on_over(errand)
        finally:
            errand.close()  # what it wrote was looked at
