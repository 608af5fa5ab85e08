"""From a network's output to a label and a probability of foreground per voxel, by the activation that it declares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import PackageError
from ..manifest import Label
from ..tiles.highest import labels_of
from .border import around_half

Floats32 = NDArray[np.float32]
Activation = Literal["none", "sigmoid", "softmax"]

# What rounding in low precision may add to a probability.
_BEYOND = 0.01
# exp(88) is about the largest that float32 holds.
_LARGEST_EXPONENT = np.float32(80)


@dataclass(frozen=True, eq=False)
class Decided:
    """What a block of the output says, each `[k, j, i]`.

    labels: the number of each voxel's label, 1, 2, … in the order of the channels that have one; 0 for background.
    score: 0…1, how probably the voxel is not background. inside: the same, remapped so that the border lies at 0.5.
    """

    labels: NDArray[np.uint8] | NDArray[np.uint16]
    score: Floats32
    inside: Floats32


def decided(
    values: Floats32, activation: Activation, threshold: float, order: Sequence[int] = ()
) -> Decided:
    """The label and the probability of foreground of each voxel of a block.

    values: `[c, k, j, i]`. One channel: its label is where the probability is above the threshold. Several: channel 0
    is the background and the highest wins. With a sigmoid there is no background: channel n is label n + 1, and where
    several are above the threshold the one that comes last in `order` (channels; as they come by default) wins.

    Raises PackageError where values that are declared as probabilities lie outside 0…1.
    """
    if len(values) == 1 or activation == "sigmoid":
        labels = np.zeros(values.shape[1:], np.uint8)
        for channel in order or range(len(values)):
            # NaN compares false: a broken network finds nothing rather than everything.
            labels[probability(values[channel], activation) > threshold] = channel + 1
        score = probability(values.max(axis=0), activation)
        return Decided(labels, score, around_half(score, threshold))
    score = _not_background(values, activation)
    return Decided(labels_of(values), score, score)


def probabilities(values: Floats32, activation: Activation) -> Floats32:
    """All channels `[c, k, j, i]` as probabilities: a sigmoid of each, a softmax over them, or as they are."""
    if activation != "softmax":
        return probability(values, activation)
    raised: Floats32 = np.exp(values - values.max(axis=0))
    raised /= raised.sum(axis=0)
    return raised


def channels_in_order(names: Sequence[str], labels: Sequence[Label]) -> list[int]:
    """The channels of labels without a background, by the labels' names; none: as they come."""
    known = [label.name for label in labels]
    return [known.index(name) for name in names]


def probability(values: Floats32, activation: Activation) -> Floats32:
    """One channel as a probability, `[k, j, i]`. Raises PackageError, as `decided`."""
    if activation == "sigmoid":
        # Written so that it overflows nowhere.
        result: Floats32 = np.float32(0.5) * (np.tanh(np.float32(0.5) * values) + 1)
        return result
    _check_probabilities(values)
    return values


def _not_background(values: Floats32, activation: Activation) -> Floats32:
    """By channels of which the first is the background."""
    if activation == "none":
        _check_probabilities(values[0])
        plain: Floats32 = 1 - values[0]
        return plain
    # Softmax of channel 0 is 1 / Σ exp(v − v₀): no array of all probabilities is needed.
    total = np.ones(values.shape[1:], np.float32)
    for channel in values[1:]:
        total += np.exp(np.minimum(channel - values[0], _LARGEST_EXPONENT))
    result: Floats32 = np.float32(1) - np.float32(1) / total
    return result


def _check_probabilities(values: Floats32) -> None:
    low, high = _extremes(values)
    if not np.isfinite((low, high)).all():
        # No numbers at all are another fault: they find nothing.
        low, high = _extremes(values[np.isfinite(values)])
    if low < -_BEYOND or high > 1 + _BEYOND:
        raise PackageError(
            f"The network returns values from {low:.3g} to {high:.3g}, but with decoder.activation = none they must be "
            "probabilities (0 to 1): declare sigmoid or softmax there in model.json."
        )


def _extremes(values: Floats32) -> tuple[float, float]:
    return float(np.nanmin(values, initial=0)), float(np.nanmax(values, initial=0))
