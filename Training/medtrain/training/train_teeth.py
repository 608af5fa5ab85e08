"""Train a stage of the tooth package: `python -m medtrain train-teeth instances --jaws FOLDER --out FOLDER`.

The patients are phantoms (`python -m medtrain prepare-jaws`); no real image is seen. Each step's crops follow from the
seed and the step's number. The arithmetic is bfloat16 where the CPU has it, unless `--float32` is given.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from ..augmentation.tooth_hu import cbct_table
from ..datasets.tooth_crops import JawMap, jaw_files
from .tooth_stages import STAGES, Sample, StageName
from .training_loop import add_run_arguments, begin, train
from .training_run import RunPlan, TrainingRun, load_average


@dataclass(frozen=True)
class ToothPlan(RunPlan):
    """stage: which network. bfloat16: the arithmetic of the network."""

    rate: float = 3e-3
    warm_up: int = 100
    cool_down: float = 0.5
    averaging: float = 0.995
    stage: StageName = "instances"
    bfloat16: bool = True


STEPS: dict[StageName, int] = {"centroids": 3700, "instances": 9800, "naming": 3400, "canal": 5000}


class Crops(Dataset[Sample]):
    """Batch n of a stage, drawn from the seed and n."""

    def __init__(self, jaws: Sequence[JawMap], plan: ToothPlan, steps: range) -> None:
        self._jaws, self._plan, self._steps, self._table = jaws, plan, steps, cbct_table()

    def __len__(self) -> int:
        return len(self._steps)

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng((self._plan.seed, self._steps[index]))
        stage = STAGES[self._plan.stage]
        samples = [
            stage.sample(self._jaws[int(rng.integers(len(self._jaws)))], self._table, rng) for _ in range(stage.crops)
        ]
        return {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}


class ToothTrainer(TrainingRun):
    """A run of one stage between two steps."""

    def __init__(self, plan: ToothPlan) -> None:
        self.plan = plan
        torch.manual_seed(plan.seed)
        super().__init__(STAGES[plan.stage].net(), plan)

    def advance(self, batch: Sample) -> float | None:
        """Learn from one batch; returns its loss, None where it overflowed and nothing was learnt."""
        self.begin_step()
        images = batch["image"]
        if images.dim() == 6:  # several patches a sample
            images = images.flatten(0, 1)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.plan.bfloat16):
            answers = self.net(images.to(memory_format=torch.channels_last_3d))
        answers = (answers,) if isinstance(answers, Tensor) else answers
        loss = STAGES[self.plan.stage].loss(tuple(answer.float() for answer in answers), batch)
        return float(loss.detach()) if self.end_step(loss) else None


def averaged_network(checkpoint: Path, stage: StageName) -> nn.Module:
    """The network of a checkpoint with the averaged weights, ready to be used."""
    net = STAGES[stage].net()
    load_average(net, checkpoint)
    return net


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m medtrain train-teeth", description=__doc__.split("\n")[0])
    parser.add_argument("stage", choices=get_args(StageName))
    parser.add_argument("--jaws", type=Path, required=True, help="folder of medtrain.datasets.prepare_jaws")
    add_run_arguments(parser)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    trainer = ToothTrainer(ToothPlan(
        stage=chosen.stage, seed=chosen.seed, bfloat16=not chosen.float32, steps=chosen.steps or STEPS[chosen.stage],
    ))
    begin(trainer, chosen, parser)
    jaws = [JawMap.load(path) for path in jaw_files(chosen.jaws)]
    if not jaws:
        parser.error(f"{chosen.jaws} contains no jaws: make some with medtrain.datasets.prepare_jaws")
    crops = Crops(jaws, trainer.plan, range(trainer.step, trainer.plan.steps))
    train(trainer, crops, chosen.out, minutes=chosen.minutes, workers=chosen.workers)
