"""A network's weights out of any checkpoint here, or out of one of the documents, to use or to train on from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

Weights = dict[str, Tensor]

PLACES = ("average", "net", "model_state_dict")
"""Where checkpoints keep the weights, the first one that is there counts: `TrainingRun`'s running average, what
`TrainingRun` and `EpochLoop` train, the seed document 001's."""


def read_weights(path: Path) -> Weights:
    """The weights of a checkpoint, or of a file with nothing else in it. Raises ValueError where it has none."""
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    weights = next((state[place] for place in PLACES if place in state), state)
    if not weights or not all(isinstance(value, Tensor) for value in weights.values()):
        raise ValueError(f"{path} contains no weights: a checkpoint has them under one of {', '.join(PLACES)}")
    return dict(weights)


def load_weights(net: nn.Module, path: Path, but: Sequence[str] = ()) -> None:
    """Fine-tuning: give `net` a checkpoint's weights.

    but: beginnings of the names of parameters that stay as they are, such as "head." for other classes.
    Raises ValueError where any other parameter is missing, is one too many, or has another shape.
    """
    weights, own = read_weights(path), net.state_dict()
    kept = tuple(but)
    taken = {name: value for name, value in weights.items() if not name.startswith(kept)}
    wanted = {name: value for name, value in own.items() if not name.startswith(kept)}
    wrong = sorted(taken.keys() ^ wanted.keys()) or [
        name for name, value in wanted.items() if value.shape != taken[name].shape
    ]
    if wrong:
        raise ValueError(f"{path} belongs to another network: {len(wrong)} parameters do not fit, such as {wrong[0]}; "
                         "build the matching network, or name the parameters to leave unchanged")
    net.load_state_dict(own | taken)
