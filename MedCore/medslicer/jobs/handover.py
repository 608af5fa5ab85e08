"""Handing the voxels of a volume node to another process: a `.npy` file, written in small steps."""

from __future__ import annotations

import io
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from medinfer.atomic_files import output_error
from medinfer.errors import OutputError, ScanError
from medinfer.scans.geometry import scan_grid
from medinfer.scans.voxel_values import MAX_VOXELS, check_size
from medinfer.volume import Grid, Volume

from ..nodes.volumes import grid_matrix, world_matrix

# The window waits no longer than this for a step, and no single write is larger.
_STEP_S = 0.01
_PIECE = 2 << 20
# What is left free on the disk besides the voxels: the result, the log.
_SPARE = 16 << 20


def scan_of(volume_node: Any) -> Volume:
    """The voxels `[k, j, i]` of a scalar volume node and where they lie, in the node's own coordinates.

    The voxels are a view of the node's vtkImageData, and keep it alive when the node goes. Raises ScanError, one
    sentence, for a node without voxels, with colours, too large, or with an impossible geometry.
    """
    from vtk.util.numpy_support import vtk_to_numpy

    name = (volume_node.GetName() if hasattr(volume_node, "GetName") else "") or "The volume"
    image = volume_node.GetImageData() if hasattr(volume_node, "GetImageData") else None
    values = image.GetPointData().GetScalars() if image is not None else None
    if image is None or values is None or values.GetNumberOfTuples() == 0:
        raise ScanError(f"{name} contains no voxels; load its images again or choose another volume.")
    if values.GetNumberOfComponents() != 1:
        raise ScanError(
            f"{name} has {values.GetNumberOfComponents()} values per voxel (a colour image or a vector field); "
            "choose a scan with one value per voxel."
        )
    i, j, k = image.GetDimensions()
    if values.GetNumberOfTuples() != i * j * k:
        raise ScanError(
            f"{name} contains {values.GetNumberOfTuples()} voxels instead of {i} × {j} × {k}; load its images again."
        )
    voxels: NDArray[Any] = vtk_to_numpy(values).reshape(k, j, i)
    # Here, and not by the process that gets them minutes and gigabytes later.
    check_size(name, (k, j, i), voxels.dtype, MAX_VOXELS)
    return Volume(voxels, scan_grid(name, (k, j, i), grid_matrix(volume_node)), name, _modality(volume_node))


def beside(volume_node: Any, other_node: Any) -> Volume:
    """The voxels of `other_node`, placed in the coordinates of `volume_node`, whatever transforms they are under.

    Raises ScanError, as `scan_of`, and where a transform between them is not linear.
    """
    volume = scan_of(other_node)
    mine, theirs = (node.GetParentTransformNode() for node in (volume_node, other_node))
    if mine is theirs:
        return volume
    if any(node is not None and not node.IsTransformToWorldLinear() for node in (mine, theirs)):
        raise ScanError(f"{volume.name} lies under a warping transform; harden it, or choose a volume without one.")
    matrix = np.linalg.inv(world_matrix(volume_node)) @ world_matrix(other_node)
    return replace(volume, grid=Grid(volume.shape, matrix @ volume.grid.ijk_to_ras))


class Handover:
    """Writes `voxels` `[k, j, i]`, contiguous or not, to the file `path`; `step` by step. A class because it has a
    life: what an `abandon`ed or failed one has written is removed. header: what stands before them; None: that of
    a `.npy` file."""

    def __init__(self, voxels: NDArray[Any], path: Path, header: bytes | None = None) -> None:
        self._voxels, self._path, self._header = voxels, path, header
        self._rows = max(1, _PIECE // max(1, voxels[0, 0].nbytes))
        self._done = 0
        self._stream: IO[bytes] | None = None

    @property
    def share(self) -> float:
        """The part of the voxels that is written."""
        k, j, _ = self._voxels.shape
        return self._done / float(k * j)

    def start(self) -> None:
        """Raises OutputError where the disk has no room for it."""
        try:
            free = shutil.disk_usage(self._path.parent).free
            if free < self._voxels.nbytes + _SPARE:
                raise OutputError(
                    f"The disk of {self._path.parent} has {free / 1e6:.0f} MB free, but handing over the scan needs "
                    f"{(self._voxels.nbytes + _SPARE) / 1e6:.0f} MB: free some space there."
                )
            # Unbuffered: a full disk is met by the write that it is too small for.
            self._stream = self._path.open("wb", buffering=0)
            self._write(_header(self._voxels) if self._header is None else self._header)
        except OSError as error:
            self._fail(error)

    def step(self) -> bool:
        """Write for about 10 milliseconds; True when all is written. Raises OutputError."""
        until = time.monotonic() + _STEP_S
        slices, rows, _ = self._voxels.shape
        try:
            while self._done < slices * rows:
                k, first = divmod(self._done, rows)
                piece = self._voxels[k, first : first + self._rows]
                self._write(np.ascontiguousarray(piece).data)
                self._done += len(piece)
                if time.monotonic() >= until:
                    break
            if self._done < slices * rows:
                return False
            self._close()
        except OSError as error:
            self._fail(error)
        return True

    def abandon(self) -> None:
        """Remove what was written."""
        with suppress(OSError):
            self._close()
        with suppress(OSError):
            self._path.unlink()

    def _write(self, piece: Any) -> None:
        assert self._stream is not None
        left = memoryview(piece).cast("B")
        while len(left):
            left = left[self._stream.write(left) :]

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()

    def _fail(self, error: OSError) -> None:
        self.abandon()
        raise output_error(self._path, error) from error


class Handovers:
    """Several volumes, one after the other; like one `Handover` of them all."""

    def __init__(self, parts: Sequence[Handover]) -> None:
        self._parts, self._at = list(parts), 0

    @property
    def share(self) -> float:
        """The part of all that is written."""
        return sum(part.share for part in self._parts) / len(self._parts)

    def start(self) -> None:
        """Raises OutputError."""
        self._parts[0].start()

    def step(self) -> bool:
        """True when all is written. Raises OutputError."""
        if not self._parts[self._at].step():
            return False
        self._at += 1
        if self._at == len(self._parts):
            self._at -= 1
            return True
        self._parts[self._at].start()
        return False

    def abandon(self) -> None:
        """Remove what was written."""
        for part in self._parts:
            part.abandon()


def _header(voxels: NDArray[Any]) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        out, {"descr": np.lib.format.dtype_to_descr(voxels.dtype), "fortran_order": False, "shape": voxels.shape}
    )
    return out.getvalue()


def _modality(volume_node: Any) -> str | None:
    """DICOM's word for it, which Slicer keeps beside a volume that it loaded from DICOM."""
    import slicer

    scene = volume_node.GetScene()
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene) if scene is not None else None
    item = tree.GetItemByDataNode(volume_node) if tree is not None else 0
    word = tree.GetItemAttribute(item, "DICOM.Modality") if tree is not None and item else ""
    return word or volume_node.GetAttribute("DICOM.Modality") or None
