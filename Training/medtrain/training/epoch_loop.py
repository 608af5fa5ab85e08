"""Training epoch by epoch, as the seed document 001 does it for both of its tooth networks (system N10).

    each epoch: learn from every batch -> judge every batch of the validation -> score -> schedule -> checkpoints

What a network learns and how it is scored is an `EpochTask`; the loop is one. A run is a function of its seed and its
data: each epoch is seeded by its number, so one that was stopped and resumed ends with the same weights, bit for bit,
as one that was not (on a CPU; CUDA adds up the gradients of trilinear up-sampling in any order).
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torch.utils.data import DataLoader, Dataset

Batch = Sequence[Tensor]
Figures = dict[str, float]
"""Means over an epoch's batches, by name."""


@dataclass(frozen=True)
class EpochTask:
    """The task that a network learns.

    losses: of a batch, by name, the one to descend as "loss".
    figures: of a batch of the validation, by name; the network is in evaluation mode.
    score: of an epoch's mean losses and mean figures; smaller is better.
    """

    name: str
    losses: Callable[[nn.Module, Batch], dict[str, Tensor]]
    figures: Callable[[nn.Module, Batch], dict[str, Tensor]]
    score: Callable[[Figures, Figures], float]


def adam(parameters: Iterable[nn.Parameter]) -> Optimizer:
    """Adam with its authors' rate."""
    return torch.optim.Adam(parameters, lr=1e-3)


@dataclass(frozen=True)
class EpochPlan:
    """epochs: in all. save_every: epochs between the checkpoints that are kept.
    optimiser: of the parameters. schedule: of the optimiser, one step an epoch; the rate is constant without it."""

    epochs: int = 100
    seed: int = 1
    save_every: int = 10
    optimiser: Callable[[Iterable[nn.Parameter]], Optimizer] = adam
    schedule: Callable[[Optimizer], LRScheduler] | None = None


class EpochLoop:
    """A run between two epochs. Its folder holds

    last.pt: the latest epoch. best.pt: the one with the smallest score. epoch_0010.pt: every `save_every`th.
    history.json: of each epoch its number, learning rate, mean losses, mean figures and score.
    """

    def __init__(self, net: nn.Module, task: EpochTask, plan: EpochPlan, out: Path) -> None:
        """net: on the device where it trains."""
        self.net, self.task, self.plan, self.out = net, task, plan, out
        self.epoch = 0
        self.best = math.inf
        self.history: list[dict[str, Any]] = []
        self.optimiser = plan.optimiser(net.parameters())
        self.schedule = plan.schedule(self.optimiser) if plan.schedule else None

    def run(self, training: Callable[[int], Iterable[Batch]], validation: Iterable[Batch]) -> None:
        """Continue to the plan's last epoch.

        training: the batches of epoch 0, 1, … validation: the batches that every epoch is judged by.
        Raises ValueError where there are no batches, RuntimeError where a loss isn't finite; the checkpoints stay.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        while self.epoch < self.plan.epochs:
            torch.manual_seed(self.plan.seed * 1_000_003 + self.epoch)
            rate = self.optimiser.param_groups[0]["lr"]
            losses, figures = self._learn(training(self.epoch)), self._judge(validation)
            score = self.task.score(losses, figures)
            self.epoch += 1
            self.history.append({"epoch": self.epoch, "rate": rate, "losses": losses, "figures": figures,
                                 "score": score})
            self._reschedule(score)
            self._keep(score)

    def _learn(self, batches: Iterable[Batch]) -> Figures:
        self.net.train()
        every = []
        for batch in batches:
            losses = self.task.losses(self.net, self._here(batch))
            if not losses["loss"].isfinite():
                raise RuntimeError(f"the loss isn't finite in epoch {self.epoch + 1}: lower the learning rate and "
                                   "resume, or look at the data")
            self.optimiser.zero_grad(set_to_none=True)
            losses["loss"].backward()
            self.optimiser.step()
            every.append({name: float(value.detach()) for name, value in losses.items()})
        return _means(every, "training")

    def _judge(self, batches: Iterable[Batch]) -> Figures:
        self.net.eval()
        with torch.inference_mode():
            every = [
                {name: float(value) for name, value in self.task.figures(self.net, self._here(batch)).items()}
                for batch in batches
            ]
        return _means(every, "validation")

    def _here(self, batch: Batch) -> Batch:
        device = next(self.net.parameters()).device
        return [tensor.to(device) for tensor in batch]

    def _reschedule(self, score: float) -> None:
        if isinstance(self.schedule, ReduceLROnPlateau):
            self.schedule.step(score)
        elif self.schedule is not None:
            self.schedule.step()

    def _keep(self, score: float) -> None:
        # last.pt comes last: a run that is killed before it does this epoch again, and writes the others once more.
        better = score < self.best
        if better:
            self.best = score
            self.save(self.out / "best.pt")
        if self.epoch % self.plan.save_every == 0:
            self.save(self.out / f"epoch_{self.epoch:04d}.pt")
        _write(self.out / "history.json", lambda path: path.write_text(json.dumps(self.history, indent=1)))
        self.save(self.out / "last.pt")

    def save(self, path: Path) -> None:
        """Write a checkpoint atomically."""
        state = {
            "task": self.task.name,
            "seed": self.plan.seed,
            "epoch": self.epoch,
            "best": self.best,
            "history": self.history,
            "net": self.net.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict() if self.schedule else {},
        }
        _write(path, partial(torch.save, state))

    def resume(self, path: Path | None = None) -> bool:
        """Continue from a checkpoint of this run (default: last.pt); False if there is none yet.

        Raises ValueError where it belongs to another task or to a run with another seed.
        """
        path = path or self.out / "last.pt"
        if not path.exists():
            return False
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if (state["task"], state["seed"]) != (self.task.name, self.plan.seed):
            raise ValueError(f"{path} is from task {state['task']} with seed {state['seed']}: resume with the same, or "
                             "start another run with its weights")
        self.net.load_state_dict(state["net"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.schedule is not None:
            self.schedule.load_state_dict(state["schedule"])
        self.epoch, self.best, self.history = state["epoch"], state["best"], state["history"]
        return True


def shuffled(samples: Dataset[Any], epoch: int, *, seed: int = 1, batch: int = 1, workers: int = 0) -> DataLoader[Any]:
    """Batches of `samples` in an order that is a function of seed and epoch."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return DataLoader(samples, batch, shuffle=True, generator=generator, num_workers=workers)


def _means(every: Sequence[Figures], kind: str) -> Figures:
    if not every:
        raise ValueError(f"the {kind} has no batches: give it at least one")
    return {name: sum(figures[name] for figures in every) / len(every) for name in every[0]}


def _write(path: Path, write: Callable[[Path], object]) -> None:
    """By `write` to a file beside it, put in place once it is whole."""
    partial_path = path.with_suffix(".partial")
    write(partial_path)
    os.replace(partial_path, path)
