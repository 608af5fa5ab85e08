"""Offset targets against the document's loop over classes and voxels."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from medtrain.targets.offset_targets import offset_targets


def naive(label: NDArray[np.uint8]) -> NDArray[np.int16]:
    """The document's `generate_offset`."""
    offset = np.zeros((3, *label.shape), np.int16)
    for c in np.unique(label)[1:]:
        Z, Y, X = np.where(label == c)
        middle = np.round(Z.mean()), np.round(Y.mean()), np.round(X.mean())
        for z, y, x in zip(Z, Y, X, strict=True):
            for axis, (m, place) in enumerate(zip(middle, (z, y, x), strict=True)):
                offset[axis, z, y, x] = m - place
    return offset


@pytest.fixture
def teeth() -> NDArray[np.uint8]:
    """Overlapping boxes of odd and even sides, one label in two pieces, background everywhere between them."""
    rng = np.random.default_rng(0)
    labels = np.zeros((17, 20, 14), np.uint8)
    for label in (11, 48, 85, 201, 11):
        low = rng.integers(0, 8, 3)
        k, j, i = (slice(a, a + n) for a, n in zip(low, rng.integers(1, 7, 3), strict=True))
        labels[k, j, i] = label
    return labels


def test_the_offsets_are_the_documents(teeth: NDArray[np.uint8]) -> None:
    found = offset_targets(teeth)
    assert found.offsets.dtype == np.int16
    np.testing.assert_array_equal(found.offsets, naive(teeth))


def test_each_voxel_plus_its_offset_is_its_centroid_and_the_background_has_none(teeth: NDArray[np.uint8]) -> None:
    found = offset_targets(teeth, rounded=False)
    assert found.offsets.dtype == np.float32
    assert set(found.centroids) == set(np.unique(teeth)) - {0}
    ends = np.indices(teeth.shape) + found.offsets
    for label, centroid in found.centroids.items():
        inside = teeth == label
        np.testing.assert_allclose(centroid, np.argwhere(inside).mean(axis=0), atol=1e-12)
        np.testing.assert_allclose(ends[:, inside], np.repeat(np.array(centroid)[:, None], inside.sum(), 1), atol=1e-5)
    assert not found.offsets[:, teeth == 0].any()


def test_halves_round_to_the_even_voxel_as_in_the_document() -> None:
    labels = np.zeros((1, 2, 4), np.uint8)
    labels[0, :, 1:3] = 7  # centroid (0, 0.5, 1.5)
    found = offset_targets(labels)
    assert found.centroids == {7: (0.0, 0.0, 2.0)}
    assert found.offsets[:, 0, 1, 1].tolist() == [0, -1, 1]


def test_a_tooth_that_is_cut_may_point_to_the_centroid_it_has_beyond_the_map() -> None:
    labels = np.zeros((2, 3, 4), np.int32)
    labels[0, :, :2] = 3
    labels[1, 2, 3] = 5
    found = offset_targets(labels, centroids={3: (0.0, 1.0, -6.4), 99: (1.0, 1.0, 1.0)})
    assert found.centroids == {3: (0.0, 1.0, -6.0), 5: (1.0, 2.0, 3.0)}
    assert found.offsets[2, 0, 0, :2].tolist() == [-6, -7]
    assert not found.offsets[:, 1, 2, 3].any()


def test_an_empty_map_has_no_centroids_and_only_zeros() -> None:
    found = offset_targets(np.zeros((3, 4, 5), np.uint8))
    assert found.centroids == {}
    assert found.offsets.shape == (3, 3, 4, 5)
    assert not found.offsets.any()


def test_a_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="one volume at a time"):
        offset_targets(np.zeros((1, 3, 4, 5), np.uint8))
