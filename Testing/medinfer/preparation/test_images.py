"""Several images of one patient: on the first one's voxels, at the same places in the world."""

from __future__ import annotations

import numpy as np
import pytest

from medinfer.errors import ScanError
from medinfer.manifest import Image
from medinfer.preparation.images import with_further
from medinfer.volume import Grid, Volume

IMAGES = (Image(name="T1"), Image(name="T2", title="T2-weighted"))


def ramp(shape: tuple[int, int, int], spacing: float, turn: float = 0.0, shift: float = 0.0) -> Volume:
    """Values that are a linear function of the world's places."""
    matrix = np.eye(4)
    cos, sin = np.cos(turn), np.sin(turn)
    matrix[:3, :3] = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) * spacing
    matrix[:3, 3] = shift - matrix[:3, :3] @ (np.array(shape[::-1]) - 1) / 2
    grid = Grid(shape, matrix)
    world = grid.to_ras(np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1))
    return Volume((world @ [1.0, 2.0, -3.0] + 500).astype(np.float32), grid, "ramp", "MR")


def test_an_image_of_other_voxels_is_interpolated_where_it_lies() -> None:
    scan, other = ramp((10, 12, 14), 1.0), ramp((30, 34, 38), 0.7, turn=0.4)
    both = with_further(scan, IMAGES, {"T2": other})
    np.testing.assert_allclose(both.further["T2"], scan.voxels, atol=2e-3)
    assert any("T2 has other voxels" in note for note in both.notes)
    assert both.grid is scan.grid


def test_an_image_of_the_same_voxels_stays_as_it_is() -> None:
    scan, other = ramp((10, 12, 14), 1.0), ramp((10, 12, 14), 1.0)
    both = with_further(scan, IMAGES, {"T2": other})
    assert both.further["T2"] is other.voxels
    assert both.notes == ()


@pytest.mark.parametrize(("given", "said"), [
    ({}, "ramp is not enough for this model: give its T2 (T2-weighted) too, with --input T2=FILE."),
    ({"T2": ramp((4, 4, 4), 1.0), "FLAIR": ramp((4, 4, 4), 1.0)}, "was given FLAIR, but this model takes only T2"),
    ({"T2": ramp((4, 4, 4), 1.0, shift=500.0)}, "T2 (ramp) lies beside ramp and shows no part of it"),
])
def test_what_does_not_fit_is_one_sentence(given: dict[str, Volume], said: str) -> None:
    with pytest.raises(ScanError) as told:
        with_further(ramp((10, 12, 14), 1.0), IMAGES, given)
    assert said in str(told.value)


def test_a_model_of_one_image_takes_no_other() -> None:
    with pytest.raises(ScanError, match="takes no further image besides the scan"):
        with_further(ramp((4, 4, 4), 1.0), (), {"T2": ramp((4, 4, 4), 1.0)})
