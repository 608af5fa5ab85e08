"""Small DICOM series whose every voxel tells its own place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from medinfer.volume import Volume

ROWS, COLUMNS = 24, 20
SPACING = (0.8, 0.9)  # PixelSpacing: between rows (along j), between columns (along i)
AXIAL = np.eye(3)
ORIGIN = np.array([-10.0, -12.0, 100.0])  # LPS mm


def value(lps: NDArray[np.float64]) -> NDArray[np.float64]:
    """HU at a place; linear, so that linear interpolation loses nothing but the rounding."""
    return lps @ [13.0, -9.0, 7.0] - 700


def rotation(axis: Sequence[float], degrees: float) -> NDArray[np.float64]:
    cross = np.cross(np.eye(3), np.array(axis) / np.linalg.norm(axis))
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def image(position: NDArray[np.float64], directions: NDArray[np.float64] = AXIAL, intercept: int = -1024) -> Dataset:
    """One CT slice whose first pixel lies at `position` (LPS), rows and columns along the first two of `directions`."""
    j, i = np.indices((ROWS, COLUMNS))
    places = position + i[..., None] * SPACING[1] * directions[0] + j[..., None] * SPACING[0] * directions[1]
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, generate_uid()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.Modality, data.PatientID, data.StudyInstanceUID, data.SeriesInstanceUID = "CT", "1", "1.2.3", "1.2.3.4"
    data.SeriesNumber, data.SeriesDescription = 2, "Lung 1.0"
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.Rows, data.Columns, data.PixelSpacing = ROWS, COLUMNS, list(SPACING)
    data.ImagePositionPatient = [f"{number:.6f}" for number in position]
    data.ImageOrientationPatient = [f"{number:.9f}" for number in directions[:2].ravel()]
    data.SliceThickness = 2.5
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 0
    data.RescaleSlope, data.RescaleIntercept = 1, intercept
    data.PixelData = np.rint(value(places) - intercept).astype("<u2").tobytes()
    return data


def stack(heights: Sequence[float], directions: NDArray[np.float64] = AXIAL, shift: float = 0.0) -> list[Dataset]:
    """Slices at `heights` mm along the normal; each mm up moves them `shift` mm along the columns (gantry tilt)."""
    return [image(ORIGIN + h * directions[2] + shift * h * directions[1], directions) for h in heights]


def save(folder: Path, slices: Sequence[Dataset], seed: int = 1) -> Path:
    """Write the slices under names and instance numbers in random order, which say nothing of their place."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in zip(np.random.default_rng(seed).permutation(len(slices)), slices, strict=True):
        data.InstanceNumber = int(name)
        data.save_as(folder / f"IM{name:04d}{seed}", enforce_file_format=True)
    return folder


def check_values(volume: Volume, tolerance: float = 0.51, at_least: float = 0.99) -> None:
    """Every voxel that is not padding holds the value of its place in the world."""
    places = volume.grid.to_ras(np.stack(np.indices(volume.shape), axis=-1)) * [-1, -1, 1]
    covered = volume.voxels != volume.voxels.min()
    assert covered.mean() >= at_least
    np.testing.assert_allclose(volume.voxels[covered], value(places)[covered], atol=tolerance)


def changed(slices: Sequence[Dataset], **fields: Any) -> list[Dataset]:
    for data in slices:
        for name, content in fields.items():
            setattr(data, name, content)
    return list(slices)
