"""The four stages of the tooth package: their inputs, outputs and losses.

`centroids` (T1) sees 1 mm voxels, `instances` (T2) 0.5 mm, `naming` (T3) patches of 1 mm around a tooth, `canal` (T5)
0.75 mm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ..augmentation.label_synthesis import IntensityTable
from ..datasets.tooth_crops import CBCT_PLAN, CropPlan, JawMap, draw_image, draw_view
from ..datasets.tooth_names import FDI
from ..datasets.vertebra_crops import middle_gaussian
from ..losses.segmentation_losses import dice_loss
from ..networks.instance_unet import InstanceUNet
from ..networks.scse_unet import ScseUnet
from ..networks.tooth_classifier import ToothClassifier
from ..phantoms.jaw import Tissue
from ..targets.gaussian_targets import gaussian_heatmaps
from ..targets.offset_targets import offset_targets

StageName = Literal["centroids", "instances", "naming", "canal"]
Sample = dict[str, Tensor]

# Voxels of 1 mm: what smaller voxels average, blur must here.
_COARSE_PLAN = replace(CBCT_PLAN, blur=(0.4, 0.9))

SIGMA = 1.3
"""Of the centroids' Gaussians, in voxels (1 mm)."""

PATCH = (64, 64, 64)
POINT_SIGMA = 2.0
"""Of the naming network's patches: voxels of 1 mm, and the Gaussian that tells which tooth is meant."""

CANAL_SIZE = (80, 96, 96)
"""Voxels of 0.75 mm of the canal network's crops and tiles."""

TEETH = 6
"""Patches of one drawn image."""

_CLASS = {number: index for index, number in enumerate(FDI)}


@dataclass(frozen=True)
class ToothStage:
    """net: makes the network. sample: draws one sample (of a patch each, for naming several) with the generator.
    loss: of the network's answer, in float32, for a batch of samples. crops: samples a batch."""

    net: Callable[[], nn.Module]
    sample: Callable[[JawMap, IntensityTable, np.random.Generator], Sample]
    loss: Callable[[tuple[Tensor, ...], Sample], Tensor]
    crops: int


def centroid_sample(jaw: JawMap, table: IntensityTable, rng: np.random.Generator) -> Sample:
    """image, seen `[1, k, j, i]`; points `[n, 3]` of the teeth, n = 64 with NaN for none."""
    own = CropPlan.own if len(jaw.teeth) else 0.8
    plan = CropPlan((80, 96, 96), 1.0, own=own, synthesis=_COARSE_PLAN)
    view = draw_view(plan, _middle(jaw, rng, near=0.75, spread_mm=18.0), rng, jaw.spacing)
    tissues, _ = view.sampled(jaw)
    points = np.full((64, 3), np.nan)
    placed = view.place(jaw.centroids)[:64]
    points[: len(placed)] = placed
    return {**_image(tissues, table, plan, rng), "points": torch.from_numpy(points).float()}


def centroid_loss(answers: tuple[Tensor, ...], batch: Sample) -> Tensor:
    """Cross-entropy of the heatmap's sigmoid against the largest of the teeth's Gaussians, a tooth's mass each."""
    (logits,) = answers
    gaussians = gaussian_heatmaps(batch["points"], logits.shape[2:], SIGMA)
    target = gaussians.amax(dim=1, keepdim=True)
    mass = (2 * np.pi) ** 1.5 * SIGMA**3 * (1 + (~batch["points"][..., 0].isnan()).sum())
    loss: Tensor = F.binary_cross_entropy_with_logits(logits, target, weight=batch["seen"], reduction="sum") / mass
    return loss


def instance_sample(jaw: JawMap, table: IntensityTable, rng: np.random.Generator) -> Sample:
    """image, seen, seg `[1, k, j, i]`, seg 0 or 1; offset `[3, k, j, i]` in voxels to the tooth's centroid."""
    plan = CropPlan((80, 80, 80), 0.5)
    view = draw_view(plan, _middle(jaw, rng, near=0.9, spread_mm=0.0), rng, jaw.spacing)
    tissues, teeth = view.sampled(jaw)
    # To the whole tooth's centroid, also where the crop shows a part of it.
    k, j, i = view.place(jaw.centroids).T.tolist()
    centroids = dict(zip(view.numbers(jaw).tolist(), zip(k, j, i, strict=True), strict=True))
    offset = offset_targets(teeth, rounded=False, centroids=centroids).offsets
    return {
        **_image(tissues, table, plan, rng),
        "seg": torch.from_numpy(teeth > 0)[None].float(),
        "offset": torch.from_numpy(offset),
    }


def instance_loss(answers: tuple[Tensor, ...], batch: Sample) -> Tensor:
    """Dice + cross-entropy + smooth L1 of the offsets over the teeth's voxels, in units of four voxels (2 mm)."""
    logits, offset = answers
    seg = batch["seg"] * batch["seen"]
    apart = F.smooth_l1_loss(offset / 4, batch["offset"] / 4, reduction="none", beta=0.25).sum(dim=1, keepdim=True)
    return overlap_loss(logits, seg, batch["seen"]) + (apart * seg).sum() / seg.sum().clamp_min(1)


def naming_sample(jaw: JawMap, table: IntensityTable, rng: np.random.Generator) -> Sample:
    """image `[n, 2, k, j, i]`, patches around n teeth with the Gaussian at their middles; target `[n, 52]`: the tooth's
    class, evenly spread over all for a tooth that has no number."""
    plan = CropPlan((88, 104, 104), 1.0, ends=0.5, synthesis=_COARSE_PLAN)
    view = draw_view(plan, jaw.centroids.mean(axis=0) + rng.normal(0, 10, 3), rng)
    tissues, _ = view.sampled(jaw)
    image, seen = draw_image(tissues, table, plan, rng)
    places, numbers = view.place(jaw.centroids), view.numbers(jaw)
    inside = np.flatnonzero(((places > 2) & (places < np.array(plan.size) - 3)).all(axis=1))
    inside = np.array([n for n in inside if seen[tuple(np.rint(places[n]).astype(int))]], dtype=int)
    chosen = rng.choice(inside, TEETH, replace=len(inside) < TEETH) if len(inside) else inside
    half = np.array(PATCH) // 2
    padded = F.pad(image[None, None], (int(half[0]),) * 6, mode="replicate")[0, 0]
    patches, target = [], torch.full((TEETH, len(FDI)), 1 / len(FDI))
    for row, tooth in enumerate(chosen):
        # As far off as the instances' own centroids may be.
        k, j, i = np.clip(np.rint(places[tooth] + rng.normal(0, 0.8, 3)).astype(int), 0, np.array(plan.size) - 1)
        patches.append(padded[k : k + PATCH[0], j : j + PATCH[1], i : i + PATCH[2]])
        if int(numbers[tooth]) in _CLASS:
            target[row] = F.one_hot(torch.tensor(_CLASS[int(numbers[tooth])]), len(FDI))
    # Where the view shows no tooth: patches that say nothing.
    patches += [torch.zeros(PATCH)] * (TEETH - len(patches))
    point = middle_gaussian(PATCH, POINT_SIGMA).expand(TEETH, *PATCH)
    return {"image": torch.stack([torch.stack(patches), point], dim=1), "target": target}


def naming_loss(answers: tuple[Tensor, ...], batch: Sample) -> Tensor:
    """Cross-entropy."""
    (logits,) = answers
    return F.cross_entropy(logits, batch["target"].flatten(0, 1), label_smoothing=0.02)


def canal_sample(jaw: JawMap, table: IntensityTable, rng: np.random.Generator) -> Sample:
    """image, seen, seg `[1, k, j, i]`; seg is 0 or 1."""
    plan = CropPlan(CANAL_SIZE, 0.75)
    canal = np.flatnonzero((jaw.voxels & 255) == Tissue.CANAL)
    if len(canal) and rng.random() < 0.8:
        middle = np.array(np.unravel_index(int(rng.choice(canal)), jaw.voxels.shape)) + rng.normal(0, 20, 3)
    else:
        middle = _middle(jaw, rng, near=0.5, spread_mm=20.0)
    view = draw_view(plan, middle, rng)
    tissues, _ = view.sampled(jaw)
    seg = torch.from_numpy(tissues == Tissue.CANAL)[None].float()
    return {**_image(tissues, table, plan, rng), "seg": seg}


def canal_loss(answers: tuple[Tensor, ...], batch: Sample) -> Tensor:
    """Dice + cross-entropy."""
    return overlap_loss(answers[0], batch["seg"] * batch["seen"], batch["seen"])


def overlap_loss(logits: Tensor, target: Tensor, seen: Tensor) -> Tensor:
    """Dice of the batch + cross-entropy, both in float32, where `seen` is 1."""
    dice = dice_loss(logits.masked_fill(seen == 0, float("-inf")), target)
    # Mean over as many background voxels as ten times the target's: thin things in big crops count.
    weight = target.numel() / (11 * target.sum().clamp_min(0.002 * target.numel()))
    return dice + weight.clamp_max(8.0) * F.binary_cross_entropy_with_logits(logits, target, seen)


def _image(
    tissues: NDArray[np.uint8], table: IntensityTable, plan: CropPlan, rng: np.random.Generator
) -> dict[str, Tensor]:
    image, seen = draw_image(tissues, table, plan, rng)
    return {"image": image[None], "seen": seen[None]}


def _middle(jaw: JawMap, rng: np.random.Generator, near: float, spread_mm: float) -> NDArray[np.float64]:
    """A voxel of the map: near a tooth with the chance `near`, anywhere else."""
    if len(jaw.centroids) and rng.random() < near:
        tooth: NDArray[np.float64] = jaw.centroids[int(rng.integers(len(jaw.centroids)))]
        return tooth + rng.normal(0, 12 + 2 * spread_mm, 3)
    return rng.uniform(0, np.array(jaw.voxels.shape))


def _rare(net: ScseUnet) -> ScseUnet:
    """What is looked for is rare: start from "nowhere", as focal loss's authors do."""
    assert net.head.layer.bias is not None
    nn.init.constant_(net.head.layer.bias, -5.0)
    return net


STAGES: Mapping[StageName, ToothStage] = {
    "centroids": ToothStage(
        lambda: _rare(ScseUnet(scse=False, widths=(16, 32, 48), halved=True)), centroid_sample, centroid_loss, crops=1),
    "instances": ToothStage(
        lambda: InstanceUNet(widths=(32, 48, 64, 96), halved=True), instance_sample, instance_loss, crops=1),
    "naming": ToothStage(
        lambda: ToothClassifier(inputs=2, classes=len(FDI), widths=(16, 32, 64, 64), halved=True),
        naming_sample, naming_loss, crops=2),
    "canal": ToothStage(lambda: _rare(ScseUnet(widths=(24, 32, 48), halved=True)), canal_sample, canal_loss, crops=1),
}
