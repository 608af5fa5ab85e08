"""Training of the tooth stages: what a crop shows agrees with what it asks for, and learning lowers the loss."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import center_of_mass

from medinfer.library.package import load_package
from medtrain.augmentation.label_synthesis import IntensityTable
from medtrain.augmentation.tooth_hu import cbct_table
from medtrain.augmentation.turning import rotation
from medtrain.datasets.tooth_crops import CropPlan, JawMap, draw_image, draw_view, jaw_files, jaw_map
from medtrain.datasets.tooth_names import FDI, mirrored
from medtrain.phantoms.jaw import Jaws, JawSpec, Tissue, draw_jaws
from medtrain.training.tooth_stages import (
    PATCH,
    STAGES,
    StageName,
    canal_sample,
    centroid_loss,
    instance_loss,
    instance_sample,
    naming_sample,
    overlap_loss,
)
from medtrain.training.train_teeth import Crops, ToothPlan, ToothTrainer, averaged_network


@pytest.fixture(scope="module")
def jaws() -> Jaws:
    return draw_jaws(5, JawSpec(dentition="full", restored=0.4), spacing=1.0)


@pytest.fixture(scope="module")
def jaw(jaws: Jaws) -> JawMap:
    return jaw_map(jaws)


@pytest.fixture(scope="module")
def table() -> IntensityTable:
    return cbct_table()


def test_a_map_keeps_tissues_teeth_and_centroids(jaws: Jaws, jaw: JawMap, tmp_path: Path) -> None:
    assert (jaw.voxels & 255 == jaws.tissues).all()
    assert (jaw.voxels >> 8 == jaws.teeth).all()
    np.testing.assert_allclose(jaw.centroids, center_of_mass(np.ones(jaws.teeth.shape), jaws.teeth, jaw.teeth))
    jaw.save(tmp_path / "jaws-00005.npz")
    (tmp_path / "jaws-00006.partial.npz").write_bytes(b"half")
    (path,) = jaw_files(tmp_path)
    again = JawMap.load(path)
    assert (again.voxels == jaw.voxels).all()
    assert (again.centroids == jaw.centroids).all()


@pytest.mark.parametrize("seed", range(6))
def test_a_view_shows_the_voxel_that_it_says(jaw: JawMap, seed: int) -> None:
    rng = np.random.default_rng(seed)
    view = draw_view(CropPlan((24, 30, 28), 1.0), np.array(jaw.voxels.shape) / 2, rng)
    tissues, teeth = view.sampled(jaw)
    for _ in range(200):
        at = np.array([int(rng.integers(n)) for n in view.size])
        behind = at if not view.mirrored else np.array([at[0], at[1], view.size[2] - 1 - at[2]])
        source = view.matrix @ behind + view.offset
        index = np.rint(source).astype(int)
        if (np.abs(source - np.floor(source) - 0.5) < 1e-6).any():
            continue  # half way between two voxels either is nearest
        inside = ((index >= 0) & (index < jaw.voxels.shape)).all()
        number = int(jaw.voxels[tuple(index)] >> 8) if inside else 0
        if view.mirrored and number in FDI:
            number = mirrored(number)
        assert teeth[tuple(at)] == number
        assert tissues[tuple(at)] == (jaw.voxels[tuple(index)] & 255 if inside else 0)
        np.testing.assert_allclose(view.place(source[None])[0], at, atol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_offsets_lead_every_tooth_voxel_to_its_tooths_centroid(
    jaw: JawMap, table: IntensityTable, seed: int
) -> None:
    sample = instance_sample(jaw, table, np.random.default_rng(seed))
    seg, offset = sample["seg"][0].numpy() > 0, sample["offset"].numpy()
    assert sample["image"].shape == sample["seen"].shape == sample["seg"].shape == (1, 80, 80, 80)
    assert seg.any()
    goals = np.argwhere(seg) + np.moveaxis(offset, 0, -1)[seg]
    # As many places as there are teeth in view: every voxel of a tooth names the same one.
    assert len(np.unique(goals.round(2), axis=0)) <= len(jaw.teeth)
    assert not offset[:, ~seg].any()
    # Of a tooth that lies wholly in view the goal is its voxels' mean.
    for goal in np.unique(goals.round(2), axis=0):
        mine = np.argwhere(seg)[np.abs(goals - goal).max(axis=1) < 0.02]
        if (mine.min(axis=0) > 0).all() and (mine.max(axis=0) < 79).all():
            np.testing.assert_allclose(mine.mean(axis=0), goal, atol=0.75)


def test_patches_are_named_after_the_tooth_in_their_middle(jaw: JawMap, table: IntensityTable) -> None:
    """The tooth under the middle voxel, looked up in the drawing of the same seed, is the target."""
    for seed in range(4):
        sample = naming_sample(jaw, table, np.random.default_rng(seed))
        assert sample["image"].shape == (6, 2, *PATCH)
        np.testing.assert_allclose(sample["target"].sum(dim=1), 1, atol=1e-5)
        middle = tuple(n // 2 for n in PATCH)
        assert sample["image"][:, 1].flatten(1).argmax(dim=1).eq(np.ravel_multi_index(middle, PATCH)).all()
        named = {FDI[int(row.argmax())] for row in sample["target"] if row.max() == 1}
        assert named <= {*jaw.teeth.tolist(), *(mirrored(n) for n in jaw.teeth.tolist() if n in FDI)}


def test_both_sides_are_drawn(jaw: JawMap, table: IntensityTable) -> None:
    quadrants = set()
    for seed in range(6):
        target = naming_sample(jaw, table, np.random.default_rng(seed))["target"]
        quadrants |= {FDI[int(row.argmax())] // 10 for row in target if row.max() == 1}
    assert quadrants >= {1, 2, 3, 4}


def test_the_canal_is_where_the_tissue_is(jaw: JawMap, table: IntensityTable) -> None:
    shares = [float(canal_sample(jaw, table, np.random.default_rng(seed))["seg"].mean()) for seed in range(5)]
    assert max(shares) > 0
    assert max(shares) < 0.02  # a thin tube


def test_an_image_is_about_0_to_1_and_ends_now_and_then(jaw: JawMap, table: IntensityTable) -> None:
    plan = CropPlan((32, 40, 40), 1.0)
    ends = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        tissues, _ = draw_view(plan, np.array(jaw.voxels.shape) / 2, rng).sampled(jaw)
        image, seen = draw_image(tissues, table, plan, rng)
        assert torch.isfinite(image).all()
        assert -0.5 <= float(image.min()) <= float(image.max()) <= 1.5
        ends += int((seen == 0).any())
    assert 0 < ends < 12


def test_the_table_knows_every_tissue(table: IntensityTable) -> None:
    assert len(table.mean) == max(Tissue) + 1
    assert table.mean[Tissue.ENAMEL] > table.mean[Tissue.DENTIN] > table.mean[Tissue.PULP]


def test_overlap_loss_against_hand_computed_values() -> None:
    target = torch.tensor([[[[[1.0, 0.0, 0.0, 1.0]]]]])
    seen = torch.tensor([[[[[1.0, 1.0, 1.0, 0.0]]]]])
    sure = torch.tensor([[[[[20.0, -20.0, -20.0, -20.0]]]]])
    assert float(overlap_loss(sure, target * seen, seen)) == pytest.approx(0, abs=1e-6)
    # All ½: Dice 1 − (2 · ½ + 1) / (1.5 + 1 + 1), cross-entropy log 2 of 3 of 4 voxels, weighted 4 / (11 · 1).
    expected = 1 - 2 / 3.5 + 4 / 11 * 0.75 * np.log(2)
    assert float(overlap_loss(torch.zeros_like(target), target * seen, seen)) == pytest.approx(expected, rel=1e-5)


def test_offsets_count_on_teeth_that_are_seen_alone() -> None:
    seg = torch.tensor([[[[[1.0, 0.0, 1.0]]]]])
    seen = torch.tensor([[[[[1.0, 1.0, 0.0]]]]])
    logits = torch.tensor([[[[[30.0, -30.0, 5.0]]]]])
    offset = torch.zeros(1, 3, 1, 1, 3)
    batch = {"seg": seg, "seen": seen, "offset": offset}
    wrong = offset.clone()
    wrong[..., 1:] = 100.0
    assert float(instance_loss((logits, wrong), batch)) == pytest.approx(0, abs=1e-6)
    wrong[..., 0] = 2.0
    # Half a unit along each of three axes: 0.5 − β / 2 beyond β = 0.25.
    assert float(instance_loss((logits, wrong), batch)) == pytest.approx(3 * (0.5 - 0.125), rel=1e-5)


def test_centroids_are_judged_against_the_nearest_gaussian() -> None:
    points = torch.full((1, 64, 3), torch.nan)
    points[0, 0] = torch.tensor([4.0, 4.0, 4.0])
    seen = torch.ones(1, 1, 9, 9, 9)
    squares = sum((torch.arange(9.0).view(*shape) - 4) ** 2 for shape in ((9, 1, 1), (1, 9, 1), (1, 1, 9)))
    gaussian = torch.exp(-squares / (2 * 1.3**2))
    best = torch.logit(gaussian.clamp(1e-6, 1 - 1e-6))[None, None]
    at_best = float(centroid_loss((best,), {"points": points, "seen": seen}))
    entropy = -(gaussian * gaussian.clamp_min(1e-9).log() + (1 - gaussian) * (1 - gaussian).clamp_min(1e-9).log())
    mass = (2 * np.pi) ** 1.5 * 1.3**3 * 2
    assert at_best == pytest.approx(float(entropy.sum()) / mass, rel=1e-3)
    assert float(centroid_loss((torch.zeros_like(best),), {"points": points, "seen": seen})) > at_best


def test_batches_follow_from_seed_and_step(jaw: JawMap) -> None:
    plan = ToothPlan(stage="canal", seed=3)
    one, same = Crops([jaw], plan, range(2, 4))[0], Crops([jaw], plan, range(4))[2]
    assert torch.equal(one["image"], same["image"])
    assert not torch.equal(one["image"], Crops([jaw], plan, range(4))[3]["image"])


@pytest.mark.parametrize("stage", ["centroids", "naming"])
def test_learning_from_a_batch_lowers_its_loss(jaw: JawMap, stage: StageName) -> None:
    plan = ToothPlan(stage=stage, warm_up=1, bfloat16=False)
    trainer = ToothTrainer(plan)
    batch = Crops([jaw], plan, range(1))[0]
    small = {name: value[:1] for name, value in batch.items()}
    if stage == "centroids":
        small = {name: value if name == "points" else value[..., :40, :48, :48] for name, value in small.items()}
    losses = [trainer.advance(small) for _ in range(6)]
    assert losses[-1] < losses[0]


def test_rotations_keep_lengths_and_turn_about_one_axis() -> None:
    turn = rotation([0.3, -0.2, 0.5])
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1)
    np.testing.assert_allclose(rotation([np.pi / 2, 0, 0]) @ [0, 1, 0], [0, 0, 1], atol=1e-12)


def test_export_writes_a_package_with_the_documents_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnx

    from medtrain.export import export_teeth

    flags = []
    for stage in STAGES:
        checkpoint = tmp_path / f"{stage}.pt"
        trainer = ToothTrainer(ToothPlan(stage=stage))
        trainer.save(checkpoint)
        flags += [f"--{stage}", str(checkpoint)]
    monkeypatch.setattr(export_teeth, "_CHECKED", ((24, 16, 16),))
    export_teeth.main([*flags, "--out", str(tmp_path / "teeth")])
    package = load_package(tmp_path / "teeth")
    assert [one.name for one in package.manifest.passes] == list(STAGES)
    assert [label.name for label in package.manifest.labels] == [*(str(number) for number in FDI), "Mandibular canal"]
    names = {stage: [entry.name for entry in onnx.load(str(tmp_path / "teeth" / f"{stage}.onnx")).graph.output]
             for stage in STAGES}
    assert names == {
        "centroids": ["centroid"], "instances": ["seg", "offset_z", "offset_y", "offset_x"], "naming": ["output"],
        "canal": ["seg"],
    }
    # A card that stands there stays.
    path = tmp_path / "teeth" / "model.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    data["card"]["summary"] = "mine"
    path.write_text(json.dumps(data), encoding="utf-8")
    export_teeth.main(["--out", str(tmp_path / "teeth")])
    assert load_package(tmp_path / "teeth").manifest.card.summary == "mine"


def test_the_averaged_network_is_the_checkpoints(tmp_path: Path) -> None:
    trainer = ToothTrainer(ToothPlan(stage="canal"))
    trainer.save(tmp_path / "checkpoint.pt")
    net = averaged_network(tmp_path / "checkpoint.pt", "canal")
    assert torch.equal(net.state_dict()["head.layer.bias"], trainer.average["head.layer.bias"])


def test_trunks_have_bones_and_no_teeth_and_end_below_the_neck(table: IntensityTable) -> None:
    from medtrain.datasets.toothless import trunk_map
    from medtrain.phantoms.spine import LEVELS, draw_patient
    from medtrain.training.tooth_stages import centroid_sample

    patient = draw_patient(7, spacing=4.0)
    trunk = trunk_map(patient)
    assert len(trunk.teeth) == 0
    tissues = trunk.voxels & 255
    assert (trunk.voxels >> 8 == 0).all()
    assert {Tissue.CORTICAL, Tissue.CANCELLOUS, Tissue.SINUS, Tissue.FAT} <= set(np.unique(tissues))
    assert not np.isin(patient.vertebrae[: len(tissues)], range(1, LEVELS.index("T1") + 1)).any()
    sample = centroid_sample(trunk, table, np.random.default_rng(0))
    assert torch.isnan(sample["points"]).all()
    assert torch.isfinite(sample["image"]).all()
