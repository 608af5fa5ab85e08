"""Cutting volumes into tiles: every voxel is answered for once, in the right place, with the right padding."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medinfer.errors import PackageError
from medinfer.tiles.tiling import Tile, cut_tile, plan_blend, plan_crop, plan_slabs, split_comb

quick = settings(max_examples=60, deadline=None)


def block_of(start, shape):
    return tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))


@quick
@given(st.data())
def test_every_voxel_lies_in_exactly_one_core(crop_plans, data):
    plan = data.draw(crop_plans())
    times = np.zeros(plan.volume_shape, dtype=int)
    for tile in plan.tiles:
        assert min(tile.core_shape) >= 1
        times[block_of(tile.core_start, tile.core_shape)] += 1
    assert (times == 1).all()


@quick
@given(st.data())
def test_a_core_keeps_its_margins_except_at_the_border_of_the_volume(crop_plans, data):
    plan = data.draw(crop_plans())
    for tile in plan.tiles:
        for axis in range(3):
            low, high = tile.core_start[axis], tile.core_start[axis] + tile.core_shape[axis]
            at_first = plan.border == "inside" and low == 0
            at_last = plan.border == "inside" and high == plan.volume_shape[axis]
            assert low - tile.start[axis] >= (0 if at_first else plan.before[axis])
            assert tile.start[axis] + tile.shape[axis] - high >= (0 if at_last else plan.after[axis])


@quick
@given(st.data())
def test_fitted_patches_are_no_larger_and_no_more_than_the_given_ones(crop_options, data):
    shape, options = data.draw(crop_options())
    patch, multiple = options["patch"], options["multiple"]
    trained, fitted = plan_crop(shape, **options, fit=False), plan_crop(shape, **options, fit=True)
    assert trained.patch == patch
    for axis in range(3):
        assert fitted.patch[axis] <= patch[axis]
        assert fitted.counts[axis] <= trained.counts[axis]
        assert (patch[axis] - fitted.patch[axis]) % multiple[axis] == 0
        starts = [span.start for span in fitted.axes[axis]]
        assert all((start - starts[0]) % multiple[axis] == 0 for start in starts)


def test_fitting_shares_a_scan_evenly_instead_of_padding_it():
    assert plan_crop((300, 300, 300), patch=208, margin=32, stride=4, multiple=16).patch == (192, 192, 192)
    assert plan_crop((100, 300, 145), patch=208, margin=32, stride=4, multiple=16).patch == (112, 192, 160)


def test_tiles_run_from_the_first_slice_to_the_last():
    plan = plan_crop((50, 60, 70), patch=32, margin=4)
    assert [tile.index for tile in plan.tiles] == list(range(len(plan.tiles)))
    assert [tile.core_start for tile in plan.tiles] == sorted(tile.core_start for tile in plan.tiles)
    assert len(plan.tiles) == np.prod(plan.counts)


@pytest.mark.parametrize(("shape", "outer"), [((50, 60, 70), 2), ((106, 60, 70), 0)])
def test_blended_tiles_finish_along_i_and_in_a_long_scan_along_k(shape, outer):
    plan = plan_blend(shape, patch=32)
    assert plan.outer == outer
    starts = [tile.start[outer] for tile in plan.tiles]
    assert starts == sorted(starts)
    assert len({tile.start for tile in plan.tiles}) == np.prod(plan.counts)


def test_the_split_of_the_seeds_gives_208_cubes_and_52_coordinates():
    plan = split_comb((270, 205, 267))
    assert plan.counts == (2, 2, 2)
    assert plan.patch == (208, 208, 208)
    assert plan.output_shape == (68, 52, 67)
    assert [tile.start for tile in plan.tiles[:3]] == [(-32, -32, -32), (-32, -32, 112), (-32, 112, -32)]
    assert plan.tiles[0].at_stride(plan.stride).shape == (52, 52, 52)
    # What step 4 of the recipe keeps of the 52: [8:44], which is 36 voxels.
    out = plan.tiles[0].at_stride(plan.stride)
    assert [core - start for core, start in zip(out.core_start, out.start, strict=True)] == [8, 8, 8]
    assert out.core_shape == (36, 36, 36)


def naive_split(data, side, max_stride, stride, margin, **pad):
    """grt123's split, written down anew from its description: pad by the margin, cut cubes one side apart."""
    counts = [int(np.ceil(n / side)) for n in data.shape[1:]]
    ends = [[0, 0]] + [[margin, count * side - n + margin] for count, n in zip(counts, data.shape[1:], strict=True)]
    padded = np.pad(data, ends, **pad)
    size = side + 2 * margin
    return [
        padded[:, z * side : z * side + size, y * side : y * side + size, x * side : x * side + size]
        for z in range(counts[0]) for y in range(counts[1]) for x in range(counts[2])
    ], counts


@pytest.mark.parametrize("pad", [{"mode": "constant", "constant_values": 170}, {"mode": "edge"}])
@pytest.mark.parametrize("shape", [(40, 52, 36), (48, 24, 49), (10, 100, 20)])
def test_the_split_of_the_seeds_equals_a_plain_one_for_image_and_coordinates(shape, pad):
    sizes = {"side": 24, "max_stride": 8, "stride": 4, "margin": 8}
    image = np.random.default_rng(0).integers(0, 255, (1, *shape)).astype(np.float32)
    plan = split_comb(shape, **sizes)
    expected, counts = naive_split(image, *sizes.values(), **pad)
    mode, value = pad["mode"], pad.get("constant_values", 0)
    tiles = [cut_tile(image, tile, pad_mode=mode, pad_value=value) for tile in plan.tiles]
    assert list(plan.counts) == counts
    np.testing.assert_array_equal(tiles, expected)

    lines = [np.linspace(-0.5, 0.5, n, dtype=np.float32) for n in plan.output_shape]
    coordinates = np.stack(np.meshgrid(*lines, indexing="ij"))
    expected, _ = naive_split(coordinates, 6, 2, 1, 2, mode="edge")
    tiles = [cut_tile(coordinates, tile.at_stride(plan.stride), pad_mode="edge") for tile in plan.tiles]
    np.testing.assert_array_equal(tiles, expected)


@quick
@given(st.data())
def test_a_padded_tile_equals_numpy_pad(data):
    shape = data.draw(st.tuples(*[st.integers(1, 9)] * 3))
    start = tuple(data.draw(st.integers(-7, n - 1)) for n in shape)
    size = tuple(data.draw(st.integers(max(1, 1 - a), 20)) for a in start)
    mode = data.draw(st.sampled_from(["constant", "edge", "reflect"]))
    channels = data.draw(st.sampled_from([(), (2,)]))
    voxels = np.random.default_rng(1).normal(size=(*channels, *shape)).astype(np.float32)
    wide = [(0, 0)] * len(channels) + [(7, 20)] * 3
    padded = np.pad(voxels, wide, mode, **({"constant_values": 170} if mode == "constant" else {}))
    expected = padded[(..., *block_of([a + 7 for a in start], size))]

    tile = Tile(0, start, size, (0, 0, 0), (1, 1, 1))
    np.testing.assert_array_equal(cut_tile(voxels, tile, pad_mode=mode, pad_value=170), expected)
    reused = np.full((*channels, *size), np.nan, dtype=np.float64)
    assert cut_tile(voxels, tile, pad_mode=mode, pad_value=170, out=reused) is reused
    np.testing.assert_array_equal(reused, expected)


@pytest.mark.parametrize(("window", "position", "depth"), [(8, 4, 1), (8, 4, 5), (5, 0, 1), (3, 2, 4)])
def test_a_slab_plan_answers_for_each_slice_once_from_its_own_window(window, position, depth):
    shape = (21, 30, 33)
    plan = plan_slabs(shape, window=window, position=position, depth=depth, multiple=4)
    slices = np.broadcast_to(np.arange(shape[0], dtype=np.float32)[:, None, None], shape)
    answered = []
    for tile in plan.tiles:
        assert tile.shape == (window - 1 + depth, 32, 36)
        assert (tile.core_start[1:], tile.core_shape[1:]) == ((0, 0), (30, 33))
        seen = cut_tile(slices, tile, pad_value=-1)[:, 0, 0]
        for k in range(tile.core_start[0], tile.core_start[0] + tile.core_shape[0]):
            answered.append(k)
            own = [n if 0 <= n < shape[0] else -1 for n in range(k - position, k - position + window)]
            offset = k - tile.core_start[0]
            assert list(seen[offset : offset + window]) == own
    assert answered == list(range(shape[0]))


@quick
@given(st.tuples(*[st.integers(1, 60)] * 3), st.integers(1, 8), st.floats(0, 0.9), st.sampled_from([1, 2, 4]))
def test_blended_tiles_cover_everything_and_overlap_enough(shape, size, overlap, stride):
    patch = 4 * size
    plan = plan_blend(shape, patch=patch, overlap=overlap, stride=stride)
    for spans, length in zip(plan.axes, shape, strict=True):
        starts = [span.start for span in spans]
        assert starts[0] <= 0
        assert length <= starts[-1] + patch < length + max(patch, stride)
        furthest = max(stride, int(patch * (1 - overlap) + 1e-6) // stride * stride)
        assert all(0 < b - a <= furthest for a, b in pairwise(starts))
        assert all(start % stride == 0 for start in starts)


def test_an_overlap_that_is_not_exact_in_binary_gives_no_more_tiles_than_it_says():
    # 80 · (1 − 0.9) is 7.999… in floating point; the step is 8.
    assert [span.start for span in plan_blend((96, 80, 80), patch=80, overlap=0.9).axes[0]] == [0, 8, 16]


@quick
@given(st.tuples(*[st.integers(1, 60)] * 3), st.integers(1, 24), st.sampled_from([0, 0.1, 0.25, 0.5, 0.625, 0.7, 0.9]))
def test_tiles_spread_to_the_last_lie_where_monai_lays_them(shape, patch, overlap):
    utils = pytest.importorskip("monai.data.utils")
    padded = [max(n, patch) for n in shape]
    # As `_get_scan_interval` has it.
    intervals = [patch if n == patch else max(1, int(patch * (1 - overlap))) for n in padded]
    expected = utils.dense_patch_slices(padded, [patch] * 3, intervals, return_slice=False)
    before = [max(0, patch - n) // 2 for n in shape]
    plan = plan_blend(shape, patch=patch, overlap=overlap, spread="last")
    assert sorted(tile.start for tile in plan.tiles) == [
        tuple(start - own for (start, _), own in zip(window, before, strict=True)) for window in expected
    ]


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: plan_crop((9, 9, 9), patch=64, margin=32), "64 voxels with margins 32 and 32 leaves no core"),
        (lambda: plan_crop((9, 9, 9), patch=64, margin=6, stride=4), "margin of 6 voxels is not a multiple"),
        (lambda: plan_crop((9, 9, 9), patch=66, margin=8, stride=4), "patch of 66 voxels is not a multiple"),
        (lambda: plan_crop((9, 9, 9), patch=(64, 64)), "patch must be one positive number or three"),
        (lambda: plan_crop((9, 9, 9), patch=8, margin=(1, -1, 1)), "margin must be one number, three"),
        (lambda: plan_blend((9, 9, 9), patch=8, overlap=1.0), "overlap must be at least 0 and less than 1"),
        (lambda: plan_blend((9, 9, 9), patch=9, stride=2), "patch of 9 voxels is not a multiple"),
        (lambda: plan_slabs((9, 9, 9), window=8, position=8), "has no slice 8"),
    ],
)
def test_numbers_that_cannot_work_are_refused_in_words(build, said):
    with pytest.raises(PackageError, match=said):
        build()
