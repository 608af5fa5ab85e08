"""Train a stage of the vertebra package: `python -m medtrain train-landmarks coarse --patients FOLDER --out FOLDER`.

The patients are phantoms (`python -m medtrain prepare-patients`); no real image is seen. Each step's crops follow
from the seed and the step's number. The arithmetic is bfloat16 where the CPU has it, unless `--float32` is given.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from ..augmentation.tissue_hu import ct_table
from ..datasets.vertebra_crops import (
    CoarsePlan,
    FinePlan,
    LandmarkSample,
    PatientMap,
    coarse_sample,
    coarse_size,
    fine_sample,
    patient_files,
)
from ..networks.landmark_net import COARSE, FINE, STRIDE, LandmarkNet, LandmarkNetSpec
from ..targets.gaussian_targets import gaussian_heatmaps
from .training_loop import add_run_arguments, begin, train
from .training_run import RunPlan, TrainingRun, load_average

Stage = Literal["coarse", "fine"]


@dataclass(frozen=True)
class LandmarkPlan(RunPlan):
    """crops: of each batch. sigma: of the target Gaussians, in output voxels."""

    rate: float = 2e-3
    warm_up: int = 200
    cool_down: float = 0.5
    averaging: float = 0.998
    crops: int = 2
    sigma: float = 1.3
    net: LandmarkNetSpec = COARSE
    bfloat16: bool = True


COARSE_TRAINING = LandmarkPlan(steps=12_000)
FINE_TRAINING = LandmarkPlan(steps=6000, crops=8, sigma=1.6, net=FINE)


class Crops(Dataset[LandmarkSample]):
    """Batch n of a stage, drawn from the seed and n."""

    def __init__(self, patients: Sequence[PatientMap], stage: Stage, plan: LandmarkPlan, steps: range) -> None:
        self._patients, self._stage, self._plan, self._steps = patients, stage, plan, steps
        self._tables = ct_table(contrast=False), ct_table(contrast=True)

    def __len__(self) -> int:
        return len(self._steps)

    def __getitem__(self, index: int) -> LandmarkSample:
        rng = np.random.default_rng((self._plan.seed, self._steps[index]))
        size = coarse_size(CoarsePlan(), rng)
        samples = [self._draw(rng, size) for _ in range(self._plan.crops)]
        return LandmarkSample(
            torch.stack([sample.image for sample in samples]),
            torch.stack([sample.points for sample in samples]),
            torch.stack([sample.known for sample in samples]),
        )

    def _draw(self, rng: np.random.Generator, size: tuple[int, int, int]) -> LandmarkSample:
        patient = self._patients[int(rng.integers(len(self._patients)))]
        table = self._tables[int(rng.integers(2))]
        if self._stage == "fine":
            return fine_sample(patient, table, FinePlan(), rng)
        return coarse_sample(patient, size, table, CoarsePlan(), rng)


def heatmap_loss(logits: Tensor, points: Tensor, known: Tensor, sigma: float) -> Tensor:
    """Cross-entropy of the heatmaps' sigmoid against Gaussians of σ `sigma` around `points` (output voxels).

    logits: `[b, n, k, j, i]`. points: `[b, n, 3]`, NaN where absent: the target is 0 everywhere. known: `[b, n]`
    weights. Divided by the targets' mass, so that a field of view with many voxels or few landmarks weighs no more.
    At its minimum a heatmap is the expected Gaussian: its height is the probability that the landmark is there.
    """
    target = gaussian_heatmaps(points, logits.shape[2:], sigma)
    cost = F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(dim=(2, 3, 4))
    mass = (2 * np.pi) ** 1.5 * sigma**3
    loss: Tensor = (cost * known).sum() / (mass * (1 + (known * ~points[..., 0].isnan()).sum()))
    return loss


class LandmarkTrainer(TrainingRun):
    """A run of one stage between two steps."""

    net: LandmarkNet

    def __init__(self, plan: LandmarkPlan) -> None:
        self.plan = plan
        torch.manual_seed(plan.seed)
        super().__init__(LandmarkNet(plan.net), plan)

    def advance(self, batch: LandmarkSample) -> float | None:
        """Learn from one batch; returns its loss, None where it overflowed and nothing was learnt."""
        self.begin_step()
        images = batch.image.to(memory_format=torch.channels_last_3d)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.plan.bfloat16):
            logits = self.net(images)
        loss = heatmap_loss(logits.float(), _on_output(batch.points), batch.known, self.plan.sigma)
        return float(loss.detach()) if self.end_step(loss) else None


def _on_output(points: Tensor) -> Tensor:
    """Voxels of the image in voxels of the network's answer."""
    return (points - (STRIDE - 1) / 2) / STRIDE


def averaged_network(checkpoint: Path, spec: LandmarkNetSpec) -> LandmarkNet:
    """The network of a checkpoint with the averaged weights, ready to be used."""
    net = LandmarkNet(spec)
    load_average(net, checkpoint)
    return net


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m medtrain train-landmarks", description=__doc__.split("\n")[0])
    parser.add_argument("stage", choices=["coarse", "fine"])
    parser.add_argument("--patients", type=Path, required=True, help="folder of medtrain.datasets.prepare_patients")
    add_run_arguments(parser)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    usual = COARSE_TRAINING if chosen.stage == "coarse" else FINE_TRAINING
    asked = {"seed": chosen.seed, "bfloat16": not chosen.float32, "steps": chosen.steps or usual.steps}
    trainer = LandmarkTrainer(LandmarkPlan(**{**usual.__dict__, **asked}))
    begin(trainer, chosen, parser)
    patients = [PatientMap.load(path) for path in patient_files(chosen.patients)]
    if not patients:
        parser.error(f"{chosen.patients} contains no patients: make some with medtrain.datasets.prepare_patients")
    crops = Crops(patients, chosen.stage, trainer.plan, range(trainer.step, trainer.plan.steps))
    train(trainer, crops, chosen.out, minutes=chosen.minutes, workers=chosen.workers)
