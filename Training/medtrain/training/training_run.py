"""The common parts of training runs: the learning rate, a running average of the weights, checkpoints.

A run is a function of its seed, its data and its plan: the batch, the dropout masks and the learning rate of a step
follow from the step's number, so a run that was stopped and resumed ends with the same weights as one that was not.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class RunPlan:
    """steps: updates in all. rate: the learning rate's plateau; `warm_up` steps lead to it, the last `cool_down`
    share of the steps away. averaging: decay of the running average of the weights, which is what is exported."""

    steps: int = 6000
    seed: int = 1
    rate: float = 2e-3
    warm_up: int = 100
    cool_down: float = 0.4
    weight_decay: float = 1e-4
    averaging: float = 0.998


def learning_rate(step: int, plan: RunPlan) -> float:
    """The rate of step 0, 1, …: a ramp, a plateau, and a fall to zero that is linear in the step."""
    rise = min(1.0, (step + 1) / plan.warm_up)
    fall = min(1.0, (plan.steps - step) / max(1.0, plan.cool_down * plan.steps))
    return plan.rate * rise * max(fall, 0.0)


def channels_last(net: nn.Module) -> nn.Module:
    """`net` itself, its weights laid out with the channels last: the quickest layout of 3-D convolutions on a CPU."""
    net.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # torch's overloads leave it out
    return net


class TrainingRun:
    """A run between two steps: the network, its running average and the optimiser."""

    def __init__(self, net: nn.Module, plan: RunPlan) -> None:
        self._plan = plan
        self.step = 0
        self._buffers: dict[str, Tensor] = {}
        self.net = channels_last(net)
        self.average = {name: value.clone() for name, value in self.net.state_dict().items()}
        self.optimiser = torch.optim.AdamW(self.net.parameters(), lr=plan.rate, weight_decay=plan.weight_decay)

    def begin_step(self) -> None:
        """Seed what is drawn during this step and set its learning rate."""
        torch.manual_seed(self._plan.seed * 1_000_003 + self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.step, self._plan)
        self.net.train()
        self._buffers = {name: value.clone() for name, value in self.net.named_buffers()}

    def end_step(self, loss: Tensor) -> bool:
        """Learn from the step's loss; False where nothing was learnt because loss or gradient were not finite.

        In bfloat16 one batch in thousands overflows: without this, its NaN would stay in the weights for ever.
        """
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.net.parameters(), 10.0)
        learnt = bool(torch.isfinite(norm)) and bool(torch.isfinite(loss))
        if learnt:
            self.optimiser.step()
        else:
            # The forward pass has already moved the batch norms' statistics.
            self.net.load_state_dict(self._buffers, strict=False)
        self.step += 1
        self._keep_average()
        return learnt

    def _keep_average(self) -> None:
        # A shorter memory at the start, so that the first weights are soon forgotten.
        decay = min(self._plan.averaging, (1 + self.step) / (10 + self.step))
        for name, value in self.net.state_dict().items():
            kept = self.average[name]
            if value.is_floating_point():
                kept.lerp_(value, 1 - decay)
            else:
                kept.copy_(value)

    def save(self, path: Path, **more: Any) -> None:
        """Write a checkpoint atomically. more: further entries to store in it."""
        partial = path.with_suffix(".partial")
        state = {
            "step": self.step,
            "seed": self._plan.seed,
            "net": self.net.state_dict(),
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
            **more,
        }
        torch.save(state, partial)
        os.replace(partial, path)

    def load(self, path: Path) -> None:
        """Continue from a checkpoint. Raises ValueError if it belongs to a run with another seed."""
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if state["seed"] != self._plan.seed:
            raise ValueError(
                f"{path} is from a run with seed {state['seed']}: resume with that seed, not {self._plan.seed}"
            )
        self.net.load_state_dict(state["net"])
        self.average = state["average"]
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]


def load_average(net: nn.Module, checkpoint: Path) -> None:
    """Give `net` the averaged weights of a checkpoint and make it ready to be used."""
    state: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)
    net.load_state_dict(state["average"])
    channels_last(net.eval())
