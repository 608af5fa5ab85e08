"""From one DICOM file to the slices in it, and what its header leaves open.

Tags and rules: DICOM PS3.3, C.7.6.2 (image plane), C.7.6.16 (enhanced multi-frame), C.11.1 (rescale),
C.7.5.1.1.2 (padding); PS3.5, 7.1 (files of older kinds are read as pydicom reads them).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..volume import Floats
from .dicom import Leftover, Series, Slice, begins_as_data_set
from .dicom_fields import number, numbers, text, unheard, whole, words
from .dicom_frames import LayoutError, frame_positions
from .dicom_unknown_kinds import with_known_kinds

LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])

# What tells stacks of one series apart. Where they differ, two values are two series, wherever the slices lie.
SERIES_TAGS = ("PatientID", "StudyInstanceUID", "SeriesNumber")
# Two of these over the same part of the body are two reconstructions.
KIND_TAGS = (
    "ConvolutionKernel", "FilterType", "ImageType", "FrameType", "SeriesDescription", "ReconstructionAlgorithm",
    "EchoTime", "EffectiveEchoTime", "EchoNumbers", "DiffusionBValue", "KVP", "SliceThickness", "InversionTime",
    "FlipAngle", "StackID",
)
# These may differ within one stack as well, so they count only where they leave one image at each position.
PASS_TAGS = (
    "AcquisitionNumber", "TemporalPositionIdentifier", "TemporalPositionIndex", "TriggerTime",
    "NominalPercentageOfCardiacPhase", "ContrastBolusAgent", "ImageComments", "ScanOptions", "ProtocolName",
    "RescaleIntercept", "WindowCenter", "SeriesTime", "AcquisitionTime", "ContentTime",
)
STACK_TAGS = (*SERIES_TAGS, *KIND_TAGS, *PASS_TAGS)
_TAGS = (
    "SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "Modality", "Rows", "Columns",
    "NumberOfFrames", "SamplesPerPixel", "PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing",
    "ReconstructionDiameter", "ImagePositionPatient", "ImageOrientationPatient", "ImagePosition", "ImageOrientation",
    "SliceLocation", "SpacingBetweenSlices", "InstanceNumber", "RescaleSlope", "PhotometricInterpretation",
    "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit", "GridFrameOffsetVector",
    "SliceLocationVector", "DetectorInformationSequence", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence", *STACK_TAGS,
)
_NOT_IMAGES = {"SR", "PR", "KO", "SEG", "RTSTRUCT", "RTDOSE", "RTPLAN", "RTRECORD", "REG", "DOC", "AU", "ECG"}
_DIRECTORY = "1.2.840.10008.1.3.10"

EMPTY = ("empty file", "empty files")
_FOREIGN = ("file that is not DICOM", "files that are not DICOM")
_DIRECTORIES = ("DICOMDIR", "DICOMDIRs")
_COLOUR = ("colour image", "colour images")
_UNPLACED = ("image without a position in space", "images without a position in space")
_UNSPACED = ("image without a pixel spacing", "images without a pixel spacing")
_REPORT = ("structured report", "structured reports")
_OBJECT = ("object that is not an image", "objects that are not images")


class DamagedError(Exception):
    """A header that cannot be used, and why."""


def read_header(path: Path) -> list[tuple[Series, Slice]] | Leftover:
    """The slices in one file, each with the (empty) series it says it belongs to; or what the file is instead.

    What the header leaves open is filled in where something else in it tells, and stands in `Slice.assumed`.
    Raises DamagedError: a file that is cut off before its pixels, or whose header contradicts itself.
    """
    with path.open("rb") as file:
        start = file.read(132)
    if not start:
        return Leftover(path, EMPTY)
    marked = start[128:] == b"DICM" or begins_as_data_set(start)
    with unheard():
        try:
            return _read(path, marked)
        except DamagedError:
            raise
        except Exception as cause:  # pydicom meets a damaged header with exceptions of many kinds
            if isinstance(cause, OSError) and cause.errno:
                raise
            if not marked:
                return Leftover(path, _FOREIGN)
            raise DamagedError(str(cause).splitlines()[0][:120] if str(cause) else type(cause).__name__) from cause


def _read(path: Path, marked: bool) -> list[tuple[Series, Slice]] | Leftover:
    import pydicom

    header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS), force=True)
    if marked and not header.get("Rows"):
        known = with_known_kinds(path)
        if known is not None:
            header = pydicom.dcmread(known, stop_before_pixels=True, specific_tags=list(_TAGS), force=True)
    meta: Any = header.file_meta if hasattr(header, "file_meta") else {}
    media = str(meta.get("MediaStorageSOPClassUID", ""))
    kind = text(header, "SOPClassUID") or media
    modality, study = text(header, "Modality").upper(), text(header, "StudyInstanceUID")
    if _DIRECTORY in (media, kind):
        return Leftover(path, _DIRECTORIES)
    if modality in _NOT_IMAGES:
        return Leftover(path, _REPORT if modality == "SR" else _OBJECT, study)
    rows, columns = (whole(header, name) for name in ("Rows", "Columns"))
    if not rows or not columns:
        if not marked and not kind:
            return Leftover(path, _FOREIGN)
        if kind and "Image" not in pydicom.uid.UID(kind).name and modality:
            return Leftover(path, _OBJECT, study)
        raise DamagedError("its header ends before the size of the image")
    head = Series(
        text(header, "SeriesInstanceUID"), study, text(header, "SeriesNumber"), text(header, "SeriesDescription"),
        modality, (),
    )
    colour = (whole(header, "SamplesPerPixel") or 1) > 1
    frames = list(_frames(header))
    slices = []
    for frame, fields, assumed in frames:
        spacing, how = _pixel_spacing(fields)
        place, lost = _place(fields)
        if place is None or spacing is None:
            what = _COLOUR if colour else _UNPLACED if place is None else _UNSPACED
            return Leftover(path, what, study)
        count = whole(fields, "InstanceNumber") if len(frames) == 1 else frame
        slices.append((head, _slice(path, header, (frame, count), fields, spacing, place, (*assumed, *how, *lost))))
    return slices or Leftover(path, _COLOUR if colour else _UNPLACED, study)


def _frames(header: Any) -> Iterator[tuple[int, Any, tuple[str, ...]]]:
    """Each frame's number, its fields as if it were a file of its own, and what was assumed of it."""
    import pydicom

    count = max(1, whole(header, "NumberOfFrames") or 1)
    groups = header.get("PerFrameFunctionalGroupsSequence") or ()
    if groups and all(_placed(group) for group in groups):
        for frame, group in enumerate(groups):
            yield frame, _frame_fields(header, group), ()
        return
    base = _frame_fields(header, pydicom.Dataset()) if header.get("SharedFunctionalGroupsSequence") else header
    if count == 1 and not header.get("DetectorInformationSequence"):
        yield 0, base, ()
        return
    try:
        positions, how = frame_positions(header, base, count)
    except LayoutError:
        return
    for frame, (position, orientation) in enumerate(positions):
        fields = pydicom.Dataset()
        fields.update(base)
        fields.add_new("ImagePositionPatient", "DS", list(position))
        fields.add_new("ImageOrientationPatient", "DS", list(orientation))
        yield frame, fields, how


def _placed(group: Any) -> bool:
    """Whether a frame's functional groups give it a position of its own."""
    return any("ImagePositionPatient" in plane for plane in group.get("PlanePositionSequence") or ())


def _frame_fields(header: Any, groups: Any) -> Any:
    """One frame's fields as if they stood in the header: its own functional groups, over the shared ones."""
    import pydicom

    fields = pydicom.Dataset()
    for tag in list(header.keys()):
        if not pydicom.datadict.keyword_for_tag(tag).endswith("Sequence"):
            fields[tag] = header.get_item(tag)
    for level in (*(header.get("SharedFunctionalGroupsSequence") or ()), groups):
        for element in level:
            if element.VR == "SQ" and len(element.value) > 0:
                fields.update(element.value[0])
    return fields


def _slice(
    path: Path, header: Any, numbered: tuple[int, int | None], fields: Any, spacing: tuple[float, float],
    place: tuple[Floats, Floats | None], assumed: tuple[str, ...],
) -> Slice:
    position, directions = place
    row, column = (np.zeros(3), np.zeros(3)) if directions is None else directions * LPS_TO_RAS
    image_type = words(fields, "ImageType") or words(fields, "FrameType")
    slope = number(fields, "RescaleSlope")
    if slope == 0:
        assumed = (*assumed, "give a RescaleSlope of 0, for which 1 was taken")
    return Slice(
        path=path, frame=numbered[0], uid=text(header, "SOPInstanceUID") or str(path),
        rows=whole(header, "Rows") or 0, columns=whole(header, "Columns") or 0,
        position=_vector(position * LPS_TO_RAS), row=_vector(row), column=_vector(column),
        spacing=(spacing[1], spacing[0]),
        thickness=number(fields, "SpacingBetweenSlices") or number(fields, "SliceThickness") or 0.0,
        slope=slope or 1.0, intercept=number(fields, "RescaleIntercept"),
        inverted=text(header, "PhotometricInterpretation") == "MONOCHROME1",
        colour=(whole(header, "SamplesPerPixel") or 1) > 1,
        localizer="LOCALIZER" in [word.upper() for word in image_type],
        number=numbered[1], padding=_padding(fields),
        stack=tuple("\\".join(words(fields, name)) for name in STACK_TAGS),
        assumed=assumed, oriented=directions is not None,
    )


def _pixel_spacing(fields: Any) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """mm between rows and between columns, and what was taken for PixelSpacing where it is missing."""
    stated = numbers(fields, "PixelSpacing", 2)
    if stated is not None and min(stated) > 0:
        return (stated[0], stated[1]), ()
    for name in ("ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        spacing = numbers(fields, name, 2)
        if spacing is not None and min(spacing) > 0:
            return (spacing[0], spacing[1]), (f"have no usable PixelSpacing, for which {name} was taken",)
    diameter, across = number(fields, "ReconstructionDiameter"), whole(fields, "Columns")
    if diameter and diameter > 0 and across and across == whole(fields, "Rows"):
        how = "have no usable PixelSpacing, for which ReconstructionDiameter by the number of columns was taken"
        return (diameter / across, diameter / across), (how,)
    return (None if stated is None else (stated[0], stated[1])), ()  # what makes no sense is refused with its number


def _place(fields: Any) -> tuple[tuple[Floats, Floats | None] | None, tuple[str, ...]]:
    """The LPS position and the unit directions `[2, 3]` (None where there are none); and what was assumed."""
    orientation = numbers(fields, "ImageOrientationPatient", 6) or numbers(fields, "ImageOrientation", 6)
    position = numbers(fields, "ImagePositionPatient", 3) or numbers(fields, "ImagePosition", 3)
    directions = None
    if orientation is not None:
        directions = np.array(orientation).reshape(2, 3)
        lengths = np.linalg.norm(directions, axis=1)
        directions = directions / np.where(lengths > 0, lengths, 1)[:, None]
    if position is not None:
        return (np.array(position), directions), ()
    location = number(fields, "SliceLocation")
    if location is None or directions is None:
        return None, ()
    # SliceLocation runs towards the head, the left or the back, whichever the slices are stacked along (C.7.6.2.1.2).
    normal = np.cross(*directions)
    along = normal * np.sign(normal[np.abs(normal).argmax()])
    return (along * location, directions), (
        "have no ImagePositionPatient, for which SliceLocation was taken; where they lie in their plane is not known",
    )


def _padding(fields: Any) -> tuple[int, int] | None:
    value = whole(fields, "PixelPaddingValue")
    if value is None:
        return None
    limit = whole(fields, "PixelPaddingRangeLimit")
    limit = value if limit is None else limit
    return min(value, limit), max(value, limit)


def _vector(values: Floats) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z
