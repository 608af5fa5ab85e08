"""Losses of the segmentation networks, of logits, finite for logits of any size (system N9, what the teeth need).

Sums run in float32 also where the network answers in half precision, in which a volume's voxels cannot be counted.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

OFFSET_WEIGHT = 5.0
"""Of the offsets beside the foreground (seed document 001)."""


def dice_loss(logits: Tensor, target: Tensor, smooth: float = 1.0) -> Tensor:
    """1 − (2 Σ p t + smooth) / (Σ p + Σ t + smooth), p = σ(logits), summed over the batch; the mean of the channels.

    logits, target: `[B, C, ...]`, target 0 or 1 (of any dtype). As the seed document 001 has it, the whole batch is
    one set: a crop without foreground does not weigh as much as one with it.
    """
    share, target = torch.sigmoid(logits.float()), target.float()
    over = [axis for axis in range(logits.dim()) if axis != 1]
    both = (share * target).sum(dim=over)
    each = share.sum(dim=over) + target.sum(dim=over)
    return (1 - (2 * both + smooth) / (each + smooth)).mean()


def bce_dice_loss(logits: Tensor, target: Tensor, smooth: float = 1.0) -> Tensor:
    """The mean binary cross-entropy of all voxels plus `dice_loss`."""
    cross_entropy = functional.binary_cross_entropy_with_logits(logits.float(), target.float())
    return cross_entropy + dice_loss(logits, target, smooth)


def offset_loss(offsets: Tensor, target: Tensor, foreground: Tensor | None = None) -> Tensor:
    """The mean smooth L1 of offsets `[B, 3, k, j, i]`, voxels, over all voxels or over those of `foreground`.

    foreground: `[B, 1, k, j, i]`, 0 or 1. Without one the network also learns to answer 0 in the background, and the
    loss shrinks with the foreground's share of the crop.
    """
    each = functional.smooth_l1_loss(offsets.float(), target.float(), reduction="none")
    if foreground is None:
        return each.mean()
    weight = foreground.float()
    return (each * weight).sum() / (weight.sum() * offsets.shape[1]).clamp(min=1)


class InstanceLoss(NamedTuple):
    """total = dice + `OFFSET_WEIGHT` · offset."""

    total: Tensor
    dice: Tensor
    offset: Tensor


def instance_loss(
    logits: Tensor, offsets: Tensor, seg: Tensor, target: Tensor, *, foreground_only: bool = False
) -> InstanceLoss:
    """The seed document 001's Dice + 5 × smooth L1 of an instance network's two answers.

    logits, seg: `[B, 1, k, j, i]`. offsets, target: `[B, 3, k, j, i]`. foreground_only: judge the offsets where there
    is foreground; the document judges them everywhere.
    """
    dice = dice_loss(logits, seg)
    apart = offset_loss(offsets, target, seg if foreground_only else None)
    return InstanceLoss(dice + OFFSET_WEIGHT * apart, dice, apart)
