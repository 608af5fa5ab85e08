"""Images from label maps: partial volume, seeds, geometry and the table, against plain numpy and scipy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from medtrain.augmentation.label_synthesis import (
    CT_PLAN,
    IntensityTable,
    SynthesisPlan,
    random_table,
    smoothed,
    synthesise,
)
from medtrain.augmentation.tissue_hu import ENHANCED, PLAIN, ct_table
from medtrain.phantoms.spine.spec import Tissue

STILL = SynthesisPlan(
    strange=0, jitter=(0, 0), bias=(0, 0), drift=(0, 0), contrast=(1, 1), gamma=0, blur=(0, 0), thick=0, noise=(0, 0)
)
"""Nothing is left to chance."""
TABLE = IntensityTable((-1000, 50, 300), (0, 20, 100), (0, 0, 0))


@pytest.fixture
def labels() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 3, (13, 8, 10), dtype=np.uint8)


@pytest.mark.parametrize("pool", [1, 2, 3])
def test_without_chance_a_voxel_is_the_mean_of_its_tissues(labels: np.ndarray, pool: int) -> None:
    found = synthesise(labels, TABLE, STILL, pool=pool)
    values = np.array(TABLE.mean)[labels]
    k, j, i = (n // pool for n in labels.shape)
    blocks = values[: k * pool, : j * pool, : i * pool].reshape(k, pool, j, pool, i, pool)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), blocks.mean((1, 3, 5)), rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("make", [np.random.default_rng, lambda seed: torch.Generator().manual_seed(seed)])
def test_the_same_seed_gives_the_same_image_and_another_one_another(labels: np.ndarray, make) -> None:
    first, again, other = (synthesise(labels, TABLE, CT_PLAN, make(seed)) for seed in (4, 4, 5))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int64])
def test_any_whole_numbers_will_do(labels: np.ndarray, kind: type) -> None:
    expected = synthesise(labels, TABLE, CT_PLAN, np.random.default_rng(2))
    for given in (labels.astype(kind), torch.from_numpy(labels.astype(kind))):
        assert torch.equal(synthesise(given, TABLE, CT_PLAN, np.random.default_rng(2)), expected)


def test_a_tissue_keeps_to_its_range_and_uses_it(labels: np.ndarray) -> None:
    plan = replace(STILL, jitter=(1, 1))
    means = []
    for seed in range(60):
        image = synthesise(np.full((2, 2, 2), 2, np.uint8), TABLE, plan, np.random.default_rng(seed))
        means.append(float(image.mean()))
    assert 200 <= min(means) < 220
    assert 380 < max(means) <= 400


def test_a_strange_image_ignores_the_means() -> None:
    plan = replace(STILL, strange=1, jitter=(1, 1))
    air = np.zeros((2, 2, 2), np.uint8)
    means = [float(synthesise(air, TABLE, plan, np.random.default_rng(seed)).mean()) for seed in range(40)]
    assert min(means) < -500
    assert max(means) > 2000


def test_a_random_table_draws_every_value_between_its_bounds() -> None:
    table = random_table(3, -200, 600)
    assert table.mean == (200,) * 3
    assert table.jitter == (400,) * 3


def test_texture_and_noise_have_the_deviation_that_was_asked_for() -> None:
    flat = np.ones((48, 48, 48), np.uint8)
    textured = IntensityTable((0, 0), (0, 0), (0, 30))
    for sigma in (0.0, 0.6, 1.5):
        image = synthesise(flat, textured, replace(STILL, grain=(sigma, sigma)), np.random.default_rng(3), pool=1)
        # At the borders, which are repeated outwards, smoothing takes less away.
        assert float(image[6:-6, 6:-6, 6:-6].std()) == pytest.approx(30, rel=0.06)
    plain = replace(textured, spread=(0, 0))
    for coarse in (0, 1):
        plan = replace(STILL, noise=(25, 25), coarse=coarse)
        image = synthesise(flat, plain, plan, np.random.default_rng(4), pool=1)
        assert float(image[6:-6, 6:-6, 6:-6].std()) == pytest.approx(25, rel=0.04)


def test_drift_stays_within_its_bound_and_is_smooth() -> None:
    flat = np.ones((32, 40, 36), np.uint8)
    plan = replace(STILL, drift=(25, 25))
    image = synthesise(flat, IntensityTable((0, 100), (0, 0), (0, 0)), plan, np.random.default_rng(5), pool=1) - 100
    assert float(image.abs().max()) == pytest.approx(25, rel=1e-4)
    # A cosine of three half waves over n voxels changes by at most 3 π / n a voxel; the sum of a few a little more.
    assert all(float(image.diff(dim=axis).abs().max()) < 25 * 3 * np.pi / 32 for axis in range(3))


def test_contrast_multiplies_and_gamma_bends_between_darkest_and_brightest(labels: np.ndarray) -> None:
    before = synthesise(labels, TABLE, STILL, pool=1)
    after = synthesise(labels, TABLE, replace(STILL, contrast=(1.1, 1.1)), np.random.default_rng(1), pool=1)
    torch.testing.assert_close(after, (before * 1.1).clamp(-1024, 3071), rtol=1e-4, atol=1e-2)
    bent = synthesise(labels, TABLE, replace(STILL, gamma=0.3), np.random.default_rng(1), pool=1)
    share = (float(bent[before == bent.new_tensor(50.0)].mean()) + 1000) / 1300
    power = np.log(share) / np.log(1050 / 1300)
    assert 0.01 < abs(np.log(power)) <= 0.3
    # Ends stay where they are.
    assert (float(bent.min()), float(bent.max())) == pytest.approx((-1000, 300), abs=0.01)


def test_bias_multiplies() -> None:
    flat = np.ones((16, 16, 16), np.uint8)
    plan = replace(STILL, bias=(0.2, 0.2))
    image = synthesise(flat, IntensityTable((0, 100), (0, 0), (0, 0)), plan, np.random.default_rng(6), pool=1)
    assert float((image / 100 - 1).abs().max()) == pytest.approx(0.2, rel=1e-4)


def test_blur_thick_slices_and_gamma_leave_a_structure_where_it_is() -> None:
    labels = np.zeros((48, 44, 40), np.uint8)
    labels[20:29, 18:25, 15:24] = 1
    centre = (np.array(ndimage.center_of_mass(labels)) - 0.5) / 2
    table = IntensityTable((0, 1000), (0, 0), (0, 0))
    for seed in range(8):
        plan = replace(STILL, blur=(0.8, 0.8), thick=1, thickness=(1, 4), gamma=0.2)
        image = synthesise(labels, table, plan, np.random.default_rng(seed)).numpy()
        # Area means and linear interpolation on grids that do not divide each other: a small part of a voxel is left.
        np.testing.assert_allclose(ndimage.center_of_mass(image), centre, atol=0.25)


@pytest.mark.parametrize("sigma", [0.5, 1.3])
def test_the_blur_is_scipys(sigma: float) -> None:
    image = np.random.default_rng(7).normal(size=(9, 10, 11)).astype(np.float32)
    expected = ndimage.gaussian_filter(image, sigma, mode="nearest", radius=int(np.ceil(3 * sigma)))
    np.testing.assert_allclose(smoothed(torch.from_numpy(image), sigma).numpy(), expected, atol=1e-5)


def test_values_stay_within_the_limits(labels: np.ndarray) -> None:
    image = synthesise(labels, random_table(3, -3000, 6000), replace(CT_PLAN, jitter=(1, 1)), np.random.default_rng(8))
    assert float(image.min()) >= -1024
    assert float(image.max()) <= 3071


def test_every_tissue_of_the_spine_phantom_has_its_hu() -> None:
    plain, enhanced = ct_table(), ct_table(contrast=True)
    assert len(plain.mean) == max(Tissue) + 1
    assert plain.mean[Tissue.FAT] == -100
    assert enhanced.mean[Tissue.ARTERY] > 150 > plain.mean[Tissue.ARTERY]
    assert set(PLAIN) == {tissue.name for tissue in Tissue}
    assert set(ENHANCED) < set(PLAIN)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.full((4, 4, 4), 3, np.uint8), "from 3 to 3, but the table only covers 0 to 2"),
        (np.full((4, 4, 4), -1, np.int16), "from -1 to -1"),
        (np.zeros((4, 4), np.uint8), "whole numbers"),
        (np.zeros((4, 4, 4), np.float32), "whole numbers"),
        (np.zeros((4, 1, 4), np.uint8), "at least 2 voxels per side"),
    ],
)
def test_what_is_no_label_map_of_the_table_is_refused(labels: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        synthesise(labels, TABLE)


def test_a_table_with_a_gap_is_refused() -> None:
    with pytest.raises(ValueError, match="one mean, jitter and spread per tissue"):
        IntensityTable((1, 2), (0,), (0, 0))
