"""Decoders of labels on tensors of torch: the labels of arrays, and nothing but labels and bytes comes to the host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from held_tensors import DEVICE
from scipy import ndimage
from scipy.special import softmax

from medinfer.decoders import Decoding, IndexSegments
from medinfer.decoders.labels import LabelsDecoding
from medinfer.decoders.overlapping import OverlappingDecoding
from medinfer.decoders.scan_segments import ScanSegmentsDecoding
from medinfer.decoders.segments import SegmentsDecoding
from medinfer.errors import PackageError
from medinfer.manifest import Label, LabelsDecoder, SegmentsDecoder
from medinfer.preparation.zoom import grid_of
from medinfer.volume import Grid

SCAN = Grid((23, 19, 27), np.diag([-0.9, 1.1, 2.0, 1.0]))
SHAPE = (10, 24, 13)
LABELS = [Label(value=4, name="liver"), Label(value=2, name="tumour"), Label(value=9, name="vessel")]


def output(channels: int) -> np.ndarray:
    rng = np.random.default_rng(channels)
    return 48 * ndimage.gaussian_filter(rng.normal(size=(channels, *SHAPE)), (0, 2, 2, 2)).astype(np.float32)


def blocks(values: Any, along: int) -> Iterator[tuple[tuple[int, int, int], Any]]:
    """In rows along an axis (k or i), as a joiner hands them on."""
    for (a0, a1), (j0, j1) in product(((0, 3), (3, SHAPE[along])), ((0, 11), (11, 24))):
        if along == 0:
            yield (a0, j0, 0), values[:, a0:a1, j0:j1]
        else:
            yield (0, j0, a0), values[:, :, j0:j1, a0:a1]


def both(make: Callable[[], Decoding], values: np.ndarray, along: int = 0) -> list[Any]:
    """What is decoded of arrays, and of tensors."""
    found = []
    for given in (values, torch.from_numpy(values).to(DEVICE)):
        decoding = make()
        for start, block in blocks(given, along):
            decoding.feed(start, block)
        found.append(decoding.finish())
    return found


def alike(arrays: IndexSegments, tensors: IndexSegments) -> None:
    """The same labels; bytes of probabilities may differ by one, since exp and tanh of two libraries do in a last
    digit, and how sure a label is by as much."""
    assert len(arrays.segments) > 1 or len(arrays.layers) == 1
    for one, other in zip(arrays.layers, tensors.layers, strict=True):
        np.testing.assert_array_equal(other.labels, one.labels)
        np.testing.assert_allclose(other.foreground.astype(int), one.foreground.astype(int), atol=1)
    for one_s, other_s in zip(arrays.segments, tensors.segments, strict=True):
        assert (one_s.value, one_s.voxels, one_s.centroid) == (other_s.value, other_s.voxels, other_s.centroid)
        assert one_s.confidence == pytest.approx(other_s.confidence, abs=1 / 255)


def segments(channels: int, **fields: Any) -> SegmentsDecoder:
    return SegmentsDecoder(kind="segments", **({"activation": "softmax" if channels > 1 else "sigmoid"} | fields))


@pytest.mark.parametrize(("channels", "fields"), [
    (1, {"threshold": 0.4}), (3, {}), (4, {"fill_holes": True, "largest_component": True}), (3, {"activation": "none"}),
    (2, {"activation": "sigmoid"}), (3, {"activation": "sigmoid", "order": ["vessel", "liver", "tumour"]}),
])
def test_on_the_network_s_grid(channels: int, fields: dict[str, Any]) -> None:
    decoder = segments(channels, **fields)
    own = channels if decoder.activation == "sigmoid" else channels - 1
    values = softmax(output(channels), axis=0) if decoder.activation == "none" else output(channels)
    alike(*both(lambda: SegmentsDecoding(decoder, LABELS[:own], SHAPE, 1, (1, 1, 1)), values))


def test_labels_that_overlap() -> None:
    decoder = segments(3, activation="sigmoid", overlap=True, threshold=0.3)
    alike(*both(lambda: OverlappingDecoding(decoder, LABELS, SHAPE, 1, (1, 1, 1)), output(3)))


@pytest.mark.parametrize("along", [0, 2])
@pytest.mark.parametrize("thick", [None, 1])
@pytest.mark.parametrize("decide", ["logits", "probabilities", "nearest"])
@pytest.mark.parametrize(("channels", "fields"), [
    (1, {"threshold": 0.4}), (3, {}), (3, {"activation": "sigmoid", "order": ["vessel", "liver", "tumour"]}),
    (3, {"activation": "sigmoid", "overlap": True}),
])
def test_on_the_scan_s_own_voxels(
    channels: int, fields: dict[str, Any], decide: str, thick: int | None, along: int
) -> None:
    decoder = segments(channels, decide=decide, **fields)
    own = channels if decoder.activation == "sigmoid" else channels - 1
    grid = grid_of(SCAN, SHAPE)
    alike(*both(lambda: ScanSegmentsDecoding(decoder, LABELS[:own], grid, SCAN, thick, along), output(channels), along))


@pytest.mark.parametrize(("channels", "activation"), [(1, "sigmoid"), (4, "softmax"), (4, "none"), (2, "sigmoid")])
def test_boxes_of_labels(channels: int, activation: str) -> None:
    own = channels if activation == "sigmoid" else channels - 1
    labels = [label.model_copy(update={"value": n}) for n, label in enumerate(LABELS[:own], start=1)]
    decoder = LabelsDecoder(kind="labels", activation=activation)
    arrays, tensors = both(lambda: LabelsDecoding(decoder, labels, SHAPE, 1), output(channels))
    assert len(arrays) > 0
    sure = [{(box.label, box.low, box.high): box.score for box in found} for found in (arrays, tensors)]
    assert sure[1] == pytest.approx(sure[0], abs=1 / 255)


def test_what_are_no_probabilities_is_reported() -> None:
    decoding = SegmentsDecoding(SegmentsDecoder(kind="segments"), LABELS[:2], SHAPE, 1, (1, 1, 1))
    with pytest.raises(PackageError, match="declare sigmoid or softmax"):
        decoding.feed((0, 0, 0), torch.from_numpy(output(3)).to(DEVICE))
