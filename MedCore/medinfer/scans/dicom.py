"""What DICOM files hold, as nouns: a slice, a series, and what of a folder is neither.

Headers become slices in `dicom_headers`, slices become series in `dicom_series` and are told apart in `dicom_stacks`;
pixels are read in `dicom_pixels`, and `dicom_volume` makes a volume of a series.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..volume import Floats

LOCALIZER_SLICES = 4  # A series this short beside a longer one is a localizer or a sample, not the scan.

# Names that are DICOM without a look at the bytes.
_SUFFIXES = {".dcm", ".ima", ".dic", ".dicom"}
# How a data set without the 128 bytes and "DICM" begins: group 0002 or 0008, little or big endian, a small element.
_FIRST_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x02", b"\x00\x08")


@dataclass(frozen=True)
class Slice:
    """One image of a series: a file, or a frame of one.

    position: RAS mm of the centre of its first pixel. row, column: unit RAS directions of increasing column
    index (i) and row index (j). spacing: mm along i and j. number: InstanceNumber.
    padding: the stored values (lowest, highest) that PixelPaddingValue and its range limit mark (PS3.3 C.7.5.1.1.2).
    stack: what `dicom_headers.STACK_TAGS` say of it.
    assumed: what its header does not say, and what was taken instead; each ends the sentence "… of its slices".
    oriented, placed: False where the header has no orientation or position, and those above mean nothing yet.
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
    intercept: float | None
    inverted: bool
    colour: bool
    localizer: bool
    number: int | None
    padding: tuple[int, int] | None
    stack: tuple[str, ...]
    assumed: tuple[str, ...] = ()
    oriented: bool = True

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
    """Slices of one size, orientation and pixel spacing that belong together, in no order.

    problem: why they make no volume, as the end of a sentence that begins with where they lie; empty where they do.
    """

    uid: str
    study: str
    number: str
    description: str
    modality: str
    slices: tuple[Slice, ...]
    notes: tuple[str, ...] = ()
    problem: str = ""

    @property
    def localizer(self) -> bool:
        return self.slices[0].localizer

    @property
    def colour(self) -> bool:
        return self.slices[0].colour

    @property
    def words(self) -> str:
        """How to call it in a sentence: "series 3 (Lung 1.0)"."""
        known = self.number or self.uid
        name = f"series {known}" if known else "a series without number"
        return f"{name} ({self.description})" if self.description else name


@dataclass(frozen=True)
class Leftover:
    """A file that is no slice. what: a noun and its plural, for a note. study: StudyInstanceUID, where it has one."""

    path: Path
    what: tuple[str, str]
    study: str = ""


@dataclass(frozen=True)
class DicomFiles:
    """What a set of files holds: series; damaged: path → a sentence; leftovers: whole files that are no slices."""

    series: tuple[Series, ...]
    damaged: dict[Path, str] = field(default_factory=dict)
    leftovers: tuple[Leftover, ...] = ()


def is_dicom(path: Path) -> bool:
    """Whether the file has DICOM's mark ("DICM" after 128 bytes), begins as a data set without it, or is called so.

    Raises OSError where only a look into it can tell, and it cannot be read.
    """
    if path.suffix.lower() in _SUFFIXES:
        return True
    with path.open("rb") as file:
        start = file.read(132)
    return start[128:] == b"DICM" or begins_as_data_set(start)


def begins_as_data_set(start: bytes) -> bool:
    """Whether these first bytes (8 at least) are an element of group 0002 or 0008, as in files without a preamble.

    Its value representation is two capitals (explicit), or its length is small (implicit).
    """
    if len(start) < 8 or start[:2] not in _FIRST_GROUPS:
        return False
    order = "little" if start[0] else "big"
    element = int.from_bytes(start[2:4], order)  # type: ignore[arg-type]
    explicit = start[4:6].isalpha() and start[4:6].isupper()
    return element < 0x20 and (explicit or int.from_bytes(start[4:8], order) < 256)  # type: ignore[arg-type]
