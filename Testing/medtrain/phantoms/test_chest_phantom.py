"""The synthetic chest: its truth is exact, its tissues have the published HU, and a seed gives the same voxels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from medinfer.volume import Grid, Volume
from medtrain.phantoms.chest import ChestPhantom, ChestSpec, insert_nodule, make_chest
from medtrain.phantoms.chest.insertion import place_nodule
from medtrain.phantoms.chest.nodule_cover import coverage
from medtrain.phantoms.chest.nodule_shape import NoduleModel, draw_nodule, draw_shape
from medtrain.phantoms.chest.spec import KINDS, PLACES
from medtrain.phantoms.chest.trees import grow

SMALL = ChestSpec(nodules=(6, 6), pixel_mm=2.2, slice_thickness_mm=3.0, slice_spacing_mm=3.0, size=0.7, noise_hu=8.0)


@pytest.fixture(scope="module")
def chest() -> ChestPhantom:
    return make_chest(11, SMALL)


def lung_block(spacing: tuple[float, float, float] = (1.0, 0.7, 0.7), hu: float = -860.0) -> Volume:
    """A block of even lung, 48 mm wide, on a grid ordered as in DICOM."""
    shape = tuple(int(48 / s) for s in spacing)
    matrix = np.diag([-spacing[2], -spacing[1], spacing[0], 1.0])
    matrix[:3, 3] = (31.0, -12.5, 140.0)
    return Volume(np.full(shape, hu, np.float32), Grid(shape, matrix), "lung", "CT")


def middle_of(volume: Volume) -> np.ndarray:
    return volume.grid.to_ras((np.array(volume.shape) - 1) / 2 + (0.3, -0.2, 0.4))


def filled_part(volume: Volume, model: NoduleModel) -> np.ndarray:
    """Part of the air that a placed nodule fills, voxel by voxel."""
    before = np.asarray(volume.voxels, dtype=np.float64)
    after = np.asarray(place_nodule(volume, model, np.random.default_rng(0)).voxels, dtype=np.float64)
    return (after - before) / (model.target_hu - before)


@pytest.mark.parametrize("diameter", [4.0, 7.0, 13.0, 26.0])
@pytest.mark.parametrize("spacing", [(1.0, 0.7, 0.7), (2.5, 0.8, 0.8)])
def test_a_solid_nodule_has_the_volume_and_the_centre_it_declares(diameter: float, spacing: tuple[float, ...]) -> None:
    volume = lung_block(spacing)  # type: ignore[arg-type]
    center = middle_of(volume)
    for seed in range(4):
        shape = draw_shape(np.random.default_rng(seed), center, diameter)
        part = filled_part(volume, NoduleModel("solid", shape, 1.0, 40.0, 0.0, 0.0))
        drawn = part.sum() * np.prod(volume.spacing)
        assert (6 / np.pi * drawn) ** (1 / 3) == pytest.approx(diameter, rel=0.02)
        index = np.indices(part.shape).reshape(3, -1)
        mass_center = np.average(index, axis=1, weights=part.ravel())
        assert np.abs(mass_center - volume.grid.to_index(center)).max() < 0.3


def test_a_soft_border_changes_neither_volume_nor_centre() -> None:
    shape = draw_shape(np.random.default_rng(5), np.array([10.0, 10.0, 10.0]), 8.0, edge=2.4)
    step = np.array([0.4, 0.4, 0.4])
    cover = coverage(shape, (50, 50, 50), lambda index: index[:, ::-1] * 0.4, step, edge=2.4)
    assert cover.sum() * 0.4**3 == pytest.approx(np.pi / 6 * 8.0**3, rel=0.01)
    center = np.average(np.indices(cover.shape).reshape(3, -1), axis=1, weights=cover.ravel()) * 0.4
    assert np.allclose(center, 10.0, atol=0.05)


def test_coverage_of_a_block_equals_counting_sub_voxels() -> None:
    shape = draw_shape(np.random.default_rng(2), np.array([7.0, 7.0, 7.0]), 7.0)
    cover = coverage(shape, (14, 14, 14), lambda index: index[:, ::-1].astype(float), np.ones(3))
    offsets = (np.indices((8, 8, 8)).reshape(3, -1).T + 0.5) / 8 - 0.5
    for voxel in [(7, 7, 10), (7, 4, 7), (10, 7, 7), (5, 5, 7), (9, 9, 9)]:
        naive = np.mean(shape.depth((np.array(voxel) + offsets)[:, ::-1]) > 0)
        assert cover[voxel] == pytest.approx(naive, abs=0.08)


def test_an_inserted_nodule_leaves_the_rest_of_the_scan_alone_and_keeps_its_noise() -> None:
    rng = np.random.default_rng(1)
    even = lung_block()
    noise = 25 * rng.standard_normal(even.shape)
    noisy = even.with_voxels(np.rint(even.voxels + noise).astype(np.int16))
    shape = draw_shape(np.random.default_rng(7), middle_of(noisy), 16.0, rough=0.3)
    model = NoduleModel("solid", shape, 1.0, 40.0, 0.0, 0.0)
    after = place_nodule(noisy, model, np.random.default_rng(7))
    assert after.voxels.dtype == np.int16
    changed = after.voxels != noisy.voxels
    for axis in range(3):
        assert not np.take(changed, range(6), axis=axis).any()
    k, j, i = np.rint(noisy.grid.to_index(middle_of(noisy))).astype(int)
    core = after.voxels[k - 2 : k + 3, j - 4 : j + 5, i - 4 : i + 5].astype(float)
    assert core.mean() == pytest.approx(40, abs=8)
    assert 15 < core.std() < 26  # white noise of 25 HU, less what the quiet estimate follows


def test_inserting_into_vessels_and_chest_wall_does_not_darken_them() -> None:
    wall = lung_block(hu=55.0)
    after = insert_nodule(wall, middle_of(wall), 12.0, "ground-glass", np.random.default_rng(3))
    assert np.all(np.asarray(after.voxels) >= 55.0 - 1e-3)


def test_ground_glass_lies_between_lung_and_solid_tissue() -> None:
    volume = lung_block()
    k, j, i = np.rint(volume.grid.to_index(middle_of(volume))).astype(int)
    for seed in range(6):
        after = insert_nodule(volume, middle_of(volume), 20.0, "ground-glass", np.random.default_rng(seed))
        core = float(np.mean(np.asarray(after.voxels)[k - 2 : k + 3, j - 3 : j + 4, i - 3 : i + 4]))
        assert -780 < core < -280  # ground-glass nodules: about −750 to −300 HU


def test_a_part_solid_nodule_has_a_solid_core_and_a_ground_glass_rim() -> None:
    model = draw_nodule(np.random.default_rng(4), np.zeros(3), 20.0, "part-solid")
    assert model.core is not None
    assert model.core.reach < model.outer.reach
    assert 0.15 < model.fill < 0.55


def test_the_same_seed_gives_the_same_voxels_and_another_seed_others(chest: ChestPhantom) -> None:
    again = make_chest(11, SMALL)
    assert np.array_equal(again.volume.voxels, chest.volume.voxels)
    assert again.nodules == chest.nodules
    assert np.array_equal(again.lungs, chest.lungs)
    other = make_chest(12, SMALL)
    assert other.volume.shape != chest.volume.shape or not np.array_equal(other.volume.voxels, chest.volume.voxels)


def test_the_scan_is_int16_on_a_grid_ordered_as_in_dicom(chest: ChestPhantom) -> None:
    volume = chest.volume
    assert volume.voxels.dtype == np.int16
    assert volume.modality == "CT"
    assert volume.spacing == pytest.approx((3.0, 2.2, 2.2))
    assert np.allclose(volume.grid.directions, np.diag([-1.0, -1.0, 1.0]))
    corner = volume.voxels[:, :3, :3]
    assert np.all(corner == corner.flat[0])
    assert corner.flat[0] <= -1024


def test_there_is_one_left_and_one_right_lung_each_on_its_side(chest: ChestPhantom) -> None:
    grid = chest.volume.grid
    middle_i = (grid.shape[2] - 1) / 2
    for label, lies_left_of_patient in ((1, True), (2, False)):
        parts, _ = ndimage.label(chest.lungs == label)
        sizes = np.bincount(parts.ravel())[1:]
        assert sizes.max() > 0.98 * sizes.sum()
        assert (np.mean(np.nonzero(chest.lungs == label)[2]) > middle_i) == lies_left_of_patient  # i runs to the left
    left, right = np.sum(chest.lungs == 1), np.sum(chest.lungs == 2)
    assert 0.7 < left / right < 1.02
    litres = (left + right) * np.prod(grid.spacing) / 1e6 / 0.7**3
    assert 3.0 < litres < 8.0


def test_every_nodule_lies_in_a_lung_and_within_the_asked_sizes(chest: ChestPhantom) -> None:
    assert 4 <= len(chest.nodules) <= 6
    reach = ndimage.distance_transform_edt(chest.lungs == 0, chest.volume.spacing)
    mm_outside = ndimage.map_coordinates(
        reach, chest.volume.grid.to_index([n.center_ras for n in chest.nodules]).T, order=1
    )
    for nodule, outside in zip(chest.nodules, mm_outside, strict=True):
        assert outside <= (4.5 if nodule.place == "juxta-pleural" else 0.0)
        assert 2.0 < nodule.diameter_mm <= 30.0
        if nodule.place != "juxta-pleural":
            assert nodule.diameter_mm >= 4.0


def test_a_nodule_is_brighter_than_the_lung_around_it(chest: ChestPhantom) -> None:
    hu = chest.volume.voxels
    lung = np.median(hu[chest.lungs > 0])
    for nodule in chest.nodules:
        if nodule.diameter_mm > 7 and nodule.kind == "solid":
            k, j, i = np.rint(chest.volume.grid.to_index(nodule.center_ras)).astype(int)
            assert hu[k - 1 : k + 2, j - 1 : j + 2, i - 1 : i + 2].max() > lung + 300


def test_tissues_have_the_published_hounsfield_values(chest: ChestPhantom) -> None:
    hu, lungs = chest.volume.voxels, chest.lungs
    assert -905 < np.median(hu[ndimage.binary_erosion(lungs > 0, iterations=2)]) < -700
    body = ndimage.binary_fill_holes(hu > -300)
    k = hu.shape[0] // 2
    soft = hu[k][body[k] & (hu[k] > -200) & (hu[k] < 130)]
    counts, edges = np.histogram(soft, bins=33, range=(-200, 130))
    fat = edges[np.argmax(counts * (edges[:-1] < -50))] + 5
    muscle = edges[np.argmax(counts * (edges[:-1] > 0))] + 5
    assert -125 < fat < -75
    assert 20 < muscle < 75
    air = hu[k][(hu[k] > -1024) & ~body[k] & (lungs[k] == 0)]
    assert abs(np.median(air) + 1000) < 30
    assert 300 < np.percentile(hu[body & (hu > 180)], 99) < 1300


def test_all_kinds_and_places_occur() -> None:
    spec = replace(SMALL, nodules=(12, 12), diameter_mm=(4, 9), pixel_mm=3.0, distractors=False)
    seen = [n for seed in (1, 2) for n in make_chest(seed, spec).nodules]
    assert {n.kind for n in seen} == set(KINDS)
    assert {n.place for n in seen} == set(PLACES)


def test_noise_is_as_loud_as_asked_and_correlated() -> None:
    spec = replace(SMALL, nodules=(0, 0), sharpness=0.3)
    quiet, loud = (make_chest(5, replace(spec, noise_hu=level)) for level in (0.001, 30.0))
    body = ndimage.binary_erosion(np.asarray(quiet.volume.voxels) > -200, iterations=2)
    noise = loud.volume.voxels.astype(float) - quiet.volume.voxels
    assert 10 < noise[body].std() < 60
    assert abs(noise[body].mean()) < 2
    pairs = body[..., 1:] & body[..., :-1]
    assert abs(np.corrcoef(noise[..., 1:][pairs], noise[..., :-1][pairs])[0, 1]) > 0.03


def test_a_vessel_tree_reaches_every_point_and_its_daughters_carry_what_the_parent_does() -> None:
    rng = np.random.default_rng(0)
    points, region = rng.uniform(-40, 40, (300, 3)), rng.integers(0, 2, 300)
    tree = grow(np.array([[0.0, 0.0, 60.0], [0.0, 0.0, -60.0]]), points, region, rng)
    ends = tree.end[tree.leaves == 1]
    assert len(ends) == 300
    nearest = np.linalg.norm(points[:, None] - ends[None], axis=2).min(axis=1)
    assert nearest.max() < 1e-6
    carried = np.bincount(tree.parent[tree.parent >= 0], tree.leaves[tree.parent >= 0], len(tree.leaves))
    inner = tree.leaves > 1
    assert np.array_equal(carried[inner], tree.leaves[inner])
    radius = tree.radius(0.3, 3.0)
    daughters = np.bincount(tree.parent[tree.parent >= 0], radius[tree.parent >= 0] ** 3, len(radius))
    assert np.allclose(daughters[inner], radius[inner] ** 3)  # Murray's law
