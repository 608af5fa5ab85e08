"""Progress of a run from the worker's events: a share of the whole, a text for the user, and the seconds left."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

HANDING_OVER = "hand over"

# Around the steps of the run itself, beside which these take so long, roughly.
_BEFORE, _AFTER = {HANDING_OVER: 1.0, "read": 1.0, "open": 2.0}, {"write": 0.5}
# Until the worker has told its steps.
_PLAIN = {"prepare": 3.0, "network": 15.0, "findings": 0.2}
# A pace measured for less time than this (seconds) says nothing.
_PACE_S = 1.0
_WORDS = {
    HANDING_OVER: "Handing over the scan",
    "read": "Starting",
    "open": "Loading the model",
    "prepare": "Preparing the scan",
    "network": "Searching",
    "findings": "Measuring",
    "names": "Naming the findings",
    "borders": "Drawing borders",
    "measures": "Measuring",
    "write": "Finishing",
}
_PASS_STEPS = ("prepare", "network", "findings", "names")


def words_for(stage: str) -> str:
    """The user's text for a step of the worker, without the name of the pass ("teeth network")."""
    return _WORDS.get(stage, _WORDS.get(stage.rpartition(" ")[2], stage.capitalize()))


class Course:
    """The progress of a run from its first step to its last. `share` never decreases."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.stage, self.share = "", 0.0
        self._clock = clock
        self._steps = _whole(_PLAIN)
        self._begun = clock()
        self._ends: float | None = None

    @property
    def seconds_left(self) -> float | None:
        """By the pace of the tiles; None until it is known."""
        return None if self._ends is None else max(0.0, self._ends - self._clock())

    @property
    def part(self) -> tuple[int, int]:
        """Which of the run's passes is at work, from 1 on, and how many there are; (0, 0) outside of them."""
        passes = [name for name, _ in self._steps if name.rpartition(" ")[2] == "network"]
        mine = self.stage.rpartition(" ")[0]
        at = [name.rpartition(" ")[0] for name in passes]
        inside = self.stage.rpartition(" ")[2] in _PASS_STEPS and mine in at
        return (at.index(mine) + 1, len(at)) if inside else (0, 0)

    def told(self, event: Mapping[str, Any]) -> None:
        """Take a worker's event; events other than `steps` and `progress` change nothing."""
        if event.get("event") == "steps":
            self._steps = _whole({str(step["name"]): float(step["weight"]) for step in event["steps"]})
        elif event.get("event") == "progress":
            self.at(str(event["stage"]), float(event["done"]), float(event["total"]))

    def at(self, stage: str, done: float, total: float) -> None:
        """`done` of `total` parts of `stage` are done."""
        if stage != self.stage:
            self.stage, self._begun = stage, self._clock()
        names = [name for name, _ in self._steps]
        if stage not in names:
            return
        at, part = names.index(stage), min(1.0, done / total) if total > 0 else 0.0
        weight = self._steps[at][1]
        before, after = (sum(one for _, one in steps) for steps in (self._steps[:at], self._steps[at + 1 :]))
        self.share = max(self.share, (before + weight * part) / (before + weight + after))
        now = self._clock()
        if stage.endswith("network") and done >= 1 and now - self._begun >= _PACE_S:
            pace = (now - self._begun) / part / weight
            self._ends = now + pace * (weight * (1 - part) + after)


def _whole(steps: Mapping[str, float]) -> list[tuple[str, float]]:
    return [*_BEFORE.items(), *steps.items(), *_AFTER.items()]
