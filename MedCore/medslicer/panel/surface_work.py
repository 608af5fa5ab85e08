"""The surfaces of a new result's segments, made one after the other while the window lives."""

from __future__ import annotations

from collections.abc import Iterator

import qt

from ..results.result import Result


class SurfaceWork:
    """Makes one surface per turn of the event loop, until all are made or the result is deleted."""

    def __init__(self) -> None:
        self._result: Result | None = None
        self._steps: Iterator[None] = iter(())
        self._timer = qt.QTimer()
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._step)

    @property
    def going_on(self) -> bool:
        """Whether there are surfaces still to make."""
        return self._result is not None

    def begin(self, result: Result) -> None:
        """Make the surfaces of `result`; what is left of another result's is made first."""
        self.finish()
        self._result, self._steps = result, result.surface_steps()
        self._timer.start()

    def finish(self) -> None:
        """Make what is left here and now."""
        while self._result is not None:
            self._step()

    def stop(self) -> None:
        """Leave what is left: the scene or the panel goes away."""
        self._timer.stop()
        self._result, self._steps = None, iter(())

    def _step(self) -> None:
        if self._result is None or not self._result.there or next(self._steps, self) is self:
            self.stop()
