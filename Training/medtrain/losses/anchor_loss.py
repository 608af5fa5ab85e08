"""The anchor detector's loss (system D2, seed document 000, grt123's `layers.Loss`).

Confidence: half the binary cross-entropy of the positives and half that of the hardest negatives.
Place and size: smooth-L1 on z, y, x and log d of the positives, the four added. The document squeezes
logits through a sigmoid and takes the logarithm after; here both are one step (`binary_cross_entropy_with_logits`),
which gives the same number and stays finite where the sigmoid has rounded to 0 or 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class DetectorLoss:
    """The loss of a batch and what it is made of.

    total: what is differentiated: `classification` plus the four of `regression`.
    regression: smooth-L1 of z, y, x, log d, each a mean over the positives; zeros where there are none.
    positives, negatives: how many took part (negatives: after mining); `*_correct`: how many of them lie on
        their own side of probability 0.5.
    """

    total: Tensor
    classification: Tensor
    regression: Tensor
    positives: int
    positives_correct: int
    negatives: int
    negatives_correct: int


def hardest_negatives(logits: Tensor, count: int) -> Tensor:
    """The `count` highest of the negatives' logits `[n]`, or all of them where there are fewer."""
    return torch.topk(logits, min(count, len(logits))).values


def detector_loss(output: Tensor, labels: Tensor, num_hard: int = 2, focus: float = 0.0) -> DetectorLoss:
    """Loss of the network's answers.

    output, labels: `[B, z, y, x, anchors, 5]`; a label's first number is 1 (positive), −1 (negative) or 0.
    num_hard: how many negatives are mined for each crop of the batch; 0 takes all.
    focus: 0 as in the document; above it each term is weighted by (1 − p)^focus, p the probability given to
        the truth (focal loss, Lin et al. 2017).
    """
    crops = output.shape[0]
    flat, truth = output.reshape(-1, 5), labels.reshape(-1, 5)
    positive, negative = truth[:, 0] > 0.5, truth[:, 0] < -0.5
    answers, wanted = flat[positive], truth[positive]
    negatives = flat[negative, 0]
    if num_hard > 0:
        negatives = hardest_negatives(negatives, num_hard * crops)
    classification = 0.5 * _cross_entropy(negatives, 0.0, focus)
    regression = output.new_zeros(4)
    if len(answers):
        classification = classification + 0.5 * _cross_entropy(answers[:, 0], 1.0, focus)
        regression = functional.smooth_l1_loss(answers[:, 1:], wanted[:, 1:], reduction="none").mean(0)
    return DetectorLoss(
        total=classification + regression.sum(),
        classification=classification.detach(),
        regression=regression.detach(),
        positives=len(answers),
        positives_correct=int((answers[:, 0] >= 0).sum()),
        negatives=len(negatives),
        negatives_correct=int((negatives < 0).sum()),
    )


def _cross_entropy(logits: Tensor, truth: float, focus: float) -> Tensor:
    """Mean binary cross-entropy of logits `[n]` whose label is `truth`; 0 (with a gradient of 0) where n is 0."""
    if len(logits) == 0:
        return logits.sum()
    losses = functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, truth), reduction="none")
    if focus > 0:
        losses = losses * (1 - torch.exp(-losses)) ** focus
    return losses.mean()
