"""Labels that are decided on the scan's own voxels, against the whole output interpolated at once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product

import numpy as np
import pytest
from scipy import ndimage
from scipy.special import expit, softmax

from medinfer.decoders import scan_segments
from medinfer.decoders.scan_segments import ScanSegmentsDecoding
from medinfer.errors import PackageError
from medinfer.manifest import Label, SegmentsDecoder
from medinfer.preparation.zoom import grid_of, nearest_slices
from medinfer.volume import Grid

SCAN = Grid((23, 19, 27), np.diag([-0.9, 1.1, 2.0, 1.0]))
LABELS = [Label(value=4, name="liver"), Label(value=2, name="tumour")]
SHAPES = [(10, 24, 13), (23, 19, 27), (30, 19, 20)]


def output(channels: int, shape: tuple[int, int, int]) -> np.ndarray:
    rng = np.random.default_rng(channels)
    return 6 * ndimage.gaussian_filter(rng.normal(size=(channels, *shape)), (0, 2, 2, 2)).astype(np.float32) * 8


def blocks(values: np.ndarray, along: int) -> Iterator[tuple[tuple[int, int, int], np.ndarray]]:
    """The output as a joiner hands it on: rows of blocks along an axis in order, blocks of a row in any order."""
    cuts = [list(pairwise([0, n // 3, n // 2, n])) for n in values.shape[1:]]
    for row, here in enumerate(cuts[along]):
        parts = list(product(*cuts[:along], [here], *cuts[along + 1 :]))
        for (k0, k1), (j0, j1), (i0, i1) in parts[row:] + parts[:row]:
            yield (k0, j0, i0), values[:, k0:k1, j0:j1, i0:i1]


def on_scan(values: np.ndarray) -> np.ndarray:
    factors = np.array(SCAN.shape) / values.shape[1:]
    return np.stack([
        ndimage.zoom(one.astype(float), factors, order=1, mode="nearest", grid_mode=True) for one in values
    ])


def decode(values: np.ndarray, thick: int | None = None, **fields: object) -> np.ndarray:
    grid = grid_of(SCAN, values.shape[1:])
    decoder = SegmentsDecoder(kind="segments", **fields)
    found = []
    for along in (0, 2):
        decoding = ScanSegmentsDecoding(decoder, LABELS[: max(1, len(values) - 1)], grid, SCAN, thick, along)
        for start, block in blocks(values, along):
            decoding.feed(start, block.copy())
        found.append(decoding.finish())
    alike(found[0].labels, found[1].labels)
    return found[1]


def alike(found: np.ndarray, expected: np.ndarray) -> None:
    """Equal, but where rounding decides between two of the same height."""
    assert np.count_nonzero(found != expected) <= 2
    assert len(np.unique(expected)) > 1


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("every", [1, 2])
def test_logits_are_interpolated_and_the_highest_wins(
    shape: tuple[int, int, int], every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """every: how dense the voxels are that tell how sure a label is, on a small and on a large grid."""
    monkeypatch.setattr(scan_segments, "_ENOUGH", 1 << 24 if every == 1 else 0)
    values = output(3, shape)
    found = decode(values, activation="softmax", decide="logits")
    alike(found.labels, np.array([0, 4, 2])[on_scan(values).argmax(axis=0)])
    chance = softmax(values[:, ::every, ::every, ::every].astype(float), axis=0)
    for segment in found.segments:
        mine = chance.argmax(axis=0) == [4, 2].index(segment.value) + 1
        assert segment.confidence == pytest.approx(1 - chance[0][mine].mean(), abs=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_probabilities_are_interpolated_where_that_is_declared(shape: tuple[int, int, int]) -> None:
    values = output(3, shape)
    found = decode(values, activation="softmax", decide="probabilities")
    chance = on_scan(softmax(values.astype(float), axis=0))
    alike(found.labels, np.array([0, 4, 2])[chance.argmax(axis=0)])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_nearest_voxel_decides_where_that_is_declared(shape: tuple[int, int, int], channels: int) -> None:
    values = output(channels, shape)
    found = decode(values, activation="softmax" if channels > 1 else "sigmoid", decide="nearest")
    # Edges lie on edges: voxel n has its middle at (n + 0.5) · ratio − 0.5.
    places = [
        np.clip(np.rint(np.round((np.arange(n) + 0.5) * m / n - 0.5, 6)), 0, m - 1).astype(int)
        for n, m in zip(SCAN.shape, shape, strict=True)
    ]
    numbers = values.argmax(axis=0) if channels > 1 else (values[0] > 0).astype(int)
    np.testing.assert_array_equal(found.labels, np.array([0, 4, 2])[numbers[np.ix_(*places)]])


@pytest.mark.parametrize("decide", ["logits", "probabilities"])
def test_one_channel_has_a_threshold(decide: str) -> None:
    values = output(1, SHAPES[0])
    found = decode(values, activation="sigmoid", decide=decide, threshold=0.4)
    chance = expit(on_scan(values)) if decide == "logits" else on_scan(expit(values))
    alike(found.labels, np.where(chance[0] > 0.4, 4, 0))


@pytest.mark.parametrize("thick", [0, 1, 2])
def test_along_a_thick_axis_the_nearest_slice_counts(thick: int) -> None:
    values = output(3, (10, 24, 13))
    found = decode(values, thick, activation="softmax", decide="logits")
    size = values.shape[1 + thick]
    near = values.take(nearest_slices(size, SCAN.shape[thick]), 1 + thick)
    alike(found.labels, np.array([0, 4, 2])[on_scan(near).argmax(axis=0)])


def test_only_the_largest_component_stays_and_holes_are_filled() -> None:
    values = np.full((1, *SCAN.shape), -5, np.float32)
    values[0, 2:9, 2:9, 2:9], values[0, 5, 5, 5], values[0, 15, 15, 15] = 5, -5, 5
    found = decode(values, activation="sigmoid", decide="logits", largest_component=True, fill_holes=True)
    expected = np.zeros(SCAN.shape, int)
    expected[2:9, 2:9, 2:9] = 4
    np.testing.assert_array_equal(found.labels, expected)


def test_tiles_that_leave_something_out_are_an_error() -> None:
    values = output(1, SCAN.shape)
    decoding = ScanSegmentsDecoding(SegmentsDecoder(kind="segments", activation="sigmoid"), LABELS[:1], SCAN, SCAN)
    for start, block in list(blocks(values, 0))[:-1]:
        decoding.feed(start, block)
    with pytest.raises(PackageError, match="do not cover the scan"):
        decoding.finish()
