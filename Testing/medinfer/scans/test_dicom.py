"""DICOM folders become one volume a series, with every value at its place in the patient."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from ct_slices import AXIAL, COLUMNS, ORIGIN, ROWS, SPACING, changed, check_values, image, rotation, save, stack
from full_disk import files_no_larger_than
from pydicom.dataset import Dataset
from pydicom.uid import (
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from medinfer.errors import OutputError, ScanError
from medinfer.scans.dicom_pixels import stored_frames
from medinfer.scans.dicom_series import find_series
from medinfer.scans.geometry import shear_degrees
from medinfer.scans.reading import find_scans, read_volume


def itk_series(folder: Path) -> sitk.Image:
    return sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))


# --- sorting and placing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("degrees", [0, 25])
@pytest.mark.parametrize("downwards", [False, True])
def test_a_series_is_sorted_by_position_and_lies_where_itk_puts_it(
    tmp_path: Path, degrees: int, downwards: bool
) -> None:
    directions = rotation((1, 2, -1), degrees)
    heights = 2.5 * np.arange(8) * (-1 if downwards else 1)
    volume = read_volume(save(tmp_path / "ct", stack(heights, directions)))
    assert volume.shape == (8, ROWS, COLUMNS)
    assert volume.voxels.dtype == np.int16
    assert (volume.modality, volume.name, volume.notes) == ("CT", "ct", ())
    np.testing.assert_allclose(volume.spacing, (2.5, *SPACING), atol=1e-6)
    check_values(volume)
    peer = itk_series(tmp_path / "ct")
    np.testing.assert_array_equal(volume.voxels, sitk.GetArrayViewFromImage(peer))
    corner = np.array(peer.TransformIndexToPhysicalPoint((19, 23, 7))) * [-1, -1, 1]
    np.testing.assert_allclose(volume.grid.to_ras((7, 23, 19)), corner, atol=1e-4)


def test_a_file_of_a_series_stands_for_the_series(tmp_path: Path) -> None:
    folder = save(tmp_path / "ct", stack(2.5 * np.arange(6)))
    one = sorted(folder.iterdir())[3]
    assert read_volume(one).shape == (6, ROWS, COLUMNS)
    assert find_scans(one)[0].name == find_scans(folder)[0].name == "ct"
    np.testing.assert_array_equal(read_volume(one).voxels, read_volume(folder).voxels)


def test_one_slice_alone_is_a_volume_as_thick_as_it_says(tmp_path: Path) -> None:
    volume = read_volume(save(tmp_path / "ct", stack([0.0])))
    assert volume.shape == (1, ROWS, COLUMNS)
    np.testing.assert_allclose(volume.spacing, (2.5, *SPACING))
    check_values(volume, at_least=0)


def test_positions_rounded_to_a_tenth_of_a_millimetre_are_no_gaps(tmp_path: Path) -> None:
    volume = read_volume(save(tmp_path / "ct", stack(np.round(0.625 * np.arange(20), 1))))
    assert volume.notes == ()
    assert volume.shape[0] == 20
    np.testing.assert_allclose(volume.spacing[0], 0.625, atol=0.003)


@pytest.mark.parametrize("degrees", [12.0, -20.0])
@pytest.mark.parametrize("turn", [0, 30])
def test_a_gantry_tilt_is_told_and_straightened(tmp_path: Path, degrees: float, turn: int) -> None:
    directions = rotation((2, 1, 1), turn)
    folder = save(tmp_path / "ct", stack(2.5 * np.arange(10), directions, np.tan(np.radians(degrees))))
    volume = read_volume(folder)
    assert volume.notes == (f"gantry tilt ({abs(degrees):.1f}°): resampled to a grid with right angles",)
    assert shear_degrees(volume.grid) < 1e-4
    np.testing.assert_allclose(volume.spacing, (2.5, *SPACING), atol=1e-5)
    assert volume.shape[0] == 10
    assert volume.shape[2] == COLUMNS
    # Rounded when the slice was stored and again after interpolation. Beside the slices there is padding.
    check_values(volume, tolerance=1.01, at_least=ROWS / volume.shape[1] - 0.1)


def test_missing_slices_are_told_with_their_place_and_filled(tmp_path: Path) -> None:
    heights = [2.5 * n for n in range(16) if n not in (4, 9, 10)]
    volume = read_volume(save(tmp_path / "ct", stack(heights)))
    assert volume.shape == (16, ROWS, COLUMNS)
    np.testing.assert_allclose(volume.spacing[0], 2.5)
    assert volume.notes == (
        "3 slices are missing, between S 107.5 and 112.5 mm; S 120.0 and 127.5 mm; filled in by interpolation",
    )
    check_values(volume, tolerance=1.01)
    there = [n for n in range(16) if n not in (4, 9, 10)]
    np.testing.assert_array_equal(volume.voxels[there], sitk.GetArrayFromImage(itk_series(tmp_path / "ct")))


def test_missing_slices_under_a_tilt_are_filled_along_it(tmp_path: Path) -> None:
    heights = [2.5 * n for n in range(12) if n != 5]
    volume = read_volume(save(tmp_path / "ct", stack(heights, AXIAL, 0.3)))
    assert [note.split(",")[0].split(" (")[0] for note in volume.notes] == ["1 slice is missing", "gantry tilt"]
    check_values(volume, tolerance=1.51, at_least=0.6)


def test_unequal_gaps_are_told_and_resampled(tmp_path: Path) -> None:
    heights = [*(1.7 * n for n in range(6)), *(8.5 + 2.9 * n for n in range(1, 7))]
    volume = read_volume(save(tmp_path / "ct", stack(heights)))
    assert len(volume.notes) == 1
    assert "1.70 to 2.90 mm" in volume.notes[0]
    check_values(volume, tolerance=1.01)
    ends = volume.grid.to_ras([(0, 0, 0), (volume.shape[0] - 1, 0, 0)])[:, 2]
    np.testing.assert_allclose(ends, [100, 100 + heights[-1]], atol=1e-6)


def test_a_series_with_more_holes_than_slices_is_refused(tmp_path: Path) -> None:
    heights = [2.0 * n for n in (0, 1, 2, 3, 4, 30, 31, 32)]
    with pytest.raises(ScanError, match=r"25 of 33 slices are missing") as caught:
        read_volume(save(tmp_path / "ct", stack(heights)))
    assert str(tmp_path / "ct") in str(caught.value)


def test_slices_shifted_sideways_at_random_are_refused(tmp_path: Path) -> None:
    slices = [image(ORIGIN + np.array([7.0 * (n % 2), 0, 2.5 * n])) for n in range(8)]
    with pytest.raises(ScanError, match="shifted sideways"):
        read_volume(save(tmp_path / "ct", slices))


def test_copies_of_a_slice_are_left_out_and_counted(tmp_path: Path) -> None:
    folder = save(tmp_path / "ct", stack(2.5 * np.arange(20)))
    shutil.copy(next(folder.iterdir()), folder / "copy.dcm")
    volume = read_volume(folder)
    assert volume.shape[0] == 20
    assert volume.notes == ("1 file is a copy of another and was left out",)
    again = stack([5.0])[0]  # another image at a place that is taken
    again.save_as(folder / "twice", enforce_file_format=True)
    volume = read_volume(folder)
    assert volume.notes == ("1 file is a copy of another and was left out",) * 2
    again.PixelData = bytes(len(again.PixelData))
    again.save_as(folder / "twice", enforce_file_format=True)
    volume = read_volume(folder)
    assert volume.notes[-1] == "1 image lies at the position of another one and was left out"
    check_values(volume)


# --- several series ---------------------------------------------------------------------------------------------


def test_several_series_in_one_folder_are_told_apart(tmp_path: Path) -> None:
    folder = save(tmp_path / "study", stack(2.5 * np.arange(6)))
    other = changed(stack(2.5 * np.arange(7)), SeriesInstanceUID="1.2.9", SeriesNumber=3, SeriesDescription="Bone/é 1?")
    save(folder, other, seed=2)
    sources = find_scans(folder)
    assert [source.name for source in sources] == ["study-2-Lung-1.0", "study-3-Bone-é-1"]
    assert [source.read().shape[0] for source in sources] == [6, 7]
    with pytest.raises(ScanError, match="contains 2 scans"):
        read_volume(folder)
    file_of_other = next(f for f in sorted(folder.iterdir()) if pydicom.dcmread(f).SeriesNumber == 3)
    assert read_volume(file_of_other).shape[0] == 7


def test_one_series_uid_with_two_orientations_is_two_scans(tmp_path: Path) -> None:
    folder = save(tmp_path / "study", stack(2.5 * np.arange(6)))
    coronal = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    save(folder, stack(3.0 * np.arange(5), coronal), seed=2)
    sources = find_scans(folder)
    assert len({source.name for source in sources}) == 2
    assert sorted(source.read().shape[0] for source in sources) == [5, 6]
    for source in sources:
        check_values(source.read())


@pytest.mark.parametrize(("field", "contents"), [
    ("AcquisitionNumber", (1, 2)), ("EchoTime", (2.4, 4.8)), ("ImageType", (["ORIGINAL", "M"], ["ORIGINAL", "P"])),
])
def test_two_passes_over_the_same_positions_are_two_scans(
    tmp_path: Path, field: str, contents: tuple[Any, Any]
) -> None:
    for seed, content in enumerate(contents):
        save(tmp_path / "mr", changed(stack(2.5 * np.arange(6)), **{field: content, "Modality": "MR"}), seed)
    sources = find_scans(tmp_path / "mr")
    assert len({source.name for source in sources}) == 2
    for source in sources:
        volume = source.read()
        assert (volume.shape[0], volume.modality) == (6, "MR")
        assert f"holds 2 scans that overlap and was cut by {field}" in "".join(volume.notes)


def test_a_localizer_is_set_aside_and_told(tmp_path: Path) -> None:
    folder = save(tmp_path / "study", stack(2.5 * np.arange(9)))
    scout = changed(
        stack(np.arange(2.0)), SeriesInstanceUID="1.2.7", SeriesNumber=1, SeriesDescription="Topogram",
        ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
    )
    save(folder, scout, seed=2)
    volume = read_volume(folder)
    assert volume.shape[0] == 9
    assert volume.name == "study"
    assert volume.notes == (
        "series 1 (Topogram) with 2 images was not read (a localizer, or too short)",
    )


def test_a_tree_of_patients_gives_a_scan_each_with_the_path_as_name(tmp_path: Path) -> None:
    root = tmp_path / "all"
    for number, patient in enumerate(("p1", "p2")):
        save(root / patient / "CT", changed(stack(2.5 * np.arange(5)), SeriesInstanceUID=f"1.2.{number}"))
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 4, 5), "i2")), str(root / "p2" / "ct.nii.gz"))
    changed(stack([0.0]), Modality="SR")[0].save_as(root / "p1" / "report", enforce_file_format=True)
    names = [source.name for source in find_scans(root)]
    assert [name[:9] for name in names] == ["all-p2-ct", "all-p1-CT", "all-p2-CT"]
    assert names[1] == "all-p1-CT"
    # Two names that a case-insensitive disk would take for one get a digest each.
    assert len({name.casefold() for name in names}) == 3
    assert [source.name for source in find_scans(root)] == names


# --- kinds of pixels --------------------------------------------------------------------------------------------


def test_rescaling_with_fractions_gives_float32_and_a_slope_of_its_own_for_each_slice(tmp_path: Path) -> None:
    slices = stack(2.5 * np.arange(6))
    for number, data in enumerate(slices):
        stored = np.frombuffer(data.PixelData, "<u2")
        data.RescaleSlope = 0.25 * (number + 1)
        data.PixelData = np.rint((stored - 1024.0 + 3000) / (0.25 * (number + 1))).astype("<u2").tobytes()
        data.RescaleIntercept = -3000
    volume = read_volume(save(tmp_path / "ct", slices))
    assert volume.voxels.dtype == np.float32
    check_values(volume, tolerance=1.3)


def test_signed_pixels_of_12_bits_keep_their_sign(tmp_path: Path) -> None:
    slices = stack(2.5 * np.arange(6))
    for data in slices:
        hu = np.frombuffer(data.PixelData, "<u2").astype(int) - 1024
        data.PixelRepresentation, data.BitsStored, data.HighBit, data.RescaleIntercept = 1, 12, 11, 0
        data.PixelData = (hu & 0xFFF).astype("<u2").tobytes()
    check_values(read_volume(save(tmp_path / "ct", slices)))


def test_monochrome1_keeps_its_hounsfield_units(tmp_path: Path) -> None:
    folder = save(tmp_path / "ct", changed(stack(2.5 * np.arange(6)), PhotometricInterpretation="MONOCHROME1"))
    volume = read_volume(folder)
    assert "MONOCHROME1" in volume.notes[0]
    check_values(volume)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless])
def test_the_transfer_syntaxes_without_a_codec_are_read(tmp_path: Path, syntax: str) -> None:
    slices = stack(2.5 * np.arange(6))
    for data in slices:
        if syntax == RLELossless:
            data.compress(RLELossless)
            continue
        if syntax == ExplicitVRBigEndian:
            data.PixelData = np.frombuffer(data.PixelData, "<u2").astype(">u2").tobytes()
        data.file_meta.TransferSyntaxUID = syntax
    check_values(read_volume(save(tmp_path / "ct", slices)))


def compressed(source: Path, target: Path, codec: str) -> None:
    """A slice as GDCM compresses it (lossless), with its own header around it."""
    data = pydicom.dcmread(source)
    pixels = sitk.GetImageFromArray(np.frombuffer(data.PixelData, "<u2").reshape(1, ROWS, COLUMNS))
    writer = sitk.ImageFileWriter()
    writer.SetFileName(str(target.with_suffix(".dcm")))
    writer.SetUseCompression(True)
    writer.SetCompressor(codec)
    writer.Execute(pixels)
    packed = pydicom.dcmread(target.with_suffix(".dcm"))
    target.with_suffix(".dcm").unlink()
    data.file_meta.TransferSyntaxUID = packed.file_meta.TransferSyntaxUID
    data["PixelData"] = packed["PixelData"]
    data.save_as(target, enforce_file_format=True)


@pytest.mark.parametrize("codec", ["JPEG", "JPEG2000"])
@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
def test_compressed_pixels_are_read_through_gdcm(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], codec: str, photometric: str
) -> None:
    folder = save(tmp_path / "ct", changed(stack(2.5 * np.arange(6)), PhotometricInterpretation=photometric))
    for path in sorted(folder.iterdir()):
        compressed(path, path, codec)
        assert pydicom.dcmread(path).file_meta.TransferSyntaxUID.is_compressed
    check_values(read_volume(folder))
    assert capfd.readouterr() == ("", "")


def enhanced(heights: Sequence[float]) -> Dataset:
    """All slices as the frames of one Enhanced CT, in the order given."""
    slices = stack(heights)
    data = slices[0]
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    shared, measures, orientation, transform = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = data.PixelSpacing, data.SliceThickness
    orientation.ImageOrientationPatient = data.ImageOrientationPatient
    transform.RescaleSlope, transform.RescaleIntercept = data.RescaleSlope, data.RescaleIntercept
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    shared.PixelValueTransformationSequence = [transform]
    frames = []
    for one in slices:
        place, frame = Dataset(), Dataset()
        place.ImagePositionPatient = one.ImagePositionPatient
        frame.PlanePositionSequence = [place]
        frames.append(frame)
    data.PixelData = b"".join(one.PixelData for one in slices)
    data.NumberOfFrames = len(slices)
    for name in ("PixelSpacing", "SliceThickness", "ImageOrientationPatient", "ImagePositionPatient", "RescaleSlope",
                 "RescaleIntercept"):
        delattr(data, name)
    data.SharedFunctionalGroupsSequence, data.PerFrameFunctionalGroupsSequence = [shared], frames
    return data


def test_the_frames_of_an_enhanced_ct_are_its_slices(tmp_path: Path) -> None:
    enhanced([2.5 * n for n in (3, 0, 5, 1, 4, 2)]).save_as(tmp_path / "ct.dcm", enforce_file_format=True)
    volume = read_volume(tmp_path / "ct.dcm")
    assert volume.shape == (6, ROWS, COLUMNS)
    assert volume.modality == "CT"
    check_values(volume)


# --- bad files --------------------------------------------------------------------------------------------------


def refused(path: Path, named: Path, *words: str) -> None:
    with pytest.raises(ScanError) as caught:
        read_volume(path)
    text = str(caught.value)
    assert str(named) in text
    assert "\n" not in text
    assert text.endswith(".")
    for word in words:
        assert word in text, text


@pytest.mark.parametrize("kept", [140, 300, 500, 0.6, 0.97])
def test_a_file_cut_short_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str], kept: float) -> None:
    folder = save(tmp_path / "ct", stack(2.5 * np.arange(8)))
    bad = (folder / "IM00031").rename(folder / "IM0003.dcm")
    whole = bad.read_bytes()
    bad.write_bytes(whole[:int(kept if kept > 1 else kept * len(whole))])
    refused(folder, bad, "truncated or damaged")
    refused(bad, bad, "truncated or damaged")
    assert capfd.readouterr() == ("", "")


def test_a_full_temporary_folder_is_named_and_not_the_scan(tmp_path: Path) -> None:
    path = sorted(save(tmp_path / "ct", stack(2.5 * np.arange(6))).iterdir())[0]
    compressed(path, path, "JPEG")
    with files_no_larger_than(64), pytest.raises(OutputError) as caught:
        stored_frames(path)
    assert str(caught.value).startswith(f"The temporary folder {tempfile.gettempdir()} cannot be written: ")
    assert str(caught.value).endswith("; free some space there, or set TMPDIR to another one.")


def test_a_compressed_file_cut_short_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = save(tmp_path / "ct", stack(2.5 * np.arange(8)))
    for path in sorted(folder.iterdir()):
        compressed(path, path, "JPEG")
    bad = folder / "IM00031"
    bad.write_bytes(bad.read_bytes()[:-200])
    refused(folder, bad, "truncated or damaged")
    assert capfd.readouterr() == ("", "")


def test_a_damaged_header_does_not_stop_the_other_series(tmp_path: Path) -> None:
    save(tmp_path / "all" / "good", stack(2.5 * np.arange(8)))
    (tmp_path / "all" / "bad").mkdir()
    whole = next((tmp_path / "all" / "good").iterdir()).read_bytes()
    (tmp_path / "all" / "bad" / "x.dcm").write_bytes(whole[:300])
    good, bad = sorted(find_scans(tmp_path / "all"), key=lambda source: bool(source.problem))
    assert good.read().shape[0] == 8
    with pytest.raises(ScanError, match=r"x\.dcm is truncated or damaged"):
        bad.read()


def without(name: str) -> Callable[[Dataset], None]:
    return lambda data: delattr(data, name)


def with_field(name: str, content: Any) -> Callable[[Dataset], None]:
    return lambda data: setattr(data, name, content)


@pytest.mark.parametrize(("change", "words"), [
    (with_field("PixelSpacing", [0, 0.9]), ("0 mm along j", "spacing")),
    (with_field("PixelSpacing", [0.8, 0]), ("0 mm along i", "spacing")),
    (with_field("ImageOrientationPatient", [1, 0, 0, 1, 0, 0]), ("parallel", "directions")),
    (with_field("ImageOrientationPatient", [0, 0, 0, 0, 1, 0]), ("along i",)),
])
def test_impossible_geometry_is_refused(
    tmp_path: Path, change: Callable[[Dataset], None], words: tuple[str, ...]
) -> None:
    slices = stack(2.5 * np.arange(6))
    for data in slices:
        change(data)
    refused(save(tmp_path / "ct", slices), tmp_path / "ct", *words)


def test_slices_that_give_no_pixel_spacing_at_all_are_no_scan(tmp_path: Path) -> None:
    slices = stack(2.5 * np.arange(6))
    for data in slices:
        without("PixelSpacing")(data)
    folder = save(tmp_path / "ct", slices)
    refused(folder, folder, "6 images without a pixel spacing")


def test_colour_is_refused(tmp_path: Path) -> None:
    slices = stack(2.5 * np.arange(6))
    for data in slices:
        data.SamplesPerPixel, data.PhotometricInterpretation, data.PlanarConfiguration = 3, "RGB", 0
        data.BitsAllocated, data.BitsStored, data.HighBit = 8, 8, 7
        data.PixelData = bytes(3 * ROWS * COLUMNS)
    refused(save(tmp_path / "ct", slices), tmp_path / "ct", "colour")


def test_images_without_a_place_are_no_scan(tmp_path: Path) -> None:
    slices = stack(2.5 * np.arange(3))
    for data in slices:
        without("ImagePositionPatient")(data)
    folder = save(tmp_path / "cr", slices)
    refused(folder, folder, "3 images without a position in space")
    first = sorted(folder.iterdir())[0]
    refused(first, first, "position")


def test_a_series_past_the_limit_is_refused_by_its_headers(tmp_path: Path) -> None:
    slices = stack(2.5 * np.arange(6))
    for data in slices:
        data.Rows = data.Columns = 20_000  # the few pixels that are there are never looked at
    folder = save(tmp_path / "ct", slices)
    refused(folder, folder, "20000 × 20000 × 6", "too large", "4.5 GiB")


def test_headers_alone_tell_what_a_folder_holds(tmp_path: Path) -> None:
    folder = save(tmp_path / "ct", stack(2.5 * np.arange(6)))
    found = find_series(sorted(folder.iterdir()))
    assert [(len(series.slices), series.modality) for series in found.series] == [(6, "CT")]
    assert found.damaged == {}
    np.testing.assert_allclose(
        sorted(one.height for one in found.series[0].slices), 100 + 2.5 * np.arange(6), atol=1e-9
    )


def test_the_series_and_the_numbers_of_its_images_are_known(tmp_path: Path) -> None:
    slices = stack([0, 2.5, 5, 10, 12.5, 15])
    save(tmp_path / "whole", slices)
    volume = read_volume(tmp_path / "whole")
    assert volume.series == "1.2.3.4"
    # By position, as the voxels are; the missing slice has the number of a neighbour.
    numbers = [int(data.InstanceNumber) for data in slices]
    assert volume.slice_numbers in {(*numbers[:3], between, *numbers[3:]) for between in numbers[2:4]}
    (tmp_path / "same").mkdir()
    for data in slices:
        data.InstanceNumber = 1
        data.save_as(tmp_path / "same" / f"{data.SOPInstanceUID}.dcm", enforce_file_format=True)
    assert read_volume(tmp_path / "same").slice_numbers == ()
