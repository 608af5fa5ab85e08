"""Several networks as one: the folds of a cross-validation, whose mean counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .session import Floats32, Session


def mean_of(sessions: Sequence[Session]) -> Session:
    """A session whose outputs are the means of those of `sessions`, which have the same inputs and outputs; a single
    one is returned as it is. Closing it leaves them open."""
    if len(sessions) == 1:
        return sessions[0]
    first = sessions[0]

    def run(arrays: Sequence[Floats32]) -> Sequence[Floats32]:
        feeds = dict(zip(first.inputs, arrays, strict=True))
        totals = first.run(feeds)
        for session in sessions[1:]:
            for name, values in session.run(feeds).items():
                totals[name] += values
        return [total / np.float32(len(sessions)) for total in totals.values()]

    return Session(
        runtime=_joined([session.runtime for session in sessions]), device=_joined([s.device for s in sessions]),
        precision=_joined([session.precision for session in sessions]), name=f"the mean of {len(sessions)} networks",
        inputs=first.inputs, outputs=first.outputs, runner=run,
    )


def _joined(words: Sequence[str]) -> str:
    return " + ".join(dict.fromkeys(words))
