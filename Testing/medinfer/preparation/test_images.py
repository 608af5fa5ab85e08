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


def test_a_cube_stored_along_other_axes_is_no_image_of_the_same_voxels() -> None:
    """Its first and its last voxel lie where the scan's do."""
    scan = ramp((10, 10, 10), 1.0)
    turned = Grid(scan.shape, scan.grid.ijk_to_ras[:, [2, 1, 0, 3]])
    both = with_further(scan, IMAGES, {"T2": Volume(scan.voxels.transpose(2, 1, 0), turned)})
    np.testing.assert_allclose(both.further["T2"], scan.voxels, atol=2e-3)


@pytest.mark.parametrize("kind", ["bool", "float16", ">i2", "int64", "float64"])
def test_voxels_of_any_kind_are_interpolated(kind: str) -> None:
    scan, other = ramp((10, 12, 14), 1.0), ramp((30, 34, 38), 0.7)
    both = with_further(scan, IMAGES, {"T2": other.with_voxels(np.ones(other.shape, kind))})
    assert (both.further["T2"] == 1).all()


def test_an_image_of_a_part_says_how_much_it_shows_and_elsewhere_has_its_lowest_value() -> None:
    scan, half = ramp((10, 12, 20), 1.0), ramp((10, 12, 10), 1.0)
    moved = half.grid.ijk_to_ras.copy()
    moved[0, 3] -= 5
    both = with_further(scan, IMAGES, {"T2": Volume(half.voxels, Grid(half.shape, moved))})
    np.testing.assert_allclose(both.further["T2"][:, :, :10], half.voxels, atol=2e-3)
    assert (both.further["T2"][:, :, 10:] == half.voxels.min()).all()
    assert "T2 shows 50% of the scan; elsewhere its lowest value was taken" in both.notes


def test_a_turned_image_beside_the_scan_shows_no_part_of_it_though_their_boxes_meet() -> None:
    scan, bar = ramp((4, 12, 12), 1.0), ramp((4, 4, 60), 1.0, turn=np.pi / 4)
    moved = bar.grid.ijk_to_ras.copy()
    moved[:2, 3] += (14.0, -14.0)
    with pytest.raises(ScanError, match="shows no part of it"):
        with_further(scan, IMAGES, {"T2": Volume(bar.voxels, Grid(bar.shape, moved), "bar")})


def test_an_image_of_another_modality_is_refused_where_the_model_names_it() -> None:
    images = (Image(name="CT"), Image(name="PET", modality=("PT",)))
    scan = ramp((4, 4, 4), 1.0)
    with pytest.raises(ScanError, match=r"PET \(ramp\) is MR, but this model was made for PT there"):
        with_further(scan, images, {"PET": scan})
    unknown = Volume(scan.voxels, scan.grid)
    assert with_further(scan, images, {"PET": unknown}).further["PET"] is scan.voxels


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
