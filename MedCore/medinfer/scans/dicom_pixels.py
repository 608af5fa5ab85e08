"""The pixels of DICOM files: stored numbers as they are, and values (HU) of slices.

Transfer syntaxes: DICOM PS3.5, annex A; rescaling: PS3.3, C.11.1.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..atomic_files import temporary_folder
from ..errors import OutputError, ScanError
from .dicom import Slice
from .dicom_fields import unheard
from .dicom_unknown_kinds import with_known_kinds
from .itk_images import read_frames
from .padding import padding_mask
from .voxel_values import rescaled

_UNLIKE_HEADER = "its pixel data do not match the size in its header"


def slice_values(
    slices: list[Slice],
) -> tuple[list[NDArray[np.generic]], list[NDArray[np.bool_] | None]]:
    """The values `[j, i]` of each slice, and where its header marks padding; a file with several frames is read once.

    Raises ScanError as `stored_frames`.
    """
    planes: dict[tuple[Path, int], NDArray[np.generic]] = {}
    masks: dict[tuple[Path, int], NDArray[np.bool_]] = {}
    for path, group in groupby(sorted(slices, key=lambda image: str(image.path)), key=lambda image: image.path):
        frames = stored_frames(path)
        for image in group:
            if image.frame >= len(frames) or frames.shape[1:] != (image.rows, image.columns):
                raise damaged(path, _UNLIKE_HEADER)
            stored = frames[image.frame]
            if image.padding is not None:
                masks[path, image.frame] = padding_mask(stored, image.padding)
            planes[path, image.frame] = rescaled(stored, image.slope, image.intercept or 0.0)
    keys = [(image.path, image.frame) for image in slices]
    return [planes[key] for key in keys], [masks.get(key) for key in keys]


def stored_frames(path: Path) -> NDArray[np.generic]:
    """The stored pixels `[frame, j, i]` of one file; pydicom decodes what it can without plugins, GDCM the rest.

    Raises ScanError, naming the file: cut short or damaged, or not readable; OutputError where there is no room to
    decompress it.
    """
    import pydicom
    from pydicom.uid import ImplicitVRLittleEndian, RLELossless

    with unheard():
        try:
            dataset = pydicom.dcmread(path, force=True)
            if "PixelData" not in dataset:
                dataset = pydicom.dcmread(with_known_kinds(path) or path, force=True)
            if "TransferSyntaxUID" not in dataset.file_meta:  # files older than DICOM's part 10
                dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
            syntax = dataset.file_meta.TransferSyntaxUID
            if syntax.is_compressed and syntax != RLELossless:
                return _decompressed(dataset)
            _complete(dataset)
            frames: NDArray[Any] = dataset.pixel_array
            left_over = not syntax.is_compressed and _rows_left_over(dataset)
            # pydicom 3 does this itself: above the stored bits is nothing but the sign.
            unused = dataset.BitsAllocated - dataset.BitsStored
            if unused and frames.dtype.kind in "iu":
                frames = frames << unused >> unused
        except OutputError:  # of the temporary folder: the scan is not to blame
            raise
        except Exception as cause:  # pydicom meets damaged pixels with exceptions of many kinds
            if isinstance(cause, OSError) and cause.errno:
                raise ScanError(f"{path} cannot be read: {cause.strerror}.") from cause
            raise damaged(path, "not all of its pixels can be read") from cause
    if left_over:
        raise damaged(path, _UNLIKE_HEADER)
    return frames.reshape(-1, *frames.shape[-2:])


def _complete(dataset: Any) -> None:
    """Fill in what a slice in grey has and anonymisers lose. Without it pydicom reads nothing."""
    for name, usual in (("SamplesPerPixel", 1), ("PhotometricInterpretation", "MONOCHROME2")):
        if not dataset.get(name):
            setattr(dataset, name, usual)


def _rows_left_over(dataset: Any) -> bool:
    """Whether an uncompressed file holds a row more than its header says, which pydicom takes for padding or for
    another frame."""
    row = dataset.Columns * int(dataset.get("SamplesPerPixel") or 1) * dataset.BitsAllocated // 8
    said = row * dataset.Rows * max(1, int(dataset.get("NumberOfFrames") or 1))
    return bool(len(dataset.get("PixelData") or b"") - said >= max(2, row))


def _decompressed(dataset: Any) -> NDArray[np.generic]:
    """GDCM's pixels of a bare copy, without the rescaling and inversion that it would apply itself."""
    import pydicom
    from pydicom.uid import MultiFrameGrayscaleWordSecondaryCaptureImageStorage, generate_uid

    bare = pydicom.Dataset()
    for name in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelData"):
        bare[name] = dataset[name]
    bare.NumberOfFrames = int(dataset.get("NumberOfFrames") or 1)
    bare.SamplesPerPixel, bare.PhotometricInterpretation = 1, "MONOCHROME2"
    bare.SOPClassUID, bare.SOPInstanceUID = MultiFrameGrayscaleWordSecondaryCaptureImageStorage, generate_uid()
    bare.Modality, bare.StudyInstanceUID, bare.SeriesInstanceUID = "OT", generate_uid(), generate_uid()
    bare.file_meta = pydicom.dataset.FileMetaDataset()
    bare.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    with temporary_folder() as folder:
        copy = folder / "frames.dcm"
        # Written in words that pydicom 2, which Slicer 5.10 ships, and pydicom 3 have in common.
        bare.is_little_endian, bare.is_implicit_VR, bare.preamble = True, False, bytes(128)
        bare.save_as(copy)
        return read_frames(copy)


def damaged(path: Path, why: str) -> ScanError:
    """The error for a file whose pixels are not what its header says."""
    return ScanError(f"{path} is truncated or damaged ({why}); copy or export it again.")
