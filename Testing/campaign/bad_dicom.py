"""DICOM series as scanners, archives, anonymisers and broken transfers leave them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
    generate_uid,
)

from medinfer.volume import Volume

from .kinds import BOTH, ELSEWHERE, OK, SECOND, SPACING, Kind, of_scan, small_scan

Slices = list[Dataset]
Change = Callable[[Slices], object]


def slices_of(volume: Volume, **fields: Any) -> Slices:
    """An axial volume as CT slices, with `fields` set in each."""
    known = [str(fields.get(name, "")) for name in ("PatientID", "Modality", "ConvolutionKernel", "SeriesNumber")]
    series, found = generate_uid(entropy_srcs=known), []
    for k, plane in enumerate(volume.voxels):
        data = Dataset()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, generate_uid(entropy_srcs=[*known, str(k)])
        data.file_meta.MediaStorageSOPClassUID, data.file_meta.MediaStorageSOPInstanceUID = (
            data.SOPClassUID, data.SOPInstanceUID)
        data.Modality, data.PatientID, data.StudyInstanceUID, data.SeriesInstanceUID = "CT", "1", "1.2.3", series
        data.SeriesNumber, data.SeriesDescription, data.InstanceNumber = 2, "Chest", k + 1
        data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        data.Rows, data.Columns = plane.shape
        data.PixelSpacing, data.SliceThickness = [SPACING, SPACING], SPACING
        data.ImagePositionPatient = (volume.grid.to_ras((k, 0, 0)) * [-1, -1, 1]).tolist()
        data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 0
        data.RescaleSlope, data.RescaleIntercept = 1, -1024
        data.PixelData = (plane.astype(int) + 1024).astype("<u2").tobytes()
        for name, content in fields.items():
            setattr(data, name, content)
        found.append(data)
    return found


def save(folder: Path, slices: Sequence[Dataset], first: str = "IM") -> Path:
    """The slices under names that say nothing of their order."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(slices):
        data.save_as(folder / f"{first}{(number * 7) % 101:03d}", enforce_file_format=True)
    return folder


def series(change: Change) -> Callable[[Path], Path]:
    """The small scan as a series, its data sets changed."""

    def make(folder: Path) -> Path:
        slices = slices_of(small_scan())
        change(slices)
        return save(folder / "ct", slices)

    return make


def without(name: str) -> Change:
    """No slice has that tag."""
    return lambda slices: [delattr(data, name) for data in slices]


def setting(where: slice = slice(None), **fields: Any) -> Change:
    """Some slices, else all, get these values."""

    def change(slices: Slices) -> None:
        for data in slices[where]:
            for name, content in fields.items():
                setattr(data, name, content)

    return change


def file_changed(change: Callable[[Path], object], number: int = 70) -> Callable[[Path], Path]:
    """One file of the series is spoilt after it was written."""

    def make(folder: Path) -> Path:
        home = save(folder / "ct", slices_of(small_scan()))
        change(home / f"IM{number:03d}")
        return home

    return make


def _second_kernel(slices: Slices) -> None:
    setting(ConvolutionKernel="B30f")(slices)
    more = slices_of(small_scan(), ConvolutionKernel="B70f", SeriesInstanceUID=slices[0].SeriesInstanceUID)
    for data in more:
        data.PixelData = (np.frombuffer(data.PixelData, "<u2") + 7).astype("<u2").tobytes()
    slices += more


def _turned(slices: Slices) -> None:
    """Eight sagittal slices of the same series."""
    for number, data in enumerate(slices_of(small_scan())[:8]):
        data.SeriesInstanceUID = slices[0].SeriesInstanceUID
        data.ImageOrientationPatient, data.ImagePositionPatient = [0, 1, 0, 0, 0, -1], [2.0 * number, -40, 20]
        data.SOPInstanceUID = f"1.2.3.4.{number}"
        slices.append(data)


def _smaller(slices: Slices) -> None:
    """The last eight slices have half as many rows, and say so."""
    for data in slices[-8:]:
        data.Rows, data.PixelData = 11, data.PixelData[: 11 * 24 * 2]


def _in(syntax: str) -> Change:
    def change(slices: Slices) -> None:
        for data in slices:
            if syntax == ExplicitVRBigEndian:
                data.PixelData = np.frombuffer(data.PixelData, "<u2").astype(">u2").tobytes()
                data["PixelData"].VR = "OW"
            if syntax == RLELossless:
                data.compress(RLELossless, generate_instance_uid=False)
            data.file_meta.TransferSyntaxUID = syntax

    return change


def _run_lengths_cut(slices: Slices) -> None:
    from pydicom.encaps import encapsulate, generate_frames

    _in(RLELossless)(slices)
    for data in slices:
        frame = next(generate_frames(data.PixelData, number_of_frames=1))
        data.PixelData = encapsulate([frame[: len(frame) // 2]])


def _said_to_be_jpeg(slices: Slices) -> None:
    """Stored as they are under the name of a compression."""
    from pydicom.encaps import encapsulate

    for data in slices:
        data.PixelData = encapsulate([data.PixelData])
        data["PixelData"].VR = "OB"
        data["PixelData"].is_undefined_length = True
        data.file_meta.TransferSyntaxUID = JPEG2000Lossless


def _one_file_of_frames(folder: Path) -> Path:
    """Geometry at the top level, no functional groups."""
    slices = slices_of(small_scan())
    whole = slices[0]
    whole.NumberOfFrames, whole.PixelData = len(slices), b"".join(data.PixelData for data in slices)
    return save(folder / "ct", [whole])


def _no_preamble(folder: Path) -> Path:
    home = save(folder / "ct", slices_of(small_scan()))
    for path in home.iterdir():
        path.write_bytes(path.read_bytes()[132:])
    return home


def _unknown_compression(folder: Path) -> Path:
    home = save(folder / "ct", slices_of(small_scan()))
    for path in home.iterdir():
        path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0"))
    return home


def _pet_beside(folder: Path) -> Path:
    save(folder / "study" / "ct", slices_of(small_scan()))
    save(folder / "study" / "pt", slices_of(small_scan(), Modality="PT", SeriesNumber=3, SeriesDescription="PET"))
    return folder / "study"


def _two_patients(folder: Path) -> Path:
    save(folder / "ct", slices_of(small_scan(), PatientID="1"), "A")
    other = small_scan().voxels.copy()
    other[:10] = -1000
    second = slices_of(small_scan().with_voxels(other), PatientID="2", StudyInstanceUID="1.9", SeriesNumber=5)
    save(folder / "ct", second, "B")
    return folder / "ct"


def _report(folder: Path) -> Path:
    data = slices_of(small_scan())[0]
    for name in ("PixelData", "Rows", "Columns", "ImagePositionPatient"):
        delattr(data, name)
    data.Modality = "SR"
    return save(folder / "sr", [data])


def _copied(slices: Slices) -> None:
    """Six slices twice, under other identifiers."""
    for data in slices_of(small_scan())[5:11]:
        data.SeriesInstanceUID = slices[0].SeriesInstanceUID
        slices.append(data)


def _nothing_but_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:700])


def _emptied(path: Path) -> None:
    path.rename(path.with_name("x.dcm")).write_bytes(b"")


def _sideways(slices: Slices) -> None:
    for k, data in enumerate(slices):
        data.ImagePositionPatient = [-30 + 9 * (k % 3), -40, -20 + 2 * k]


def _same_position(slices: Slices) -> None:
    for data in slices:
        data.ImagePositionPatient = [0, 0, 0]


_ASSUMED = r"^its 20 slices have no {}"
_DAMAGED = r"is truncated or damaged \(.*\); copy or export it again"

PIXELS = (
    Kind("a slice cut short", of_scan(file_changed(lambda path: path.write_bytes(path.read_bytes()[:-300]))),
         says=(rf"IM070 {_DAMAGED}",)),
    Kind("a slice that ends in its header", of_scan(file_changed(_nothing_but_header)),
         says=(rf"IM070 {_DAMAGED}",), notes=(r"^1 slice is missing",), found={"ct": BOTH}),
    Kind("an empty slice", of_scan(file_changed(_emptied)), OK,
         notes=(r"1 empty file was not read", r"^1 slice is missing, between S"), found={"ct": BOTH}),
    Kind("half as many rows as pixels", of_scan(series(setting(Rows=11))),
         says=(r"its pixel data do not match the size in its header",)),
    Kind("more rows than pixels", of_scan(series(setting(Rows=44))), says=(rf"IM\d+ {_DAMAGED}",)),
    Kind("rows in one slice that its pixels do not fill", of_scan(series(setting(slice(10, 11), Rows=44))), OK,
         notes=(r"series 2 \(Chest\) with 1 image was not read", r"^1 slice is missing"), found={"ct": BOTH}),
    Kind("65535 rows and columns", of_scan(series(setting(Rows=65535, Columns=65535))),
         says=(r"is too large: 65535 × 65535 × 20 voxels",)),
    Kind("no pixels at all", of_scan(series(without("PixelData"))), says=(rf"IM\d+ {_DAMAGED}",)),
    Kind("32 bits a pixel with data of 16", of_scan(series(setting(BitsAllocated=32, BitsStored=32, HighBit=31))),
         says=(rf"IM\d+ {_DAMAGED}",)),
    Kind("8 bits a pixel with data of 16", of_scan(series(setting(BitsAllocated=8, BitsStored=8, HighBit=7))),
         says=(r"its pixel data do not match the size in its header",)),
    Kind("JPEG 2000 that is none", of_scan(series(_said_to_be_jpeg)), says=(rf"IM\d+ {_DAMAGED}",)),
    Kind("a compression that nobody knows", of_scan(_unknown_compression),
        says=(rf"IM\d+ {_DAMAGED}",)),
    Kind("big-endian", of_scan(series(_in(ExplicitVRBigEndian))), OK, found={"ct": BOTH}),
    Kind("deflated", of_scan(series(_in(DeflatedExplicitVRLittleEndian))), OK, found={"ct": BOTH}),
    Kind("run lengths", of_scan(series(_in(RLELossless))), OK, found={"ct": BOTH}),
    Kind("run lengths that end too early", of_scan(series(_run_lengths_cut)), says=(rf"IM\d+ {_DAMAGED}",)),
    Kind("no preamble", of_scan(_no_preamble), OK, found={"ct": BOTH}),
    Kind("all slices in one file", of_scan(_one_file_of_frames), OK,
         notes=(r"its 20 slices are spaced by SliceThickness \(2 mm\)",), found={"ct": BOTH}),
    Kind("colour", of_scan(series(setting(
        SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0))),
         says=(r"is a series of colour images; give the scan itself",)),
)

STACKS = (
    Kind("three slices missing", of_scan(series(lambda slices: slices.__delitem__(slice(9, 12)))), OK,
         notes=(r"^3 slices are missing, between S -4\.0 and 4\.0 mm; filled in",), found={"ct": BOTH}),
    Kind("six slices twice", of_scan(series(_copied)), OK, notes=(r"^6 files are copies of others and were left out",),
         found={"ct": BOTH}),
    Kind("two kernels in one series", of_scan(series(_second_kernel)), OK,
         notes=(r"cut by ConvolutionKernel; this one has B30f", r"cut by ConvolutionKernel; this one has B70f"),
         found={"ct-2-Chest-B30f": BOTH, "ct-2-Chest-B70f": BOTH}),
    Kind("two orientations in one series", of_scan(series(_turned)), OK,
         notes=(r"holds 2 scans that differ in .*; this one has 20 of 28 images", r"; this one has 8 of 28 images"),
         found={"ct-2-Chest-24c139": BOTH, "ct-2-Chest-3ac8b5": ELSEWHERE}),
    Kind("two sizes in one series", of_scan(series(_smaller)), OK,
         notes=(r"holds 2 scans that differ in .*; this one has 12 of 20 images", r"; this one has 8 of 20 images"),
         found={"ct-2-Chest-24c139": ELSEWHERE, "ct-2-Chest-f22ed7": ELSEWHERE}),
    Kind("two patients in one folder", of_scan(_two_patients), OK, found={"ct-2-Chest": BOTH, "ct-5-Chest": (SECOND,)}),
    Kind("PET beside CT", of_scan(_pet_beside), OK, notes=(r"study-pt: note: it is PT|it is PT, which this model",),
         found={"study-ct": BOTH}),
    Kind("a structured report alone", of_scan(_report), says=(r"sr contains no scan, only 1 structured report; give",)),
    Kind("one slice out of twenty", of_scan(series(lambda slices: slices.__delitem__(slice(1, None)))),
         says=(r"ct covers only 48 × 44 × 2 mm .*: choose a complete scan",)),
    Kind("every slice at one position", of_scan(series(_same_position)),
         says=(r"holds \d+ images at 1 positions, and nothing in their headers tells",)),
    Kind("slices shifted sideways", of_scan(series(_sideways)),
         says=(r"its slices are shifted sideways relative to each other",)),
)

TAGS = (
    Kind("no ImageOrientationPatient", of_scan(series(without("ImageOrientationPatient"))), OK,
         notes=(_ASSUMED.format("ImageOrientationPatient"),), found={"ct": BOTH}),
    Kind("no ImagePositionPatient", of_scan(series(without("ImagePositionPatient"))),
         says=(r"ct contains no scan, only 20 images without a position in space; give",)),
    Kind("no PixelSpacing", of_scan(series(without("PixelSpacing"))),
         says=(r"ct contains no scan, only 20 images without a pixel spacing; give",)),
    Kind("no SeriesInstanceUID", of_scan(series(without("SeriesInstanceUID"))), OK,
         notes=(r"its slices have no SeriesInstanceUID",), found={"ct": BOTH}),
    Kind("no SOPInstanceUID", of_scan(series(without("SOPInstanceUID"))), OK, found={"ct": BOTH}),
    Kind("a SeriesInstanceUID for each slice", of_scan(series(lambda slices: [
        setattr(data, "SeriesInstanceUID", generate_uid()) for data in slices])), OK,
        notes=(r"each of its slices has a SeriesInstanceUID of its own",), found={"ct": BOTH}),
    Kind("no RescaleIntercept", of_scan(series(without("RescaleIntercept"))), OK,
         notes=(_ASSUMED.format("RescaleIntercept"), r"its values are Hounsfield units \+ 1024, .* was corrected"),
         found={"ct": BOTH}),
    *(
        Kind(f"no {name}", of_scan(series(without(name))), OK, found={"ct": BOTH})
        for name in ("StudyInstanceUID", "SOPClassUID", "InstanceNumber", "PhotometricInterpretation", "SliceThickness",
                     "SamplesPerPixel", "ImageType", "PatientID")
    ),
    Kind("no Rows", of_scan(series(without("Rows"))),
         says=(rf"IM000 {_DAMAGED}\. The same is true of 19 more of the files beside it",)),
    Kind("no Modality", of_scan(series(without("Modality"))), OK, found={"ct": BOTH}),
    Kind("a spacing of 0 in the plane", of_scan(series(setting(PixelSpacing=[0, 2]))),
         says=(r"gives a voxel spacing of 0 mm along j; correct the spacing",)),
    Kind("a negative spacing in the plane", of_scan(series(setting(PixelSpacing=[-2, 2]))),
         says=(r"says that its pixels lie -2 mm apart; correct the spacing",)),
    Kind("parallel rows and columns", of_scan(series(setting(ImageOrientationPatient=[1, 0, 0, 1, 0, 0]))),
         says=(r"has two parallel axes \(.*\); correct the directions",)),
    Kind("a slope of 0", of_scan(series(setting(RescaleSlope=0))), OK,
         notes=(r"its 20 slices give a RescaleSlope of 0, for which 1 was taken",), found={"ct": BOTH}),
    Kind("another intercept in one slice", of_scan(series(setting(slice(3, 4), RescaleIntercept=0))), OK,
         notes=(r"its slices are rescaled differently, with a RescaleIntercept from -1024 to 0",),
         found={"ct": ELSEWHERE}),
    Kind("padding far below air", of_scan(series(lambda slices: [_padded(data) for data in slices])), OK,
         notes=(r"of its voxels lie outside the field of view",), found={"ct": BOTH}),
)


def _padded(data: Dataset) -> None:
    values = np.frombuffer(data.PixelData, "<u2").reshape(22, 24).astype("<i2")
    values[:2], values[-2:], values[:, :2], values[:, -2:] = -2000, -2000, -2000, -2000
    data.PixelData, data.PixelRepresentation = values.tobytes(), 1
    data.add_new("PixelPaddingValue", "SS", -2000)


KINDS = (*PIXELS, *STACKS, *TAGS)
