"""Labels that overlap, against a threshold of each channel by numpy."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from scipy.special import expit

from medinfer.decoders import IndexSegments
from medinfer.decoders.overlapping import OverlappingDecoding, OwnVoxels
from medinfer.decoders.scan_segments import ScanSegmentsDecoding
from medinfer.manifest import Label, SegmentsDecoder
from medinfer.preparation.zoom import grid_of
from medinfer.volume import Grid

SHAPE = (14, 17, 20)
SCAN = Grid((23, 19, 27), np.diag([-0.9, 1.1, 2.0, 1.0]))
LABELS = [Label(value=value, name=name) for value, name in ((4, "whole"), (9, "core"), (2, "far"), (7, "nothing"))]


def output() -> np.ndarray:
    """Logits: a ball, a smaller one in it, one far from both, and a channel in which nothing is."""
    places = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)

    def ball(middle: tuple[int, int, int], radius: float) -> np.ndarray:
        return radius - np.linalg.norm(places - middle, axis=-1)

    empty = np.full(SHAPE, -9.0)
    return np.stack([ball((6, 8, 8), 5.3), ball((7, 8, 9), 2.6), ball((11, 3, 17), 2.2), empty]).astype(np.float32)


def fed(decoding: Any, values: np.ndarray) -> IndexSegments:
    """The output in blocks, which cut through the objects."""
    cuts = [[(0, n // 2), (n // 2, n)] for n in SHAPE]
    for box in product(*cuts):
        block = values[(slice(None), *(slice(a, b) for a, b in box))].copy()
        decoding.feed(tuple(a for a, _ in box), block)
    found: IndexSegments = decoding.finish()
    return found


def mask_of(found: IndexSegments, value: int) -> np.ndarray:
    return sum((layer.labels == value) for layer in found.layers) > 0


def decoder(**fields: Any) -> SegmentsDecoder:
    return SegmentsDecoder(kind="segments", activation="sigmoid", overlap=True, **fields)


@pytest.mark.parametrize("threshold", [0.5, 0.7])
def test_each_label_keeps_its_voxels_and_shares_a_layer_where_it_can(threshold: float) -> None:
    values = output()
    found = fed(OverlappingDecoding(decoder(threshold=threshold), LABELS, SHAPE, 1, (1, 1, 1)), values)
    assert [(segment.value, segment.layer) for segment in found.segments] == [(4, 0), (9, 1), (2, 0)]
    for segment, channel in zip(found.segments, values, strict=False):
        expected = expit(channel) > threshold
        np.testing.assert_array_equal(mask_of(found, segment.value), expected)
        assert segment.voxels == expected.sum()
        np.testing.assert_allclose(segment.centroid, ndimage.center_of_mass(expected))
    for layer in found.layers:
        np.testing.assert_array_equal(layer.foreground > 127, layer.labels > 0)
    # Next to a border stands how far it is away.
    chance = expit(values[1])
    near = ndimage.binary_dilation(chance > threshold) & (chance > 0.2)
    level = np.where(chance < threshold, chance / (2 * threshold), 1 - (1 - chance) / (2 * (1 - threshold)))
    np.testing.assert_allclose(found.layers[1].foreground[near], 255 * level[near], atol=1)
    assert found.segments[1].confidence == pytest.approx(level[chance > threshold].mean(), abs=0.01)


@pytest.mark.parametrize("decide", ["logits", "probabilities", "nearest"])
def test_on_the_scans_voxels_each_label_is_decided_for_itself(decide: Any) -> None:
    values = output()
    grid = grid_of(SCAN, SHAPE)
    found = {}
    for overlap in (True, False):
        one = decoder(decide=decide).model_copy(update={"overlap": overlap})
        for number, label in enumerate(LABELS[:3]) if not overlap else [(slice(None), None)]:
            channels, labels = (values, LABELS) if label is None else (values[number][None], [label])
            found[label and label.value] = fed(ScanSegmentsDecoding(one, labels, grid, SCAN), channels)
    together = found[None]
    assert [(segment.value, segment.layer) for segment in together.segments] == [(4, 0), (9, 1), (2, 0)]
    for segment in together.segments:
        alone = found[segment.value]
        np.testing.assert_array_equal(mask_of(together, segment.value), alone.labels == segment.value)
        assert segment.confidence == pytest.approx(alone.segments[0].confidence, abs=1e-5)
        np.testing.assert_allclose(segment.centroid, alone.segments[0].centroid)


def test_each_label_is_cleaned_up_for_itself() -> None:
    values = output()
    values[0, 6, 8, 8] = -5  # a hole in the whole, which the core covers
    values[1, 0, 0, 0] = 5  # a second piece of the core
    found = fed(
        OverlappingDecoding(decoder(largest_component=True, fill_holes=True), LABELS, SHAPE, 1, (1, 1, 1)), values
    )
    assert mask_of(found, 4)[6, 8, 8]
    assert not mask_of(found, 9)[0, 0, 0]
    assert mask_of(found, 9).sum() == (values[1] > 0).sum() - 1


def test_only_what_lies_around_a_label_is_kept() -> None:
    own, mask = OwnVoxels(), np.zeros((40, 40, 40), bool)
    mask[10:12, 20:25, 7] = True
    own.add((5, 0, 0), mask)
    own.add((100, 0, 0), np.zeros((40, 40, 40), bool))
    start, values = own.whole() or ((), np.zeros(0))
    assert start == (15, 20, 7)
    assert values.shape == (2, 5, 1)
    assert (values == 255).all()
