"""Files that are not what their name says, that end too early, or whose header lies about what follows."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .kinds import BOTH, ELSEWHERE, NONE, OK, Kind, of_scan, saved, small_scan

# Bytes of the fields of a NIfTI-1 header (nifti1.h).
DIM, DATATYPE, PIXDIM, OFFSET, SLOPE, MAGIC = 40, 70, 76, 108, 112, 344
_EXPORT = r"copy or export it again\.$"
_CUT = rf"is truncated or damaged: some of its voxels are missing; {_EXPORT}"


def patched(name: str, *changes: tuple[int, str, Any]) -> Callable[[Path], Path]:
    """The small scan as an uncompressed NIfTI file with other bytes: (offset, struct's format, value)."""

    def make(folder: Path) -> Path:
        path = saved(folder, name)
        data = bytearray(path.read_bytes())
        for offset, kind, value in changes:
            struct.pack_into(f"<{kind}", data, offset, *(value if isinstance(value, tuple) else (value,)))
        path.write_bytes(data)
        return path

    return make


def rewritten(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], Path]:
    """The small scan as a file of that name, its bytes changed."""

    def make(folder: Path) -> Path:
        path = saved(folder, name)
        path.write_bytes(change(path.read_bytes()))
        return path

    return make


def containing(name: str, data: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return make


def valued(name: str, change: Callable[[Any], Any]) -> Callable[[Path], Path]:
    """The small scan with other voxels."""
    return lambda folder: saved(folder, name, small_scan().with_voxels(change(small_scan().voxels.copy())))


def renamed(written: str, given: str) -> Callable[[Path], Path]:
    """The small scan, written as one format and given under the name of another."""
    return lambda folder: saved(folder, written).rename(folder / given)


def detached(change: Callable[[Path, Path], object]) -> Callable[[Path], Path]:
    """An .mhd with its .raw beside it; `change(header, voxels)` spoils them."""

    def make(folder: Path) -> Path:
        header, voxels = folder / "chest.mhd", folder / "chest.raw"
        header.write_text(
            "ObjectType = Image\nNDims = 3\nDimSize = 24 22 20\nElementType = MET_SHORT\nElementSpacing = 2 2 2\n"
            "Offset = -30 -40 -20\nTransformMatrix = 1 0 0 0 1 0 0 0 1\nElementDataFile = chest.raw\n"
        )
        voxels.write_bytes(small_scan().voxels.astype("<i2").tobytes())
        change(header, voxels)
        return header

    return make


def nrrd(data_file: str = "chest.raw", size: str = "24 22 20", more: str = "") -> Callable[[Path], Path]:
    """An .nhdr with its voxels beside it."""

    def make(folder: Path) -> Path:
        (folder / "chest.nhdr").write_text(
            f"NRRD0005\ntype: int16\ndimension: 3\nspace: left-posterior-superior\nsizes: {size}\n"
            "space directions: (2,0,0) (0,2,0) (0,0,2)\nspace origin: (-30,-40,-20)\nendian: little\n"
            f"encoding: raw\n{more}data file: {data_file}\n\n"
        )
        (folder / "chest.raw").write_bytes(small_scan().voxels.astype("<i2").tobytes())
        return folder / "chest.nhdr"

    return make


def _speckled(voxels: Any) -> Any:
    values = voxels.astype(np.float32)
    values[0, 0, :5] = np.nan, np.inf, -np.inf, np.nan, np.nan
    return values


def _exchanged(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data.replace(old, new)


NIFTI = (
    Kind("an empty .nii.gz", of_scan(containing("a.nii.gz", b"")), says=(rf"a\.nii\.gz is an empty file; {_EXPORT}",)),
    Kind("text under the name .nii.gz", of_scan(containing("a.nii.gz", b"see the CT")),
         says=(r"a\.nii\.gz is not a NIfTI file, despite its name",)),
    Kind("a .nii that ends in its header", of_scan(rewritten("a.nii", lambda data: data[:200])), says=(_CUT,)),
    Kind("a .nii that ends in its voxels", of_scan(rewritten("a.nii", lambda data: data[:9000])), says=(_CUT,)),
    Kind("a .nii.gz cut short", of_scan(rewritten("a.nii.gz", lambda data: data[: len(data) // 2])), says=(_CUT,)),
    Kind("a .nii.gz with a wrong checksum", of_scan(rewritten("a.nii.gz", lambda d: d[:-8] + bytes(4) + d[-4:])),
         says=(rf"a\.nii\.gz is truncated or damaged: .*; {_EXPORT}",)),
    Kind("a .nii.gz with other bytes in its middle",
         of_scan(rewritten("a.nii.gz", lambda d: d[:300] + b"\xff" * 40 + d[340:])),
         says=(rf"a\.nii\.gz is truncated or damaged: .*; {_EXPORT}",)),
    Kind("a .nii.gz compressed twice", of_scan(rewritten("a.nii.gz", gzip.compress)),
         says=(r"a\.nii\.gz is not a NIfTI file, despite its name",)),
    Kind("a .nii.gz that is not compressed", of_scan(renamed("a.nii", "b.nii.gz")), OK, found={"b": BOTH}),
    Kind("a NIfTI named .nrrd", of_scan(renamed("a.nii", "a.nrrd")),
         says=(r"a\.nrrd is not a NRRD file, despite its name",)),
    Kind("an NRRD named .nii", of_scan(renamed("a.nrrd", "a.nii")),
         says=(r"a\.nii is not a NIfTI file, despite its name",)),
    Kind("a header of 32767³ voxels", of_scan(patched("a.nii", (DIM + 2, "3h", (32767,) * 3))),
         says=(r"a\.nii is too large: 32767 × 32767 × 32767 voxels would need",)),
    Kind("a negative size", of_scan(patched("a.nii", (DIM + 4, "h", -5))), says=(r"a\.nii contains no voxels",)),
    Kind("no dimensions", of_scan(patched("a.nii", (DIM, "h", 0))), says=(r"has 0 dimensions in its header",)),
    Kind("a film of volumes", of_scan(patched("a.nii", (DIM, "5h", (4, 24, 22, 10, 2)))),
         says=(r"is 4-dimensional \(24 × 22 × 10 × 2\); give a single 3-D volume of it",)),
    Kind("a colour NIfTI", of_scan(patched("a.nii", (DATATYPE, "h", 128))),
         says=(r"is a colour image; give the scan",)),
    Kind("complex numbers", of_scan(patched("a.nii", (DATATYPE, "h", 32))),
         says=(r"contains complex numbers; give the magnitude image",)),
    Kind("a voxel type that nobody has", of_scan(patched("a.nii", (DATATYPE, "h", 999))),
         says=(r"has an unsupported voxel type \(NIfTI code 999\); convert it",)),
    Kind("voxels before their header", of_scan(patched("a.nii", (OFFSET, "f", 20.0))),
         says=(r"impossible byte offset for its voxels \(20\); export",)),
    Kind("voxels behind the end", of_scan(patched("a.nii", (OFFSET, "f", 1e9))), says=(_CUT,)),
    Kind("half of an .hdr/.img pair", of_scan(patched("a.nii", (MAGIC, "4s", b"ni1\0"))),
         says=(r"is an Analyze file or half of a .hdr/.img pair; convert",)),
    Kind("an infinite slope", of_scan(patched("a.nii", (SLOPE, "f", np.inf))), OK, notes=(r"scl_slope.*inf",),
         found={"a": BOTH}),
    Kind("some voxels that are not numbers", of_scan(valued("a.nii.gz", _speckled)), OK,
         notes=(r"^5 of 10560 voxels are NaN or infinite; they were set to -10\d\d \(\+∞ to \d+\)",),
         found={"a": BOTH}),
    Kind("nothing but NaN", of_scan(valued("a.nii.gz", lambda v: np.full(v.shape, np.nan, np.float32))),
         says=(r"has 10560 of 10560 voxels that are not numbers",)),
    Kind("nothing but air", of_scan(valued("a.nii.gz", lambda v: np.full_like(v, -1000))), OK, found={"a": NONE}),
)

META_AND_NRRD = (
    Kind("an .mha cut short", of_scan(rewritten("a.mha", lambda data: data[:-200])),
         says=(rf"a\.mha is truncated or damaged.*; {_EXPORT}",)),
    Kind("an .mha that is text", of_scan(containing("a.mha", b"see the CT\n")),
         says=(r"a\.mha is not a MetaImage file, despite its name",)),
    Kind("an .mhd without its voxels", of_scan(detached(lambda header, voxels: voxels.unlink())),
         says=(r"chest\.mhd is truncated or damaged, or the separate file with its voxels is missing",)),
    Kind("an .mhd whose voxels are cut short",
         of_scan(detached(lambda header, voxels: voxels.write_bytes(voxels.read_bytes()[:-999]))),
         says=(r"chest\.mhd is truncated or damaged",)),
    Kind("an .mhd of 100 000³ voxels",
         of_scan(detached(lambda header, _: header.write_text(
             header.read_text().replace("24 22 20", "100000 100000 100000")))),
         says=(r"chest\.mhd is too large: 100000 × 100000 × 100000 voxels",)),
    Kind("an .mhd in colour",
         of_scan(detached(lambda header, _: header.write_text(
             header.read_text().replace("MET_SHORT", "MET_UCHAR").replace("NDims", "ElementNumberOfChannels = 2\nNDims")
         ))), says=(r"chest\.mhd has 2 values per voxel",)),
    Kind("an .mhd that names a folder as its voxels",
         of_scan(detached(lambda header, _: header.write_text(header.read_text().replace("chest.raw", ".")))),
         says=(r"chest\.mhd is truncated or damaged",)),
    Kind("an .nhdr whose voxels are elsewhere", of_scan(nrrd("gone.raw")),
         says=(r"chest\.nhdr is truncated or damaged, or the separate file with its voxels is missing",)),
    Kind("an .nhdr with more slices than voxels", of_scan(nrrd(size="24 22 40")),
         says=(r"chest\.nhdr is truncated or damaged",)),
    Kind("an .nhdr in a compression that nobody has", of_scan(nrrd(more="encoding: zstd\n")),
         says=(r"chest\.nhdr (is truncated or damaged|is not a NRRD file)",)),
    Kind("an .nrrd cut short", of_scan(rewritten("a.nrrd", lambda data: data[:-150])),
         says=(rf"a\.nrrd is truncated or damaged.*; {_EXPORT}",)),
    Kind("an .nrrd without a space",
         of_scan(rewritten("a.nrrd", _exchanged(b"space: left-posterior-superior\n", b"space dimension: 3\n"))), OK,
         notes=(r"does not say in which space it lies",), found={"a": ELSEWHERE}),
)

KINDS = (*NIFTI, *META_AND_NRRD)
