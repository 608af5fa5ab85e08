"""The epoch loop: resumed is the same as uninterrupted, the best is kept, both tasks learn; weights to go on from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler
from torch.utils.data import TensorDataset

from medtrain.networks.checkpoint_weights import load_weights, read_weights
from medtrain.networks.heatmap_unet import HeatmapUNet, HeatmapUNetSpec
from medtrain.networks.instance_unet import InstanceUNet
from medtrain.targets.gaussian_targets import gaussian_heatmaps
from medtrain.targets.offset_targets import offset_targets
from medtrain.training.epoch_loop import Batch, EpochLoop, EpochPlan, EpochTask, shuffled
from medtrain.training.tooth_tasks import centroid_heatmap, centroid_task, instance_task, mean_dice

ADAM = partial(torch.optim.Adam, lr=0.01)


def losses(net: nn.Module, batch: Batch) -> dict[str, Tensor]:
    image, target = batch
    return {"loss": (net(image) - target).square().mean()}


SQUARES = EpochTask("squares", losses, losses, lambda trained, judged: trained["loss"] + judged["loss"])
DATA = TensorDataset(
    torch.rand(6, 1, 5, 4, 6, generator=torch.Generator().manual_seed(2)),
    torch.rand(6, 1, 5, 4, 6, generator=torch.Generator().manual_seed(3)),
)


def small_net() -> nn.Module:
    """With batch norm, whose statistics must be kept, and dropout, whose masks must be drawn again."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.BatchNorm3d(4), nn.Dropout3d(0.5), nn.Conv3d(4, 1, 1))


def training(epoch: int) -> Iterator[Batch]:
    return iter(shuffled(DATA, epoch, seed=5, batch=2))


def loop(out: Path, plan: EpochPlan) -> EpochLoop:
    return EpochLoop(small_net(), SQUARES, plan, out)


def same(a: EpochLoop, b: EpochLoop) -> bool:
    pairs = zip(a.net.state_dict().values(), b.net.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs) and a.history == b.history and a.best == b.best


@pytest.mark.parametrize("schedule", [
    None,
    partial(lr_scheduler.StepLR, step_size=2, gamma=0.3),
    partial(lr_scheduler.MultiStepLR, milestones=[1, 3]),
    partial(lr_scheduler.CosineAnnealingLR, T_max=5),
    partial(lr_scheduler.LambdaLR, lr_lambda=lambda epoch: 0.9**epoch),
    partial(lr_scheduler.ReduceLROnPlateau, patience=0, threshold=0.5),
])
def test_a_resumed_run_ends_bit_for_bit_where_an_uninterrupted_one_does(
    schedule: Callable[..., lr_scheduler.LRScheduler] | None, tmp_path: Path
) -> None:
    plan = EpochPlan(epochs=5, seed=7, optimiser=ADAM, schedule=schedule)
    whole = loop(tmp_path / "whole", plan)
    whole.run(training, list(training(99)))
    first = loop(tmp_path / "parts", replace(plan, epochs=2))
    first.run(training, list(training(99)))
    torch.manual_seed(123)
    second = loop(tmp_path / "parts", plan)
    assert second.resume()
    assert second.epoch == 2
    assert not same(first, whole)
    second.run(training, list(training(99)))
    assert same(second, whole)
    rates = [entry["rate"] for entry in whole.history]
    assert (len(set(rates)) > 1) == (schedule is not None)
    assert json.loads((tmp_path / "parts" / "history.json").read_text()) == whole.history


def test_the_folder_holds_the_last_the_best_and_every_nth(tmp_path: Path) -> None:
    run = loop(tmp_path, EpochPlan(epochs=5, seed=7, save_every=2, optimiser=ADAM))
    run.run(training, list(training(99)))
    assert {path.name for path in tmp_path.iterdir()} == {
        "last.pt", "best.pt", "epoch_0002.pt", "epoch_0004.pt", "history.json"
    }
    last = read_weights(tmp_path / "last.pt")
    assert all(torch.equal(value, last[name]) for name, value in run.net.state_dict().items())


def test_the_best_is_the_epoch_with_the_smallest_score(tmp_path: Path) -> None:
    scores = iter([3.0, 1.0, 2.0, 1.0])
    task = replace(SQUARES, score=lambda trained, judged: next(scores))
    run = EpochLoop(small_net(), task, EpochPlan(epochs=4, save_every=1, optimiser=ADAM), tmp_path)
    run.run(training, list(training(99)))
    best = read_weights(tmp_path / "best.pt")
    second = read_weights(tmp_path / "epoch_0002.pt")
    assert run.best == 1.0
    assert all(torch.equal(value, second[name]) for name, value in best.items())
    assert [entry["score"] for entry in run.history] == [3, 1, 2, 1]


def test_a_checkpoint_of_another_run_is_not_resumed(tmp_path: Path) -> None:
    assert not loop(tmp_path, EpochPlan()).resume()
    run = loop(tmp_path, EpochPlan(epochs=1, seed=7))
    run.run(training, list(training(99)))
    with pytest.raises(ValueError, match="from task squares with seed 7"):
        loop(tmp_path, EpochPlan(seed=8)).resume()
    with pytest.raises(ValueError, match="from task squares with seed 7"):
        EpochLoop(small_net(), replace(SQUARES, name="cubes"), EpochPlan(seed=7), tmp_path).resume()


def test_a_loss_that_is_not_finite_and_a_run_without_batches_are_told(tmp_path: Path) -> None:
    endless = replace(SQUARES, losses=lambda net, batch: {"loss": net(batch[0]).sum() * float("inf")})
    with pytest.raises(RuntimeError, match="isn't finite in epoch 1"):
        EpochLoop(small_net(), endless, EpochPlan(epochs=1), tmp_path).run(training, list(training(99)))
    with pytest.raises(ValueError, match="the validation has no batches"):
        loop(tmp_path, EpochPlan(epochs=1)).run(training, [])
    assert not (tmp_path / "last.pt").exists()


def test_fine_tuning_starts_from_a_checkpoints_weights_but_the_head(tmp_path: Path) -> None:
    run = loop(tmp_path, EpochPlan(epochs=1, optimiser=ADAM))
    run.run(training, list(training(99)))
    other = nn.Sequential(*small_net()[:3], nn.Conv3d(4, 3, 1))
    head = other[3].weight.clone()
    with pytest.raises(ValueError, match=r"belongs to another network: 2 parameters do not fit, such as 3\.weight"):
        load_weights(other, tmp_path / "best.pt")
    load_weights(other, tmp_path / "best.pt", but=["3."])
    trained = read_weights(tmp_path / "best.pt")
    assert torch.equal(other[0].weight, trained["0.weight"])
    assert torch.equal(other[1].running_mean, trained["1.running_mean"])
    assert torch.equal(other[3].weight, head)


def test_weights_are_read_from_the_documents_checkpoints_and_from_bare_files(tmp_path: Path) -> None:
    net, path = small_net(), tmp_path / "some.pth"
    for state in ({"epoch": 3, "model_state_dict": net.state_dict()}, net.state_dict()):
        torch.save(state, path)
        assert read_weights(path).keys() == net.state_dict().keys()
    torch.save({"epoch": 3}, path)
    with pytest.raises(ValueError, match="contains no weights"):
        read_weights(path)


@pytest.fixture
def jaws() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Four volumes of 12 × 12 × 16 voxels with two bright boxes: images, centroids, foregrounds, offsets."""
    generator = torch.Generator().manual_seed(0)
    teeth = torch.zeros(4, 12, 12, 16, dtype=torch.uint8)
    for volume, shift in zip(teeth, torch.randint(0, 4, (4, 3), generator=generator).tolist(), strict=True):
        k, j, i = shift
        volume[k + 2 : k + 6, j + 2 : j + 7, i + 1 : i + 4] = 11
        volume[k + 2 : k + 7, j + 2 : j + 6, i + 6 : i + 11] = 21
    images = (teeth > 0)[:, None] * 1.0 + 0.1 * torch.randn(4, 1, 12, 12, 16, generator=generator)
    points = torch.full((4, 5, 3), torch.nan)
    offsets = torch.zeros(4, 3, 12, 12, 16)
    for n, volume in enumerate(teeth):
        for row, number in enumerate((11, 21)):
            points[n, row] = (volume == number).nonzero().float().mean(dim=0)
        offsets[n] = torch.from_numpy(offset_targets(volume.numpy()).offsets)
    return images, points, (teeth > 0)[:, None].byte(), offsets


def test_the_centroid_loop_learns_its_heatmaps(jaws: tuple[Tensor, ...], tmp_path: Path) -> None:
    torch.manual_seed(0)
    images, points, *_ = jaws
    net, data = HeatmapUNet(HeatmapUNetSpec(widths=(6, 8))), TensorDataset(images, points)
    run = EpochLoop(net, centroid_task(sigma=1.5), EpochPlan(epochs=25, optimiser=ADAM), tmp_path)
    run.run(lambda epoch: shuffled(data, epoch, batch=2), list(shuffled(data, 0)))
    assert run.history[-1]["losses"]["loss"] < 0.3 * run.history[0]["losses"]["loss"]
    assert run.best == min(entry["score"] for entry in run.history)
    entry = run.history[-1]
    assert entry["score"] == entry["losses"]["loss"] + entry["figures"]["loss"]


def test_the_segmentation_and_offset_loop_learns_both(jaws: tuple[Tensor, ...], tmp_path: Path) -> None:
    torch.manual_seed(0)
    images, _, seg, offsets = jaws
    data = TensorDataset(images, seg, offsets)
    run = EpochLoop(InstanceUNet(widths=(6, 8)), instance_task(), EpochPlan(epochs=25, optimiser=ADAM), tmp_path)
    run.run(lambda epoch: shuffled(data, epoch, batch=2), list(shuffled(data, 0)))
    first, last = run.history[0], run.history[-1]
    assert last["losses"]["dice"] < 0.6 * first["losses"]["dice"]
    assert last["losses"]["offset"] < 0.5 * first["losses"]["offset"]
    assert last["losses"]["loss"] == pytest.approx(last["losses"]["dice"] + 5 * last["losses"]["offset"], rel=1e-5)
    assert last["figures"]["dice"] > 0.9
    found, judged = last["losses"], last["figures"]
    expected = found["dice"] + 1 - judged["dice"] + 5 * (found["offset"] + judged["offset"])
    assert last["score"] == pytest.approx(expected)


def test_the_heatmap_of_a_jaw_is_the_largest_of_its_gaussians(jaws: tuple[Tensor, ...]) -> None:
    points = jaws[1].clone()
    points[1, 1] = torch.nan
    points[2, 3] = torch.tensor([5.5, 2.25, 30.0])
    expected = gaussian_heatmaps(points, (12, 12, 16), 2.0).amax(dim=1, keepdim=True)
    torch.testing.assert_close(centroid_heatmap(points, (12, 12, 16), 2.0), expected, rtol=0, atol=0)
    assert not centroid_heatmap(points[:, 4:], (2, 3, 4), 2.0).any()


def test_mean_dice_by_hand() -> None:
    found = torch.tensor([[1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]])
    truth = torch.tensor([[0, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 1]])
    assert mean_dice(found, truth).item() == pytest.approx((2 / 5 + 1 + 0) / 3)
