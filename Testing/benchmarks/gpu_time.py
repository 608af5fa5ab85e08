"""How long something takes on a graphics card, how much of that time the card computes, and how much of its memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch.autograd import DeviceType

T = TypeVar("T")
GIB = 2**30


@dataclass(frozen=True)
class Timed(Generic[T]):
    """seconds: the mean of the timed runs. computing: the share of them in which a kernel ran or memory was copied on
    the card, most_bytes: of torch's memory there; both None on the processor."""

    result: T
    seconds: float
    computing: float | None
    most_bytes: int | None

    @property
    def row(self) -> str:
        if self.computing is None or self.most_bytes is None:
            return f"{self.seconds:8.2f} s"
        return f"{self.seconds:8.3f} s  computing {self.computing:.0%}  {self.most_bytes / GIB:.2f} GiB of torch's"


def timed(work: Callable[[], T], device: str, times: int) -> Timed[T]:
    """The first run counts nothing, and the last is looked at by torch's profiler, which makes it slower."""
    result = work()
    on_card = device.startswith("cuda")
    if on_card:
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
    begin = time.perf_counter()
    for _ in range(times):
        result = work()
        if on_card:
            torch.cuda.synchronize(device)
    seconds = (time.perf_counter() - begin) / times
    if not on_card:
        return Timed(result, seconds, None, None)
    most = torch.cuda.max_memory_allocated(device)
    return Timed(result, seconds, computing_share(work, device), most)


def computing_share(work: Callable[[], object], device: str) -> float:
    """The share of a run in which the card does something, whoever asked it to (ONNX Runtime's kernels count too)."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        begin = time.perf_counter()
        work()
        torch.cuda.synchronize(device)
        seconds = time.perf_counter() - begin
    spans = (
        (event.time_range.start, event.time_range.end) for event in profile.events()
        if event.device_type == DeviceType.CUDA
    )
    return covered(spans) / 1e6 / seconds


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """The length of all that spans cover, where they overlap once."""
    total, reached = 0.0, float("-inf")
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total
