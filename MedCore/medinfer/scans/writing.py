"""A `Volume` as a file that other programs read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..atomic_files import atomic_path
from ..errors import OutputError
from ..volume import Volume
from .itk_images import RAS_LPS, quiet
from .nifti import write_nifti


def write_volume(volume: Volume, path: Path | str) -> None:
    """Write voxels and geometry as compressed NRRD (.nrrd), MetaImage (.mha) or NIfTI (.nii.gz, .nii), by the suffix.

    Voxels are `[k, j, i]`; RAS is turned into the LPS of ITK here. Raises OutputError.
    """
    with atomic_path(path) as partial:
        try:
            if partial.name.endswith((".nii", ".nii.gz")):
                write_nifti(volume, partial)
            else:
                _write_itk(volume, partial)
        except (RuntimeError, ValueError) as cause:
            raise OutputError(
                f"{path} cannot be written; the disk may be full, or the format may not support these voxels "
                f"({_last_line(cause)})."
            ) from cause


def _write_itk(volume: Volume, path: Path) -> None:
    import SimpleITK as sitk

    voxels = volume.voxels.astype(np.uint8) if volume.voxels.dtype == np.bool_ else volume.voxels
    lps = RAS_LPS @ volume.grid.ijk_to_ras
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels), isVector=False)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    with quiet():
        sitk.WriteImage(image, str(path), useCompression=True)


def _last_line(cause: Exception) -> str:
    """The end of an ITK message, which is where it says what went wrong."""
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else "the image library gave no reason"
