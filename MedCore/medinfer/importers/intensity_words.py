"""The intensity steps of `model.json` in a few words: "clip -57 164, scale 0..1"."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import PackageError

HELP = (
    '"clip LOW HIGH" limits the values, "scale A..B" brings the limits before it to A and B, "clip LOW HIGH to A..B" '
    'does both; "zscore" subtracts the mean and divides by the deviation; "percentiles LOW HIGH" makes two percentiles '
    'of the scan 0 and 1, "range" the lowest and highest value; "times A plus B"; "none"; several, in their order, '
    'with commas'
)
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = rf"({_NUMBER})\s*\.\.\s*({_NUMBER})"
_Limits = tuple[float, float]


@dataclass(frozen=True)
class _Read:
    """steps: as `model.json` has them. limits: between which the values lie after them, where that is known."""

    steps: tuple[dict[str, Any], ...]
    limits: _Limits | None


def intensity_steps(words: str) -> list[dict[str, Any]]:
    """The steps of `prepare.intensity` that `words` describe (see `HELP`). Raises PackageError."""
    steps: list[dict[str, Any]] = []
    limits: _Limits | None = None
    for step in (part.strip() for part in words.lower().split(",")):
        read = _step(step, limits)
        steps, limits = [*steps, *read.steps], read.limits
    return steps


def _step(step: str, limits: _Limits | None) -> _Read:
    for pattern, make in _WORDS.items():
        found = re.fullmatch(pattern, step)
        if found is None:
            continue
        numbers = [float(number) for number in found.groups() if number is not None]
        if not all(map(math.isfinite, numbers)):
            break
        pairs = [] if make is _times else list(zip(numbers[::2], numbers[1::2], strict=True))
        if any(low >= high for low, high in pairs):
            raise PackageError(f"--intensity {step!r}: the first number must be below the second.")
        return make(numbers, limits)
    raise PackageError(f'--intensity does not know {step!r}; write for example "clip -57 164, scale 0..1".')


def _none(numbers: Sequence[float], limits: _Limits | None) -> _Read:
    return _Read((), limits)


def _zscore(numbers: Sequence[float], limits: _Limits | None) -> _Read:
    return _Read(({"op": "zscore"},), None)


def _range(numbers: Sequence[float], limits: _Limits | None) -> _Read:
    return _Read(({"op": "range"},), (0.0, 1.0))


def _times(numbers: Sequence[float], limits: _Limits | None) -> _Read:
    factor, *more = numbers
    offset = more[0] if more else 0.0
    if factor == 0:
        raise PackageError("--intensity times 0 leaves nothing of the values.")
    ends = None if limits is None else sorted((limits[0] * factor + offset, limits[1] * factor + offset))
    step = {"op": "scale", "subtract": -offset / factor, "divide": 1 / factor}
    return _Read((step,), None if ends is None else (ends[0], ends[1]))


def _percentiles(numbers: Sequence[float], limits: _Limits | None) -> _Read:
    low, high = numbers
    if not 0 <= low < high <= 100:
        raise PackageError("--intensity percentiles must lie between 0 and 100.")
    return _Read(({"op": "percentiles", "low": low, "high": high},), (0.0, 1.0))


def _clip(numbers: Sequence[float], limits: _Limits | None) -> _Read:
    low, high, *into = numbers
    clipped = _Read(({"op": "clip", "low": low, "high": high},), (low, high))
    if not into:
        return clipped
    scaled = _scale(into, clipped.limits)
    return _Read((*clipped.steps, *scaled.steps), scaled.limits)


def _scale(numbers: Sequence[float], limits: _Limits | None) -> _Read:
    if limits is None:
        raise PackageError("--intensity scale needs limits before it: clip LOW HIGH, or percentiles LOW HIGH.")
    (low, high), (first, last) = limits, numbers
    divide = (high - low) / (last - first)
    return _Read(({"op": "scale", "subtract": low - first * divide, "divide": divide},), (first, last))


_WORDS: Mapping[str, Callable[[Sequence[float], _Limits | None], _Read]] = {
    "none": _none,
    "zscore": _zscore,
    "range": _range,
    rf"times\s+({_NUMBER})(?:\s+plus\s+({_NUMBER}))?": _times,
    rf"percentiles\s+({_NUMBER})\s+({_NUMBER})": _percentiles,
    rf"clip\s+({_NUMBER})\s+({_NUMBER})(?:\s+to\s+{_RANGE})?": _clip,
    rf"scale\s+(?:to\s+)?{_RANGE}": _scale,
}
