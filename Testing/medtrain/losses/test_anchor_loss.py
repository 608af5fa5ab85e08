"""The detector's loss: by hand, against the document's own formula, and where logits are extreme."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from medtrain.losses.anchor_loss import detector_loss, hardest_negatives


def documents_loss(output: Tensor, labels: Tensor, num_hard: int) -> list[float]:
    """Seed document 000, section 2, step by step, with sigmoid and BCELoss as it has them."""
    flat, truth = output.view(-1, 5), labels.view(-1, 5)
    positive, negative = truth[:, 0] > 0.5, truth[:, 0] < -0.5
    pos_output, pos_labels = flat[positive], truth[positive]
    neg_output, neg_labels = flat[:, 0][negative], truth[:, 0][negative]
    _, indices = torch.topk(neg_output, min(num_hard, len(neg_output)))
    neg_prob, neg_labels = torch.sigmoid(neg_output[indices]), neg_labels[indices]
    bce, huber = nn.BCELoss(), nn.SmoothL1Loss()
    regress = [huber(pos_output[:, n], pos_labels[:, n]) for n in range(1, 5)]
    classify = 0.5 * bce(torch.sigmoid(pos_output[:, 0]), pos_labels[:, 0]) + 0.5 * bce(neg_prob, neg_labels + 1)
    return [float(value) for value in [classify + sum(regress), classify, *regress]]


def a_small_grid() -> tuple[Tensor, Tensor]:
    """Two positives, three negatives, one that is left alone."""
    output = torch.tensor(
        [
            [2.0, 0.5, 0.0, 0.0, 0.0],
            [-1.0, 0.0, 2.0, 0.0, 0.1],
            [0.0, 9, 9, 9, 9],
            [3.0, 9, 9, 9, 9],
            [-2.0, 9, 9, 9, 9],
            [50.0, 9, 9, 9, 9],
        ]
    ).view(1, 1, 1, 2, 3, 5)
    labels = torch.zeros(6, 5)
    labels[:2, 0] = 1
    labels[2:5, 0] = -1
    return output, labels.view(1, 1, 1, 2, 3, 5)


def test_a_loss_computed_by_hand() -> None:
    output, labels = a_small_grid()
    loss = detector_loss(output, labels)
    # log(1 + e^−2) = 0.126928, log(1 + e) = 1.313262; the two hardest negatives are 3 and 0: 3.048587, 0.693147.
    positive = (0.126928 + 1.313262) / 2
    negative = (3.048587 + 0.693147) / 2
    # Smooth-L1: 0.5 → 0.125, 2 → 1.5, 0.1 → 0.005, each halved by the mean over two positives.
    regression = [0.0625, 0.75, 0.0, 0.0025]
    assert float(loss.classification) == pytest.approx(0.5 * positive + 0.5 * negative, abs=1e-5)
    assert loss.regression.tolist() == pytest.approx(regression)
    assert float(loss.total) == pytest.approx(0.5 * positive + 0.5 * negative + sum(regression), abs=1e-5)
    assert (loss.positives, loss.positives_correct) == (2, 1)
    # A logit of 0 is probability 0.5, which the document does not count as correct for a negative.
    assert (loss.negatives, loss.negatives_correct) == (2, 0)


def test_it_is_the_documents_loss_on_random_grids() -> None:
    generator = torch.Generator().manual_seed(4)
    for _ in range(10):
        output = torch.randn(1, 4, 5, 6, 3, 5, generator=generator, dtype=torch.float64) * 3
        labels = torch.randn(1, 4, 5, 6, 3, 5, generator=generator, dtype=torch.float64)
        labels[..., 0] = torch.randint(-1, 2, labels.shape[:-1], generator=generator).double()
        loss = detector_loss(output, labels, num_hard=2)
        found = [float(loss.total), float(loss.classification), *loss.regression.tolist()]
        assert found == pytest.approx(documents_loss(output, labels, 2), rel=1e-5)


def test_mining_keeps_the_highest_and_is_without_effect_where_there_are_fewer() -> None:
    assert hardest_negatives(torch.tensor([0.0, 5.0, -1.0, 3.0]), 2).tolist() == [5.0, 3.0]
    assert hardest_negatives(torch.tensor([7.0]), 2).tolist() == [7.0]


def test_mining_takes_num_hard_for_each_crop_of_a_batch() -> None:
    output, labels = torch.zeros(3, 2, 2, 2, 1, 5), torch.zeros(3, 2, 2, 2, 1, 5)
    labels[..., 0] = -1
    assert detector_loss(output, labels, num_hard=2).negatives == 6


def test_a_crop_without_positives_has_only_the_negatives_loss() -> None:
    output, labels = a_small_grid()
    labels[..., 0] = torch.where(labels[..., 0] == 1, 0.0, labels[..., 0])
    loss = detector_loss(output.requires_grad_(), labels)
    assert loss.regression.tolist() == [0, 0, 0, 0]
    assert float(loss.total) == pytest.approx(0.5 * (3.048587 + 0.693147) / 2, abs=1e-5)
    loss.total.backward()
    assert output.grad is not None


def test_an_empty_label_gives_zero_and_can_still_be_differentiated() -> None:
    output = torch.zeros(1, 1, 1, 1, 1, 5, requires_grad=True)
    loss = detector_loss(output, torch.zeros(1, 1, 1, 1, 1, 5))
    assert float(loss.total) == 0
    loss.total.backward()


def test_extreme_logits_stay_finite_and_keep_their_gradient() -> None:
    output, labels = a_small_grid()
    output[0, 0, 0, 0, 0, 0], output[0, 0, 0, 1, 0, 0] = -500.0, 500.0
    output.requires_grad_()
    loss = detector_loss(output, labels)
    loss.total.backward()
    assert math.isfinite(float(loss.total))
    assert float(loss.classification) == pytest.approx((500 + 1.313262) / 4 + (500 + 0.693147) / 4, abs=1e-3)
    assert output.grad is not None
    assert float(output.grad[0, 0, 0, 0, 0, 0]) == pytest.approx(-0.25)


def test_focus_weighs_down_what_is_already_right() -> None:
    output, labels = a_small_grid()
    plain, focal = detector_loss(output, labels), detector_loss(output, labels, focus=2.0)
    right = math.log(1 + math.exp(-2.0))
    wrong = math.log(1 + math.exp(1.0))
    hard, even = math.log(1 + math.exp(3.0)), math.log(2)
    expected = 0.25 * sum(v * (1 - math.exp(-v)) ** 2 for v in (right, wrong, hard, even))
    assert float(focal.classification) == pytest.approx(expected, rel=1e-5)
    assert float(focal.classification) < float(plain.classification)
