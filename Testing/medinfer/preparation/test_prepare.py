"""Whatever preparation does to the voxels, an index on the prepared grid has the right place in the world."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.ndimage

from medinfer.errors import ScanError
from medinfer.library.package import load_package
from medinfer.manifest import Clip, FoundRegion, Prepare, Scale, ZScore
from medinfer.preparation.intensity import apply_intensity
from medinfer.preparation.prepare import Around, prepare
from medinfer.preparation.resample import block_means, resample, respaced
from medinfer.volume import Grid, Volume

Make = Callable[..., Path]


def wanted(make: Make, **prepare_fields: Any) -> Prepare:
    def change(manifest: dict[str, Any]) -> None:
        manifest["prepare"].update(prepare_fields)

    return load_package(make(change)).manifest.leading.prepare


def linear_field(grid: Grid) -> Volume:
    """Voxels that are a linear function of the world: any right resampling reproduces it."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    world = grid.to_ras(index)
    return Volume((world @ [3.0, -2.0, 5.0] - 900).astype(np.float32), grid, "field")


def test_resampling_equals_scipys_map_coordinates() -> None:
    generator = np.random.default_rng(1)
    voxels = generator.normal(size=(7, 9, 11)).astype(np.float32)
    step, start, shape = (0.4, 0.7, 1.3), (-1.2, 0.3, 2.1), (20, 16, 9)
    where = np.stack(
        np.meshgrid(*(s + d * np.arange(n) for s, d, n in zip(start, step, shape, strict=True)), indexing="ij")
    )
    # A voxel reaches half its width further out than its centre.
    outside = ((where < -0.5) | (where > np.array(voxels.shape)[:, None, None, None] - 0.5)).any(axis=0)
    linear = scipy.ndimage.map_coordinates(voxels, where, order=1, mode="nearest")
    nearest = scipy.ndimage.map_coordinates(voxels, where, order=0, mode="nearest")
    assert outside.any()
    assert not outside.all()
    np.testing.assert_allclose(
        resample(voxels, step, start, shape), np.where(outside, nearest, linear), atol=2e-5
    )


def test_a_new_spacing_keeps_the_first_voxel_and_stays_inside() -> None:
    grid = Grid((10, 20, 30), np.diag([0.7, 0.7, 2.5, 1.0]))
    finer = respaced(grid, (1.0, 1.0, 1.0))
    assert finer.shape == (23, 14, 21)
    np.testing.assert_allclose(finer.to_ras((0, 0, 0)), grid.to_ras((0, 0, 0)))
    last = grid.to_index(finer.to_ras(np.array(finer.shape) - 1))
    assert (last <= np.array(grid.shape) - 1 + 1e-6).all()


@pytest.mark.parametrize("voxels", range(100, 112))
def test_to_the_nearest_voxel_numbers_are_rounded_as_monai_rounds_them(voxels: int) -> None:
    # At twice the spacing every second number of voxels is a half: numpy rounds the number, not the last index.
    grid = Grid((voxels, voxels, voxels), np.eye(4))
    assert respaced(grid, (2.0, 2.0, 2.0), nearest=True).shape[0] == int(np.round((voxels - 1) / 2 + 1.0))


@pytest.mark.parametrize("orientation", ["LPS", "RAS", "SAL"])
def test_prepared_voxels_are_the_worlds_values_on_any_oblique_left_handed_grid(
    blob_package: Make, blob_scan: Any, orientation: str
) -> None:
    volume = linear_field(blob_scan[0].grid)
    fields = wanted(blob_package, orientation=orientation, intensity=[], modality=["CT", "MR"])
    prepared = prepare(volume, fields)
    assert prepared.grid.spacing == pytest.approx((2, 2, 2))
    np.testing.assert_allclose(prepared.voxels, linear_field(prepared.grid).voxels, atol=2e-3)


def test_the_body_region_keeps_the_body_and_drops_the_air(blob_package: Make) -> None:
    voxels = np.full((60, 80, 80), -1000, np.int16)
    voxels[20:40, 30:50, 10:40] = 40
    volume = Volume(voxels, Grid(voxels.shape, np.diag([-1.0, -1.0, 1.0, 1.0])), "body")
    region = {"kind": "body", "margin_mm": 0}
    prepared = prepare(volume, wanted(blob_package, region=region, spacing=None, intensity=[]))
    assert (prepared.voxels > 0).sum() == (voxels > 0).sum()
    assert prepared.voxels.size < voxels.size / 5
    corner = np.rint(volume.grid.to_index(prepared.grid.to_ras((0, 0, 0)))).astype(int)
    assert prepared.voxels[0, 0, 0] == voxels[tuple(corner)]


def test_intensity_steps_run_in_the_declared_order() -> None:
    steps = [Clip(op="clip", low=-1000, high=400), Scale(op="scale", subtract=-1000, divide=1400)]
    values = apply_intensity(np.array([-2000, -1000, -300, 400, 900], np.float32), steps, scan=np.zeros((1, 1, 1)))
    np.testing.assert_allclose(values, [0, 0, 0.5, 1, 1], atol=1e-6)


def test_zscore_gives_zero_mean_and_unit_deviation_also_for_large_offsets() -> None:
    values = np.random.default_rng(2).normal(30000, 2, size=(40, 40, 40)).astype(np.float32)
    apply_intensity(values, [ZScore(op="zscore")], scan=np.zeros((1, 1, 1)))
    assert abs(values.mean(dtype=np.float64)) < 1e-2
    assert values.std(dtype=np.float64) == pytest.approx(1, abs=1e-3)


def test_zscore_of_what_is_not_0_leaves_each_0_alone_or_fills_the_holes() -> None:
    values = np.zeros((7, 7, 7), np.float32)
    values[1:6, 1:6, 1:6] = np.random.default_rng(1).normal(100, 20, (5, 5, 5))
    values[3, 3, 3] = 0
    scan, inside = np.zeros((1, 1, 1)), values != 0
    found = apply_intensity(values.copy(), [ZScore(op="zscore", of="nonzero_alone")], scan=scan)
    kept = values[inside].astype(float)
    np.testing.assert_allclose(found[inside], (kept - kept.mean()) / kept.std(), atol=1e-5)
    assert not found[~inside].any()
    assert apply_intensity(values.copy(), [ZScore(op="zscore", of="nonzero")], scan=scan)[3, 3, 3] < -3


def test_a_constant_scan_survives_zscore() -> None:
    constant = np.full((3, 3, 3), 7, np.float32)
    assert np.isfinite(apply_intensity(constant, [ZScore(op="zscore")], scan=np.zeros((1, 1, 1)))).all()


def test_an_mr_scan_given_to_a_ct_model_is_refused(blob_package: Make, blob_scan: Any) -> None:
    scan = blob_scan[0]
    with pytest.raises(ScanError, match="is MR, but this model was made for CT"):
        prepare(Volume(scan.voxels, scan.grid, "head", "MR"), wanted(blob_package))


@pytest.mark.parametrize("shape", [(2, 2, 2), (1, 64, 64), (3, 2, 300)])
def test_a_scan_that_is_too_small_is_refused(blob_package: Make, shape: tuple[int, int, int]) -> None:
    volume = Volume(np.full(shape, -900, np.int16), Grid(shape, np.eye(4)), "tiny")
    with pytest.raises(ScanError, match=r"tiny covers only .* but this model needs"):
        prepare(volume, wanted(blob_package))


def test_a_scan_without_a_body_is_refused(blob_package: Make) -> None:
    volume = Volume(np.full((40, 40, 40), -1000, np.int16), Grid((40, 40, 40), np.eye(4)), "air")
    with pytest.raises(ScanError, match="shows no body"):
        prepare(volume, wanted(blob_package, region={"kind": "body"}))


def naive_block_means(voxels: np.ndarray, factors: tuple[int, int, int]) -> np.ndarray:
    shape = [-(-n // f) for n, f in zip(voxels.shape, factors, strict=True)]
    means = np.zeros(shape)
    for k, j, i in np.ndindex(*shape):
        index = [
            np.minimum(np.arange(a * f, a * f + f), n - 1)
            for a, f, n in zip((k, j, i), factors, voxels.shape, strict=True)
        ]
        means[k, j, i] = voxels[np.ix_(*index)].astype(float).mean()
    return means


@pytest.mark.parametrize("factors", [(1, 1, 1), (1, 3, 1), (2, 3, 4), (9, 1, 2)])
def test_block_means_repeat_the_last_voxel_at_the_far_end(factors: tuple[int, int, int]) -> None:
    voxels = np.random.default_rng(0).integers(-1000, 3000, (7, 8, 9)).astype(np.int16)
    np.testing.assert_allclose(block_means(voxels, factors), naive_block_means(voxels, factors), rtol=1e-5, atol=1e-3)


def test_antialiasing_averages_what_lies_between_the_samples_and_moves_nothing(blob_package: Make) -> None:
    """Noise averages out; a linear ramp, which averaging about the sample keeps, stays exactly where it was."""
    grid = Grid((40, 60, 60), np.diag([-0.8, -0.8, 1.2, 1.0]))
    world = grid.to_ras(np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1))
    ramp = world @ np.array([2.0, -3.0, 5.0]) - 800
    noise = np.random.default_rng(1).normal(0, 100, grid.shape)
    change: Any = {"spacing": [4, 4, 4], "intensity": [], "antialias": True}
    prepared = prepare(Volume(ramp.astype(np.float32), grid), wanted(blob_package, **change))
    index = np.stack(np.meshgrid(*(np.arange(n) for n in prepared.grid.shape), indexing="ij"), axis=-1)
    expected = prepared.grid.to_ras(index) @ np.array([2.0, -3.0, 5.0]) - 800
    inner = (slice(1, -1),) * 3
    np.testing.assert_allclose(prepared.voxels[inner], expected[inner], atol=1e-2)
    smooth = prepare(Volume((noise - 800).astype(np.float32), grid), wanted(blob_package, **change)).voxels
    rough = prepare(
        Volume((noise - 800).astype(np.float32), grid), wanted(blob_package, **{**change, "antialias": False})
    ).voxels
    assert smooth.std() < 0.25 * rough.std()


def test_the_region_of_points_is_the_box_around_them_with_its_reach() -> None:
    grid = Grid((50, 60, 70), np.diag([-1.0, -1.0, 1.0, 1.0]))
    volume = Volume(np.full(grid.shape, -1000, np.int16), grid)
    points = grid.to_ras(np.array([[20.0, 30, 40], [30, 10, 69]]))
    wanted = Prepare(spacing=(1, 1, 1), region=FoundRegion(kind="found", of="points", margin_mm=2))
    prepared = prepare(volume, wanted, around=Around(points, reach_mm=(3, 4, 5)))
    np.testing.assert_allclose(prepared.grid.to_ras((0, 0, 0)), grid.to_ras((15, 4, 33)))
    assert prepared.grid.shape == (36 - 15, 37 - 4, 70 - 33)
