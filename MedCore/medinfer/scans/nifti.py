"""NIfTI-1 and NIfTI-2, compressed or not.

Read here and not by ITK, which refuses sheared placements, prints its complaints to the terminal, and does
not tell when the disk fills. Field names and codes: nifti1.h, nifti2.h (nifti.nimh.nih.gov).
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import ScanError
from ..volume import Floats, Volume
from .geometry import SHEAR_DEGREES, scan_grid, shear_degrees
from .voxel_values import check_size, rescaled

_HEADER_1 = np.dtype([
    ("sizeof_hdr", "i4"), ("_unused", "V35"), ("dim_info", "u1"), ("dim", "i2", 8), ("intent", "f4", 3),
    ("intent_code", "i2"), ("datatype", "i2"), ("bitpix", "i2"), ("slice_start", "i2"), ("pixdim", "f4", 8),
    ("vox_offset", "f4"), ("scl_slope", "f4"), ("scl_inter", "f4"), ("slice_end", "i2"), ("slice_code", "u1"),
    ("xyzt_units", "u1"), ("cal", "f4", 2), ("slice_duration", "f4"), ("toffset", "f4"), ("gl", "i4", 2),
    ("descrip", "S80"), ("aux_file", "S24"), ("qform_code", "i2"), ("sform_code", "i2"), ("quatern", "f4", 3),
    ("qoffset", "f4", 3), ("srow", "f4", (3, 4)), ("intent_name", "S16"), ("magic", "S4"),
])
_HEADER_2 = np.dtype([
    ("sizeof_hdr", "i4"), ("magic", "S8"), ("datatype", "i2"), ("bitpix", "i2"), ("dim", "i8", 8),
    ("intent", "f8", 3), ("pixdim", "f8", 8), ("vox_offset", "i8"), ("scl_slope", "f8"), ("scl_inter", "f8"),
    ("cal", "f8", 2), ("slice_duration", "f8"), ("toffset", "f8"), ("slice", "i8", 2), ("descrip", "S80"),
    ("aux_file", "S24"), ("qform_code", "i4"), ("sform_code", "i4"), ("quatern", "f8", 3), ("qoffset", "f8", 3),
    ("srow", "f8", (3, 4)), ("slice_code", "i4"), ("xyzt_units", "i4"), ("intent_code", "i4"),
    ("intent_name", "S16"), ("dim_info", "u1"), ("_unused", "V15"),
])
_SCALARS = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_COLOURS, _COMPLEX = {128, 2304}, {32, 1792, 2048}
_MILLIMETRES = {1: 1000.0, 3: 0.001}  # of xyzt_units: metre, micron; anything else is taken as mm
_SCANNER = 1  # sform_code: scanner coordinates
_CHUNK = 1 << 24

Header = Any  # a record of one of the two dtypes above


def read_nifti(path: Path, max_voxels: int) -> Volume:
    """Read a .nii or .nii.gz file; its geometry may be sheared and its voxels NaN.

    Which of the two placements is used (sform or qform) follows ITK, so that the scan lies where 3D Slicer
    shows it. Raises ScanError: not a NIfTI file, cut short, 4-D, colour, complex, too large, no geometry.
    """
    try:
        with _open(path) as file:
            header = _header(path, file)
            shape, dtype = _shape(path, header), _dtype(path, header)
            check_size(path, shape, dtype, max_voxels)
            # Damaged placements hold NaN or huge numbers; `scan_grid` refuses them.
            with np.errstate(all="ignore"):
                placement, notes = _placement(header)
            grid = scan_grid(path, shape, placement)
            file.seek(_voxel_offset(path, header))
            stored = _voxels(path, file, shape, dtype)
    except (EOFError, zlib.error, gzip.BadGzipFile) as cause:
        raise _cut_short(path) from cause
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if slope != 0 and np.isfinite([slope, inter]).all():
        stored = rescaled(stored, slope, inter)
    elif np.isinf([slope, inter]).any():  # NaN and 0 mean that nothing is to be rescaled
        notes += (f"the file gives a scl_slope of {slope:g} and a scl_inter of {inter:g}; its values were taken "
                  "as they are stored",)
    codes = max(0, int(header["qform_code"])), max(0, int(header["sform_code"]))
    return Volume(stored, grid, path.name, None, notes, form_codes=codes)


def write_nifti(volume: Volume, path: Path) -> None:
    """Write a NIfTI-1 file, compressed when the name ends in .gz, with the geometry as sform and qform (float32).

    Their codes are `volume.form_codes`; a sheared grid, which a qform cannot tell, gets a sform alone. Bool is
    written as uint8. Raises OSError; ValueError for a voxel type that NIfTI does not have.
    """
    voxels = volume.voxels.astype(np.uint8) if volume.voxels.dtype == np.bool_ else volume.voxels
    header = nifti_header(replace(volume, voxels=voxels))
    with _create(path) as file:
        file.write(header)
        for plane in voxels:
            file.write(np.ascontiguousarray(plane, voxels.dtype.newbyteorder("<")).tobytes())


def nifti_header(volume: Volume) -> bytes:
    """What stands before the voxels in a NIfTI-1 file: they follow in their order `[k, j, i]`, little-endian. Raises
    ValueError."""
    voxels = volume.voxels
    codes = {np.dtype(name): code for code, name in _SCALARS.items()}
    if voxels.dtype.newbyteorder("=") not in codes:
        raise ValueError(f"NIfTI has no voxel type {voxels.dtype}")
    header = np.zeros((), _HEADER_1.newbyteorder("<"))
    header["sizeof_hdr"], header["vox_offset"], header["magic"] = 348, 352, b"n+1"
    header["dim"] = [3, *volume.shape[::-1], 1, 1, 1, 1]
    header["pixdim"] = [1, *volume.spacing[::-1], 0, 0, 0, 0]
    header["datatype"] = codes[voxels.dtype.newbyteorder("=")]
    header["bitpix"] = 8 * voxels.dtype.itemsize
    header["scl_slope"], header["xyzt_units"] = 1, 2
    header["qform_code"], header["sform_code"] = volume.form_codes
    header["srow"] = volume.grid.ijk_to_ras[:3]
    if shear_degrees(volume.grid) < SHEAR_DEGREES:
        header["quatern"], header["qoffset"] = _quaternion(volume.grid.directions), volume.grid.ijk_to_ras[:3, 3]
        header["pixdim"][0] = np.sign(np.linalg.det(volume.grid.directions))
    else:
        header["qform_code"], header["sform_code"] = 0, max(_SCANNER, volume.form_codes[1])
    return bytes(header.tobytes() + bytes(4))


def _create(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "wb", compresslevel=4)) if path.name.endswith(".gz") else path.open("wb")


def _open(path: Path) -> IO[bytes]:
    """The file's bytes, inflated where its first two say gzip, whatever its name says."""
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    return cast(IO[bytes], gzip.open(path, "rb")) if compressed else path.open("rb")


def _header(path: Path, file: IO[bytes]) -> Header:
    start = file.read(4)
    orders: tuple[Literal["little", "big"], ...] = ("little", "big")
    for order in orders:
        for fields, magic in ((_HEADER_1, b"n+1"), (_HEADER_2, b"n+2\0\r\n\x1a\n")):
            if int.from_bytes(start, order) != fields.itemsize:
                continue
            raw = start + file.read(fields.itemsize - 4)
            if len(raw) < fields.itemsize:
                raise _cut_short(path)
            header: Header = np.frombuffer(raw, fields.newbyteorder(order))[0]
            if header["magic"] != magic:
                raise ScanError(f"{path} is an Analyze file or half of a .hdr/.img pair; "
                                "convert it to one NIfTI file (.nii.gz).")
            return header
    raise ScanError(f"{path} is not a NIfTI file, despite its name; give the file that the scan was exported to.")


def _voxel_offset(path: Path, header: Header) -> int:
    """Where the voxels begin; 0 stands for right behind the header."""
    offset, first = float(header["vox_offset"]), header.dtype.itemsize + 4
    if offset == 0:
        return int(first)
    if not first <= offset < 2**40:
        raise ScanError(f"{path} gives an impossible byte offset for its voxels ({offset:g}); export the scan again.")
    return int(offset)


def _shape(path: Path, header: Header) -> tuple[int, int, int]:
    count = int(header["dim"][0])
    sizes = [int(n) for n in header["dim"][1:]]
    if not 1 <= count <= 7:
        raise ScanError(f"{path} has {count} dimensions in its header, which is damaged; export the scan again.")
    if any(n > 1 for n in sizes[3:count]):
        extent = " × ".join(str(n) for n in sizes[:count])
        raise ScanError(f"{path} is {count}-dimensional ({extent}); give a single 3-D volume of it.")
    i, j, k = [*sizes[:count], 1, 1][:3]
    return k, j, i


def _dtype(path: Path, header: Header) -> np.dtype[Any]:
    code = int(header["datatype"])
    if code in _COLOURS:
        raise ScanError(f"{path} is a colour image; give the scan itself, with one value per voxel.")
    if code in _COMPLEX:
        raise ScanError(f"{path} contains complex numbers; give the magnitude image.")
    if code not in _SCALARS:
        raise ScanError(f"{path} has an unsupported voxel type (NIfTI code {code}); convert it to int16.")
    dtype: np.dtype[Any] = np.dtype(header.dtype["dim"].base.byteorder + _SCALARS[code])
    return dtype


def _voxels(path: Path, file: IO[bytes], shape: tuple[int, int, int], dtype: np.dtype[Any]) -> NDArray[np.generic]:
    voxels: NDArray[np.generic] = np.empty(shape, dtype)
    bytes_left = memoryview(voxels.view(np.uint8).reshape(-1))  # type: ignore[arg-type]
    while bytes_left:
        piece = file.read(min(_CHUNK, len(bytes_left)))
        if not piece:
            raise _cut_short(path)
        bytes_left[:len(piece)] = piece
        bytes_left = bytes_left[len(piece):]
    file.read(1)  # the end of the stream, where gzip compares its checksum
    return voxels if dtype.isnative else voxels.astype(dtype.newbyteorder("="))


def _placement(header: Header) -> tuple[Floats, tuple[str, ...]]:
    """`ijk_to_ras` and notes, chosen between sform and qform as `itk::NiftiImageIO` (ITK 5.4) chooses.

    A square sform is used when it is in scanner coordinates, when it stands alone, or when it agrees with the
    qform; else the qform; else the sform, though it is sheared (ITK would refuse). NIfTI is RAS.
    """
    scale = _MILLIMETRES.get(int(header["xyzt_units"]) & 7, 1.0)
    sform, qform = _sform(header), _qform(header)
    sform_code, has_qform = int(header["sform_code"]), int(header["qform_code"]) > 0
    if sform_code <= 0 and not has_qform:
        plain = np.diag([*np.array(header["pixdim"][1:4], float) * scale, 1.0])
        plain[:2] *= -1
        return plain, ("the file gives no orientation or position, so left, right and position are assumed",)
    agree = sform_code > 0 and np.allclose(sform, qform, rtol=0, atol=1e-4)
    use_sform = sform_code > 0 and (
        not has_qform or agree or (_square(sform) and sform_code == _SCANNER)
    )
    chosen = sform if use_sform else qform
    notes: tuple[str, ...] = ()
    if sform_code <= 0:
        notes = ("the file has a qform and no sform; its qform is used",)
    if has_qform and sform_code > 0 and not np.allclose(sform, qform, rtol=1e-3, atol=1e-2):
        name = "sform" if use_sform else "qform"
        notes = (f"the file gives two different positions for the scan; its {name} is used, as in 3D Slicer",)
    chosen = chosen.copy()
    chosen[:3] *= scale
    return chosen, notes


def _sform(header: Header) -> Floats:
    return np.vstack([np.array(header["srow"], np.float64), [0, 0, 0, 1]])


def _qform(header: Header) -> Floats:
    """The quaternion (nifti1.h, method 2); pixdim[0] < 0 flips k."""
    b, c, d = (float(value) for value in header["quatern"])
    a = np.sqrt(max(0.0, 1.0 - (b * b + c * c + d * d)))
    if a < 1e-7:
        b, c, d = np.array([b, c, d]) / np.linalg.norm([b, c, d])
    rotation = np.array([
        [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
        [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
        [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
    ])
    pixdim = np.array(header["pixdim"], np.float64)
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * pixdim[1:4] * [1, 1, -1 if pixdim[0] < 0 else 1]
    matrix[:3, 3] = header["qoffset"]
    return matrix


def _quaternion(directions: Floats) -> tuple[float, ...]:
    """b, c, d of the rotation nearest to the columns of `directions`; k is turned where they are left-handed."""
    from scipy.spatial.transform import Rotation

    right_handed = directions * [1, 1, np.sign(np.linalg.det(directions))]
    b, c, d, a = Rotation.from_matrix(right_handed).as_quat()
    sign = -1.0 if a < 0 else 1.0
    return tuple(float(sign * value) for value in (b, c, d))


def _square(matrix: Floats) -> bool:
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    if not (lengths > 0).all():
        return False
    directions = matrix[:3, :3] / lengths
    return bool(np.allclose(directions @ directions.T, np.eye(3), rtol=0, atol=1e-4))


def _cut_short(path: Path) -> ScanError:
    return ScanError(f"{path} is truncated or damaged: some of its voxels are missing; copy or export it again.")
