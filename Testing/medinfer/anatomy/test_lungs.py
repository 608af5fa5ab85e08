"""The lungs of real and of drawn chests."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from medinfer.anatomy.lung_air import dilated, eroded
from medinfer.anatomy.lung_split import _nearer
from medinfer.anatomy.lungs import LEFT, RIGHT, Lungs, clean, lung_box, lung_mask
from medinfer.anatomy.slice_shapes import fill_slice, hull, keep_round, labelled
from medinfer.errors import Cancelled, ScanError
from medinfer.orientation import reorient
from medinfer.preparation.resample import respaced
from medinfer.volume import Grid, Volume

AXES_LPS = np.diag([-1.0, -1.0, 1.0])
ROOM, TISSUE, LUNG, BONE = -1000, 40, -990, 700
# With these, −600 HU on edges blurred by 1 pixel of 3 mm lies 0.7 mm inside a lung's wall: 3 % of its volume.
VOLUME = 0.06


@dataclass(frozen=True)
class Ellipsoid:
    """Centre and half axes in mm along (z, y, x) from the middle of the scan; x to the patient's left."""

    center: tuple[float, float, float]
    half: tuple[float, float, float]

    @property
    def volume_ml(self) -> float:
        return float(4 / 3 * np.pi * np.prod(self.half) / 1000)


LEFT_LUNG = Ellipsoid((0, 0, 75), (110, 80, 55))
RIGHT_LUNG = Ellipsoid((0, 0, -75), (110, 80, 60))


def lps_volume(voxels: np.ndarray, spacing: tuple[float, float, float]) -> Volume:
    matrix = np.eye(4)
    matrix[:3, :3] = AXES_LPS * np.array(spacing[::-1])
    matrix[:3, 3] = 11, -7, 130
    return Volume(voxels, Grid(voxels.shape, matrix), name="drawn chest", modality="CT")


def place(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> list[np.ndarray]:
    return list(np.ogrid[tuple(slice(-(n - 1) / 2 * s, n / 2 * s, s) for n, s in zip(shape, spacing, strict=True))])


def draw_chest(
    *lungs: Ellipsoid, shape: tuple[int, int, int] = (56, 120, 144), spacing: tuple[float, float, float] = (5, 3, 3),
) -> Volume:
    """An oval body with ribs-like bone under its skin, in a room full of air."""
    z, y, x = place(shape, spacing)
    voxels = np.full(shape, ROOM, dtype=np.int16)
    voxels[np.broadcast_to((y / 120) ** 2 + (x / 170) ** 2 < 1, shape)] = TISSUE
    voxels[np.broadcast_to(((y / 100) ** 2 + (x / 150) ** 2 < 1) & ((y / 92) ** 2 + (x / 142) ** 2 > 1), shape)] = BONE
    for lung in lungs:
        inside = sum(((a - c) / h) ** 2 for a, c, h in zip((z, y, x), lung.center, lung.half, strict=True)) < 1
        voxels[inside] = LUNG
    return lps_volume(voxels, spacing)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other)))


@pytest.fixture(scope="module")
def chest() -> Volume:
    return draw_chest(LEFT_LUNG, RIGHT_LUNG)


@pytest.fixture(scope="module")
def lungs(chest: Volume) -> Lungs:
    return lung_mask(chest)


# ---- real scans


def read_lps(path: Path) -> Volume:
    if not path.is_file():
        pytest.skip(f"{path.name} is not in the test data")
    image = sitk.DICOMOrient(sitk.ReadImage(str(path)), "LPS")
    matrix = np.eye(4)
    directions = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    matrix[:3, :3], matrix[:3, 3] = AXES_LPS @ directions, AXES_LPS @ image.GetOrigin()
    voxels = sitk.GetArrayFromImage(image)
    return Volume(voxels, Grid(voxels.shape, matrix), name=path.stem)


@pytest.fixture(scope="module")
def lidc_0001(test_data: Path) -> tuple[Volume, Lungs]:
    volume = read_lps(test_data / "chest" / "LIDC-IDRI-0001.nii.gz")
    return volume, lung_mask(volume)


def test_the_lungs_of_lidc_0001_have_the_volumes_grt123_finds(lidc_0001: tuple[Volume, Lungs]) -> None:
    _, lungs = lidc_0001
    assert lungs.split
    assert sorted(lungs.volume_ml) == pytest.approx([1670, 1910], abs=5)


def test_the_box_of_lidc_0001_is_the_one_grt123_crops_to(lidc_0001: tuple[Volume, Lungs]) -> None:
    volume, lungs = lidc_0001
    start, stop = lung_box(lungs, volume.spacing, respaced(volume.grid, (1, 1, 1)))
    assert start == (52, 83, 50)
    assert tuple(b - a for a, b in zip(start, stop, strict=True)) == (270, 205, 267)


def nodules(test_data: Path, case: str) -> list[np.ndarray]:
    """Centres (RAS mm) of a case's LUNA16 nodules."""
    with (test_data / "chest" / "nodules.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["case"] == case and row["source"] == "LUNA16"]
    assert rows
    return [AXES_LPS @ [float(row[f"{axis}_lps_mm"]) for axis in "xyz"] for row in rows]


def test_the_nodule_of_lidc_0001_lies_where_grt123_has_it_and_is_not_painted_over(
    test_data: Path, lidc_0001: tuple[Volume, Lungs]
) -> None:
    """(172.1, 175.0, 172.2) is its published place from the start of the box."""
    volume, lungs = lidc_0001
    [center] = nodules(test_data, "LIDC-IDRI-0001")
    index = volume.grid.to_index(center)
    start, _ = lung_box(lungs, volume.spacing, respaced(volume.grid, (1, 1, 1)))
    assert index * volume.spacing - start == pytest.approx([172.1, 175.0, 172.2], abs=0.1)
    cleaned, first = clean(volume, lungs)
    near = np.rint(index).astype(int)
    original = volume.voxels[tuple(slice(n - 3, n + 4) for n in near)]
    kept = cleaned[tuple(slice(n - 3, n + 4) for n in near - first)]
    assert np.array_equal(kept, np.clip(original, -1200, 600))


@pytest.mark.parametrize("case", ["LIDC-IDRI-0001", "LIDC-IDRI-0003"])
def test_each_reference_nodule_lies_in_the_box_on_its_own_side(
    test_data: Path, lidc_0001: tuple[Volume, Lungs], case: str
) -> None:
    volume, lungs = lidc_0001
    if case != "LIDC-IDRI-0001":
        volume = read_lps(test_data / "chest" / f"{case}.nii.gz")
        lungs = lung_mask(volume)
    start, stop = lung_box(lungs, volume.spacing, respaced(volume.grid, (1, 1, 1)))
    for center in nodules(test_data, case):
        index = volume.grid.to_index(center)
        assert (index * volume.spacing > start).all()
        assert (index * volume.spacing < stop).all()
        near = lungs.mask[tuple(slice(max(0, int(n) - 25), int(n) + 26) for n in index)]
        # The two scans' midlines lie within 20 mm of R = 0, these nodules further out.
        side = LEFT if center[0] < 0 else RIGHT
        assert np.count_nonzero(near == side) > np.count_nonzero(near == LEFT + RIGHT - side)


def test_a_real_abdomen_without_lungs_is_refused(test_data: Path) -> None:
    volume = read_lps(test_data / "spine" / "example_ct.nii.gz")
    with pytest.raises(ScanError, match="no lungs"):
        lung_mask(volume)


# ---- drawn chests


def test_each_lung_has_the_volume_it_was_drawn_with(lungs: Lungs) -> None:
    assert lungs.split
    assert lungs.volume_ml[0] == pytest.approx(LEFT_LUNG.volume_ml, rel=VOLUME)
    assert lungs.volume_ml[1] == pytest.approx(RIGHT_LUNG.volume_ml, rel=VOLUME)


def test_the_mask_is_the_air_that_was_drawn(chest: Volume, lungs: Lungs) -> None:
    assert lungs.mask.dtype == np.uint8
    assert dice(lungs.mask > 0, chest.voxels == LUNG) > 0.96
    _, _, x = place(chest.shape, chest.spacing)
    assert not (lungs.mask[:, :, x.ravel() < 0] == LEFT).any()
    assert not (lungs.mask[:, :, x.ravel() > 0] == RIGHT).any()


@pytest.mark.parametrize("orientation", ["RAS", "LAI", "RPI", "SLP", "PIR", "ASL"])
def test_left_and_right_are_the_patients_however_the_axes_lie(chest: Volume, lungs: Lungs, orientation: str) -> None:
    turned = reorient(chest, orientation)
    found = lung_mask(turned)
    back = reorient(turned.with_voxels(found.mask), "LPS").voxels
    assert np.array_equal(back, lungs.mask)
    assert found.volume_ml == lungs.volume_ml
    cleaned, start = clean(turned, found)
    expected, _ = clean(chest, lungs)
    grid = turned.grid.cropped(start, cleaned.shape)
    assert np.array_equal(reorient(Volume(cleaned, grid), "LPS").voxels, expected)


def test_vessels_and_nodules_in_a_lung_are_part_of_it(chest: Volume) -> None:
    voxels = chest.voxels.copy()
    z, y, x = place(chest.shape, chest.spacing)
    nodule = (z**2 + y**2 + (x - 75) ** 2) < 15**2
    voxels[nodule] = TISSUE
    assert (lung_mask(chest.with_voxels(voxels)).mask[nodule] == LEFT).all()


def test_lungs_that_touch_are_parted_where_they_touch() -> None:
    both = Ellipsoid((0, 0, 50), (110, 80, 55)), Ellipsoid((0, 0, -50), (110, 80, 55))
    found = lung_mask(draw_chest(*both))
    assert found.split
    assert found.volume_ml[0] == pytest.approx(found.volume_ml[1], rel=0.03)
    left, right = (np.argwhere(found.mask == side)[:, 2] for side in (LEFT, RIGHT))
    assert left.min() >= right.max()


def test_a_single_lung_is_told_as_not_split() -> None:
    found = lung_mask(draw_chest(Ellipsoid((0, 0, 65), (110, 80, 60))))
    assert not found.split
    assert set(np.unique(found.mask)) == {0, 1}
    assert found.volume_ml == pytest.approx((Ellipsoid((0, 0, 0), (110, 80, 60)).volume_ml,), rel=VOLUME)


@pytest.mark.parametrize("slices", [slice(20, 36), slice(0, 28), slice(28, None)])
def test_a_scan_of_part_of_the_chest_shows_the_same_lungs(chest: Volume, lungs: Lungs, slices: slice) -> None:
    part = lps_volume(chest.voxels[slices], chest.spacing)
    found = lung_mask(part)
    assert found.split
    assert dice(found.mask == LEFT, lungs.mask[slices] == LEFT) > 0.99


@pytest.mark.parametrize("thickness", [1.0, 2.5])
def test_thin_slices_show_the_same_lungs(thickness: float) -> None:
    slices = round(280 / thickness)
    found = lung_mask(draw_chest(LEFT_LUNG, RIGHT_LUNG, shape=(slices, 120, 144), spacing=(thickness, 3, 3)))
    assert found.volume_ml == pytest.approx((LEFT_LUNG.volume_ml, RIGHT_LUNG.volume_ml), rel=VOLUME)


@pytest.mark.parametrize("padding", [-2048, -3024])
@pytest.mark.parametrize("rows", [144, 124])
def test_padding_round_the_field_of_view_changes_nothing(rows: int, padding: int) -> None:
    chest = draw_chest(LEFT_LUNG, RIGHT_LUNG, shape=(56, rows, 144))
    _, y, x = place((1, rows, 144), (1, 1, 1))
    padded = np.where(y**2 + x**2 < (rows / 2) ** 2, chest.voxels, padding).astype(np.int16)
    assert np.array_equal(lung_mask(chest.with_voxels(padded)).mask, lung_mask(chest).mask)


def test_a_windpipe_open_to_the_room_does_not_hide_the_lungs(chest: Volume, lungs: Lungs) -> None:
    voxels = chest.voxels.copy()
    z, y, x = place(chest.shape, chest.spacing)
    pipe = np.broadcast_to((y**2 + x**2 < 12**2) & (z > 0), chest.shape)
    bronchi = np.broadcast_to((np.abs(y) < 8) & (np.abs(z) < 8) & (np.abs(x) < 40), chest.shape)
    voxels[pipe | bronchi] = ROOM
    voxels[-4:] = ROOM
    found = lung_mask(chest.with_voxels(voxels))
    assert dice(found.mask > 0, lungs.mask > 0) > 0.95
    assert not found.mask[-4:].any()


def test_a_float_scan_with_holes_in_its_values_shows_the_same_lungs(chest: Volume, lungs: Lungs) -> None:
    values = chest.voxels.astype(np.float32)
    values[:, :4] = np.nan
    found = lung_mask(chest.with_voxels(values))
    assert np.array_equal(found.mask, lungs.mask)
    cleaned, _ = clean(chest.with_voxels(values), found)
    assert cleaned.dtype == np.float32
    assert np.isfinite(cleaned).all()


def test_a_scan_without_lungs_is_refused_in_one_sentence() -> None:
    with pytest.raises(ScanError, match=r"^drawn chest shows no lungs .*Hounsfield units\.$"):
        lung_mask(draw_chest())


def test_values_that_are_not_hounsfield_units_are_refused(chest: Volume) -> None:
    with pytest.raises(ScanError, match="Hounsfield"):
        lung_mask(chest.with_voxels((chest.voxels + 1024).astype(np.uint16)))


def test_a_cancelled_search_stops(chest: Volume) -> None:
    with pytest.raises(Cancelled):
        lung_mask(chest, cancel=lambda: True)


# ---- the clean image


def test_the_clean_scan_holds_lung_rim_without_bone_and_nothing_else(chest: Volume, lungs: Lungs) -> None:
    """Against the definition written with scipy: ellipsoids are convex, so hulls add next to nothing."""
    cleaned, start = clean(chest, lungs)
    full = np.zeros(chest.shape, dtype=cleaned.dtype)
    full[tuple(slice(a, a + n) for a, n in zip(start, cleaned.shape, strict=True))] = cleaned
    solid = np.zeros(chest.shape, dtype=bool)
    for side in (LEFT, RIGHT):
        for k, plane in enumerate(lungs.mask == side):
            solid[k] |= hull(plane)
    grown = ndimage.binary_dilation(solid, iterations=10)
    expected = np.where(grown, np.clip(chest.voxels, -1200, 600), 0)
    expected[grown & (lungs.mask == 0) & (chest.voxels > 289)] = 0
    assert np.array_equal(full, expected)
    assert (chest.voxels[grown] == BONE).any()
    assert not (full > 289).any()


def test_the_box_is_cut_where_the_scan_ends() -> None:
    mask = np.zeros((10, 20, 30), dtype=np.uint8)
    mask[0:10, 5:20, 12:20] = LEFT
    # k: 0…9 × 2.5 mm, which is 23 voxels of 1 mm; j: 5…19 × 1 mm; i: 12…19 × 0.7 mm = 8.4…13.3 of 21.
    grid = Grid(mask.shape, np.diag([0.7, 1.0, 2.5, 1.0]))
    start, stop = lung_box(Lungs(mask, (1.0,), split=False), grid.spacing, respaced(grid, (1, 1, 1)))
    assert start == (0, 0, 3)
    assert stop == (23, 20, 21)


# ---- the steps, against plain versions


@pytest.mark.parametrize("shape", [(1, 9, 8), (5, 1, 17), (12, 13, 30)])
@pytest.mark.parametrize("steps", [0, 1, 4])
def test_growing_and_shrinking_are_scipys(shape: tuple[int, int, int], steps: int) -> None:
    rng = np.random.default_rng(3)
    mask = rng.random(shape) < 0.1
    grown = ndimage.binary_dilation(mask, iterations=steps) if steps else mask
    assert np.array_equal(dilated(mask, steps), grown)
    assert np.array_equal(eroded(grown), ndimage.binary_erosion(grown))


@pytest.mark.parametrize("spacing", [(2.5, 0.7, 0.7), (0.6, 0.8, 0.8)])
def test_each_voxel_goes_to_the_nearer_lung_as_two_distance_transforms_say(spacing: tuple[float, float, float]) -> None:
    mask = draw_chest(Ellipsoid((0, 0, 45), (110, 80, 55)), Ellipsoid((0, 0, -50), (90, 80, 55))).voxels == LUNG
    core = ndimage.binary_erosion(mask, iterations=8)
    labels, _ = ndimage.label(core)
    one, other = labels == 1, labels == 2
    first, second = _nearer(mask, one, other, spacing)
    to_one, to_other = (ndimage.distance_transform_edt(~part, sampling=spacing) for part in (one, other))
    undecided = np.isclose(to_one, to_other)
    assert np.array_equal(first & ~undecided, mask & (to_one < to_other) & ~undecided)
    assert np.array_equal(second & ~undecided, mask & (to_other < to_one) & ~undecided)


@pytest.mark.parametrize("shape", [(12, 31), (35, 8), (39, 5), (28, 40), (1, 34), (45, 1)])
@pytest.mark.parametrize("connectivity", [4, 8])
def test_the_components_of_a_slice_are_scipys_whatever_its_size(shape: tuple[int, int], connectivity: int) -> None:
    neighbours = ndimage.generate_binary_structure(2, connectivity // 4)
    for seed in range(40):
        mask = np.random.default_rng(seed).random(shape) < 0.55
        labels, count = labelled(mask, connectivity)
        expected, expected_count = ndimage.label(mask, neighbours)
        assert count == expected_count
        assert np.array_equal(labels > 0, mask)
        assert len(np.unique(np.stack([labels[mask], expected[mask]]), axis=1).T) == count


def test_a_slice_keeps_large_round_components_only() -> None:
    mask = np.zeros((80, 120), dtype=bool)
    mask[5:45, 5:35] = True  # a rectangle: kept
    mask[60:63, 2:100] = True  # eccentricity √(1 − (3² − 1)/(98² − 1)) = 0.9996: not round
    mask[10:14, 60:64] = True  # too small
    mask[20:40, 60:64] = True  # √(1 − (4² − 1)/(20² − 1)) = 0.981: kept
    expected = mask.copy()
    expected[60:63] = False
    expected[10:14, 60:64] = False
    assert np.array_equal(keep_round(mask, least_area=30, most_eccentricity=0.99), expected)


def test_eccentricity_follows_the_second_moments_in_any_direction() -> None:
    rows, columns = np.mgrid[:100, :100]
    for angle in np.linspace(0, np.pi, 7):
        along = (rows - 50) * np.sin(angle) + (columns - 50) * np.cos(angle)
        across = -(rows - 50) * np.cos(angle) + (columns - 50) * np.sin(angle)
        ellipse = (along / 40) ** 2 + (across / 16) ** 2 < 1  # eccentricity √(1 − 0.16) = 0.917
        assert keep_round(ellipse, 30, 0.93).any()
        assert not keep_round(ellipse, 30, 0.90).any()


def test_a_hull_is_all_half_planes_of_the_pixels_edge_midpoints() -> None:
    rng = np.random.default_rng(5)
    grid = np.argwhere(np.ones((24, 31), dtype=bool))
    for density in (0.004, 0.02, 0.2):
        mask = rng.random((24, 31)) < density
        mask[rng.integers(24), rng.integers(31)] = True
        points = (np.argwhere(mask)[:, None] + [[0.5, 0], [-0.5, 0], [0, 0.5], [0, -0.5]]).reshape(-1, 2)
        inside = np.ones(len(grid), dtype=bool)
        for angle in np.linspace(0, 2 * np.pi, 3600, endpoint=False):
            normal = np.array([np.cos(angle), np.sin(angle)])
            inside &= grid @ normal <= (points @ normal).max() + 1e-2
        assert np.array_equal(hull(mask), inside.reshape(mask.shape))


def test_holes_of_a_slice_are_filled_as_scipy_fills_them() -> None:
    rng = np.random.default_rng(7)
    for density in (0.3, 0.6, 0.9):
        mask = rng.random((40, 50)) < density
        assert np.array_equal(fill_slice(mask), ndimage.binary_fill_holes(mask, structure=np.ones((3, 3))))
    assert not fill_slice(np.zeros((4, 4), dtype=bool)).any()
