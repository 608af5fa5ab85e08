"""Headers with something missing: what else in them tells is taken and said once; values stay at their places."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from ct_slices import ORIGIN, changed, check_values, rotation, save, stack
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
)

from medinfer.errors import ScanError
from medinfer.scans.reading import find_scans, read_volume

HEIGHTS = 2.5 * np.arange(8)


def without(slices: list[Dataset], *names: str) -> list[Dataset]:
    for data in slices:
        for name in names:
            if name in data:
                delattr(data, name)
    return slices


def one_note(volume: Any, words: str) -> None:
    assert len(volume.notes) == 1, volume.notes
    assert words in volume.notes[0]


# --- identifiers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("uid", ["1.2.3.4.5", "", None])
def test_slices_with_one_or_no_sop_instance_uid_are_all_read(tmp_path: Path, uid: str | None) -> None:
    slices = without(stack(HEIGHTS), "SOPInstanceUID")
    if uid is not None:
        slices = changed(slices, SOPInstanceUID=uid)
    for number, data in enumerate(slices):
        (tmp_path / "ct").mkdir(exist_ok=True)
        data.save_as(tmp_path / "ct" / f"{number}.dcm")
    volume = read_volume(tmp_path / "ct")
    assert volume.shape[0] == 8
    check_values(volume)
    assert len(volume.notes) == bool(uid)


def test_a_series_uid_for_each_slice_is_no_reason_to_part_them(tmp_path: Path) -> None:
    for study in (False, True):
        slices = stack(HEIGHTS)
        for number, data in enumerate(slices):
            data.SeriesInstanceUID = f"1.2.{number}"
            data.StudyInstanceUID = f"1.3.{number}" if study else "1.3"
        volume = read_volume(save(tmp_path / f"ct{study}", slices))
        one_note(volume, "each of its slices has a SeriesInstanceUID of its own")
        check_values(volume)


def test_two_series_without_any_identifier_are_told_apart_by_number_and_description(tmp_path: Path) -> None:
    for number in (2, 3):
        slices = without(stack(HEIGHTS[: 4 + number]), "SeriesInstanceUID", "StudyInstanceUID")
        save(tmp_path / "ct", changed(slices, SeriesNumber=number), seed=number)
    volumes = [source.read() for source in find_scans(tmp_path / "ct")]
    assert sorted(volume.shape[0] for volume in volumes) == [6, 7]
    for volume in volumes:
        one_note(volume, "no SeriesInstanceUID")
        check_values(volume)


def test_the_same_uid_on_two_images_does_not_make_one_a_copy(tmp_path: Path) -> None:
    slices = changed(stack(HEIGHTS), SOPInstanceUID="1.2.3.4.5")
    for number, data in enumerate(slices):
        data.AcquisitionNumber = 1
        (tmp_path / "ct").mkdir(exist_ok=True)
        data.save_as(tmp_path / "ct" / f"{number}.dcm")
    for data in slices:
        data.AcquisitionNumber, data.PixelData = 2, bytes(len(data.PixelData))
        data.save_as(tmp_path / "ct" / f"{id(data)}.dcm")
    assert len(find_scans(tmp_path / "ct")) == 2


# --- geometry ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ImagerPixelSpacing", "NominalScannedPixelSpacing"])
def test_another_pixel_spacing_takes_the_place_of_a_missing_one(tmp_path: Path, name: str) -> None:
    slices = stack(HEIGHTS)
    for data in slices:
        setattr(data, name, data.PixelSpacing)
    volume = read_volume(save(tmp_path / "ct", without(slices, "PixelSpacing")))
    one_note(volume, f"its 8 slices have no usable PixelSpacing, for which {name} was taken")
    check_values(volume)


def test_a_missing_orientation_is_assumed_from_the_positions(tmp_path: Path) -> None:
    volume = read_volume(save(tmp_path / "ct", without(stack(HEIGHTS), "ImageOrientationPatient")))
    one_note(volume, "were taken as axial with rows to the left by their positions")
    check_values(volume)


def test_slices_without_orientation_take_that_of_the_others(tmp_path: Path) -> None:
    slices = stack(HEIGHTS, rotation((1, 0, 0), 20))
    without(slices[:1], "ImageOrientationPatient")
    volume = read_volume(save(tmp_path / "ct", slices))
    one_note(volume, "1 of its 8 slices has no ImageOrientationPatient, for which that of the other slices was taken")
    check_values(volume)


def test_the_position_of_the_older_standard_is_read(tmp_path: Path) -> None:
    slices = stack(HEIGHTS)
    for data in slices:
        data.add_new(0x00200030, "DS", data.ImagePositionPatient)
        data.add_new(0x00200035, "DS", data.ImageOrientationPatient)
    volume = read_volume(save(tmp_path / "ct", without(slices, "ImagePositionPatient", "ImageOrientationPatient")))
    assert volume.notes == ()
    check_values(volume)


def test_slice_location_places_slices_along_the_body(tmp_path: Path) -> None:
    slices = stack(HEIGHTS)
    for height, data in zip(HEIGHTS, slices, strict=True):
        data.SliceLocation = ORIGIN[2] + height
    volume = read_volume(save(tmp_path / "ct", without(slices, "ImagePositionPatient")))
    one_note(volume, "SliceLocation was taken")
    assert volume.shape[0] == 8
    np.testing.assert_allclose(volume.grid.to_ras((0, 0, 0))[2], ORIGIN[2])


def test_a_missing_rescaling_is_that_of_the_others_and_said(tmp_path: Path) -> None:
    slices = stack(HEIGHTS)
    without(slices[2:4], "RescaleIntercept")
    volume = read_volume(save(tmp_path / "ct", slices))
    one_note(volume, "2 of its 8 slices have no RescaleIntercept, for which that of the other slices was taken")
    check_values(volume)
    folder = save(tmp_path / "raw", without(stack(HEIGHTS), "RescaleIntercept", "RescaleSlope"))
    one_note(read_volume(folder), "their stored values were taken as they are")


# --- frames without functional groups ---------------------------------------------------------------------------


def frames(**fields: Any) -> Dataset:
    """All slices as the frames of one file, with the geometry of the first at the top level."""
    slices = stack(HEIGHTS)
    data = slices[0]
    data.PixelData = b"".join(one.PixelData for one in slices)
    data.NumberOfFrames = len(slices)
    del data.SliceThickness
    return changed([data], **fields)[0]


@pytest.mark.parametrize(("fields", "words"), [
    ({"SpacingBetweenSlices": 2.5, "SliceThickness": 9.0}, "spaced by SpacingBetweenSlices (2.5 mm)"),
    ({"SliceThickness": 2.5}, "spaced by SliceThickness (2.5 mm)"),
    ({"GridFrameOffsetVector": HEIGHTS.tolist(), "SliceThickness": 9.0}, "spaced by GridFrameOffsetVector"),
    ({"GridFrameOffsetVector": (HEIGHTS + 100).tolist()}, "spaced by GridFrameOffsetVector"),
    ({"SliceLocationVector": (HEIGHTS + 3).tolist()}, "spaced by SliceLocationVector"),
    ({"SliceThickness": 2.5, "Modality": "OT", "SOPClassUID": MultiFrameGrayscaleWordSecondaryCaptureImageStorage},
     "spaced by SliceThickness"),
])
def test_frames_are_spaced_by_what_the_top_level_says(tmp_path: Path, fields: dict[str, Any], words: str) -> None:
    frames(**fields).save_as(tmp_path / "ct.dcm")
    volume = read_volume(tmp_path / "ct.dcm")
    one_note(volume, words)
    assert volume.shape[0] == 8
    check_values(volume)


@pytest.mark.parametrize("fields", [{}, {"SliceThickness": 2.5, "Modality": "XA"}])
def test_frames_that_are_no_places_are_no_scan(tmp_path: Path, fields: dict[str, Any]) -> None:
    frames(**fields).save_as(tmp_path / "ct.dcm")
    with pytest.raises(ScanError, match="without a position in space"):
        read_volume(tmp_path / "ct.dcm")


# --- encodings --------------------------------------------------------------------------------------------------


def rewritten(folder: Path, change: Callable[[bytes], bytes], suffix: str = "") -> Path:
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        path.unlink()
        (folder / f"{path.stem}{suffix}").write_bytes(change(whole))
    return folder


def bare(whole: bytes, implicit: bool = False) -> bytes:
    """The data set alone: no preamble, no meta information."""
    data = pydicom.dcmread(io.BytesIO(whole))
    out = Dataset()
    out.update({element.tag: element for element in data})
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, out, implicit_vr=implicit, little_endian=True)
    return stream.getvalue()


@pytest.mark.parametrize("implicit", [True, False])
def test_data_sets_without_preamble_or_suffix_are_read(tmp_path: Path, implicit: bool) -> None:
    folder = rewritten(save(tmp_path / "ct", stack(HEIGHTS)), lambda whole: bare(whole, implicit))
    assert not any(b"DICM" in path.read_bytes() for path in folder.iterdir())
    check_values(read_volume(folder))


def test_a_preamble_alone_may_be_missing(tmp_path: Path) -> None:
    check_values(read_volume(rewritten(save(tmp_path / "ct", stack(HEIGHTS)), lambda whole: whole[132:])))


def private(whole: bytes, vr: bytes, before: tuple[int, int], length: bytes) -> bytes:
    """A private element of a value representation that no standard knows, before the element `before`."""
    at = whole.index(struct.pack("<HH", *before), 132)
    return whole[:at] + struct.pack("<HH", before[0] - 1, 0x1001) + vr + length + b"abcd" + whole[at:]


@pytest.mark.parametrize("length", [struct.pack("<HI", 0, 4), struct.pack("<H", 4)])
@pytest.mark.parametrize("before", [(0x7FE0, 0x0010), (0x0010, 0x0010), (0x0018, 0x0050)])
@pytest.mark.parametrize("vr", [b"ZZ", b"??", b"\0\0"])
def test_private_elements_of_unknown_kinds_are_passed_over(
    tmp_path: Path, vr: bytes, before: tuple[int, int], length: bytes
) -> None:
    slices = stack(HEIGHTS)
    for data in slices:
        data.add_new(0x00081140, "SQ", [Dataset()])
        data[0x00081140].is_undefined_length = True
        data.PatientName = "x"
    folder = save(tmp_path / "ct", slices)
    check_values(read_volume(rewritten(folder, lambda whole: private(whole, vr, before, length))))


def test_deflated_and_implicit_data_sets_are_read(tmp_path: Path) -> None:
    for syntax in (DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian):
        slices = stack(HEIGHTS)
        for data in slices:
            data.file_meta.TransferSyntaxUID = syntax
        check_values(read_volume(save(tmp_path / syntax, slices)))


def test_one_line_says_what_a_whole_folder_lacks(tmp_path: Path) -> None:
    slices = without(stack(HEIGHTS), "PixelSpacing")
    with pytest.raises(ScanError) as caught:
        read_volume(save(tmp_path / "ct", slices))
    assert "8 images without a pixel spacing" in str(caught.value)
    assert "damaged" not in str(caught.value)


def test_wrong_values_count_as_missing(tmp_path: Path) -> None:
    slices: Sequence[Dataset] = stack(HEIGHTS)
    folder = save(tmp_path / "ct", slices)
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        path.write_bytes(whole.replace(b"2.5 ", b"thin"))  # SliceThickness
    check_values(read_volume(folder))


@pytest.mark.parametrize("name", ["SamplesPerPixel", "PhotometricInterpretation"])
def test_what_every_slice_in_grey_has_may_be_missing(tmp_path: Path, name: str) -> None:
    slices = stack(HEIGHTS)
    for data in slices:
        delattr(data, name)
    volume = read_volume(save(tmp_path / "ct", slices))
    check_values(volume)
    assert volume.notes == ()
