"""Reading with SimpleITK: NRRD and MetaImage files, and compressed DICOM pixels."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ScanError
from ..volume import Volume
from .geometry import scan_grid
from .voxel_values import check_size

# ITK's world is LPS, ours RAS.
RAS_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])

_NRRD = {".nrrd", ".nhdr"}

_ONE_AT_A_TIME = threading.Lock()


def read_itk(path: Path, max_voxels: int) -> Volume:
    """Read an NRRD or MetaImage file (.nrrd, .nhdr, .mha, .mhd); LPS becomes RAS here.

    Its geometry may be sheared and its voxels NaN. Raises ScanError: unreadable, cut short, not 3-D, colour,
    complex, too large, no geometry.
    """
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        with quiet():
            reader.ReadImageInformation()
    except RuntimeError as cause:
        raise _unreadable(path, cause) from cause
    shape, dtype = _shape(path, reader), _dtype(path, reader)
    check_size(path, shape, dtype, max_voxels)
    lps = np.eye(4)
    lps[:3, :3] = np.reshape(reader.GetDirection(), (-1, len(reader.GetSize())))[:3, :3] * reader.GetSpacing()[:3]
    lps[:3, 3] = reader.GetOrigin()[:3]
    notes = _assumed(path, reader)
    # Without the name of a space the numbers are RAS to 3D Slicer, and LPS to ITK.
    unnamed = bool(notes) and path.suffix.lower() in _NRRD
    grid = scan_grid(path, shape, lps if unnamed else RAS_LPS @ lps)
    if min(reader.GetSpacing()) < 0:
        notes += ("the file gives a negative spacing; that axis was taken as turned round, as in 3D Slicer",)
    try:
        with quiet():
            voxels = sitk.GetArrayFromImage(reader.Execute())
    except RuntimeError as cause:
        raise _unreadable(path, cause) from cause
    return Volume(voxels.reshape(shape), grid, path.name, None, notes)


def read_frames(path: Path) -> NDArray[np.generic]:
    """The decompressed pixels `[frame, row, column]` of one DICOM file, by GDCM. Raises RuntimeError."""
    import SimpleITK as sitk

    with quiet():
        frames: NDArray[np.generic] = sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="GDCMImageIO"))
    return frames


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what ITK's C and C++ libraries print on standard error from the user; ITK raises what matters.

    One thread at a time: the descriptor belongs to the process. Without a standard error there is nothing to do.
    """
    with _ONE_AT_A_TIME:
        try:
            kept = os.dup(2)
        except OSError:
            yield
            return
        if sys.stderr is not None:
            with suppress(OSError, ValueError):
                sys.stderr.flush()
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 2)
            os.close(nowhere)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _assumed(path: Path, reader: Any) -> tuple[str, ...]:
    """What the header leaves open of where the scan lies (the fields are those of nrrd, and of MetaIO)."""
    if path.suffix.lower() in _NRRD:
        named = reader.HasMetaDataKey("NRRD_space") and reader.GetMetaData("NRRD_space") == "left-posterior-superior"
        return () if named else (
            "the file does not say in which space it lies; its axes were taken as right, anterior and superior, as in "
            "3D Slicer",)
    with path.open("rb") as file:
        header = file.read(4096)
    if any(word in header for word in (b"TransformMatrix", b"Rotation", b"Orientation")):
        return ()
    return ("the file does not say how it is oriented; its axes were taken as left, posterior and superior",)


def _shape(path: Path, reader: Any) -> tuple[int, int, int]:
    size = [int(n) for n in reader.GetSize()]
    if any(n > 1 for n in size[3:]) or len(size) < 3:
        extent = " × ".join(str(n) for n in size)
        raise ScanError(f"{path} is {len(size)}-dimensional ({extent}); give a single 3-D volume of it.")
    i, j, k = size[:3]
    return k, j, i


def _dtype(path: Path, reader: Any) -> np.dtype[Any]:
    """The type in memory, from ITK's words for it ("16-bit signed integer", "32-bit float", …)."""
    import SimpleITK as sitk

    words = sitk.GetPixelIDValueAsString(reader.GetPixelID())
    if "complex" in words:
        raise ScanError(f"{path} contains complex numbers; give the magnitude image.")
    if "vector" in words or reader.GetNumberOfComponents() != 1:
        raise ScanError(f"{path} has {reader.GetNumberOfComponents()} values per voxel (colour or a vector); "
                        "give the scan itself, with one value per voxel.")
    kind = "f" if "float" in words else "u" if "unsigned" in words else "i"
    return np.dtype(f"{kind}{int(words.split('-')[0]) // 8}")


def _unreadable(path: Path, cause: RuntimeError) -> ScanError:
    text = str(cause)
    if "Unable to determine ImageIO" in text:
        kind = "MetaImage" if path.suffix.lower() in {".mha", ".mhd"} else "NRRD"
        return ScanError(f"{path} is not a {kind} file, despite its name; "
                         "give the file that the scan was exported to.")
    if "spacing" in text:
        return ScanError(f"{path} has a spacing of 0; correct the spacing in the file, or export the scan again.")
    if "determinant is 0" in text:
        return ScanError(f"{path} has two parallel axes (its direction matrix has no inverse); "
                         "correct the directions in the file, or export the scan again.")
    return ScanError(f"{path} is truncated or damaged, or the separate file with its voxels is missing; "
                     "copy or export it again.")
