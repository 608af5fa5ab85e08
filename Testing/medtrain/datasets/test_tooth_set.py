"""The tooth data set on small scans: both fields of view, turns by hand, and what is learnt from a crop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from medinfer.errors import ScanError
from medtrain.datasets.spine_cases import ScanPair
from medtrain.datasets.spine_data import one_channel
from medtrain.datasets.tooth_set import (
    AIR,
    MOST_TEETH,
    ToothCropPlan,
    ToothScan,
    ToothSet,
    Turn,
    centroid_target,
    crop,
    crop_middle,
    draw_turn,
    find_tooth_pairs,
    instance_target,
    number_target,
    read_tooth_scan,
)

# A twelfth of the document's sizes: scans of at most 10 mm are small, others are cropped 3 mm further in front.
SMALL = ToothCropPlan(shape=(12, 16, 14), small_field_mm=10.0, forward_mm=3.0, turned=0.0)


def tooth_scan(shape: tuple[int, int, int], *, spacing: float = 0.5, first: int = 4) -> ToothScan:
    """Noise, and two teeth from slice `first` on: 11, 3 slices high, and 36 in the 3 slices above the next."""
    rng = np.random.default_rng(0)
    voxels = rng.integers(-1000, 3000, shape).astype(np.float32)
    teeth = np.zeros(shape, np.uint8)
    j, i = (n // 2 for n in shape[1:])
    teeth[first : first + 3, j - 5 : j - 1, i - 4 : i - 1] = 11
    teeth[first + 4 : first + 7, j - 2 : j + 1, i : i + 5] = 36
    images = sitk.GetImageFromArray(voxels), sitk.GetImageFromArray(teeth)
    for image in images:
        image.SetSpacing((spacing,) * 3)
        image.SetOrigin((-7.0, 11.0, 3.0))
    return ToothScan(*images)


def arrays(scan: ToothScan) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    return sitk.GetArrayFromImage(scan.image), sitk.GetArrayFromImage(scan.teeth)


def cut(volume: NDArray[np.generic], middle: tuple[int, int, int], shape: tuple[int, int, int], fill: int) -> object:
    """Voxel by voxel: the crop's voxel shape // 2 is the volume's voxel `middle`."""
    block = np.full(shape, fill, volume.dtype)
    for place in np.ndindex(shape):
        source = tuple(p - n // 2 + m for p, n, m in zip(place, shape, middle, strict=True))
        if all(0 <= s < n for s, n in zip(source, volume.shape, strict=True)):
            block[place] = volume[source]
    return block


def test_the_documents_numbers_are_the_defaults() -> None:
    plan = ToothCropPlan()
    assert plan.shape == (192, 192, 192)
    assert (plan.spacing, plan.small_field_mm, plan.degrees) == (0.5, 80.0, (-10, 0))
    # Its index along j, (size // 2 − 144 + size // 2 + 48) // 2, at 0.5 mm:
    document = (320 // 2 - 144 + 320 // 2 + 48) // 2
    assert document == 320 // 2 - plan.forward_mm / plan.spacing
    assert plan.shift_steps * plan.shift_step_mm == 2.5


def test_a_small_field_of_view_is_cropped_around_its_middle() -> None:
    scan = tooth_scan((20, 20, 20))
    image, teeth = arrays(scan)
    found_image, found_teeth = crop(scan, SMALL)
    np.testing.assert_allclose(found_image, cut(image, (10, 10, 10), SMALL.shape, AIR), atol=0.01)
    np.testing.assert_array_equal(found_teeth, cut(teeth, (10, 10, 10), SMALL.shape, 0))


def test_a_large_one_in_front_of_it_and_between_its_lowest_and_highest_tooth() -> None:
    # Teeth from slice 14 to 20: 17; 3 mm are 6 voxels in front of voxel 18.
    scan = tooth_scan((28, 36, 30), first=14)
    assert crop_middle(scan.teeth, SMALL).tolist() == [15, 12, 17]
    image, teeth = arrays(scan)
    found_image, found_teeth = crop(scan, SMALL)
    np.testing.assert_allclose(found_image, cut(image, (17, 12, 15), SMALL.shape, AIR), atol=0.01)
    np.testing.assert_array_equal(found_teeth, cut(teeth, (17, 12, 15), SMALL.shape, 0))
    assert {11, 36} <= set(np.unique(found_teeth))


def test_the_documents_origin_is_this_one_for_its_two_kinds_of_scans() -> None:
    """Its `get_origin`, for 160³ and for 320 × 320 × 174 voxels of 0.5 mm."""
    for size, low, high in (((160, 160, 160), 60, 100), ((320, 320, 174), 31, 110)):
        teeth = sitk.Image(size, sitk.sitkUInt8)
        teeth.SetSpacing((0.5, 0.5, 0.5))
        teeth.SetOrigin((-40.0, 20.0, 7.0))
        teeth[80, 80, low], teeth[80, 80, high] = 11, 48
        index = np.array(size) // 2
        if size != (160, 160, 160):
            index = np.array([size[0] // 2, (size[1] // 2 - 144 + size[1] // 2 + 48) // 2, (low + high) // 2])
        expected = np.array(teeth.TransformContinuousIndexToPhysicalPoint(index.tolist())) - 96 * 0.5
        middle = crop_middle(teeth, ToothCropPlan())
        np.testing.assert_allclose(teeth.TransformContinuousIndexToPhysicalPoint(middle - 96), expected)


@pytest.mark.parametrize(("shape", "start"), [((20, 20, 20), (10, 10, 10)), ((28, 36, 30), (17, 12, 15))])
def test_a_turned_crop_is_what_turning_every_voxel_by_hand_gives(
    shape: tuple[int, int, int], start: tuple[int, int, int]
) -> None:
    scan = tooth_scan(shape, first=14 if shape[0] > 20 else 4)
    image, teeth = arrays(scan)
    found_image, found_teeth = crop(scan, SMALL, Turn(-7.0, (0.5, -1.5, 2.0)))
    angle = np.radians(-7)
    k, j, i = (place + s - n // 2 for place, s, n in zip(np.indices(SMALL.shape), start, SMALL.shape, strict=True))
    mid_k, mid_j = shape[0] // 2, shape[1] // 2
    # The rotation is about the scan's middle, shifts (left, posterior, superior) of 0.5 mm are voxels.
    places = np.stack([
        np.sin(-angle) * (j - mid_j) + np.cos(angle) * (k - mid_k) + mid_k + 4,
        np.cos(angle) * (j - mid_j) + np.sin(angle) * (k - mid_k) + mid_j - 3,
        i + 1.0,
    ]).astype(float)
    sides = np.array(shape)[:, None, None, None]
    inside = ((places >= -0.5) & (places < sides - 0.5)).all(axis=0)
    expected = np.where(inside, map_coordinates(image, places, order=1, mode="nearest"), AIR)
    np.testing.assert_allclose(found_image, expected, atol=0.1)
    nearest = np.clip(np.rint(places).astype(int), 0, sides - 1)
    np.testing.assert_array_equal(found_teeth, np.where(inside, teeth[tuple(nearest)], 0))
    assert found_teeth.any()
    assert inside.all() == (shape[0] > 20)  # the small scan ends within the crop


def test_negative_degrees_tip_the_top_of_the_head_backwards() -> None:
    scan = tooth_scan((20, 20, 20))
    scan.teeth[:, :, :] = 0
    scan.teeth[10, 10, 15] = 11  # 5 voxels above the middle
    _, upright = crop(scan, SMALL)
    _, nodded = crop(scan, replace(SMALL, spacing=0.25, shape=(24, 32, 28)), Turn(-10.0))
    assert (np.argwhere(upright)[0] - np.array(SMALL.shape) // 2).tolist() == [5, 0, 0]
    k, j, _ = (np.argwhere(nodded) - np.array([12, 16, 14])).mean(axis=0) * 0.5
    assert k == pytest.approx(5 * np.cos(np.radians(10)), abs=0.3)
    assert j == pytest.approx(5 * np.sin(np.radians(10)), abs=0.3)  # j runs backwards


def test_turns_are_drawn_in_whole_degrees_and_half_millimetres_with_both_ends() -> None:
    rng = np.random.default_rng(0)
    turns = [draw_turn(replace(SMALL, turned=1.0), rng) for _ in range(1000)]
    assert {turn.degrees for turn in turns} == set(range(-10, 1))
    for axis in range(3):
        assert {turn.shift_mm[axis] for turn in turns} == {n / 2 for n in range(-5, 6)}
    half = [draw_turn(replace(SMALL, turned=0.5), rng) == Turn() for _ in range(1000)]
    assert 400 < sum(half) < 600


def test_a_scan_of_another_spacing_and_other_axes_gives_the_same_view(tmp_path: Path) -> None:
    scan = tooth_scan((20, 20, 20))
    pair = ScanPair("turned", tmp_path / "image.nii.gz", tmp_path / "label.nii.gz")
    sitk.WriteImage(sitk.DICOMOrient(scan.image, "RSA"), pair.image)
    sitk.WriteImage(sitk.DICOMOrient(scan.teeth, "RSA"), pair.truth)
    expected = crop(scan, SMALL)
    for found, want in zip(crop(read_tooth_scan(pair), SMALL), expected, strict=True):
        np.testing.assert_allclose(found, want, atol=0.01)
    # Every second voxel of a crop at 0.25 mm around the same middle is one at 0.5 mm.
    fine = replace(SMALL, spacing=0.25, shape=(24, 32, 28))
    for found, want in zip(crop(scan, fine), expected, strict=True):
        np.testing.assert_allclose(found[::2, ::2, ::2], want, atol=0.01)


def test_what_is_learnt_from_a_crop() -> None:
    _, teeth = crop(tooth_scan((20, 20, 20)), SMALL)
    assert torch.equal(number_target(teeth)[0], torch.from_numpy(teeth)[None])
    (points,) = centroid_target(teeth)
    assert points.shape == (MOST_TEETH, 3)
    for row, number in enumerate((11, 36)):
        np.testing.assert_allclose(points[row].numpy(), np.argwhere(teeth == number).mean(axis=0), rtol=1e-6)
    assert points[2:].isnan().all()
    seg, offsets = instance_target(teeth)
    assert torch.equal(seg, torch.from_numpy(teeth > 0)[None].byte())
    assert offsets.dtype == torch.int16
    ends = torch.from_numpy(np.indices(teeth.shape)) + offsets
    assert torch.equal(ends[:, teeth == 11][:, 0], points[0].round().long())


def test_the_documents_landmark_volume_is_the_rounded_centroids_in_one_channel() -> None:
    _, teeth = crop(tooth_scan((20, 20, 20)), SMALL)
    landmark = np.zeros(teeth.shape, np.float32)
    for c in np.unique(teeth)[1:]:
        landmark[tuple(np.round(axis.mean()).astype(int) for axis in np.where(teeth == c))] = 1
    np.testing.assert_array_equal(one_channel(centroid_target(teeth)[0], SMALL.shape)[0].numpy(), landmark)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two scans as the document keeps them."""
    for kind in ("image", "label"):
        (tmp_path / kind).mkdir()
    for name, shape in (("001", (20, 20, 20)), ("002", (28, 36, 30))):
        scan = tooth_scan(shape)
        sitk.WriteImage(sitk.Cast(scan.image, sitk.sitkInt16), tmp_path / "image" / f"{name}.nii.gz")
        sitk.WriteImage(scan.teeth, tmp_path / "label" / f"{name}.nii.gz")
    return tmp_path


def test_a_crop_is_a_function_of_seed_epoch_and_its_number(folder: Path) -> None:
    pairs, plan = find_tooth_pairs(folder), replace(SMALL, turned=1.0)
    assert [pair.name for pair in pairs] == ["001", "002"]
    first = ToothSet(pairs, plan, seed=3, epoch=1)
    assert len(first) == 2
    image, seg, offsets = first[1]
    assert (image.dtype, image.shape) == (torch.float32, (1, 12, 16, 14))
    assert seg.shape == (1, 12, 16, 14)
    assert offsets.shape == (3, 12, 16, 14)
    assert torch.equal(ToothSet(pairs, plan, seed=3, epoch=1)[1][0], image)
    assert not torch.equal(ToothSet(pairs, plan, seed=3, epoch=2)[1][0], image)
    assert not torch.equal(ToothSet(pairs, plan, seed=4, epoch=1)[1][0], image)


def test_what_can_not_be_used_is_named(folder: Path, tmp_path: Path) -> None:
    pairs = find_tooth_pairs(folder)
    empty = tooth_scan((28, 36, 30))
    empty.teeth[:, :, :] = 0
    with pytest.raises(ScanError, match="contains no tooth"):
        crop(empty, SMALL)
    with pytest.raises(ScanError, match=r"002\.nii\.gz and .*001\.nii\.gz have different grids"):
        read_tooth_scan(ScanPair("mixed", pairs[0].image, pairs[1].truth))
    pairs[0].truth.write_text("no volume")
    with pytest.raises(ScanError, match="cannot be read as a volume"):
        read_tooth_scan(pairs[0])
    pairs[0].truth.unlink()
    with pytest.raises(ScanError, match=r"001\.nii\.gz has no label map"):
        find_tooth_pairs(folder)
    with pytest.raises(ScanError, match="contains no scans"):
        find_tooth_pairs(tmp_path / "nowhere")
