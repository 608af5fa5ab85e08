"""Joining tiles: nothing lost, nothing twice, the same as the whole volume at once, within a stated memory."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medinfer.errors import PackageError
from medinfer.tiles.highest import labels_of
from medinfer.tiles.joining import BlendJoiner, open_joiner
from medinfer.tiles.tiling import cut_tile, plan_blend, plan_crop, plan_slabs, split_comb
from medinfer.tiles.weights import gaussian_weights

quick = settings(max_examples=60, deadline=None)


def block_of(start, shape):
    return tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))


def run_whole(plan, volume, network, *, pad_mode="constant", pad_value=0.0):
    """The joined output, with a check that each voxel was handed on exactly once."""
    joiner, whole, times = open_joiner(plan), None, np.zeros(plan.output_shape, dtype=int)
    for tile in plan.tiles:
        result = network(cut_tile(volume, tile, pad_mode=pad_mode, pad_value=pad_value))
        if whole is None:
            whole = np.full((len(result), *plan.output_shape), np.nan, dtype=result.dtype)
        for part in joiner.add(tile, result):
            where = block_of(part.start, part.values.shape[1:])
            whole[(slice(None), *where)] = part.values
            times[where] += 1
    assert (times == 1).all()
    return whole


def every(stride):
    """An identity network with an output stride: every n-th voxel."""
    k, j, i = stride
    return lambda patch: np.stack([patch[::k, ::j, ::i], -patch[::k, ::j, ::i]])


@quick
@given(st.data())
def test_split_then_combine_returns_the_input(crop_plans, data):
    plan = data.draw(crop_plans())
    volume = np.random.default_rng(0).normal(size=plan.volume_shape).astype(np.float32)
    k, j, i = plan.stride
    np.testing.assert_array_equal(run_whole(plan, volume, every(plan.stride))[0], volume[::k, ::j, ::i])


@quick
@given(st.data())
def test_a_network_that_returns_the_core_alone_joins_as_well(crop_plans, data):
    plan = data.draw(crop_plans("padded"))
    volume = np.random.default_rng(0).normal(size=plan.volume_shape).astype(np.float32)
    core = tuple(slice(b, n - a) for b, n, a in zip(plan.before, plan.patch, plan.after, strict=True))
    k, j, i = plan.stride
    joined = run_whole(plan, volume, lambda patch: every(plan.stride)(patch[core]))
    np.testing.assert_array_equal(joined[0], volume[::k, ::j, ::i])


@pytest.mark.parametrize("shape", [(40, 52, 36), (49, 24, 10)])
def test_combine_is_the_inverse_of_the_split_of_the_seeds(shape):
    plan = split_comb(shape, side=24, max_stride=8, stride=4, margin=8)
    volume = np.random.default_rng(0).integers(0, 255, shape).astype(np.float32)
    ends = [(0, -n % 4) for n in shape]
    means = np.pad(volume, ends, constant_values=170).reshape(
        plan.output_shape[0], 4, plan.output_shape[1], 4, plan.output_shape[2], 4).mean((1, 3, 5))
    pooled = run_whole(
        plan, volume, lambda patch: patch.reshape(1, 10, 4, 10, 4, 10, 4).mean((2, 4, 6)), pad_value=170)
    np.testing.assert_allclose(pooled[0], means, rtol=1e-6)


def test_slabs_join_to_the_volume():
    volume = np.random.default_rng(0).normal(size=(13, 30, 21)).astype(np.float32)
    joined = run_whole(plan_slabs(volume.shape, window=8, position=4), volume, lambda slab: slab[None, 4:5])
    np.testing.assert_array_equal(joined[0], volume)


def convolutions(strides, seed=0):
    """A random network of 3×3×3 convolutions and ReLUs with zero padding, in float64, and its receptive radius."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(seed)
    layers, radius, jump = [], 0, 1
    for channels_in, channels_out, stride in zip((1, 4, 4), (4, 4, 3), strides, strict=True):
        layers += [torch.nn.Conv3d(channels_in, channels_out, 3, stride=stride, padding=1), torch.nn.ReLU()]
        radius, jump = radius + jump, jump * stride
    net = torch.nn.Sequential(*layers[:-1]).double().eval()

    def network(patch):
        with torch.inference_mode():
            return net(torch.from_numpy(np.ascontiguousarray(patch))[None, None])[0].numpy()

    return network, radius


@pytest.mark.parametrize("fit", [True, False])
@pytest.mark.parametrize(("strides", "shape"), [((1, 1, 1), (17, 22, 30)), ((2, 2, 1), (36, 28, 44))])
def test_a_network_gives_the_same_tiled_as_whole(strides, shape, fit):
    network, radius = convolutions(strides)
    stride = int(np.prod(strides))
    margin = -(-radius // stride) * stride
    volume = np.random.default_rng(0).normal(size=shape)
    plan = plan_crop(shape, patch=margin * 2 + 8, margin=margin, stride=stride, multiple=stride, fit=fit)
    assert len(plan.tiles) > 8
    np.testing.assert_allclose(run_whole(plan, volume, network), network(volume), rtol=0, atol=1e-12)


def test_too_small_a_margin_is_seen_in_the_result():
    network, radius = convolutions((1, 1, 1))
    volume = np.random.default_rng(0).normal(size=(17, 22, 30))
    plan = plan_crop(volume.shape, patch=12, margin=radius - 1)
    assert np.abs(run_whole(plan, volume, network) - network(volume)).max() > 1e-4


def test_a_padded_border_gives_what_the_network_gives_on_the_padded_volume():
    network, radius = convolutions((2, 2, 1))
    margin = -(-radius // 4) * 4
    volume = np.random.default_rng(0).normal(size=(24, 20, 28))
    around = np.pad(volume, 2 * margin, constant_values=1.7)
    inner = slice(margin // 2, -(margin // 2))
    expected = network(around)[:, inner, inner, inner]
    plan = plan_crop(volume.shape, patch=8 + 2 * margin, margin=margin, stride=4, multiple=4, border="padded")
    joined = run_whole(plan, volume, network, pad_value=1.7)
    np.testing.assert_allclose(joined, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("patch", [(96, 96, 96), (128, 64, 32), (7, 8, 5)])
def test_gaussian_weights_are_those_of_monai(patch):
    utils = pytest.importorskip("monai.data.utils")
    expected = utils.compute_importance_map(patch, mode="gaussian", sigma_scale=0.125).numpy()
    np.testing.assert_allclose(gaussian_weights(patch), expected, rtol=2e-6)


def naive_blend(plan, results):
    channels = len(results[0])
    sums, weights = np.zeros((channels, *plan.output_shape)), np.zeros(plan.output_shape)
    one = gaussian_weights(results[0].shape[1:]).astype(np.float64)
    for tile, result in zip(plan.tiles, results, strict=True):
        start = tile.at_stride(plan.stride).start
        for voxel in np.ndindex(one.shape):
            place = tuple(a + v for a, v in zip(start, voxel, strict=True))
            if all(0 <= p < n for p, n in zip(place, plan.output_shape, strict=True)):
                sums[(slice(None), *place)] += one[voxel] * result[(slice(None), *voxel)]
                weights[place] += one[voxel]
    return sums / weights


@settings(max_examples=15, deadline=None)
@given(
    st.tuples(*[st.integers(1, 20)] * 3), st.tuples(*[st.integers(1, 3)] * 3), st.floats(0, 0.8),
    st.sampled_from([1, 2, 4]),
)
def test_blending_equals_a_naive_sum_in_float64(shape, size, overlap, stride):
    plan = plan_blend(shape, patch=tuple(4 * n for n in size), overlap=overlap, stride=stride)
    random = np.random.default_rng(0)
    out = tuple(n // stride for n in plan.patch)
    results = [random.normal(size=(2, *out)).astype(np.float32) for _ in plan.tiles]
    queue = iter(results)
    joined = run_whole(plan, np.zeros(shape, dtype=np.float32), lambda patch: next(queue))
    np.testing.assert_allclose(joined, naive_blend(plan, results), rtol=0, atol=1e-5)


def test_blending_equals_monai_where_tiles_lie_alike():
    torch = pytest.importorskip("torch")
    inferers = pytest.importorskip("monai.inferers")
    volume = np.random.default_rng(0).normal(size=(40, 24, 56)).astype(np.float32)
    network, _ = convolutions((1, 1, 1))

    def predictor(patch):
        return torch.from_numpy(network(patch[0, 0].double().numpy()).astype(np.float32))[None]

    whole = inferers.sliding_window_inference(
        torch.from_numpy(volume)[None, None], 16, 1, predictor, overlap=0.5, mode="gaussian")[0].numpy()
    joined = run_whole(
        plan_blend(volume.shape, patch=16, overlap=0.5), volume,
        lambda patch: network(patch.astype(np.float64)).astype(np.float32))
    np.testing.assert_allclose(joined, whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("axis", [0, 2])
@pytest.mark.parametrize("plan", [plan_crop, plan_blend])
def test_memory_does_not_grow_with_the_length_of_the_scan(plan, axis):
    options = {"patch": 16, "overlap": 0.3} if plan is plan_blend else {"patch": 16, "margin": 4}
    result = np.ones((6, 16, 16, 16), dtype=np.float32)

    def peak(length):
        shape = [48, 48, 48]
        shape[axis] = length
        tiles = plan(tuple(shape), **options)
        order = tiles.tiles  # made before the measurement: a few hundred bytes a tile, not the joiner's
        joiner = open_joiner(tiles)
        tracemalloc.start()
        for tile in order:
            joiner.add(tile, result)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(647) < 1.25 * peak(147) + 4096


def test_blending_stays_within_the_memory_it_states():
    channels, patch, overlap, plane = 6, 32, 8, 104
    plan = plan_blend((80, plane, plane), patch=patch, overlap=overlap / patch)
    joiner, result = BlendJoiner(plan), np.ones((channels, patch, patch, patch), dtype=np.float32)
    stated = 4 * (channels + 1) * (overlap * plane * plane + patch * overlap * plane + patch**3)
    order = plan.tiles
    tracemalloc.start()
    for tile in order:
        joiner.add(tile, result)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1.5 * stated


@pytest.mark.parametrize("channels", [1, 2, 5, 300])
@pytest.mark.parametrize("shape", [(3, 4, 5), (9, 130, 140)])
def test_labels_are_those_of_argmax_with_ties_to_the_first(channels, shape):
    if channels == 300 and shape[0] == 9:
        shape = (2, 30, 20)
    values = np.random.default_rng(0).integers(0, 4, (channels, *shape)).astype(np.float32)
    labels = labels_of(values)
    assert labels.dtype == (np.uint8 if channels <= 256 else np.uint16)
    np.testing.assert_array_equal(labels, values.argmax(axis=0))
    np.testing.assert_array_equal(labels_of(values[:, ::2, 1:, 1:-1]), values[:, ::2, 1:, 1:-1].argmax(axis=0))


@pytest.mark.parametrize("plan", [plan_crop((40, 40, 40), patch=16, margin=4), plan_blend((40, 40, 40), patch=16)])
def test_a_result_of_another_size_is_refused_in_words(plan):
    for size in (8, 12, 20):
        with pytest.raises(PackageError, match=r"correct the tiling in model\.json"):
            open_joiner(plan).add(plan.tiles[0], np.zeros((2, size, size, size), dtype=np.float32))
