"""Probabilities by the declared activation, against scipy; what is declared wrongly is reported."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, softmax

from medinfer.decoders.activation import decided, probability
from medinfer.decoders.heatmap import HeatmapDecoding
from medinfer.decoders.instances import InstancesDecoding
from medinfer.decoders.labels import LabelsDecoding
from medinfer.decoders.segments import SegmentsDecoding
from medinfer.errors import PackageError
from medinfer.manifest import HeatmapDecoder, InstancesDecoder, Label, LabelsDecoder, SegmentsDecoder

SHAPE = (5, 6, 7)
LABELS = [Label(value=4, name="liver"), Label(value=2, name="tumour"), Label(value=9, name="vessel")]


def logits(channels: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 6, (channels, *SHAPE)).astype(np.float32)


def segments(values: np.ndarray, labels: list[Label], **fields: object) -> SegmentsDecoding:
    decoding = SegmentsDecoding(SegmentsDecoder(kind="segments", **fields), labels, SHAPE, 1, (1, 1, 1))
    decoding.feed((0, 0, 0), values)
    return decoding


@pytest.mark.parametrize("threshold", [0.5, 0.3])
def test_one_channel_of_logits_is_a_sigmoid(threshold: float) -> None:
    values = logits(1)
    found = segments(values, LABELS[:1], activation="sigmoid", threshold=threshold).finish()
    np.testing.assert_array_equal(found.labels, np.where(expit(values[0]) > threshold, 4, 0))
    plain = segments(expit(values), LABELS[:1], threshold=threshold).finish()
    np.testing.assert_array_equal(found.labels, plain.labels)
    assert found.segments[0].confidence == pytest.approx(plain.segments[0].confidence, abs=0.003)


def test_several_channels_of_logits_are_a_softmax() -> None:
    values = logits(4)
    found = segments(values, LABELS, activation="softmax").finish()
    expected = softmax(values.astype(float), axis=0)
    np.testing.assert_array_equal(found.labels, np.array([0, 4, 2, 9])[expected.argmax(axis=0)])
    plain = segments(expected.astype(np.float32), LABELS).finish()
    np.testing.assert_allclose(found.foreground.astype(int), plain.foreground.astype(int), atol=1)


def test_overlapping_labels_have_a_sigmoid_each_and_the_last_in_order_wins() -> None:
    values = logits(3)
    high = expit(values) > 0.5
    found = segments(values, LABELS, activation="sigmoid").finish()
    expected = np.where(high[2], 9, np.where(high[1], 2, np.where(high[0], 4, 0)))
    np.testing.assert_array_equal(found.labels, expected)
    found = segments(values, LABELS, activation="sigmoid", order=["vessel", "liver", "tumour"]).finish()
    expected = np.where(high[1], 2, np.where(high[0], 4, np.where(high[2], 9, 0)))
    np.testing.assert_array_equal(found.labels, expected)


def test_boxes_get_the_label_and_the_score_of_their_channel() -> None:
    values = np.full((3, *SHAPE), -9, np.float32)
    values[1, 1:3, 1:3, 1:3] = 2.0
    decoding = LabelsDecoding(LabelsDecoder(kind="labels", activation="sigmoid"), LABELS, SHAPE, 1)
    decoding.feed((0, 0, 0), values)
    (box,) = decoding.finish()
    assert (box.label, box.low, box.high) == ("tumour", (1, 1, 1), (3, 3, 3))
    assert box.score == pytest.approx(expit(2.0), abs=0.003)


def test_a_foreground_of_logits_is_a_sigmoid_for_objects() -> None:
    values = np.zeros((4, *SHAPE), np.float32)
    values[0] = logits(1)[0] / 4
    declared = InstancesDecoder(kind="instances", activation="sigmoid", threshold=0.01, min_volume_mm3=0)
    plain = declared.model_copy(update={"activation": "none"})
    found = []
    for decoder, foreground in ((declared, values[0]), (plain, expit(values[0]))):
        decoding = InstancesDecoding(decoder, SHAPE, 1, (1, 1, 1))
        decoding.feed((0, 0, 0), np.concatenate([foreground[None], values[1:]]))
        found.append(decoding.finish())
    assert found[0].segments
    np.testing.assert_array_equal(found[0].labels, found[1].labels)


def test_heatmaps_of_logits_are_sigmoids() -> None:
    values = logits(2) / 3
    found = []
    for activation, given in (("sigmoid", values), ("none", expit(values))):
        decoder = HeatmapDecoder(kind="heatmap", activation=activation, threshold=0.1)
        decoding = HeatmapDecoding(decoder, LABELS[:2], SHAPE, 1, (1, 1, 1))
        decoding.feed((0, 0, 0), given)
        found.append(decoding.finish())
    for one, other in zip(*found, strict=True):
        assert one.confidence == pytest.approx(other.confidence, abs=1e-6)
        np.testing.assert_allclose(one.position, other.position, atol=1e-4)


@pytest.mark.parametrize("size", [1e3, 1e30])
def test_no_logit_is_too_large(size: float) -> None:
    with np.errstate(all="raise", under="ignore"):
        values = np.array([[-size], [0], [size]], np.float32).reshape(3, 1, 1, 1)
        np.testing.assert_allclose(probability(values[0], "sigmoid"), 0)
        assert decided(values, "softmax", 0.5).score == 1
        assert decided(values[::-1], "softmax", 0.5).score == 0


@pytest.mark.parametrize("channels", [1, 4])
def test_logits_declared_as_probabilities_are_reported(channels: int) -> None:
    with pytest.raises(PackageError, match=r"returns values from -\d.* to \d.*declare sigmoid or softmax"):
        segments(logits(channels), LABELS[: max(1, channels - 1)])


def test_rounding_beyond_0_and_1_and_what_is_no_number_are_not() -> None:
    values = np.array([-0.004, 1.004, np.nan, np.inf, -np.inf, 0.7, 0], np.float32)
    found = segments(np.broadcast_to(values, (1, *SHAPE)).copy(), LABELS[:1]).finish()
    np.testing.assert_array_equal(found.labels[0, 0], [0, 4, 0, 4, 0, 4, 0])
