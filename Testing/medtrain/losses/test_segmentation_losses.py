"""The segmentation losses against MONAI's, the document's Dice, small cases by hand, and extreme logits."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from medtrain.losses.segmentation_losses import bce_dice_loss, dice_loss, instance_loss, offset_loss


@pytest.fixture
def answers() -> tuple[Tensor, Tensor]:
    """Logits and a target of two channels, `[3, 2, 4, 5, 6]`."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 2, 4, 5, 6, generator=generator) * 3
    return logits, (torch.rand(logits.shape, generator=generator) < 0.2).float()


@pytest.mark.parametrize("smooth", [1.0, 1e-5])
def test_dice_is_monais_over_the_batch(smooth: float, answers: tuple[Tensor, Tensor]) -> None:
    from monai.losses import DiceLoss

    theirs = DiceLoss(sigmoid=True, batch=True, smooth_nr=smooth, smooth_dr=smooth)
    torch.testing.assert_close(dice_loss(*answers, smooth), theirs(*answers))


def test_bce_dice_is_monais_for_one_channel(answers: tuple[Tensor, Tensor]) -> None:
    from monai.losses import DiceCELoss

    logits, target = (tensor[:, :1] for tensor in answers)
    theirs = DiceCELoss(sigmoid=True, batch=True, smooth_nr=1.0, smooth_dr=1.0)
    torch.testing.assert_close(bce_dice_loss(logits, target), theirs(logits, target))


def test_for_one_channel_dice_is_the_documents(answers: tuple[Tensor, Tensor]) -> None:
    logits, target = (tensor[:, :1] for tensor in answers)
    inputs, targets = torch.sigmoid(logits).reshape(-1), target.reshape(-1)
    expected = 1 - (2.0 * (inputs * targets).sum() + 1) / (inputs.sum() + targets.sum() + 1)
    torch.testing.assert_close(dice_loss(logits, target), expected)


def test_dice_by_hand() -> None:
    # σ = ¾, ¼; target 1, 0: 1 − (2 · ¾ + 1) / (1 + 1 + 1) = 1 / 6
    logits = torch.tensor([math.log(3), -math.log(3)]).reshape(1, 1, 2)
    assert dice_loss(logits, torch.tensor([1, 0]).reshape(1, 1, 2)).item() == pytest.approx(1 / 6)


@pytest.mark.parametrize("loss", [dice_loss, bce_dice_loss])
@pytest.mark.parametrize("size", [1e2, 1e4, 1e30])
def test_extreme_logits_give_finite_losses_and_gradients(loss: object, size: float) -> None:
    logits = torch.tensor([size, -size, size, -size]).reshape(1, 1, 4).requires_grad_()
    target = torch.tensor([1.0, 0, 0, 1]).reshape(1, 1, 4)
    value = loss(logits, target)  # type: ignore[operator]
    value.backward()
    assert value.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert loss(logits[..., :2], target[..., :2]).item() == pytest.approx(0, abs=1e-6)  # type: ignore[operator]


def test_a_large_volume_in_half_precision_is_summed_in_single() -> None:
    logits = torch.full((1, 1, 50, 50, 50), 12.0, dtype=torch.float16)
    target = torch.ones(logits.shape, dtype=torch.uint8)
    assert dice_loss(logits, target).item() == pytest.approx(0, abs=1e-5)


def test_nothing_found_where_nothing_is_costs_nothing() -> None:
    assert dice_loss(torch.full((1, 1, 8), -50.0), torch.zeros(1, 1, 8)).item() == pytest.approx(0, abs=1e-6)


def test_the_offsets_loss_by_hand() -> None:
    # Smooth L1 of 0.5 is 0.125, of 3 is 2.5; everything else is 0.
    offsets, target = torch.zeros(2, 1, 3, 1, 1, 2)
    offsets[0, 0, 0, 0, 0], offsets[0, 2, 0, 0, 1] = 0.5, -3.0
    assert offset_loss(offsets, target).item() == pytest.approx(2.625 / 6)
    first = torch.tensor([1, 0]).reshape(1, 1, 1, 1, 2)
    assert offset_loss(offsets, target, first).item() == pytest.approx(0.125 / 3)
    assert offset_loss(offsets, target, first * 0).item() == 0


def test_the_instance_loss_is_the_documents_dice_plus_five_times_smooth_l1(answers: tuple[Tensor, Tensor]) -> None:
    logits, seg = (tensor[:, :1] for tensor in answers)
    generator = torch.Generator().manual_seed(1)
    offsets, target = torch.randn(2, 3, 3, 4, 5, 6, generator=generator) * 4
    found = instance_loss(logits, offsets, seg, (target * seg).round().to(torch.int16))
    smooth_l1 = functional.smooth_l1_loss(offsets, (target * seg).round())
    torch.testing.assert_close(found.dice, dice_loss(logits, seg))
    torch.testing.assert_close(found.offset, smooth_l1)
    torch.testing.assert_close(found.total, dice_loss(logits, seg) + 5 * smooth_l1)
    chosen = seg.bool().expand_as(offsets)
    only = instance_loss(logits, offsets, seg, target, foreground_only=True)
    torch.testing.assert_close(only.offset, functional.smooth_l1_loss(offsets[chosen], target[chosen]))
