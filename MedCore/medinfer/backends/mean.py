"""Several networks as one: the folds of a cross-validation, whose mean counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from ..arrays import Array
from .session import Session, Tensors

Run = Callable[[Mapping[str, Array]], dict[str, Array]]


def mean_of(sessions: Sequence[Session]) -> Session:
    """A session whose outputs are the means of those of `sessions`, which have the same inputs and outputs; a single
    one is returned as it is. Closing it leaves them open."""
    if len(sessions) == 1:
        return sessions[0]
    first = sessions[0]
    names = tuple(first.inputs)

    def tensors() -> Tensors | None:
        there = [session.open_tensors() for session in sessions]
        devices = {one and one.device for one in there}
        if len(devices) > 1 or None in devices:
            return None
        return Tensors(devices.pop(), partial(_mean, [session.run_tensors for session in sessions], names))

    return Session(
        runtime=_joined([session.runtime for session in sessions]), device=_joined([s.device for s in sessions]),
        precision=_joined([session.precision for session in sessions]), name=f"the mean of {len(sessions)} networks",
        inputs=first.inputs, outputs=first.outputs,
        runner=partial(_mean, [session.run for session in sessions], names), tensors=tensors,
    )


def _mean(runs: Sequence[Run], names: Sequence[str], arrays: Sequence[Array]) -> list[Array]:
    """The mean of each output, on the host or, of tensors, on their device. Memory: two networks' outputs."""
    feeds = dict(zip(names, arrays, strict=True))
    totals = runs[0](feeds)
    for run in runs[1:]:
        for name, values in run(feeds).items():
            totals[name] += values
    return [total / len(runs) for total in totals.values()]


def _joined(words: Sequence[str]) -> str:
    return " + ".join(dict.fromkeys(words))
