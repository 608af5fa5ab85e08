"""A scan that has been found and not read yet: where it lies, and what it is called."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import ScanError
from ..volume import Volume
from .dicom import Series
from .voxel_values import MAX_VOXELS, finite
from .zipped import Unpacked

KNOWN = "NIfTI (.nii, .nii.gz), NRRD (.nrrd, .nhdr), MetaImage (.mha, .mhd) or DICOM"

_NIFTI = (".nii", ".nii.gz")
_ITK = (".nrrd", ".nhdr", ".mha", ".mhd")


@dataclass(frozen=True)
class ScanSource:
    """A scan that has been found and not read yet.

    name: safe as a file name, the same at every run, unique among the sources of one `find_scans`.
    path: its file, or the folder of its DICOM files. series: its DICOM slices.
    problem: why it cannot be read, when that is known already. notes: go to the volume's notes.
    unpacked: keeps the folder of an unpacked archive on the disk for as long as a source of it is there.
    origin: the archive that it was unpacked from; messages name that.
    """

    name: str
    path: Path
    series: Series | None = None
    problem: str = ""
    notes: tuple[str, ...] = ()
    unpacked: Unpacked | None = field(default=None, repr=False, compare=False)
    origin: Path | None = None

    def read(self, max_voxels: int = MAX_VOXELS) -> Volume:
        """The scan. Raises ScanError, as `read_volume`."""
        try:
            volume = self._read(max_voxels)
        except ScanError as cause:
            if self.unpacked is None:
                raise
            raise ScanError(str(cause).replace(str(self.unpacked.folder), str(self.origin))) from cause
        return replace(volume, name=self.name, notes=(*self.notes, *volume.notes))

    def _read(self, max_voxels: int) -> Volume:
        if self.problem:
            raise ScanError(self.problem)
        if self.series is None:
            return _read_file(self.path, max_voxels)
        from .dicom_volume import read_series

        return read_series(self.series, self.path, max_voxels)


def is_image(path: Path) -> bool:
    """Whether the name is that of a file which holds a whole scan."""
    return path.name.lower().endswith((*_NIFTI, *_ITK))


def stem(path: Path) -> str:
    """The file's name without its one or two suffixes."""
    return re.sub(r"(?i)\.(nii\.gz|nii|nrrd|nhdr|mha|mhd)$", "", path.name)


def safe_name(name: str) -> str:
    """`name` with only letters, digits, dots, hyphens and underscores, at most 100 of them."""
    return re.sub(r"-{2,}", "-", re.sub(r"[^\w.-]+", "-", name))[:100].strip("-. ") or "scan"


def _read_file(path: Path, max_voxels: int) -> Volume:
    from .geometry import orthogonal
    from .padding import aired

    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ScanError(f"{path} is neither a file nor a folder; give the file that the scan was exported to.")
        if status.st_size == 0:
            raise ScanError(f"{path} is an empty file; copy or export it again.")
        if path.name.lower().endswith(_NIFTI):
            from .nifti import read_nifti

            volume = read_nifti(path, max_voxels)
        else:
            from .itk_images import read_itk

            volume = read_itk(path, max_voxels)
    except OSError as cause:
        raise ScanError(f"{path} cannot be read: {cause.strerror or cause}.") from cause
    return orthogonal(aired(finite(replace(volume, name=str(path)))), max_voxels=max_voxels)
