"""Progress of a run, and its cancellation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from ..errors import Cancelled
from ..manifest import Pass
from ..preparation.prepare import Prepared

Progress = Callable[[str, int, int], None]
Cancel = Callable[[], bool]
Saw = Callable[[Pass, Prepared], None]
T = TypeVar("T")


@dataclass
class Watch:
    """Reports a run's progress and what its passes see, times each stage, and stops the run on request.

    notes: what a user should know of how the run went.
    """

    progress: Progress
    cancel: Cancel
    saw: Saw = lambda one, prepared: None

    def __post_init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.tiles = 0
        self.upside_down = False
        self.notes: list[str] = []
        self._pass = ""

    @contextmanager
    def within(self, name: str) -> Iterator[None]:
        """All stages inside are called `name` … ("coarse network")."""
        before, self._pass = self._pass, f"{name} " if name else ""
        yield
        self._pass = before

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.step(name, 0, 1)
        begin = time.perf_counter()
        yield
        self.seconds[self._pass + name] = time.perf_counter() - begin
        self.progress(self._pass + name, 1, 1)

    def over(self, tiles: Sequence[T]) -> Iterator[T]:
        """Each of what the network runs on, told before it runs."""
        for done, tile in enumerate(tiles):
            self.step("network", done, len(tiles))
            yield tile
        self.tiles += len(tiles)
        self.step("network", len(tiles), len(tiles))

    def step(self, stage: str, done: int, total: int) -> None:
        if self.cancel():
            raise Cancelled("The run was cancelled; nothing was written.")
        self.progress(self._pass + stage, done, total)
