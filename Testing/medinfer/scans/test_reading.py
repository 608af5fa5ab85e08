"""Files on disk become volumes at the right place, or one clear sentence."""

from __future__ import annotations

import gzip
import itertools
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray

from medinfer.atomic_files import atomic_path, write_text
from medinfer.errors import OutputError, ScanError
from medinfer.label_map import LabelMap
from medinfer.scans.geometry import orthogonal, shear_degrees
from medinfer.scans.reading import find_scans, read_volume
from medinfer.scans.writing import write_volume
from medinfer.volume import Grid, Volume

LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])


def rotation(axis: tuple[float, float, float], degrees: float) -> NDArray[np.float64]:
    unit = np.array(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -unit[2], unit[1]], [unit[2], 0, -unit[0]], [-unit[1], unit[0], 0]])
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def oblique(spacing: tuple[float, float, float] = (0.7, 0.8, 2.5), left_handed: bool = False) -> NDArray[np.float64]:
    """An ijk_to_ras matrix that no axis is parallel to."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation((1, 2, 3), 35) * spacing * [1, 1, -1 if left_handed else 1]
    matrix[:3, 3] = [-31.5, 40.25, -700.125]
    return matrix


def voxels(shape: tuple[int, int, int] = (5, 6, 7), dtype: str = "i2") -> NDArray[np.generic]:
    return np.random.default_rng(3).integers(0, 120, shape).astype(dtype)


def linear(grid: Grid) -> NDArray[np.float64]:
    """A value that is linear in the world, so that linear interpolation must be exact."""
    points = grid.to_ras(np.stack(np.indices(grid.shape), axis=-1))
    return points @ [3.0, -2.0, 1.5] + 40


def nifti_bytes(
    values: NDArray[np.generic], affine: NDArray[np.float64] | None = None, *, order: str = "<",
    datatype: int | None = None, dim: tuple[int, ...] | None = None, pixdim: tuple[float, ...] = (1, 1, 1, 1),
    slope: float = 1, inter: float = 0, sform_code: int = 1, qform_code: int = 0,
    quatern: tuple[float, ...] = (0, 0, 0), qoffset: tuple[float, ...] = (0, 0, 0), units: int = 2,
) -> bytes:
    """A NIfTI-1 file written field by field after nifti1.h, with offsets, independent of medinfer.scans.nifti."""
    codes = {"u1": 2, "i2": 4, "i4": 8, "f4": 16, "f8": 64, "i1": 256, "u2": 512, "u4": 768}
    header = bytearray(352)

    def put(offset: int, kind: str, *numbers: float) -> None:
        struct.pack_into(order + kind, header, offset, *numbers)

    shape = dim or values.shape[::-1]
    put(0, "i", 348)
    put(40, "8h", len(shape), *shape, *[1] * (7 - len(shape)))
    put(70, "h", datatype or codes[values.dtype.str[1:]])
    put(72, "h", 8 * values.dtype.itemsize)
    put(76, "8f", *pixdim, *[0] * (8 - len(pixdim)))
    put(108, "3f", 352, slope, inter)
    header[123] = units
    put(252, "2h", qform_code, sform_code)
    put(256, "6f", *quatern, *qoffset)
    if affine is not None:
        put(280, "12f", *affine[:3].ravel())
    header[344:348] = b"n+1\0"
    return bytes(header) + values.astype(values.dtype.newbyteorder(order)).tobytes()


# --- where the voxels lie ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("left_handed", [False, True])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd"])
def test_an_oblique_anisotropic_file_lies_where_itk_puts_it(tmp_path: Path, suffix: str, left_handed: bool) -> None:
    matrix = oblique(left_handed=left_handed)
    image = sitk.GetImageFromArray(voxels())
    lps = np.diag([-1, -1, 1, 1]) @ matrix
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    sitk.WriteImage(image, str(tmp_path / f"scan{suffix}"))

    volume = read_volume(tmp_path / f"scan{suffix}")

    again = sitk.ReadImage(str(tmp_path / f"scan{suffix}"))
    for i, j, k in itertools.product((0, 6), (0, 5), (0, 4)):
        expected = np.array(again.TransformIndexToPhysicalPoint((i, j, k))) * LPS_TO_RAS
        np.testing.assert_allclose(volume.grid.to_ras((k, j, i)), expected, atol=2e-5)
    np.testing.assert_allclose(volume.grid.ijk_to_ras, matrix, atol=1e-4)
    assert volume.voxels.dtype == np.int16
    np.testing.assert_array_equal(volume.voxels, voxels())
    assert volume.name == "scan"
    assert volume.notes == ()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("left_handed", [False, True])
def test_the_sform_of_a_nifti_is_ijk_to_ras_to_the_last_bit(tmp_path: Path, order: str, left_handed: bool) -> None:
    affine = oblique(left_handed=left_handed).astype("f4").astype("f8")
    (tmp_path / "scan.nii").write_bytes(nifti_bytes(voxels(), affine, order=order))
    volume = read_volume(tmp_path / "scan.nii")
    np.testing.assert_array_equal(volume.grid.ijk_to_ras, affine)
    np.testing.assert_array_equal(volume.voxels, voxels())


QUATERN = (0.1, 0.3, -0.2)
TURNED = np.vstack([np.hstack([rotation((0, 0, 1), 20) * [0.7, 0.8, 2.5], [[4], [5], [6]]]), [0, 0, 0, 1]])


@pytest.mark.parametrize("qfac", [1, -1])
@pytest.mark.parametrize(("sform_code", "qform_code"), [(0, 0), (1, 0), (0, 1), (1, 1), (2, 1), (4, 2), (2, 0)])
def test_sform_and_qform_are_chosen_as_itk_chooses(tmp_path: Path, sform_code: int, qform_code: int, qfac: int) -> None:
    path = tmp_path / "scan.nii"
    path.write_bytes(nifti_bytes(
        voxels(), TURNED, sform_code=sform_code, qform_code=qform_code, quatern=QUATERN, qoffset=(1, 2, 3),
        pixdim=(qfac, 0.7, 0.8, 2.5),
    ))
    volume, image = read_volume(path), sitk.ReadImage(str(path))
    for i, j, k in itertools.product((0, 6), (0, 5), (0, 4)):
        expected = np.array(image.TransformIndexToPhysicalPoint((i, j, k))) * LPS_TO_RAS
        np.testing.assert_allclose(volume.grid.to_ras((k, j, i)), expected, atol=2e-5)
    assert len(volume.notes) == (sform_code == 0 or qform_code > 0)
    assert volume.form_codes == (qform_code, sform_code)


@pytest.mark.parametrize("codes", [(0, 0), (0, 1), (1, 0), (1, 1), (2, 4)])
@pytest.mark.parametrize("left_handed", [False, True])
def test_a_label_map_has_both_forms_and_the_codes_of_its_scan(
    tmp_path: Path, codes: tuple[int, int], left_handed: bool
) -> None:
    nib = pytest.importorskip("nibabel")
    matrix = oblique(left_handed=left_handed)
    if codes == (0, 0):
        matrix = np.diag([-0.7, -0.8, 2.5, 1.0])
    scan = Volume(voxels(), Grid((5, 6, 7), matrix), form_codes=codes)
    labels = LabelMap(np.ones((2, 3, 4), np.uint8), scan.grid.cropped((1, 2, 3), (2, 3, 4)))
    write_volume(labels.whole(scan), tmp_path / "labels.nii.gz")
    image = nib.load(tmp_path / "labels.nii.gz")
    assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == codes
    np.testing.assert_allclose(image.header.get_qform(), matrix, atol=1e-4)
    np.testing.assert_allclose(image.header.get_sform(), matrix, atol=1e-4)
    again = read_volume(tmp_path / "labels.nii.gz")
    np.testing.assert_allclose(again.grid.ijk_to_ras, matrix, atol=1e-4)
    assert again.form_codes == codes


def test_axes_a_little_off_the_right_angle_are_told(tmp_path: Path) -> None:
    affine = oblique()
    affine[:3, 2] += 0.0009 * affine[:3, 1] * 2.5 / 0.8
    (tmp_path / "a.nii").write_bytes(nifti_bytes(voxels(), affine))
    volume = read_volume(tmp_path / "a.nii")
    np.testing.assert_allclose(volume.grid.ijk_to_ras, affine, atol=1e-5)
    assert "its axes are 0.05° off the right angle" in volume.notes[0]


@pytest.mark.parametrize("header", [
    "spacings: 0.7 0.8 2.5", "space dimension: 3\nspace directions: (0.7,0,0) (0,0.8,0) (0,0,2.5)",
    "space: 3D-right-handed\nspace directions: (0.7,0,0) (0,0.8,0) (0,0,2.5)",
])
def test_an_nrrd_without_a_named_space_lies_as_in_slicer_and_it_is_said(tmp_path: Path, header: str) -> None:
    (tmp_path / "a.nrrd").write_bytes(
        f"NRRD0004\ntype: short\ndimension: 3\nsizes: 7 6 5\n{header}\nendian: little\nencoding: raw\n\n".encode()
        + voxels().tobytes()
    )
    volume = read_volume(tmp_path / "a.nrrd")
    np.testing.assert_allclose(volume.grid.ijk_to_ras, np.diag([0.7, 0.8, 2.5, 1.0]))
    assert len(volume.notes) == 1
    assert "does not say in which space it lies" in volume.notes[0]


def test_a_metaimage_without_directions_says_what_was_assumed(tmp_path: Path) -> None:
    (tmp_path / "a.mhd").write_text(
        "ObjectType = Image\nNDims = 3\nElementSpacing = 1 1 2\nDimSize = 7 6 5\nElementType = MET_SHORT\n"
        "ElementDataFile = a.raw\n"
    )
    (tmp_path / "a.raw").write_bytes(voxels().tobytes())
    assert "does not say how it is oriented" in read_volume(tmp_path / "a.mhd").notes[0]


def test_metres_and_microns_become_millimetres(tmp_path: Path) -> None:
    for units, factor in ((1, 1000.0), (3, 0.001), (2, 1.0), (0, 1.0)):
        (tmp_path / "scan.nii").write_bytes(nifti_bytes(voxels(), np.diag([0.5, 0.5, 2, 1]), units=units))
        np.testing.assert_allclose(read_volume(tmp_path / "scan.nii").spacing, np.array([2, 0.5, 0.5]) * factor)


@pytest.mark.parametrize("suffix", [".nii", ".nrrd", ".mha"])
@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "f4", "f8"])
def test_voxels_keep_their_stored_type(tmp_path: Path, dtype: str, suffix: str) -> None:
    path = tmp_path / f"scan{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(voxels(dtype=dtype)), str(path))
    volume = read_volume(path)
    assert volume.voxels.dtype == np.dtype(dtype)
    assert volume.voxels.dtype.isnative
    np.testing.assert_array_equal(volume.voxels, voxels(dtype=dtype))


@pytest.mark.parametrize(
    ("slope", "inter", "dtype"), [(1, -1024, "i2"), (2, 100000, "i4"), (0.5, 3, "f4"), (0, 7, "u2")]
)
def test_a_nifti_is_rescaled_to_its_values_in_the_smallest_type(
    tmp_path: Path, slope: float, inter: float, dtype: str
) -> None:
    stored = voxels(dtype="u2")
    (tmp_path / "scan.nii").write_bytes(nifti_bytes(stored, np.eye(4), slope=slope, inter=inter))
    volume = read_volume(tmp_path / "scan.nii")
    # A slope of 0 means "no rescaling" (nifti1.h).
    np.testing.assert_array_equal(volume.voxels, stored.astype(float) * slope + inter if slope else stored)
    assert volume.voxels.dtype == np.dtype(dtype)


def test_a_nifti_2_file_is_read(tmp_path: Path) -> None:
    nib = pytest.importorskip("nibabel")
    affine = oblique()
    nib.save(nib.Nifti2Image(voxels().transpose(2, 1, 0), affine), tmp_path / "scan.nii.gz")
    volume = read_volume(tmp_path / "scan.nii.gz")
    np.testing.assert_array_equal(volume.voxels, voxels())
    np.testing.assert_allclose(volume.grid.ijk_to_ras, affine, atol=1e-12)


def test_a_single_slice_is_a_volume(tmp_path: Path) -> None:
    (tmp_path / "scan.nii").write_bytes(nifti_bytes(voxels((1, 6, 7))[0], np.diag([2.0, 2, 5, 1]), dim=(7, 6)))
    assert read_volume(tmp_path / "scan.nii").shape == (1, 6, 7)


def test_a_fourth_dimension_of_one_is_no_fourth_dimension(tmp_path: Path) -> None:
    (tmp_path / "scan.nii").write_bytes(nifti_bytes(voxels(), np.eye(4), dim=(7, 6, 5, 1)))
    assert read_volume(tmp_path / "scan.nii").shape == (5, 6, 7)


@pytest.mark.real
def test_a_real_ct_is_what_itk_reads_with_air_in_place_of_padding(test_data: Path) -> None:
    path = test_data / "chest" / "LIDC-IDRI-0001.nii.gz"
    volume, image = read_volume(path), sitk.ReadImage(str(path))
    stored = sitk.GetArrayViewFromImage(image)
    np.testing.assert_array_equal(volume.voxels, np.where(stored == -2048, -1000, stored))
    assert volume.notes == ("21 % of its voxels lie outside the field of view (-2048); they were set to -1000, as air",)
    corner = np.array(image.TransformIndexToPhysicalPoint((511, 511, 132))) * LPS_TO_RAS
    np.testing.assert_allclose(volume.grid.to_ras((132, 511, 511)), corner, atol=1e-9)


# --- sheared grids ----------------------------------------------------------------------------------------------


def sheared() -> NDArray[np.float64]:
    matrix = oblique()
    matrix[:3, 2] += 0.6 * matrix[:3, 1]
    matrix[:3, 1] += 0.2 * matrix[:3, 0]
    return matrix


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_a_sheared_file_becomes_orthogonal_with_every_value_at_its_place(tmp_path: Path, suffix: str) -> None:
    grid = Grid((9, 20, 22), sheared())
    write_volume(Volume(linear(grid).astype("f4"), grid), tmp_path / f"scan{suffix}")
    volume = read_volume(tmp_path / f"scan{suffix}")

    assert shear_degrees(volume.grid) < 1e-3
    assert any("right angles" in note for note in volume.notes)
    index = grid.to_index(volume.grid.to_ras(np.stack(np.indices(volume.shape), axis=-1)))
    inside = ((index >= 1e-3) & (index <= np.array(grid.shape) - 1 - 1e-3)).all(axis=-1)
    assert inside.sum() > 0.5 * grid.shape[0] * grid.shape[1] * grid.shape[2]
    np.testing.assert_allclose(volume.voxels[inside], linear(volume.grid)[inside], atol=0.02)
    # All of the old grid lies within the new one.
    corners = grid.to_ras(list(itertools.product((0, 8), (0, 19), (0, 21))))
    reached = volume.grid.to_index(corners)
    assert (reached > -0.01).all()
    assert (reached < np.array(volume.shape) - 0.99).all()


def test_a_square_grid_is_left_alone() -> None:
    volume = Volume(voxels(), Grid((5, 6, 7), oblique(left_handed=True)))
    assert orthogonal(volume) is volume


def test_a_sheared_grid_that_grows_past_the_limit_is_refused() -> None:
    grid = Grid((9, 20, 22), sheared())
    with pytest.raises(ScanError, match="too large"):
        orthogonal(Volume(linear(grid), grid), max_voxels=4000)


# --- bad files --------------------------------------------------------------------------------------------------


def refused(path: Path, *words: str, **options: int) -> str:
    with pytest.raises(ScanError) as caught:
        read_volume(path, **options)
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith(".")
    assert str(path) in text
    for word in words:
        assert word in text, text
    return text


def test_a_missing_path_is_said(tmp_path: Path) -> None:
    refused(tmp_path / "none.nii.gz", "does not exist")


def test_an_unknown_kind_of_file_is_said_with_the_kinds_that_are_read(tmp_path: Path) -> None:
    (tmp_path / "scan.pdf").write_bytes(b"%PDF")
    refused(tmp_path / "scan.pdf", "NIfTI", "DICOM")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.nhdr", "a.mha", "a.mhd", "a.dcm"])
def test_an_empty_file_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    refused(tmp_path / name, "empty")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.nhdr", "a.mha", "a.mhd"])
def test_a_text_file_with_an_image_name_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str) -> None:
    (tmp_path / name).write_text("Dear radiologist, please find the scan attached.\n" * 20)
    refused(tmp_path / name, "not a", "despite its name")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.97, 0.999])
def test_a_file_cut_short_is_said_and_nothing_else_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, kept: float
) -> None:
    values = np.random.default_rng(1).integers(-1000, 1000, (20, 30, 40)).astype("i2")
    sitk.WriteImage(sitk.GetImageFromArray(values), str(tmp_path / name), useCompression=True)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[:int(len(whole) * kept)])
    refused(tmp_path / name, "truncated")
    assert capfd.readouterr() == ("", "")


def test_a_flipped_bit_in_a_compressed_nifti_is_noticed(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(nifti_bytes(voxels((20, 30, 40)), np.eye(4))))
    packed[len(packed) // 2] ^= 4
    (tmp_path / "a.nii.gz").write_bytes(packed)
    refused(tmp_path / "a.nii.gz", "damaged")


@pytest.mark.parametrize(("name", "data"), [("a.nhdr", "a.raw.gz"), ("a.mhd", "a.zraw")])
def test_a_header_without_its_voxel_file_is_said(tmp_path: Path, name: str, data: str) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(voxels()), str(tmp_path / name), useCompression=True)
    (tmp_path / data).unlink()
    refused(tmp_path / name, "missing")


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha"])
def test_a_time_series_is_refused_with_its_size(tmp_path: Path, name: str) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 4, 5, 6), "i2"), isVector=False), str(tmp_path / name))
    refused(tmp_path / name, "4-dimensional", "6 × 5 × 4 × 3")


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha"])
def test_colour_is_refused(tmp_path: Path, name: str) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 5, 6, 3), "u1"), isVector=True), str(tmp_path / name))
    refused(tmp_path / name, "colour")


def test_complex_voxels_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_bytes(nifti_bytes(np.zeros((4, 5, 6), "f8"), np.eye(4), datatype=32))
    refused(tmp_path / "a.nii", "complex")


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_voxels_that_are_not_numbers_are_counted_and_replaced(tmp_path: Path, suffix: str) -> None:
    values = voxels(dtype="f4") - 20.0
    values[0, 0, :3] = np.nan
    values[1, 0, 0], values[1, 0, 1] = np.inf, -np.inf
    low, high = values[np.isfinite(values)].min(), values[np.isfinite(values)].max()
    sitk.WriteImage(sitk.GetImageFromArray(values), str(tmp_path / f"a{suffix}"))
    volume = read_volume(tmp_path / f"a{suffix}")
    assert np.isfinite(volume.voxels).all()
    assert (volume.voxels[0, 0, :3] == low).all()
    assert (volume.voxels[1, 0, 0], volume.voxels[1, 0, 1]) == (high, low)
    assert "5 of 210 voxels" in volume.notes[0]
    same = np.isfinite(values)
    np.testing.assert_array_equal(volume.voxels[same], values[same])


def test_a_scan_of_nothing_but_nan_is_refused(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.full((4, 5, 6), np.nan, "f4")), str(tmp_path / "a.nrrd"))
    refused(tmp_path / "a.nrrd", "120", "not numbers")


def test_zero_spacing_is_refused_in_every_format(tmp_path: Path) -> None:
    (tmp_path / "q.nii").write_bytes(nifti_bytes(voxels(), pixdim=(1, 1, 0, 1), sform_code=0, qform_code=1))
    refused(tmp_path / "q.nii", "0 mm", "along j", "spacing")
    (tmp_path / "s.nii").write_bytes(nifti_bytes(voxels(), np.diag([1.0, 1, 0, 1])))
    refused(tmp_path / "s.nii", "along k", "spacing")
    for name, old, new in (
        ("a.mha", b"ElementSpacing = 1 1 1", b"ElementSpacing = 1 1 0"), ("a.nrrd", b"(0,0,1)", b"(0,0,0)"),
    ):
        sitk.WriteImage(sitk.GetImageFromArray(voxels()), str(tmp_path / name))
        whole = (tmp_path / name).read_bytes()
        assert old in whole
        (tmp_path / name).write_bytes(whole.replace(old, new))
        refused(tmp_path / name, "spacing")


def test_directions_without_an_inverse_are_refused_in_every_format(tmp_path: Path) -> None:
    flat = np.eye(4)
    flat[:3, 2] = flat[:3, 1]
    (tmp_path / "s.nii").write_bytes(nifti_bytes(voxels(), flat))
    refused(tmp_path / "s.nii", "parallel", "directions")
    for name, old, new in (
        ("a.mha", b"1 0 0 0 1 0 0 0 1", b"1 0 0 0 1 0 0 1 0"), ("a.nrrd", b"(0,0,1)", b"(0,1,0)"),
    ):
        sitk.WriteImage(sitk.GetImageFromArray(voxels()), str(tmp_path / name))
        whole = (tmp_path / name).read_bytes()
        assert old in whole
        (tmp_path / name).write_bytes(whole.replace(old, new, 1))
        refused(tmp_path / name, "parallel", "directions")


def test_a_position_that_is_nan_is_refused(tmp_path: Path) -> None:
    affine = np.eye(4)
    affine[0, 3] = np.nan
    (tmp_path / "a.nii").write_bytes(nifti_bytes(voxels(), affine))
    refused(tmp_path / "a.nii", "not a number")


def test_a_scan_of_2000_2000_1000_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    header = nifti_bytes(np.zeros((0, 1, 1), "i2"), np.eye(4), dim=(2000, 2000, 1000))
    (tmp_path / "a.nii").write_bytes(header)
    with (tmp_path / "a.nii").open("r+b") as file:
        file.truncate(352 + 2 * 2000 * 2000 * 1000)  # sparse: takes no room on the disk
    (tmp_path / "a.mhd").write_text(
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nElementSpacing = 1 1 1\nDimSize = 2000 2000 1000\n"
        "ElementType = MET_SHORT\nElementDataFile = a.nii\n"
    )
    for name in ("a.nii", "a.mhd"):
        refused(tmp_path / name, "2000 × 2000 × 1000", "7.5 GiB", "1074 million")


def test_the_limit_on_voxels_is_the_callers(tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_bytes(nifti_bytes(voxels(), np.eye(4)))
    assert read_volume(tmp_path / "a.nii", max_voxels=210).shape == (5, 6, 7)
    refused(tmp_path / "a.nii", "too large", max_voxels=209)


# --- folders ----------------------------------------------------------------------------------------------------


def test_a_folder_of_image_files_is_as_many_scans_with_names_of_their_own(tmp_path: Path) -> None:
    root = tmp_path / "scans"
    for name in ("a.nii", "b c.nii.gz", "sub/a.nii", ".hidden.nii", "sub/.x/a.nii"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(nifti_bytes(voxels(), np.eye(4)))
    sitk.WriteImage(sitk.GetImageFromArray(voxels()), str(root / "a.nrrd"))
    (root / "notes.txt").write_text("nothing to read here")
    names = [source.name for source in find_scans(root)]
    assert len(set(names)) == 4
    assert {"scans-b-c", "scans-sub-a"} < set(names)
    assert [source.name for source in find_scans(root)] == names
    assert all(source.read().name == source.name for source in find_scans(root))
    (root / "a.nrrd").unlink()
    assert [source.name for source in find_scans(root)] == ["scans-a", "scans-b-c", "scans-sub-a"]
    assert "contains 3 scans" in refused(root, "scans-sub-a")


def test_a_folder_with_no_scan_is_said(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    refused(tmp_path, "contains no scan")


# --- writing ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("left_handed", [False, True])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_a_written_volume_is_read_back_by_us_and_by_itk(tmp_path: Path, suffix: str, left_handed: bool) -> None:
    path = tmp_path / "new folder" / f"scan{suffix}"
    volume = Volume(voxels(), Grid((5, 6, 7), oblique(left_handed=left_handed)))
    write_volume(volume, path)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    again, image = read_volume(path), sitk.ReadImage(str(path))
    np.testing.assert_array_equal(again.voxels, volume.voxels)
    np.testing.assert_array_equal(sitk.GetArrayViewFromImage(image), volume.voxels)
    np.testing.assert_allclose(again.grid.ijk_to_ras, volume.grid.ijk_to_ras, atol=1e-4)
    corner = np.array(image.TransformIndexToPhysicalPoint((6, 5, 4))) * LPS_TO_RAS
    np.testing.assert_allclose(volume.grid.to_ras((4, 5, 6)), corner, atol=1e-4)


FILL = """
import resource, sys
import numpy as np
from medinfer.errors import OutputError
from medinfer.volume import Grid, Volume
from medinfer.atomic_files import write_text
from medinfer.scans.writing import write_volume
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
noise = np.random.default_rng(0).integers(-9999, 9999, (30, 40, 50)).astype("i2")
try:
    if sys.argv[1].endswith(".txt"):
        write_text(sys.argv[1], "x" * 100_000)
    else:
        write_volume(Volume(noise, Grid(noise.shape, np.eye(4))), sys.argv[1])
except OutputError as error:
    print(error)
else:
    print("written")
"""


@pytest.mark.parametrize("name", ["a.nrrd", "a.nii", "a.nii.gz", "a.mha", "a.txt"])
def test_a_disk_that_fills_is_one_sentence_and_leaves_the_old_file(tmp_path: Path, name: str) -> None:
    """The disk is played by a limit on the size of files, which the kernel enforces as it does a full disk."""
    (tmp_path / name).write_text("the old one")
    done = subprocess.run(
        [sys.executable, "-c", FILL, str(tmp_path / name)], capture_output=True, text=True, check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert "cannot be written" in done.stdout
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
    assert [file.read_text() for file in tmp_path.iterdir()] == ["the old one"]


def test_a_full_device_is_told_as_a_full_disk(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")

    def write() -> None:
        with atomic_path(tmp_path / "a"):
            full.write_text("x")

    with pytest.raises(OutputError, match="the disk is full"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_half_way_leaves_what_was_there(tmp_path: Path) -> None:
    write_text(tmp_path / "a.json", "old ä\n")

    def write() -> None:
        with atomic_path(tmp_path / "a.json") as partial:
            partial.write_text("ne")
            assert partial.suffix == ".json"
            raise KeyError("bug")

    with pytest.raises(KeyError):
        write()
    assert [file.read_bytes() for file in tmp_path.iterdir()] == ["old ä\n".encode()]


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "taken").mkdir()
    for path in (tmp_path / "file" / "a.json", tmp_path / "taken", tmp_path / ("x" * 300), Path("/proc/a.json")):
        with pytest.raises(OutputError, match="cannot be written") as caught:
            write_text(path, "{}")
        assert str(path) in str(caught.value)
        assert str(caught.value).count(".part") == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file", "taken"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody says how much memory a process alone had at most")
def test_reading_takes_no_more_than_twice_the_memory_of_the_voxels(tmp_path: Path) -> None:
    """The peak of a fresh process, against one that reads a scan of 8 voxels."""
    peaks = []
    for side in (2, 256):
        values = np.zeros((side, side, side), "i2")
        (tmp_path / "a.nii.gz").write_bytes(gzip.compress(nifti_bytes(values, np.eye(4)), 1))
        # Not ru_maxrss: a child inherits its parent's, and the parent is a large test run.
        code = (
            "import sys, re; from medinfer.scans.reading import read_volume; import medinfer.scans.geometry;"
            "read_volume(sys.argv[1]); print(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "a.nii.gz")], capture_output=True, text=True, check=True,
            env={"PYTHONPATH": ":".join(sys.path)},
        )
        peaks.append(int(done.stdout) * 1024)
    assert 2 * 256**3 < peaks[1] - peaks[0] < 2 * 2 * 256**3
