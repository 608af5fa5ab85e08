"""Train the anchor detector: `python -m medtrain train-detector --cases FOLDER --out FOLDER`.

The learning rate warms up, stays, and falls to zero over the last part of `--steps`; because its first two parts do
not depend on how many steps are asked for, a run can be lengthened or cut short when it is resumed.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..datasets.detection_data import SISTER_CROPS, Case, CropPlan, case_files, draw_batch, load_case
from ..losses.anchor_loss import DetectorLoss, detector_loss
from ..networks.anchor_net import SISTER, AnchorNet, AnchorNetSpec
from ..targets.anchor_targets import SISTER_TARGETS, AnchorTargets
from .detector_validation import validation_cpm
from .training_run import RunPlan, TrainingRun, channels_last, learning_rate, load_average


@dataclass(frozen=True)
class TrainingPlan(RunPlan):
    """The settings of a run.

    crops: of each batch. num_hard, focus: of the loss (see `detector_loss`).
    """

    crops: int = 8
    num_hard: int = 16
    focus: float = 0.0
    net: AnchorNetSpec = SISTER
    targets: AnchorTargets = SISTER_TARGETS
    cropping: CropPlan = SISTER_CROPS


class Trainer(TrainingRun):
    """A training run of the detector between two steps."""

    net: AnchorNet

    def __init__(self, plan: TrainingPlan) -> None:
        self.plan = plan
        torch.manual_seed(plan.seed)
        net = AnchorNet(plan.net)
        # Rare positives: start from "no nodule" (p = 0.01), as focal loss's authors do.
        with torch.no_grad():
            bias = net.output[2].bias
            assert isinstance(bias, Tensor)
            bias.view(-1, 5)[:, 0] = -4.6
        super().__init__(net, plan)

    def advance(self, cases: Sequence[Case]) -> DetectorLoss:
        """One step: draw the batch of this step, learn from it."""
        plan = self.plan
        batch = draw_batch(cases, plan.cropping, plan.targets, plan.crops, plan.seed, self.step)
        self.begin_step()
        images = torch.from_numpy(batch.images).to(memory_format=torch.channels_last_3d)
        output = self.net(images, torch.from_numpy(batch.coordinates))
        loss = detector_loss(output, torch.from_numpy(batch.labels), plan.num_hard, plan.focus)
        self.end_step(loss.total)
        return loss

    def averaged(self) -> AnchorNet:
        """A copy of the network with the averaged weights, ready to be used."""
        net = AnchorNet(self.plan.net)
        net.load_state_dict(self.average)
        channels_last(net.eval())
        return net

    def save(self, path: Path, **more: Any) -> None:
        """Write a checkpoint atomically, with the anchors it was trained for."""
        super().save(path, anchors=list(self.plan.targets.anchors), **more)


def averaged_network(checkpoint: Path, spec: AnchorNetSpec = SISTER) -> AnchorNet:
    """The network of a checkpoint with the averaged weights, ready for use."""
    net = AnchorNet(spec)
    load_average(net, checkpoint)
    return net


def _summary(losses: list[DetectorLoss], trainer: Trainer, seconds: float) -> dict[str, float]:
    positives = sum(loss.positives for loss in losses)
    negatives = sum(loss.negatives for loss in losses)
    regression = torch.stack([loss.regression for loss in losses]).mean(0).tolist()
    return {
        "step": trainer.step,
        "loss": float(np.mean([float(loss.total.detach()) for loss in losses])),
        "classification": float(np.mean([float(loss.classification) for loss in losses])),
        **{f"regression_{name}": value for name, value in zip("zyxd", regression, strict=True)},
        "sensitivity": sum(loss.positives_correct for loss in losses) / max(positives, 1),
        "specificity": sum(loss.negatives_correct for loss in losses) / max(negatives, 1),
        "rate": learning_rate(trainer.step - 1, trainer.plan),
        "seconds_per_step": seconds / len(losses),
    }


def _log(path: Path, entry: dict[str, float]) -> None:
    rounded = {name: round(value, 5) for name, value in entry.items()}
    with path.open("a") as stream:
        stream.write(json.dumps(rounded) + "\n")
    print(" ".join(f"{name} {value:g}" for name, value in rounded.items()), flush=True)


def train(
    trainer: Trainer,
    cases_folder: Path,
    out: Path,
    validation: Sequence[Case] = (),
    *,
    minutes: float | None = None,
    validate_every: int = 500,
    log_every: int = 25,
) -> None:
    """Run the plan to its end, or for `minutes`; checkpoint, log and validate on the way.

    The folder of cases is read again at every checkpoint, so that cases may be added while training goes on.
    """
    out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    cases: dict[Path, Case] = {}
    losses: list[DetectorLoss] = []
    mark = time.monotonic()
    while trainer.step < trainer.plan.steps:
        if trainer.step % 100 == 0 or not cases:
            cases |= {path: load_case(path) for path in case_files(cases_folder) if path not in cases}
            if not cases:
                raise ValueError(f"{cases_folder} contains no cases: make some with medtrain.datasets.prepare_cases.")
        losses.append(trainer.advance(list(cases.values())))
        late = minutes is not None and time.monotonic() - began > minutes * 60
        ended = late or trainer.step == trainer.plan.steps
        if trainer.step % log_every == 0 or ended:
            _log(out / "log.jsonl", {**_summary(losses, trainer, time.monotonic() - mark), "cases": len(cases)})
            losses, mark = [], time.monotonic()
        if trainer.step % 100 == 0 or ended:
            trainer.save(out / "checkpoint.pt")
        if validation and (trainer.step % validate_every == 0 or ended):
            cpm = validation_cpm(trainer.averaged(), validation, trainer.plan.targets.anchors)
            _log(out / "log.jsonl", {"step": trainer.step, "cpm": cpm})
            mark = time.monotonic()
        if late:
            return


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m medtrain train-detector", description="Train the nodule detector.")
    parser.add_argument("--cases", type=Path, required=True, help="folder of prepared training cases")
    parser.add_argument("--validation", type=Path, help="folder of prepared cases for measuring the CPM")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint.pt and log.jsonl")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=TrainingPlan.steps, help="total number of batches")
    parser.add_argument("--minutes", type=float, help="stop after this many minutes (can be resumed)")
    parser.add_argument("--crops", type=int, default=TrainingPlan.crops, help="crops per batch")
    parser.add_argument("--rate", type=float, default=TrainingPlan.rate, help="learning rate")
    parser.add_argument("--num-hard", type=int, default=TrainingPlan.num_hard, help="hard negatives mined per crop")
    parser.add_argument(
        "--focus", type=float, default=TrainingPlan.focus, help="gamma of the focal loss; 0: no focusing"
    )
    parser.add_argument("--validate-every", type=int, default=500, help="steps between validations")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--resume", action="store_true", help="continue from the checkpoint in --out")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    trainer = Trainer(
        TrainingPlan(
            steps=chosen.steps,
            crops=chosen.crops,
            seed=chosen.seed,
            rate=chosen.rate,
            num_hard=chosen.num_hard,
            focus=chosen.focus,
        )
    )
    checkpoint = chosen.out / "checkpoint.pt"
    if chosen.resume:
        trainer.load(checkpoint)
    elif checkpoint.exists():
        parser.error(f"{checkpoint} exists: pass --resume to continue it, or choose another --out")
    validation = [load_case(path) for path in case_files(chosen.validation)] if chosen.validation else []
    train(
        trainer, chosen.cases, chosen.out, validation, minutes=chosen.minutes, validate_every=chosen.validate_every
    )
