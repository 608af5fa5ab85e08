"""Cases, crops and the training run: places that fit, runs that can be repeated and resumed, and that learn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from medinfer.scoring.froc import match_all
from medtrain.datasets.detection_data import (
    FILL,
    Case,
    CropPlan,
    case_files,
    change_appearance,
    coordinate_grid,
    cut,
    cut_crop,
    draw_batch,
    draw_crop,
    load_case,
    luminance,
    save_case,
)
from medtrain.networks.anchor_net import AnchorNetSpec
from medtrain.targets.anchor_targets import AnchorTargets
from medtrain.training.detector_validation import answer, as_scan
from medtrain.training.train_detector import Trainer, TrainingPlan, train
from medtrain.training.training_run import learning_rate

TINY = AnchorNetSpec(
    stem=4, widths=(8, 8, 8, 8), depths=(1, 1, 1, 1), back_widths=(8, 8), back_depths=(1, 1), head=8, anchors=2
)
PLAN = TrainingPlan(
    steps=6,
    crops=2,
    warm_up=2,
    net=TINY,
    targets=AnchorTargets(anchors=(6, 12), negatives=0),
    cropping=CropPlan(size=32, bound=8),
)


def balls(seed: int, side: int = 56, count: int = 3) -> Case:
    """Bright balls in noise, with exact truth."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.mgrid[:side, :side, :side])
    image = np.full((side,) * 3, 50.0)
    nodules = np.column_stack([rng.uniform(10, side - 10, (count, 3)), rng.uniform(6, 14, count)])
    for nodule in nodules:
        distance = np.linalg.norm(grid - nodule[:3, None, None, None], axis=0)
        image = np.maximum(image, 50 + 120 * np.clip(nodule[3] / 2 - distance + 0.5, 0, 1))
    image += rng.normal(0, 4, image.shape)
    return Case(f"balls-{seed}", np.clip(image, 0, 255).astype(np.uint8), nodules, np.zeros((0, 4)))


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {**trainer.net.state_dict(), **{f"average.{name}": value for name, value in trainer.average.items()}}


def test_luminance_maps_minus_1200_to_600_hu_onto_8_bits() -> None:
    assert luminance(np.array([-3024, -1200, 0, 600, 3000])).tolist() == [0, 0, 170, 255, 255]


def test_a_case_survives_its_file_and_half_written_ones_are_left_out(tmp_path: Path) -> None:
    case = balls(0)
    save_case(case, tmp_path / "balls-0.npz")
    (tmp_path / "balls-1.partial.npz").write_bytes(b"PK")
    assert [path.name for path in case_files(tmp_path)] == ["balls-0.npz"]
    again = load_case(tmp_path / "balls-0.npz")
    assert again.name == case.name
    np.testing.assert_array_equal(again.image, case.image)
    np.testing.assert_array_equal(again.nodules, case.nodules)


def test_what_is_cut_outside_the_image_is_fill() -> None:
    image = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    block = cut(image, (-1, 1, 2), (2, 5, 4))
    padded = np.pad(image, 4, constant_values=FILL)
    np.testing.assert_array_equal(block, padded[3:6, 5:9, 6:8])
    assert (cut(image, (9, 9, 9), (11, 12, 13)) == FILL).all()


def test_a_crop_as_it_is_is_a_plain_slice() -> None:
    case = balls(1)
    crop = cut_crop(case, np.array([27.5, 29.5, 25.5]), 32, 1.0, np.zeros(3, bool))
    np.testing.assert_allclose(crop.image, case.image[12:44, 14:46, 10:42], atol=1e-3)
    expected = case.nodules - [12, 14, 10, 0]
    for row in crop.nodules:
        assert np.isclose(expected, row).all(axis=1).any()


@pytest.mark.parametrize("seed", range(4))
def test_nodules_move_with_the_image_when_it_is_mirrored_and_magnified(seed: int) -> None:
    """A single ball: where the crop is bright, there its truth says it is, and so large."""
    rng = np.random.default_rng(seed)
    case = balls(seed, count=1)
    # 255 inside the ball alone; `FILL` outside the case lies below the threshold.
    clean = replace(case, image=np.where(case.image > 110, 255, 101).astype(np.uint8))
    factor = float(rng.uniform(0.8, 1.25))
    crop = cut_crop(clean, case.nodules[0, :3] + rng.uniform(-4, 4, 3), 48, factor, rng.random(3) < 0.5)
    bright = crop.image > 178
    np.testing.assert_allclose(np.argwhere(bright).mean(0), crop.nodules[0, :3], atol=0.4)
    assert (6 * bright.sum() / np.pi) ** (1 / 3) == pytest.approx(crop.nodules[0, 3], rel=0.06)
    assert crop.nodules[0, 3] == pytest.approx(case.nodules[0, 3] * factor)


def test_coordinates_of_a_crop_run_over_its_part_of_the_scan() -> None:
    case = balls(2, side=64)
    whole = cut_crop(case, np.array([32.0, 32.0, 32.0]), 64, 1.0, np.zeros(3, bool))
    np.testing.assert_allclose(whole.coordinates, coordinate_grid((64, 64, 64)), atol=1e-6)
    mirrored = cut_crop(case, np.array([32.0, 32.0, 32.0]), 64, 1.0, np.array([True, False, False]))
    np.testing.assert_allclose(mirrored.coordinates[0], -whole.coordinates[0], atol=1e-6)
    np.testing.assert_allclose(mirrored.coordinates[1:], whole.coordinates[1:], atol=1e-6)


def test_a_nodule_that_was_drawn_keeps_its_bound() -> None:
    plan = CropPlan(size=32, bound=10, nodule_share=1.0)
    case = balls(3, count=1)
    for seed in range(20):
        centre = draw_crop([case], plan, np.random.default_rng(seed)).nodules[0, :3]
        assert (centre > 8.5).all()
        assert (centre < 22.5).all()


def test_appearance_leaves_what_is_painted_over() -> None:
    image = balls(4).image.astype(np.float32)
    image[:10] = FILL
    changed = change_appearance(image, np.random.default_rng(0))
    assert (changed[:10] == FILL).all()
    assert (changed[10:] != image[10:]).mean() > 0.9
    assert changed.min() >= 0
    assert changed.max() <= 255


def test_a_batch_is_a_function_of_seed_and_step() -> None:
    cases = [balls(5), balls(6)]
    drawn = [draw_batch(cases, PLAN.cropping, PLAN.targets, 2, seed, step) for seed, step in ((1, 3), (1, 3), (1, 4))]
    np.testing.assert_array_equal(drawn[0].images, drawn[1].images)
    np.testing.assert_array_equal(drawn[0].labels, drawn[1].labels)
    assert not np.array_equal(drawn[0].images, drawn[2].images)
    assert drawn[0].images.shape == (2, 1, 32, 32, 32)
    assert drawn[0].coordinates.shape == (2, 3, 8, 8, 8)
    assert drawn[0].labels.shape == (2, 8, 8, 8, 2, 5)


def test_the_rate_warms_up_stays_and_falls_to_zero() -> None:
    plan = TrainingPlan(steps=100, rate=1.0, warm_up=10, cool_down=0.5)
    rates = [learning_rate(step, plan) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:51] == pytest.approx([1.0] * 42)
    assert rates[75] == pytest.approx(0.5)
    assert rates[100] == 0


def test_six_steps_are_three_and_three_resumed(tmp_path: Path) -> None:
    cases = [balls(7), balls(8)]
    whole, first = Trainer(PLAN), Trainer(PLAN)
    for _ in range(6):
        whole.advance(cases)
    for _ in range(3):
        first.advance(cases)
    first.save(tmp_path / "checkpoint.pt")
    torch.manual_seed(12345)
    second = Trainer(PLAN)
    second.load(tmp_path / "checkpoint.pt")
    for _ in range(3):
        second.advance(cases)
    expected = weights(whole)
    for name, value in weights(second).items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=0, msg=name)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_checkpoint_of_another_seed_is_refused(tmp_path: Path) -> None:
    Trainer(PLAN).save(tmp_path / "checkpoint.pt")
    with pytest.raises(ValueError, match="seed 1: resume with that seed, not 2"):
        Trainer(replace(PLAN, seed=2)).load(tmp_path / "checkpoint.pt")


def test_a_checkpoint_with_code_in_it_is_not_run(tmp_path: Path) -> None:
    torch.save({"step": 0, "seed": 1, "net": Path("x"), "average": {}, "optimiser": {}}, tmp_path / "checkpoint.pt")
    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        Trainer(PLAN).load(tmp_path / "checkpoint.pt")


def test_training_lowers_the_loss_and_leaves_checkpoint_and_log(tmp_path: Path) -> None:
    save_case(balls(9), tmp_path / "cases" / "a.npz")
    trainer = Trainer(replace(PLAN, steps=40, rate=1e-2, averaging=0.9))
    held_out = balls(10)
    train(trainer, tmp_path / "cases", tmp_path / "out", [held_out], validate_every=40, log_every=20)
    entries = (tmp_path / "out" / "log.jsonl").read_text().splitlines()
    assert len(entries) == 3
    losses = [float(entry.split('"loss": ')[1].split(",")[0]) for entry in entries[:2]]
    assert losses[1] < 0.9 * losses[0]
    assert '"cpm"' in entries[2]
    assert (tmp_path / "out" / "checkpoint.pt").exists()


def test_slabs_give_what_the_whole_scan_gives() -> None:
    torch.manual_seed(0)
    net = Trainer(PLAN).averaged()
    image = np.random.default_rng(0).integers(0, 255, (120, 20, 30)).astype(np.uint8)
    whole = answer(net, image, slab=128)
    assert whole.shape == (32, 8, 8, 2, 5)
    # The tiny network's receptive field is wider than a margin of 32 only through its two coarsest levels.
    np.testing.assert_allclose(answer(net, image, slab=32, margin=64), whole, atol=1e-4)


def test_a_case_and_its_candidates_become_a_scan_for_froc() -> None:
    nodules = np.array([[10, 10, 10, 8.0], [30, 30, 30, 6.0]])
    case = Case("c", np.zeros((4, 4, 4), np.uint8), nodules, np.array([[50, 50, 50, 10.0]]))
    rows = [[3, 12, 10, 10, 5], [2, 10, 10, 10, 8], [1, 36, 30, 30, 6], [0, 51, 50, 50, 6], [-1, 0, 0, 0, 5]]
    found = match_all([as_scan(case, np.array(rows, dtype=np.float64))])[0]
    assert found.nodule_scores.tolist() == [3, -np.inf]
    assert sorted(found.false_positive_scores.tolist()) == [-1, 1]
    assert (found.double, found.ignored) == (1, 1)


def test_held_out_seeds_are_refused_for_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from medtrain.datasets.prepare_cases import main

    with pytest.raises(SystemExit):
        main(["--out", str(tmp_path), "--seeds", "8999", "9000"])
    assert "never for training" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
