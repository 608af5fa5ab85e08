"""Train the documents' tooth networks: `python -m medtrain train-tooth-set instances --train FOLDER ...`.

The seed document 001's two loops on its data set: `centroids` (T1, a heatmap through tanh) and `instances` (T2,
foreground and offsets), from scans in FOLDER/image with their label maps in FOLDER/label. A run that was stopped goes
on with `--resume`; `--weights` starts from those of another.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer, lr_scheduler
from torch.utils.data import DataLoader

from ..datasets.tooth_set import Target, ToothCropPlan, ToothSet, centroid_target, find_tooth_pairs, instance_target
from ..networks.checkpoint_weights import load_weights
from ..networks.heatmap_unet import HeatmapUNet, HeatmapUNetSpec
from ..networks.instance_unet import InstanceUNet
from .epoch_loop import EpochLoop, EpochPlan, EpochTask, shuffled
from .tooth_tasks import centroid_task, instance_task


@dataclass(frozen=True)
class ToothNetwork:
    """network: of some widths. task: what it learns, from `target`. save_every: epochs (the document's)."""

    network: Callable[[tuple[int, ...]], nn.Module]
    task: Callable[[], EpochTask]
    target: Target
    save_every: int


NETWORKS: Mapping[str, ToothNetwork] = {
    "centroids": ToothNetwork(
        lambda widths: HeatmapUNet(HeatmapUNetSpec(widths=widths)), centroid_task, centroid_target, save_every=10),
    "instances": ToothNetwork(
        lambda widths: InstanceUNet(widths=widths), instance_task, instance_target, save_every=5),
}

SCHEDULES = ("constant", "step", "cosine", "plateau")


def schedule(name: str, epochs: int) -> Callable[[Optimizer], lr_scheduler.LRScheduler] | None:
    """How the learning rate falls over a run: not at all; to a tenth at half and at three quarters of it; along a
    cosine to 0; to a half wherever the score hasn't fallen for ten epochs."""
    if name == "step":
        return partial(lr_scheduler.MultiStepLR, milestones=[epochs // 2, epochs * 3 // 4], gamma=0.1)
    if name == "cosine":
        return partial(lr_scheduler.CosineAnnealingLR, T_max=epochs)
    if name == "plateau":
        return partial(lr_scheduler.ReduceLROnPlateau, factor=0.5, patience=10)
    return None


def arguments_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m medtrain train-tooth-set", description=__doc__.split("\n")[0])
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("--train", type=Path, required=True, help="folder with image/ and label/")
    parser.add_argument("--validation", type=Path, required=True, help="the same, for validation")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoints and history.json")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rate", type=float, default=1e-3, help="learning rate")
    parser.add_argument("--schedule", choices=SCHEDULES, default="cosine")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--side", type=int, default=192, help="side of a crop, in voxels of 0.5 mm")
    parser.add_argument("--widths", type=int, nargs="+", default=[16, 32, 64, 128], help="channels, finest level first")
    parser.add_argument("--workers", type=int, default=0, help="processes that cut crops")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--weights", type=Path, help="start from the weights of this checkpoint")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    chosen = arguments_parser().parse_args(arguments)
    kind, crops = NETWORKS[chosen.network], ToothCropPlan(shape=(chosen.side,) * 3)
    pairs, held_out = find_tooth_pairs(chosen.train), find_tooth_pairs(chosen.validation)
    torch.manual_seed(chosen.seed)
    net = kind.network(tuple(chosen.widths))
    if chosen.weights:
        load_weights(net, chosen.weights)
    plan = EpochPlan(
        chosen.epochs, chosen.seed, kind.save_every, partial(torch.optim.Adam, lr=chosen.rate),
        schedule(chosen.schedule, chosen.epochs),
    )
    loop = EpochLoop(net.to(chosen.device), kind.task(), plan, chosen.out)
    if chosen.resume and loop.resume():
        print(f"going on after epoch {loop.epoch}")

    def training(epoch: int) -> DataLoader[Any]:
        samples = ToothSet(pairs, crops, kind.target, seed=chosen.seed, epoch=epoch)
        return shuffled(samples, epoch, seed=chosen.seed, batch=chosen.batch, workers=chosen.workers)

    validation = ToothSet(held_out, replace(crops, turned=0.0), kind.target)
    loop.run(training, DataLoader(validation, num_workers=chosen.workers))
    print(f"{len(loop.history)} epochs, best score {loop.best:.4g}: {chosen.out / 'best.pt'}")
