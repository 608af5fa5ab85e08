"""Spine data sets: centroids, spacing and orientation, crops that drop cut vertebrae, patches, elastic deformation."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from scipy import ndimage
from torch.utils.data import DataLoader

from medinfer.errors import MedInferError, ScanError
from medinfer.volume import Grid
from medtrain.augmentation.elastic import deformed, deformed_mask, displacement
from medtrain.datasets.label_centroids import label_centroids
from medtrain.datasets.spine_cases import CaseFolder, SpineCase, cut_block, find_pairs, read_case
from medtrain.datasets.spine_data import (
    AIR,
    SpineCentroids,
    SpineCropPlan,
    cut_crop,
    draw_crop,
    normalised,
    one_channel,
    one_hot,
)
from medtrain.datasets.vertebra_names import LEVELS, SCHEMES, read_names
from medtrain.datasets.vertebra_patches import FILL, PatchPlan, VertebraPatches, cut_patch, elastic_patch, every_patch
from medtrain.targets.gaussian_targets import gaussian_heatmaps

L1, L2, L3 = (LEVELS.index(name) for name in ("L1", "L2", "L3"))
# By VerSe's value: the first and last voxel (k, j, i) of a block on the grid of `write_scan`. L3 is at the border.
BLOCKS = {20: ((30, 8, 10), (35, 13, 19)), 21: ((15, 9, 12), (20, 14, 19)), 22: ((0, 10, 12), (5, 15, 19))}


def write_scan(
    folder: Path, name: str, *, image_ending: str = "", flipped: bool = False, spacing_k: float = 3.0
) -> Grid:
    """A scan of air with bright blocks and its VerSe label map, LPS; `flipped`: the same stored from the other ends."""
    labels = np.zeros((40, 30, 32), np.uint8)
    for value, (low, high) in BLOCKS.items():
        labels[tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))] = value
    hu = np.where(labels > 0, 500, -1000).astype(np.int16)
    for voxels, ending in ((hu, image_ending), (labels, "_seg")):
        image = sitk.GetImageFromArray(voxels)
        image.SetSpacing((1.5, 2.0, spacing_k))
        image.SetOrigin((-10, 20, 30))
        sitk.WriteImage(sitk.Flip(image, (True, False, True)) if flipped else image, folder / f"{name}{ending}.nii.gz")
    return Grid(labels.shape, np.array([[-1.5, 0, 0, 10], [0, -2.0, 0, -20], [0, 0, spacing_k, 30], [0, 0, 0, 1]]))


def middle_ras(grid: Grid, value: int) -> np.ndarray:
    low, high = BLOCKS[value]
    return grid.to_ras((np.array(low) + high) / 2)


@pytest.fixture
def blocks() -> SpineCase:
    """Three vertebrae of 6³ voxels, one above the other."""
    vertebrae = np.zeros((40, 24, 24), np.uint8)
    points = np.full((25, 3), np.nan)
    for label, k in ((L1, 28), (L2, 16), (L3, 4)):
        vertebrae[k : k + 6, 9:15, 8:14] = label + 1
        points[label] = (k + 2.5, 11.5, 10.5)
    image = np.where(vertebrae > 0, 400, 40).astype(np.int16)
    return SpineCase("blocks", image, vertebrae, points, Grid(vertebrae.shape, np.diag([2.0, 2, 2, 1])))


# --- centroids and names ---------------------------------------------------------------------------------------------


def test_centroids_of_all_labels_are_scipys_and_the_border_is_noticed() -> None:
    labels = np.random.default_rng(1).integers(0, 5, (6, 7, 8)) * 100
    labels[labels == 400] = 0
    labels[2:4, 3, 3] = 400
    found = label_centroids(labels)
    assert list(found) == [100, 200, 300, 400]
    for value, label in found.items():
        assert label.centroid == pytest.approx(ndimage.center_of_mass(labels == value))
        assert label.voxels == (labels == value).sum()
    assert [label.at_border for label in found.values()] == [True, True, True, False]
    assert label_centroids(np.zeros((2, 2, 2), np.uint8)) == {}


def test_the_public_label_maps_are_read_as_their_papers_say(tmp_path: Path) -> None:
    verse, total = SCHEMES["verse"], SCHEMES["totalsegmentator"]
    for value, name in {1: "C1", 7: "C7", 8: "T1", 19: "T12", 20: "L1", 24: "L5", 25: "L6", 28: "T13"}.items():
        assert verse[value] == name
    for value, name in {26: "S1", 27: "L5", 31: "L1", 32: "T12", 43: "T1", 44: "C7", 50: "C1"}.items():
        assert total[value] == name
    assert 26 not in verse
    assert 25 not in total
    (tmp_path / "names.json").write_text(json.dumps({"3": "L1"}))
    assert read_names(str(tmp_path / "names.json")) == {3: "L1"}
    (tmp_path / "names.json").write_text("[3]")
    with pytest.raises(MedInferError, match="contains no label names"):
        read_names(str(tmp_path / "names.json"))
    with pytest.raises(MedInferError, match="give verse or totalsegmentator"):
        read_names("versee")


# --- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("spacing_k", [2.0, 3.0, 1.0])
def test_points_and_voxels_lie_where_the_vertebrae_do_in_the_world(
    tmp_path: Path, flipped: bool, spacing_k: float
) -> None:
    grid = write_scan(tmp_path, "a", flipped=flipped, spacing_k=spacing_k)
    case = read_case(find_pairs(tmp_path)[0], SCHEMES["verse"])
    assert case.grid.spacing == pytest.approx((2, 2, 2))
    assert np.flatnonzero(~np.isnan(case.points[:, 0])).tolist() == [L1, L2]
    for label, value in ((L1, 20), (L2, 21)):
        np.testing.assert_allclose(case.grid.to_ras(case.points[label]), middle_ras(grid, value), atol=1e-4)
        voxels = np.argwhere(case.vertebrae == label + 1)
        # Nearest voxels: each side is right to half a voxel.
        np.testing.assert_allclose(case.grid.to_ras(voxels.mean(axis=0)), middle_ras(grid, value), atol=1.01)
        assert case.image[tuple(np.rint(case.points[label]).astype(int))] == 500


def test_a_vertebra_at_the_label_maps_border_is_left_out_of_both(tmp_path: Path) -> None:
    write_scan(tmp_path, "a")
    case = read_case(find_pairs(tmp_path)[0], SCHEMES["verse"])
    assert np.isnan(case.points[L3]).all()
    assert sorted(np.unique(case.vertebrae)) == [0, L1 + 1, L2 + 1]


def test_only_the_labels_that_were_asked_for_get_a_number(tmp_path: Path) -> None:
    write_scan(tmp_path, "a")
    case = read_case(find_pairs(tmp_path)[0], {20: "x", 21: "y"}, labels=("y",))
    assert case.points.shape == (1, 3)
    assert sorted(np.unique(case.vertebrae)) == [0, 1]


def test_a_label_map_on_another_grid_is_met_in_the_world(tmp_path: Path) -> None:
    grid = write_scan(tmp_path, "a")
    labels = sitk.ReadImage(tmp_path / "a_seg.nii.gz")
    sitk.WriteImage(labels[:, 4:, 2:], tmp_path / "a_seg.nii.gz")
    case = read_case(find_pairs(tmp_path)[0], SCHEMES["verse"])
    np.testing.assert_allclose(case.grid.to_ras(case.points[L1]), middle_ras(grid, 20), atol=1e-4)
    assert (case.vertebrae[case.image < -900] == 0).all()


def test_pairs_are_found_under_the_usual_names(tmp_path: Path) -> None:
    for name in ("b.nii.gz", "b_seg.nii.gz", "a_ct.nii.gz", "a_seg.nii.gz", "alone.nii.gz", "c_ct.nii.gz",
                 "c_seg-vert_msk.nii.gz", "orphan_seg.nii.gz"):
        (tmp_path / name).touch()
    assert [(pair.name, pair.image.name, pair.truth.name) for pair in find_pairs(tmp_path)] == [
        ("a", "a_ct.nii.gz", "a_seg.nii.gz"), ("b", "b.nii.gz", "b_seg.nii.gz"),
        ("c", "c_ct.nii.gz", "c_seg-vert_msk.nii.gz"),
    ]
    with pytest.raises(ScanError, match="no scan with its truth"):
        find_pairs(tmp_path / "nothing")


def test_a_label_map_of_fractions_is_refused(tmp_path: Path) -> None:
    write_scan(tmp_path, "a")
    labels = sitk.ReadImage(tmp_path / "a_seg.nii.gz")
    sitk.WriteImage(sitk.Cast(labels, sitk.sitkFloat32) * 0.3, tmp_path / "a_seg.nii.gz")
    with pytest.raises(ScanError, match="contains fractions"):
        read_case(find_pairs(tmp_path)[0], SCHEMES["verse"])


# --- crops -----------------------------------------------------------------------------------------------------------


def test_values_are_hu_over_2048_within_one() -> None:
    found = normalised(np.array([-5000, -1024, 0, 1024, 5000], np.int16))
    assert found.dtype == np.float32
    assert found.tolist() == [-1, -0.5, 0, 0.5, 1]


@pytest.mark.parametrize("whole", [1.0, 0.5])
def test_a_crop_keeps_exactly_the_vertebrae_that_lie_in_it(blocks: SpineCase, whole: float) -> None:
    plan = SpineCropPlan(shape=(16, 20, 20), whole=whole)
    for k in range(-3, 30):
        start = np.array([k, 2, 3])
        crop = cut_crop(blocks, start, plan)
        for label in range(25):
            planes = np.argwhere(blocks.vertebrae == label + 1)[:, 0] - k
            inside = ((planes >= 0) & (planes < 16)).sum()
            keep = len(planes) > 0 and inside >= whole * len(planes) and 0 <= blocks.points[label, 0] - k <= 15
            assert (crop.vertebrae == label + 1).sum() == (inside if keep else 0)
            if keep:
                np.testing.assert_allclose(crop.points[label] + start, blocks.points[label])
            else:
                assert np.isnan(crop.points[label]).all()
        assert (crop.grid.to_ras((0, 0, 0)) == blocks.grid.to_ras(start)).all()


def test_a_block_that_reaches_outside_is_filled() -> None:
    volume = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    for start in np.ndindex(7, 8, 9):
        low = np.array(start) - 4
        found = cut_block(volume, low, (3, 3, 3), -7)
        for voxel in np.ndindex(3, 3, 3):
            place = tuple(low + voxel)
            known = all(0 <= p < n for p, n in zip(place, volume.shape, strict=True))
            assert found[voxel] == (volume[place] if known else -7)


def test_drawn_crops_hold_a_whole_vertebra_and_meet_each_of_them(blocks: SpineCase) -> None:
    plan = SpineCropPlan(shape=(16, 20, 20), jitter=4)
    met = set()
    for seed in range(40):
        crop = draw_crop(blocks, plan, np.random.default_rng(seed))
        present = np.flatnonzero(~np.isnan(crop.points[:, 0]))
        assert crop.image.shape == (16, 20, 20)
        assert len(present) > 0
        met.update(present.tolist())
    assert met == {L1, L2, L3}


def test_a_scan_smaller_than_the_crop_lies_whole_in_it_with_air_around(blocks: SpineCase) -> None:
    crop = draw_crop(blocks, SpineCropPlan(shape=(64, 48, 48), jitter=2), np.random.default_rng(1))
    assert (crop.vertebrae > 0).sum() == 3 * 6**3
    assert (crop.image == AIR).sum() == 64 * 48 * 48 - blocks.image.size


def test_landmark_volumes_are_one_at_the_nearest_voxel() -> None:
    points = torch.tensor([[1.4, 2.6, 0.0], [torch.nan] * 3, [3.0, 0.4, 1.7]])
    volume = one_hot(points, (4, 5, 3))
    assert volume.nonzero().tolist() == [[0, 1, 3, 0], [2, 3, 0, 2]]
    assert one_channel(points, (4, 5, 3)).nonzero().tolist() == [[0, 1, 3, 0], [0, 3, 0, 2]]


def test_the_set_gives_the_same_crop_by_number_and_loads_in_batches(tmp_path: Path) -> None:
    write_scan(tmp_path, "a")
    write_scan(tmp_path, "b", image_ending="_ct", flipped=True)
    cases = CaseFolder(tmp_path, "verse", keep=1)
    plan = SpineCropPlan(shape=(24, 16, 20), jitter=3)
    heatmaps = SpineCentroids(cases, plan, crops=4, seed=3, target=partial(gaussian_heatmaps, sigma=2.0))
    again, other = SpineCentroids(cases, plan, crops=4, seed=3), SpineCentroids(cases, plan, crops=4, seed=4)
    assert all(torch.equal(heatmaps[n].image, again[n].image) for n in range(4))
    assert not all(torch.equal(other[n].image, again[n].image) for n in range(4))
    image, vertebrae, target, points = next(iter(DataLoader(heatmaps, batch_size=4)))
    assert image.shape == vertebrae.shape == (4, 1, 24, 16, 20)
    assert target.shape == (4, 25, 24, 16, 20)
    assert points.shape == (4, 25, 3)
    assert float(image.min()) == pytest.approx(-1024 / 2048)
    for sample in range(4):
        present = ~points[sample, :, 0].isnan()
        assert torch.equal(target[sample].flatten(1).amax(1) > 0.5, present)
    with pytest.raises(IndexError):
        heatmaps[4]


def test_without_a_plan_a_scan_comes_whole_in_25_classes_or_one(tmp_path: Path) -> None:
    write_scan(tmp_path, "a")
    cases = CaseFolder(tmp_path)
    each, one = SpineCentroids(cases)[0], SpineCentroids(cases, target=one_channel)[0]
    assert each.image.shape[1:] == cases[0].image.shape
    assert each.target.sum() == one.target.sum() == 2
    assert each.target.amax(dim=(1, 2, 3)).nonzero().ravel().tolist() == [L1, L2]
    assert one.target.shape[0] == 1


# --- patches ---------------------------------------------------------------------------------------------------------


def test_a_patch_has_its_vertebra_in_the_middle_and_no_other_in_the_mask(blocks: SpineCase) -> None:
    shape = (30, 20, 24)
    for label in (L1, L2, L3):
        patch = cut_patch(blocks, label, shape)
        centre = np.rint(blocks.points[label]).astype(int)
        for voxel in [(0, 0, 0), (15, 10, 12), (20, 11, 9), (29, 19, 23), (3, 8, 11)]:
            place = tuple(centre + voxel - np.array(shape) // 2)
            known = all(0 <= p < n for p, n in zip(place, blocks.image.shape, strict=True))
            assert patch.image[voxel] == (blocks.image[place] if known else FILL)
            assert patch.mask[voxel] == (known and blocks.vertebrae[place] == label + 1)
        assert patch.mask.sum() == 6**3


def test_every_vertebra_of_a_scan_gets_a_patch_with_its_landmark(blocks: SpineCase) -> None:
    samples = every_patch(blocks, PatchPlan(shape=(16, 20, 24)))
    assert [sample.label for sample in samples] == [L1, L2, L3]
    for sample in samples:
        assert sample.image.shape == sample.mask.shape == (1, 16, 20, 24)
        assert sample.landmark.nonzero().tolist() == [[0, 8, 10, 12]]
        assert float(sample.image.max()) == np.float32(400 / 2048)


def test_the_patch_set_draws_the_same_patch_by_number(tmp_path: Path) -> None:
    write_scan(tmp_path, "a")
    cases = CaseFolder(tmp_path)
    plan = PatchPlan(shape=(12, 16, 16))
    first, again = (VertebraPatches(cases, plan, patches=6, seed=1) for _ in range(2))
    assert {first[n].label for n in range(6)} == {L1, L2}
    assert all(torch.equal(first[n].image, again[n].image) for n in range(6))
    assert not torch.equal(VertebraPatches(cases, PatchPlan((12, 16, 16), alpha=0), seed=1)[0].image, first[0].image)
    with pytest.raises(ScanError, match="no complete vertebra"):
        VertebraPatches(CaseFolder(tmp_path, {22: "L3"}), plan)[0]


# --- elastic deformation ---------------------------------------------------------------------------------------------


def test_the_displacement_is_smoothed_uniform_noise_times_alpha() -> None:
    found = displacement((9, 10, 11), np.random.default_rng(2), alpha=20, sigma=2)
    noise = np.random.default_rng(2).random((3, 9, 10, 11), dtype=np.float32) * 2 - 1
    kernel = np.exp(-0.5 * (np.arange(-8, 9) / 2.0) ** 2)
    expected = noise.astype(np.float64)
    for axis in (1, 2, 3):
        expected = ndimage.convolve1d(expected, kernel / kernel.sum(), axis, mode="constant")
    np.testing.assert_allclose(found, expected * 20, atol=1e-4)


def test_with_alpha_20_and_sigma_5_a_voxel_moves_by_a_seventh_of_a_voxel() -> None:
    shift = displacement((64, 64, 64), np.random.default_rng(3))
    assert float(shift[:, 16:-16, 16:-16, 16:-16].std()) == pytest.approx(0.15, abs=0.03)


def test_a_constant_displacement_is_a_shift() -> None:
    volume = np.random.default_rng(4).normal(size=(8, 9, 10))
    shift = np.zeros((3, 8, 9, 10), np.float32)
    shift[1] = 2
    np.testing.assert_allclose(deformed(volume, shift)[:, :-2], volume[:, 2:], atol=1e-5)
    np.testing.assert_allclose(deformed(volume, shift * 0), volume, atol=1e-5)


def test_image_and_mask_move_alike(blocks: SpineCase) -> None:
    patch = cut_patch(blocks, L2, (20, 20, 20))
    moved = elastic_patch(patch, PatchPlan((20, 20, 20), alpha=400, sigma=3), np.random.default_rng(5))
    shift = displacement((20, 20, 20), np.random.default_rng(5), 400, 3)
    assert np.abs(shift).max() > 2
    assert moved.image.dtype == np.int16
    # Where the moved bone is bright, the moved mask is 1, but for voxels on the edge (and the next vertebra's bone).
    vertebra = deformed(np.where(patch.mask, patch.image, 40), shift, order=1)
    clear = np.abs(vertebra - 220) > 120
    np.testing.assert_array_equal(moved.mask[clear], vertebra[clear] > 220)
    np.testing.assert_array_equal(moved.mask, deformed_mask(patch.mask, shift))
    assert moved.mask.sum() != patch.mask.sum() or (moved.mask != patch.mask).any()


# --- a real scan -----------------------------------------------------------------------------------------------------


@pytest.mark.real
def test_the_example_scan_has_its_six_whole_vertebrae_in_order(test_data: Path) -> None:
    case = CaseFolder(test_data / "spine", "totalsegmentator")[0]
    present = np.flatnonzero(~np.isnan(case.points[:, 0]))
    assert [LEVELS[label] for label in present] == ["L1", "L2", "L3", "L4", "L5", "S1"]
    gaps = np.linalg.norm(np.diff(case.points[present], axis=0), axis=1) * 2
    assert ((gaps > 20) & (gaps < 50)).all()
    # Bone is brighter than what lies around it.
    assert case.image[case.vertebrae > 0].mean() > 150
