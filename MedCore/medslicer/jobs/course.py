"""How far a run is: what the worker tells, as a share of the whole, words for a user, and the seconds left."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

HANDING_OVER = "hand over"

# How long the steps take beside each other, roughly. Only the order and the pace of tiles are certain.
_WEIGHTS = {
    HANDING_OVER: 1.0, "read": 1.0, "open": 2.0, "prepare": 3.0, "network": 15.0, "findings": 0.2, "names": 0.2,
    "borders": 1.0, "measures": 0.3, "write": 0.5,
}
# Of passes besides the main one: an overview is coarse, naming looks at a small patch around each object.
_PARTS = {"coarse": 0.3, "naming": 0.2, "besides": 0.6}
# A pace measured for less time than this (seconds) says nothing.
_PACE_S = 1.0
_WORDS = {
    HANDING_OVER: "Handing over the scan",
    "read": "Starting",
    "open": "Loading the model",
    "coarse prepare": "Preparing an overview",
    "coarse network": "Looking for the region",
    "coarse findings": "Looking for the region",
    "prepare": "Preparing the scan",
    "network": "Searching",
    "findings": "Measuring",
    "names": "Naming what was found",
    "borders": "Drawing borders",
    "measures": "Measuring",
    "write": "Finishing",
}
_NAMING, _BESIDES = "Naming what was found", "Searching for further structures"


def words_for(stage: str) -> str:
    """A stage of the worker ("coarse network") in words for a user."""
    if stage.startswith("naming "):
        return _NAMING
    if stage.startswith("besides "):
        return _BESIDES
    return _WORDS.get(stage, stage.capitalize())


class Course:
    """A run's way from its first step to its last. `share` never goes back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.stage, self.share = "", 0.0
        self._clock = clock
        self._steps = list(_weighed(_steps_of(("main",), "detect")).items())
        self._begun = clock()
        self._ends: float | None = None

    @property
    def seconds_left(self) -> float | None:
        """By the pace of the tiles; None until it is known."""
        return None if self._ends is None else max(0.0, self._ends - self._clock())

    def told(self, event: Mapping[str, Any]) -> None:
        """Take a worker's event; others than `stages` and `progress` change nothing."""
        if event.get("event") == "stages":
            self._steps = list(_weighed(_steps_of(event["names"], event["task"])).items())
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


def _steps_of(passes: Sequence[str], task: str) -> list[str]:
    """The stages that a worker goes through, in its order (see `medinfer.run.pipeline`)."""
    segment = task == "segment"
    steps = [HANDING_OVER, "read", "open"]
    for name in passes:
        if name == "naming":
            continue
        before = "" if name == "main" else f"{name} "
        steps += [f"{before}prepare", f"{before}network"]
        if segment and name != "coarse":
            if name == "main" and "naming" in passes:
                steps += ["naming prepare", "naming network", "naming names"]
            steps.append(f"{before}borders")
        else:
            steps.append(f"{before}findings")
    return [*steps, *(["measures"] if segment else []), "write"]


def _weighed(steps: Sequence[str]) -> dict[str, float]:
    weights = {}
    for step in steps:
        before, _, name = step.rpartition(" ")
        plain = step in _WEIGHTS
        weights[step] = _WEIGHTS[step if plain else name] * (1.0 if plain else _PARTS[before.partition(" ")[0]])
    return weights
