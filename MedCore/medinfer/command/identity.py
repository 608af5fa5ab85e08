"""What a result was made of: the scan's content and the model's, so that neither a path nor a name stands for them."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from ..library.package import ModelPackage
from ..volume import Volume

# A file's geometry is exact to a float32; what is smaller than this (mm) comes of multiplying it out.
_NOTHING_MM = 1e-6


def scan_digest(volume: Volume) -> str:
    """32 hexadecimal digits of voxels and geometry: the same for a copy of the file, whatever it is called. Further
    images count with their names.

    BLAKE2b, slice by slice: no copy of the volume, and less time than inflating its file takes.
    """
    matrix = volume.grid.ijk_to_ras.astype("<f4")
    matrix[np.abs(matrix) < _NOTHING_MM] = 0
    stored = volume.voxels.dtype.newbyteorder("<")
    digest = hashlib.blake2b(f"{volume.shape} {stored.str}".encode(), digest_size=16)
    digest.update(matrix.tobytes())
    for plane in volume.voxels:
        digest.update(np.ascontiguousarray(plane, stored).data)
    for name, voxels in sorted(volume.further.items()):
        kind = voxels.dtype.newbyteorder("<")
        digest.update(f"{name} {kind.str}".encode())
        for plane in voxels:
            digest.update(np.ascontiguousarray(plane, kind).data)
    return digest.hexdigest()


def model_digest(package: ModelPackage) -> str:
    """32 hexadecimal digits of what the model does: id, version, its files' sha256 and all that its passes declare.

    The card is left out: a corrected word in it changes no finding.
    """
    manifest = package.manifest.model_dump(mode="json", exclude={"card", "title"}, exclude_defaults=True)
    return hashlib.blake2b(json.dumps(manifest, sort_keys=True).encode(), digest_size=16).hexdigest()
