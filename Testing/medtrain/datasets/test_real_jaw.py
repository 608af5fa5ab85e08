"""The real jaw's teeth: the way they are told apart on shapes made here, and the 28 of the real file."""

from __future__ import annotations

from pathlib import Path

import cc3d
import numpy as np
import pytest

from medinfer.errors import ScanError
from medtrain.datasets.label_centroids import label_centroids
from medtrain.datasets.real_jaw import (
    CANAL,
    LOWER_TEETH,
    SEEDS,
    UPPER_TEETH,
    RealJaw,
    filled,
    read_real_jaw,
    split_teeth,
)
from medtrain.datasets.real_jaw_tissues import furnish
from medtrain.datasets.tooth_names import is_upper, mirrored
from medtrain.phantoms.jaw import Tissue


def ball(shape: tuple[int, int, int], center: tuple[float, float, float], radius: float) -> np.ndarray:
    return sum((x - c) ** 2 for x, c in zip(np.indices(shape), center, strict=True)) <= radius**2


def test_touching_balls_are_parted_where_they_meet() -> None:
    shape = (15, 15, 40)
    mask = ball(shape, (7, 7, 8), 6) | ball(shape, (7, 7, 18), 6) | ball(shape, (7, 7, 30), 6)
    teeth = split_teeth(mask, {11: ((7, 7, 8),), 21: ((7, 7, 18), (7, 7, 30))}, 0.5)
    assert ((teeth > 0) == mask).all()
    # The first two meet at i = 13; the third touches the second and both are one tooth.
    assert set(np.unique(teeth[..., :13])) == {0, 11}
    assert set(np.unique(teeth[..., 14:])) == {0, 21}


def test_a_basin_with_two_teeths_seeds_is_divided_half_way() -> None:
    mask = np.zeros((9, 9, 24), bool)
    mask[2:7, 2:7, 2:22] = True
    teeth = split_teeth(mask, {14: ((4, 4, 5),), 15: ((4, 4, 18),)}, 0.5)
    assert (teeth[2:7, 2:7, 2:12] == 14).all()
    assert (teeth[2:7, 2:7, 12:22] == 15).all()


def test_a_part_without_a_seed_joins_its_neighbour_unless_it_stands_alone() -> None:
    shape = (13, 13, 44)
    mask = ball(shape, (6, 6, 7), 5) | ball(shape, (6, 6, 15), 4) | ball(shape, (6, 6, 36), 5)
    teeth = split_teeth(mask, {11: ((6, 6, 7),)}, 0.5)
    assert (teeth[..., :24] == 11 * mask[..., :24]).all()
    assert not teeth[..., 24:].any()


def test_only_unlabelled_holes_within_a_slice_are_filled() -> None:
    teeth = np.zeros((3, 7, 7), np.uint8)
    teeth[1, 1:6, 1:6] = 36
    teeth[1, 2:5, 2:5] = 0
    unlabelled = teeth == 0
    unlabelled[1, 3, 3] = False
    whole = filled(teeth, unlabelled)
    assert int((whole == 36).sum()) == 24
    assert whole[1, 3, 3] == 0


def test_another_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "other.nii.gz").write_bytes(b"x")
    for name in ("other.nii.gz", "missing.nii.gz"):
        with pytest.raises(ScanError, match=f"{name} is not the jaw whose teeth were separated by hand"):
            read_real_jaw(tmp_path / name)


@pytest.fixture(scope="module")
def jaw(test_data: Path) -> RealJaw:
    return read_real_jaw(test_data / "teeth" / "PostDentalSurgery_Segmentation.nii.gz")


@pytest.mark.real
def test_each_of_the_28_teeth_is_one_piece_and_alike_on_both_sides(jaw: RealJaw) -> None:
    found = label_centroids(jaw.teeth)
    assert set(found) == set(SEEDS) == {10 * quadrant + place for quadrant in range(1, 5) for place in range(1, 8)}
    assert cc3d.connected_components(jaw.teeth, connectivity=6).max() == 28
    upper, lower = (np.isin(jaw.teeth, [n for n in SEEDS if is_upper(n) == up]) for up in (True, False))
    # All that the file calls teeth, and 472 voxels of pulp that it leaves out.
    assert (upper[jaw.groups == UPPER_TEETH]).all()
    assert (lower[jaw.groups == LOWER_TEETH]).all()
    assert int(((jaw.teeth > 0) & (jaw.groups == 0)).sum()) == int((upper | lower).sum()) - 138381 == 472
    for number, its in found.items():
        other = found[mirrored(number)]
        assert its.voxels == pytest.approx(other.voxels, rel=0.15)
        # Right is where R grows, incisors are in front of the molars, and upper teeth above.
        right, left = (jaw.grid.to_ras(one.centroid) for one in (its, other))
        assert (right[0] > left[0]) == (number // 10 in (1, 4))
        assert right[1:] == pytest.approx(left[1:], abs=5)
    fronts = [jaw.grid.to_ras(found[number].centroid)[1] for number in range(11, 18)]
    assert fronts == sorted(fronts, reverse=True)
    assert found[11].centroid[0] > found[41].centroid[0]


@pytest.mark.real
def test_tissues_fill_the_teeth_and_leave_bones_and_canal_in_place(jaw: RealJaw) -> None:
    jaws = furnish(jaw)
    dental = (Tissue.ENAMEL, Tissue.DENTIN, Tissue.PULP)
    assert (np.isin(jaws.tissues, dental) == (jaws.teeth > 0)).all()
    assert ((jaws.tissues == Tissue.CANAL) == jaws.canal).all()
    assert (jaws.canal == (jaw.groups[: len(jaws.canal)] == CANAL)).all()
    for number in SEEDS:
        shares = np.bincount(jaws.tissues[jaws.teeth == number], minlength=32) / (jaws.teeth == number).sum()
        # Enamel is about a fifth of a tooth's volume, pulp a few hundredths.
        assert 0.1 < shares[Tissue.ENAMEL] < 0.4
        assert 0.01 < shares[Tissue.PULP] < 0.12
    # Seen in the middle slice of the whole: nose to the front, throat behind the tongue.
    assert jaws.tissues[100, 222, 184] == Tissue.AIRWAY
    assert jaws.tissues[100, 150, 184] == Tissue.TONGUE
