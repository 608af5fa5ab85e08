"""DICOM headers: which files are slices of which series. Pixels are read in `dicom_volume`.

Tags and rules: DICOM PS3.3, C.7.6.2 (image plane), C.7.6.16 (enhanced multi-frame), C.11.1 (rescale).
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..volume import Floats

LOCALIZER_SLICES = 4  # A series this short beside a longer one is a localizer or a sample, not the scan.

_LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])
_NOT_IMAGES = {"SR", "PR", "KO", "SEG", "RTSTRUCT", "RTDOSE", "RTPLAN", "RTRECORD", "REG", "DOC", "AU", "ECG"}
# What tells stacks at the same positions apart within one series, in the order it is tried.
_STACK_TAGS = (
    "AcquisitionNumber", "TemporalPositionIdentifier", "TemporalPositionIndex", "EchoTime", "EffectiveEchoTime",
    "DiffusionBValue", "ImageType", "TriggerTime", "AcquisitionTime",
)
_TAGS = (
    "SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber",
    "SeriesDescription", "Modality", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PixelSpacing",
    "ImagePositionPatient", "ImageOrientationPatient", "SliceThickness", "SpacingBetweenSlices",
    "RescaleSlope", "RescaleIntercept", "PhotometricInterpretation",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", *_STACK_TAGS,
)


@dataclass(frozen=True)
class Slice:
    """One image of a series: a file, or a frame of one.

    position: RAS mm of the centre of its first pixel. row, column: unit RAS directions of increasing column
    index (i) and row index (j). spacing: mm along i and j.
    stack: what `_STACK_TAGS` say of it.
    """

    path: Path
    frame: int
    uid: str
    rows: int
    columns: int
    position: tuple[float, float, float]
    row: tuple[float, float, float]
    column: tuple[float, float, float]
    spacing: tuple[float, float]
    thickness: float
    slope: float
    intercept: float
    inverted: bool
    colour: bool
    localizer: bool
    stack: tuple[str, ...]

    @property
    def normal(self) -> Floats:
        """Unit RAS direction across the slice. (LPS → RAS is a rotation, so the cross product stays.)"""
        normal: Floats = np.cross(self.row, self.column)
        return normal / max(float(np.linalg.norm(normal)), 1e-12)

    @property
    def height(self) -> float:
        """mm along the normal."""
        return float(np.dot(self.position, self.normal))


@dataclass(frozen=True)
class Series:
    """Slices of one size, orientation and pixel spacing that belong together, in no order."""

    uid: str
    study: str
    number: str
    description: str
    modality: str
    slices: tuple[Slice, ...]
    notes: tuple[str, ...] = ()

    @property
    def localizer(self) -> bool:
        return self.slices[0].localizer


@dataclass(frozen=True)
class DicomFiles:
    """What a set of files holds: series; damaged: path → a sentence; others: images and objects without a place."""

    series: tuple[Series, ...]
    damaged: dict[Path, str] = field(default_factory=dict)
    others: int = 0


def is_dicom(path: Path) -> bool:
    """Whether the file has DICOM's mark ("DICM" after 128 bytes), or is called .dcm or .ima."""
    if path.suffix.lower() in {".dcm", ".ima"}:
        return True
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def find_series(paths: Iterable[Path]) -> DicomFiles:
    """Read the headers of DICOM files and sort their slices into series.

    Told apart by SeriesInstanceUID, size, orientation and pixel spacing; and where several images lie at the
    same position, by acquisition, time, echo or image type. A damaged file does not stop the others.
    """
    groups: list[tuple[Series, list[Slice]]] = []
    damaged: dict[Path, str] = {}
    others = 0
    for path in paths:
        try:
            found = list(_slices(path))
        except _DamagedError as cause:
            damaged[path] = f"{path} is truncated or damaged ({cause}); copy or export it again."
            continue
        others += not found
        for head, image in found:
            _place(head, image, groups)
    split = [part for head, slices in groups for part in _stacks(replace(head, slices=tuple(slices)))]
    return DicomFiles(tuple(split), damaged, others)


class _DamagedError(Exception):
    """A header that cannot be used, and why."""


def _slices(path: Path) -> Iterator[tuple[Series, Slice]]:
    """The slices in one file, each with the (empty) series it says it belongs to. None for what is not an image."""
    import pydicom

    if path.stat().st_size == 0:
        raise _DamagedError("the file is empty")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS), force=True)
            media = str(header.file_meta.get("MediaStorageSOPClassUID", "")) if hasattr(header, "file_meta") else ""
            if media == "1.2.840.10008.1.3.10" or str(header.get("Modality", "")) in _NOT_IMAGES:  # DICOMDIR
                return
            if not header.get("SeriesInstanceUID"):
                raise _DamagedError("its header has no SeriesInstanceUID")
            if not header.get("Rows") or not header.get("Columns"):
                raise _DamagedError("its header ends before the size of the image")
            head = Series(
                str(header.SeriesInstanceUID), str(header.get("StudyInstanceUID", "")),
                str(header.get("SeriesNumber") or ""), str(header.get("SeriesDescription") or ""),
                str(header.get("Modality") or ""), (),
            )
            if "PerFrameFunctionalGroupsSequence" in header:
                for frame, groups in enumerate(header.PerFrameFunctionalGroupsSequence):
                    yield head, _slice(path, header, frame, _frame_fields(header, groups))
            elif "ImagePositionPatient" in header and int(header.get("NumberOfFrames") or 1) == 1:
                yield head, _slice(path, header, 0, header)
        except _DamagedError:
            raise
        except Exception as cause:  # pydicom meets a damaged header with exceptions of many kinds
            raise _DamagedError(str(cause).splitlines()[0][:120] if str(cause) else type(cause).__name__) from cause


def _frame_fields(header: Any, groups: Any) -> Any:
    """One frame's fields as if they stood in the header: its own functional groups, over the shared ones."""
    import pydicom

    fields = pydicom.Dataset()
    for level in (*header.get("SharedFunctionalGroupsSequence", ()), groups):
        for element in level:
            if element.VR == "SQ" and len(element.value) > 0:
                fields.update(element.value[0])
    for name in ("ImageType", "AcquisitionNumber"):
        if name in header and name not in fields:
            fields[name] = header[name]
    return fields


def _slice(path: Path, header: Any, frame: int, fields: Any) -> Slice:
    for name, count in (("ImagePositionPatient", 3), ("ImageOrientationPatient", 6), ("PixelSpacing", 2)):
        if len(fields.get(name) or ()) != count:
            raise _DamagedError(f"it has no {name}")
    orientation = np.array([float(value) for value in fields.ImageOrientationPatient]).reshape(2, 3)
    lengths = np.linalg.norm(orientation, axis=1)
    row, column = orientation * _LPS_TO_RAS / np.where(lengths > 0, lengths, 1)[:, None]
    position = np.array([float(value) for value in fields.ImagePositionPatient]) * _LPS_TO_RAS
    between_rows, between_columns = (float(value) for value in fields.PixelSpacing)
    return Slice(
        path=path, frame=frame, uid=str(header.get("SOPInstanceUID", path)),
        rows=int(header.Rows), columns=int(header.Columns),
        position=_vector(position), row=_vector(row), column=_vector(column),
        spacing=(between_columns, between_rows),
        thickness=float(fields.get("SpacingBetweenSlices") or fields.get("SliceThickness") or 0),
        slope=_number(fields.get("RescaleSlope"), 1.0), intercept=_number(fields.get("RescaleIntercept"), 0.0),
        inverted=str(header.get("PhotometricInterpretation", "")) == "MONOCHROME1",
        colour=int(header.get("SamplesPerPixel") or 1) > 1,
        localizer="LOCALIZER" in [str(value).upper() for value in fields.get("ImageType") or ()],
        stack=tuple(str(fields.get(name, "")) for name in _STACK_TAGS),
    )


def _vector(values: Floats) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z


def _number(value: Any, default: float) -> float:
    return default if value is None or value == "" else float(value)


def _place(head: Series, image: Slice, groups: list[tuple[Series, list[Slice]]]) -> None:
    """Put `image` into the group it fits, or into a new one. Directions and spacing may differ by rounding."""
    for group, slices in groups:
        first = slices[0]
        if (
            group.uid == head.uid and (first.rows, first.columns) == (image.rows, image.columns)
            and first.localizer == image.localizer
            and np.allclose([first.row, first.column], [image.row, image.column], rtol=0, atol=5e-3)
            and np.allclose(first.spacing, image.spacing, rtol=2e-3, atol=0)
        ):
            slices.append(image)
            return
    groups.append((head, [image]))


def _stacks(series: Series) -> list[Series]:
    """The series cut by the first of `_STACK_TAGS` that leaves one image at each position; else as it is.

    Copies of one image (the same SOPInstanceUID) are dropped first, with a note. A few images at one position,
    as where two acquisitions meet, are no reason to cut.
    """
    unique = {(image.uid, image.frame): image for image in reversed(series.slices)}
    slices = tuple(reversed(unique.values()))
    copies = len(series.slices) - len(slices)
    what = "file is a copy of another and was" if copies == 1 else "files are copies of others and were"
    notes = (f"{copies} {what} left out",) if copies else ()
    series = replace(series, slices=slices, notes=notes)
    deep, heights = _crowding(slices)
    if len(slices) - heights <= 0.1 * len(slices):
        return [series]
    for index in range(len(_STACK_TAGS)):
        values = sorted({image.stack[index] for image in slices}, key=lambda value: (len(value), value))
        parts = [tuple(image for image in slices if image.stack[index] == value) for value in values]
        if 1 < len(parts) <= 2 * deep and all(_crowding(part)[0] == 1 for part in parts):
            return [
                replace(series, slices=part, description=f"{series.description} {number}".strip())
                for number, part in enumerate(parts, start=1)
            ]
    return [series]


def _crowding(slices: Sequence[Slice]) -> tuple[int, int]:
    """The most slices at one height (0.01 mm), and how many heights there are."""
    counts = Counter(round(image.height, 2) for image in slices)
    return max(counts.values()), len(counts)
