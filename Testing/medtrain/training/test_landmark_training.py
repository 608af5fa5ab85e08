"""Crops of phantom patients and the training of the vertebra package: places that fit, runs that repeat and learn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from medtrain.augmentation.label_synthesis import IntensityTable, SynthesisPlan
from medtrain.datasets.vertebra_crops import (
    CoarsePlan,
    FinePlan,
    LandmarkSample,
    PatientMap,
    coarse_sample,
    even_view,
    fine_sample,
    middle_gaussian,
    patient_files,
    stretched,
)
from medtrain.export.export_landmarks import examples
from medtrain.export.onnx_export import export_onnx
from medtrain.networks.landmark_net import COARSE, FINE, HeatmapNet, LandmarkNet, LandmarkNetSpec
from medtrain.training.train_landmarks import Crops, LandmarkPlan, LandmarkTrainer, averaged_network, heatmap_loss

# No randomness but the geometry's: a value a tissue, so that what lies where can be read from the image.
PLAIN = SynthesisPlan(
    strange=0, jitter=(0, 0), bias=(0, 0), drift=(0, 0), contrast=(1, 1), gamma=0, blur=(0, 0), thick=0, noise=(0, 0)
)
VALUES = IntensityTable((-1000.0, 0.0, 1500.0), (0.0,) * 3, (0.0,) * 3)
TINY = LandmarkNetSpec(landmarks=25, widths=(4, 8, 8), dilations=(1, 2))


def column(seed: int = 0, shape: tuple[int, int, int] = (160, 70, 80)) -> PatientMap:
    """A body with a small bright ball for every fifth level, 24 voxels apart."""
    tissues = np.zeros(shape, np.uint8)
    tissues[:, 5:-5, 5:-5] = 1
    points, low, high = (np.full((25, 3), np.nan) for _ in range(3))
    grid = np.stack(np.mgrid[tuple(slice(0, n) for n in shape)])
    rng = np.random.default_rng(seed)
    for n, level in enumerate(range(0, 25, 5)):
        place = np.array([140 - 24 * n, 35, 40]) + rng.integers(-3, 4, 3)
        ball = ((grid - place[:, None, None, None]) ** 2).sum(axis=0) <= 16
        tissues[ball] = 2
        points[level], low[level], high[level] = place, place - 4, place + 5
    return PatientMap(tissues, points, low, high)


def centers_of_light(image: np.ndarray, points: np.ndarray, reach: int) -> np.ndarray:
    """Centres of mass of what is bright within `reach` voxels of each point."""
    found = []
    for point in points:
        low = np.maximum(np.rint(point).astype(int) - reach, 0)
        part = np.clip(image[tuple(slice(a, a + 2 * reach + 1) for a in low)], -0.2, None) + 0.2
        index = np.stack(np.mgrid[tuple(slice(0, n) for n in part.shape)])
        found.append((index * part).sum(axis=(1, 2, 3)) / part.sum() + low)
    return np.array(found)


@pytest.mark.parametrize("seed", range(6))
def test_points_of_a_coarse_crop_lie_on_what_they_name(seed: int) -> None:
    """Whatever the scale, the tilt and the side: the bright ball is where its point says."""
    rng = np.random.default_rng(seed)
    sample = coarse_sample(column(), (72, 40, 48), VALUES, replace(CoarsePlan(), synthesis=PLAIN), rng)
    points = sample.points.numpy()
    inside = points[~np.isnan(points[:, 0])]
    deep = ((inside > 4) & (inside < np.array(sample.image.shape[1:]) - 5)).all(axis=1)
    found = centers_of_light(sample.image[0].numpy(), inside[deep], 5)
    np.testing.assert_allclose(found, inside[deep], atol=0.35)


@pytest.mark.parametrize("seed", range(4))
def test_the_point_of_a_fine_patch_lies_on_its_vertebra(seed: int) -> None:
    sample = fine_sample(column(), VALUES, replace(FinePlan(), synthesis=PLAIN), np.random.default_rng(seed))
    assert sample.image.shape == (2, 48, 56, 56)
    found = centers_of_light(sample.image[0].numpy(), sample.points.numpy(), 8)
    # Half a voxel: tissues are looked up at the nearest one.
    np.testing.assert_allclose(found, sample.points, atol=0.5)
    away = (sample.points[0].numpy() - np.array([24, 28, 28])) * 2
    assert (np.abs(away) <= 1.3 * FinePlan().most).all()


def test_a_cut_vertebra_is_unknown_and_one_out_of_view_absent() -> None:
    patient = column()
    # The view ends in the middle of level 0 (k 136–145) and begins above level 15 (k 64–73).
    middle = int(patient.points[0, 0])
    first = int(patient.high[15, 0])
    view = even_view(np.array([float(first), 0, 0]), np.ones(3), (middle - first, 70, 80), False)
    share = view.share(patient)
    assert 0 < share[0] < 0.7
    assert share[5] == share[10] == 1
    assert share[15] == share[20] == share[1] == 0


def test_a_stretched_axis_rises_keeps_its_middle_and_its_steps_near_the_even_ones() -> None:
    even = 5 + 1.5 * np.arange(200)
    for seed in range(5):
        axis = stretched(even, 0.2, np.random.default_rng(seed))
        assert axis[100] == pytest.approx(even[100])
        steps = np.diff(axis)
        assert steps.min() >= 1.5 * 0.8 - 1e-9
        assert steps.max() <= 1.5 * 1.2 + 1e-9
        assert np.ptp(steps) > 0


def test_a_view_outside_the_patient_is_air() -> None:
    view = even_view(np.array([-10.0, -4.0, 70.0]), np.ones(3), (20, 10, 20), False)
    seen = view.tissues(column())
    for outside in (seen[:10], seen[:, :4], seen[:, :, 10:]):
        assert (outside == 0).all()
    assert (seen[10:, 9:, :5] == 1).all()


def test_the_gaussian_of_a_patch_is_the_engine_s() -> None:
    from medinfer.inference import feeds
    from medinfer.library.package import load_package

    folder = Path(__file__).resolve().parents[3] / "Resources" / "Models" / "vertebrae"
    stage = load_package(folder).manifest.pass_named("fine")
    plan = FinePlan()
    assert stage.tiling.join == "patches"
    assert stage.tiling.patch == plan.size
    np.testing.assert_allclose(feeds.middle_gaussian(stage)[0], middle_gaussian(plan.size, plan.sigma), atol=1e-7)


def test_the_loss_is_least_at_the_gaussian_itself_and_blind_to_the_unknown() -> None:
    points = torch.tensor([[[3.0, 4.0, 5.0], [float("nan")] * 3, [6.0, 6.0, 6.0]]])
    known = torch.tensor([[1.0, 1.0, 0.0]])
    grid = np.stack(np.mgrid[0:9, 0:10, 0:11]).astype(float)
    target = np.zeros((1, 3, 9, 10, 11))
    target[0, 0] = np.exp(-((grid - np.array([3, 4, 5])[:, None, None, None]) ** 2).sum(axis=0) / (2 * 1.5**2))
    target = np.clip(target, 1e-6, 1 - 1e-6)
    best = torch.tensor(np.log(target / (1 - target))).float()
    entropy = -(target[0, :2] * np.log(target[0, :2]) + (1 - target[0, :2]) * np.log(1 - target[0, :2])).sum()
    mass = (2 * np.pi) ** 1.5 * 1.5**3
    loss = float(heatmap_loss(best, points, known, 1.5))
    assert loss == pytest.approx(entropy / (2 * mass), rel=1e-3)
    for change in (0.3, -0.3):
        assert float(heatmap_loss(best + change, points, known, 1.5)) > loss
    other = best.clone()
    other[0, 2] = 7.0
    assert float(heatmap_loss(other, points, known, 1.5)) == pytest.approx(loss)


def plan() -> LandmarkPlan:
    return LandmarkPlan(steps=4, warm_up=2, net=TINY, bfloat16=False)


def small_batch(step: int) -> LandmarkSample:
    rng = np.random.default_rng(step)
    samples = [coarse_sample(column(n), (32, 24, 24), VALUES, CoarsePlan(), rng) for n in range(2)]
    return LandmarkSample(*(
        torch.stack([getattr(sample, name) for sample in samples]) for name in ("image", "points", "known")
    ))


def test_a_resumed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole = LandmarkTrainer(plan())
    for step in range(4):
        whole.advance(small_batch(step))
    first = LandmarkTrainer(plan())
    for step in range(2):
        first.advance(small_batch(step))
    first.save(tmp_path / "checkpoint.pt")
    second = LandmarkTrainer(plan())
    second.load(tmp_path / "checkpoint.pt")
    for step in range(2, 4):
        second.advance(small_batch(step))
    for name, value in whole.net.state_dict().items():
        assert torch.equal(value, second.net.state_dict()[name]), name
    assert torch.equal(whole.average["output.weight"], second.average["output.weight"])
    with pytest.raises(ValueError, match="seed 1"):
        LandmarkTrainer(replace(plan(), seed=2)).load(tmp_path / "checkpoint.pt")


def test_batches_follow_from_seed_and_step_alone() -> None:
    patients = [column(0), column(1)]
    crops = Crops(patients, "fine", LandmarkPlan(crops=2, seed=3), range(5, 9))
    again = Crops(patients, "fine", LandmarkPlan(crops=2, seed=3), range(9))
    assert len(crops) == 4
    assert torch.equal(crops[1].image, again[6].image)
    assert not torch.equal(crops[1].image, crops[2].image)


def test_training_learns_to_find_a_ball() -> None:
    """The fine stage on one ball in a body: after some dozen steps its heatmap has its maximum near the truth."""
    torch.manual_seed(0)
    spec = LandmarkNetSpec(inputs=2, landmarks=1, widths=(6, 8), dilations=(1,))
    trainer = LandmarkTrainer(LandmarkPlan(steps=40, warm_up=5, rate=2e-2, net=spec, bfloat16=False, averaging=0.8))
    quick = replace(FinePlan(), size=(24, 24, 24), synthesis=PLAIN)
    patients = [column(n) for n in range(3)]

    def batch(seed: int) -> LandmarkSample:
        rng = np.random.default_rng(seed)
        samples = [fine_sample(patients[n % 3], VALUES, quick, rng) for n in range(4)]
        return LandmarkSample(*(
            torch.stack([getattr(sample, name) for sample in samples]) for name in ("image", "points", "known")
        ))

    losses = [trainer.advance(batch(step)) for step in range(40)]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    test = batch(1000)
    trainer.net.eval()
    with torch.inference_mode():
        answer = trainer.net(test.image)
    for one, point in zip(answer, test.points, strict=True):
        best = np.array(np.unravel_index(int(one[0].argmax()), one.shape[1:])) * 2 + 0.5
        assert np.linalg.norm(best - point[0].numpy()) < 3


def test_patients_survive_their_files_and_half_written_ones_are_left_out(tmp_path: Path) -> None:
    patient = column()
    patient.save(tmp_path / "patient-1.npz")
    (tmp_path / "patient-2.partial.npz").write_bytes(b"PK")
    assert [path.name for path in patient_files(tmp_path)] == ["patient-1.npz"]
    again = PatientMap.load(tmp_path / "patient-1.npz")
    np.testing.assert_array_equal(again.tissues, patient.tissues)
    np.testing.assert_array_equal(again.points, patient.points)


def test_an_odd_size_moves_nothing() -> None:
    """What a network answers on the near part of an image does not depend on whether a voxel more lies at its end."""
    torch.manual_seed(2)
    net = LandmarkNet(LandmarkNetSpec(landmarks=1, widths=(4, 4, 4), dilations=(1,))).eval()
    image = torch.zeros(1, 1, 96, 24, 24)
    image[:, :, 20:28, 8:16, 8:16] = torch.rand(8, 8, 8)
    with torch.inference_mode():
        whole = net(image)[:, :, :24]
        odd = net(image[:, :, :93])[:, :, :24]
    # 24 cells are 48 voxels: the end lies beyond what three levels see from there.
    torch.testing.assert_close(odd, whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("spec", [COARSE, FINE, TINY])
def test_any_size_gives_half_of_it_rounded_up(spec: LandmarkNetSpec) -> None:
    net = LandmarkNet(spec).eval()
    with torch.inference_mode():
        assert net(torch.zeros(1, spec.inputs, 19, 22, 33)).shape == (1, spec.landmarks, 10, 11, 17)


def test_the_exported_file_gives_the_network_s_numbers_at_every_size(tmp_path: Path) -> None:
    torch.manual_seed(1)
    net = LandmarkNet(replace(TINY, inputs=2, landmarks=3)).eval()
    # Measured batch norm statistics other than 0 and 1, so that folding them is seen.
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
    assert export_onnx(HeatmapNet(net), tmp_path / "net.onnx", examples(net), ["heatmaps"], tolerance=1e-5) < 1e-5


def test_a_checkpoint_s_averaged_network_is_ready_to_be_used(tmp_path: Path) -> None:
    trainer = LandmarkTrainer(plan())
    trainer.advance(small_batch(0))
    trainer.save(tmp_path / "checkpoint.pt")
    net = averaged_network(tmp_path / "checkpoint.pt", TINY)
    assert not net.training
    assert torch.equal(net.output.weight, trainer.average["output.weight"])
