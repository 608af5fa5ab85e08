"""From a network's output to a label and a probability of foreground per voxel, by the activation that it declares.

The output is an array on the host or a tensor on a device, and so is the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..arrays import Array, library_of
from ..errors import PackageError
from ..manifest import Label
from ..tiles.highest import labels_of
from .border import around_half

Activation = Literal["none", "sigmoid", "softmax"]

# What rounding in low precision may add to a probability.
_BEYOND = 0.01
# exp(88) is about the largest that float32 holds.
_LARGEST_EXPONENT = 80.0


@dataclass(frozen=True, eq=False)
class Decided:
    """What a block of the output says, each `[k, j, i]`.

    labels: the number of each voxel's label, 1, 2, … in the order of the channels that have one; 0 for background.
    score: 0…1, how probably the voxel is not background. inside: the same, remapped so that the border lies at 0.5.
    """

    labels: Array
    score: Array
    inside: Array


def decided(
    values: Array, activation: Activation, threshold: float, order: Sequence[int] = ()
) -> Decided:
    """The label and the probability of foreground of each voxel of a block.

    values: `[c, k, j, i]`. One channel: its label is where the probability is above the threshold. Several: channel 0
    is the background and the highest wins. With a sigmoid there is no background: channel n is label n + 1, and where
    several are above the threshold the one that comes last in `order` (channels; as they come by default) wins.

    Raises PackageError where values that are declared as probabilities lie outside 0…1.
    """
    if len(values) == 1 or activation == "sigmoid":
        library = library_of(values)
        labels = library.zeros_like(values[0], dtype=library.uint8)
        for channel in order or range(len(values)):
            # NaN compares false: a broken network finds nothing rather than everything.
            labels[probability(values[channel], activation) > threshold] = channel + 1
        score = probability(library.amax(values, 0), activation)
        return Decided(labels, score, around_half(score, threshold))
    score = _not_background(values, activation)
    return Decided(labels_of(values), score, score)


def probabilities(values: Array, activation: Activation) -> Array:
    """All channels `[c, k, j, i]` as probabilities: a sigmoid of each, a softmax over them, or as they are."""
    if activation != "softmax":
        return probability(values, activation)
    library = library_of(values)
    raised = library.exp(values - library.amax(values, 0))
    raised /= raised.sum(0)
    return raised


def channels_in_order(names: Sequence[str], labels: Sequence[Label]) -> list[int]:
    """The channels of labels without a background, by the labels' names; none: as they come."""
    known = [label.name for label in labels]
    return [known.index(name) for name in names]


def probability(values: Array, activation: Activation) -> Array:
    """One channel as a probability, `[k, j, i]`. Raises PackageError, as `decided`."""
    if activation == "sigmoid":
        # Written so that it overflows nowhere.
        return 0.5 * (library_of(values).tanh(0.5 * values) + 1)
    _check_probabilities(values)
    return values


def _not_background(values: Array, activation: Activation) -> Array:
    """By channels of which the first is the background."""
    if activation == "none":
        _check_probabilities(values[0])
        return 1 - values[0]
    # Softmax of channel 0 is 1 / Σ exp(v − v₀): no array of all probabilities is needed.
    library = library_of(values)
    total = library.ones_like(values[0])
    for channel in values[1:]:
        total += library.exp(library.clip(channel - values[0], None, _LARGEST_EXPONENT))
    return 1 - 1 / total


def _check_probabilities(values: Array) -> None:
    low, high = _extremes(values)
    if not np.isfinite((low, high)).all():
        # No numbers at all are another fault: they find nothing.
        low, high = _extremes(values[library_of(values).isfinite(values)])
    if low < -_BEYOND or high > 1 + _BEYOND:
        raise PackageError(
            f"The network returns values from {low:.3g} to {high:.3g}, but with decoder.activation = none they must be "
            "probabilities (0 to 1): declare sigmoid or softmax there in model.json."
        )


def _extremes(values: Array) -> tuple[float, float]:
    """The lowest and the highest value: no numbers where one of them is none, 0 and 0 of nothing."""
    library = library_of(values)
    return (float(library.amin(values)), float(library.amax(values))) if 0 not in values.shape else (0.0, 0.0)
