"""The tasks of the seed document 001's two tooth networks, for `EpochLoop` (systems T1, T2 and N10).

Its scores are kept as they are meant: the best segmentation is the one with the smallest sum of losses, in training
and validation. (As written there the validation's Dice is added, so that a better one counts as worse.)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..losses.segmentation_losses import OFFSET_WEIGHT, instance_loss, offset_loss
from ..networks.heatmap_unet import heatmap_loss
from ..targets.gaussian_targets import gaussian_heatmaps
from .epoch_loop import Batch, EpochTask, Figures

SIGMA = 3.0
"""Of the centroids' Gaussians, in voxels; the document doesn't show its own."""


def centroid_task(sigma: float = SIGMA) -> EpochTask:
    """Batches: images `[B, 1, k, j, i]` and centroids `[B, n, 3]` (voxels, NaN for none); a network that ends in tanh,
    such as `HeatmapUNet`, learns one heatmap with a Gaussian on each."""

    def losses(net: nn.Module, batch: Batch) -> dict[str, Tensor]:
        image, points = batch
        return {"loss": heatmap_loss(net(image), centroid_heatmap(points, image.shape[2:], sigma))}

    def score(losses: Figures, figures: Figures) -> float:
        return losses["loss"] + figures["loss"]

    return EpochTask("centroids", losses, losses, score)


def centroid_heatmap(points: Tensor, shape: Sequence[int], sigma: float) -> Tensor:
    """The larger of the Gaussians around `points` `[B, n, 3]` at each voxel, `[B, 1, k, j, i]`; NaN for an absent one.

    One after the other: 32 heatmaps of 192³ voxels at once would take 0.9 GB.
    """
    heatmap = torch.zeros((len(points), *shape), device=points.device)
    for number in torch.arange(points.shape[1])[~points.isnan().any(dim=2).all(dim=0).cpu()]:
        heatmap = torch.maximum(heatmap, gaussian_heatmaps(points[:, number], shape, sigma))
    return heatmap[:, None]


def instance_task(*, foreground_only: bool = False) -> EpochTask:
    """Batches: images `[B, 1, k, j, i]`, foregrounds of the same shape and offsets `[B, 3, k, j, i]`; an
    `InstanceUNet` learns both. foreground_only: see `instance_loss`."""

    def losses(net: nn.Module, batch: Batch) -> dict[str, Tensor]:
        image, seg, offset = batch
        logits, offsets = net(image)
        found = instance_loss(logits, offsets, seg, offset, foreground_only=foreground_only)
        return {"loss": found.total, "dice": found.dice, "offset": found.offset}

    def figures(net: nn.Module, batch: Batch) -> dict[str, Tensor]:
        image, seg, offset = batch
        logits, offsets = net(image)
        return {
            "dice": mean_dice(logits >= 0, seg),
            "offset": offset_loss(offsets, offset, seg if foreground_only else None),
        }

    def score(losses: Figures, figures: Figures) -> float:
        return losses["dice"] + (1 - figures["dice"]) + OFFSET_WEIGHT * (losses["offset"] + figures["offset"])

    return EpochTask("instances", losses, figures, score)


def mean_dice(found: Tensor, truth: Tensor) -> Tensor:
    """The mean of the batch's Dice coefficients of masks `[B, ...]`; 1 where both are empty."""
    found, truth = found.bool().flatten(1), truth.bool().flatten(1)
    both, each = (found & truth).sum(dim=1), found.sum(dim=1) + truth.sum(dim=1)
    return torch.where(each > 0, 2 * both / each.clamp(min=1), 1.0).mean()
