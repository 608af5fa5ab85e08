"""Decoders: from the network's numbers to boxes, against naive readings of the recipe."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.ndimage

from medinfer.decoders import decoding_for
from medinfer.decoders.anchors import AnchorsDecoding
from medinfer.decoders.labels import LabelsDecoding
from medinfer.manifest import AnchorsDecoder, Label, LabelsDecoder
from medinfer.volume import Grid

NODULE = Label(value=1, name="Nodule")
SHAPE, STRIDE = (32, 40, 48), 4


def random_grid(seed: int, *, anchors: int = 3) -> np.ndarray:
    """A network's output [anchors × 5, k, j, i] with a few confident cells."""
    generator = np.random.default_rng(seed)
    grid = generator.normal(0, 0.3, size=(anchors, 5, *(n // STRIDE for n in SHAPE))).astype(np.float32)
    grid[:, 0] = generator.normal(-6, 2, size=grid[:, 0].shape)
    return grid.reshape(anchors * 5, *grid.shape[2:])


def naive_cubes(output: np.ndarray, anchors: tuple[float, ...], threshold: float) -> list[tuple[float, ...]]:
    """grt123's loop, cell by cell (its recipe's step 5): centre = 1.5 + 4 n + out · anchor, d = exp(out) · anchor."""
    cubes = []
    for a, anchor in enumerate(anchors):
        for cell in np.ndindex(output.shape[1:]):
            logit, dk, dj, di, dd = (float(v) for v in output[(slice(a * 5, a * 5 + 5), *cell)])
            if 1 / (1 + math.exp(-logit)) > threshold:
                center = [1.5 + 4 * n + d * anchor for n, d in zip(cell, (dk, dj, di), strict=True)]
                if all(-0.5 <= c <= n - 0.5 for c, n in zip(center, SHAPE, strict=True)):
                    cubes.append((logit, *center, math.exp(dd) * anchor))
    return cubes


@pytest.mark.parametrize("seed", range(5))
def test_anchors_are_decoded_as_in_the_recipe_whatever_the_blocks(seed: int) -> None:
    anchors, threshold = (5.0, 10.0, 20.0), 0.2
    output = random_grid(seed)
    # IoU 1 keeps all cubes that are not the same, so that decoding is tested alone.
    decoder = AnchorsDecoder(kind="anchors", anchors=anchors, threshold=threshold, nms_iou=1.0, max_findings=10**6)
    decoding = AnchorsDecoding(decoder, NODULE, SHAPE, STRIDE)
    decoding.feed((0, 0, 0), output[:, :3])
    decoding.feed((3, 0, 0), output[:, 3:, :4])
    decoding.feed((3, 4, 0), output[:, 3:, 4:])
    found = sorted(
        (box.score, *((lo + hi - 1) / 2 for lo, hi in zip(box.low, box.high, strict=True)), box.high[0] - box.low[0])
        for box in decoding.finish()
    )
    expected = sorted((1 / (1 + math.exp(-c[0])), *c[1:]) for c in naive_cubes(output, anchors, threshold))
    assert len(expected) > 3
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


def test_of_overlapping_cubes_the_best_stays() -> None:
    output = np.full((5, *(n // STRIDE for n in SHAPE)), 0, np.float32)
    output[0] = -20
    output[0, 4, 5, 6], output[0, 4, 5, 7] = 3.0, 2.0
    decoder = AnchorsDecoder(kind="anchors", anchors=(10.0,), threshold=0.5, nms_iou=0.05)
    decoding = AnchorsDecoding(decoder, NODULE, SHAPE, STRIDE)
    decoding.feed((0, 0, 0), output)
    (box,) = decoding.finish()
    assert box.score == pytest.approx(1 / (1 + math.exp(-3)))
    assert [(lo + hi - 1) / 2 for lo, hi in zip(box.low, box.high, strict=True)] == [17.5, 21.5, 25.5]


def test_a_wild_network_gives_no_infinite_and_no_nan_boxes() -> None:
    output = np.full((5, *(n // STRIDE for n in SHAPE)), np.nan, np.float32)
    output[0, :4] = 100
    output[4, :2] = 1e9
    output[1:4, :2] = 0
    decoding = AnchorsDecoding(AnchorsDecoder(kind="anchors", anchors=(10.0,)), NODULE, SHAPE, STRIDE)
    decoding.feed((0, 0, 0), output)
    assert all(np.isfinite([*box.low, *box.high, box.score]).all() for box in decoding.finish())


def test_no_candidates_is_an_empty_result() -> None:
    decoding = AnchorsDecoding(AnchorsDecoder(kind="anchors", anchors=(10.0,)), NODULE, SHAPE, STRIDE)
    assert decoding.finish() == []


@pytest.mark.parametrize("connectivity", [6, 18, 26])
def test_components_and_their_boxes_are_scipys(connectivity: int) -> None:
    generator = np.random.default_rng(connectivity)
    probability = scipy.ndimage.gaussian_filter(generator.normal(size=(20, 24, 28)), 1.2)
    probability = ((probability - probability.min()) / np.ptp(probability)).astype(np.float32)
    decoder = LabelsDecoder(
        kind="labels", threshold=0.62, min_voxels=5, connectivity=connectivity, max_findings=10**6
    )
    decoding = LabelsDecoding(decoder, [NODULE], probability.shape, 1)
    decoding.feed((0, 0, 0), probability[None, :11])
    decoding.feed((11, 0, 0), probability[None, 11:])
    rank = {6: 1, 18: 2, 26: 3}[connectivity]
    components, _ = scipy.ndimage.label(probability > 0.62, scipy.ndimage.generate_binary_structure(3, rank))
    expected = {
        tuple((part.start, part.stop) for part in where): probability[where][components[where] == number].mean()
        for number, where in enumerate(scipy.ndimage.find_objects(components), start=1)
        if (components[where] == number).sum() >= 5
    }
    found = {tuple(zip(map(int, box.low), map(int, box.high), strict=True)): box.score for box in decoding.finish()}
    assert len(expected) > 3
    assert found.keys() == expected.keys()
    # Scores are kept in a byte a voxel: half a step is the most a mean can be off.
    assert all(found[where] == pytest.approx(expected[where], abs=0.5 / 255 + 1e-6) for where in expected)


def test_several_classes_give_boxes_named_by_their_label() -> None:
    scores = np.zeros((3, 10, 10, 10), np.float32)
    scores[0] = 0.5
    scores[1, 1:4, 1:4, 1:4] = 1
    scores[2, 6:9, 6:9, 6:9] = 2
    labels = [Label(value=1, name="Nodule"), Label(value=2, name="Vessel")]
    decoding = LabelsDecoding(LabelsDecoder(kind="labels"), labels, (10, 10, 10), 1)
    decoding.feed((0, 0, 0), scores)
    assert {(box.label, box.low, box.high) for box in decoding.finish()} == {
        ("Nodule", (1, 1, 1), (4, 4, 4)), ("Vessel", (6, 6, 6), (9, 9, 9)),
    }


def test_nan_probabilities_find_nothing() -> None:
    decoding = LabelsDecoding(LabelsDecoder(kind="labels"), [NODULE], (4, 4, 4), 1)
    decoding.feed((0, 0, 0), np.full((1, 4, 4, 4), np.nan, np.float32))
    assert decoding.finish() == []


def test_the_manifest_chooses_the_decoding_and_a_threshold_overrides_it(blob_package) -> None:
    from medinfer.library.package import load_package

    manifest = load_package(blob_package()).manifest
    decoding = decoding_for(manifest.leading, manifest.labels, Grid((4, 4, 4), np.eye(4)), 0.9)
    decoding.feed((0, 0, 0), np.full((1, 4, 4, 4), 0.8, np.float32))
    assert decoding.finish() == []
