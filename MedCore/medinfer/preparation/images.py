"""Several images of one patient for one model: brought to the voxels of the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ScanError
from ..manifest.images import Image
from ..volume import Grid, Volume

# Two grids are one where their corners differ by less than this share of a voxel.
_ALIKE = 0.01


def with_further(volume: Volume, images: Sequence[Image], further: Mapping[str, Volume]) -> Volume:
    """`volume`, which is the first of a model's `images`, with the others on its voxels.

    An image with other voxels is interpolated linearly at the same places in the world (RAS); outside of it, its lowest
    value counts. A note says so. Memory: the image as it is, or four bytes per voxel of `volume` for each that is
    interpolated. Raises ScanError for one that is missing, not wanted, or lies elsewhere.
    """
    wanted = [image.name for image in images[1:]]
    for name in further:
        if name not in wanted:
            listed = f"only {', '.join(wanted)}" if wanted else "no further image"
            raise ScanError(f"{volume.name} was given {name}, but this model takes {listed} besides the scan.")
    for image in images[1:]:
        if image.name not in further:
            title = f" ({image.title})" if image.title else ""
            raise ScanError(
                f"{volume.name} is not enough for this model: give its {image.name}{title} too, with --input "
                f"{image.name}=FILE."
            )
    notes, arrays = [], {}
    for name in wanted:
        same = _is_same(further[name].grid, volume.grid)
        arrays[name] = further[name].voxels if same else _on(volume, further[name], name)
        if not same:
            notes.append(f"{name} has other voxels than the scan and was interpolated at its places")
        notes += [f"{name}: {note}" for note in further[name].notes]
    return replace(volume, further=arrays, notes=(*volume.notes, *notes))


def _is_same(one: Grid, other: Grid) -> bool:
    if one.shape != other.shape:
        return False
    corners = np.array([[0, 0, 0], np.array(one.shape) - 1])
    return bool(np.allclose(one.to_index(other.to_ras(corners)), corners, atol=_ALIKE))


def _on(volume: Volume, image: Volume, name: str) -> NDArray[np.float32]:
    """The image's values at the voxels of `volume`."""
    import SimpleITK as sitk

    corners = np.stack(np.meshgrid(*([-0.5, n - 0.5] for n in volume.shape), indexing="ij"), axis=-1).reshape(-1, 3)
    inside = image.grid.to_index(volume.grid.to_ras(corners))
    if (inside.max(axis=0) < 0).any() or (inside.min(axis=0) > np.array(image.shape) - 1).any():
        raise ScanError(
            f"{name} ({image.name}) lies beside {volume.name} and shows no part of it: give images of one examination."
        )
    found = sitk.Resample(
        _as_itk(image), _as_itk(volume.with_voxels(np.broadcast_to(np.uint8(0), volume.shape))), sitk.Transform(),
        sitk.sitkLinear, float(image.voxels.min()), sitk.sitkFloat32,
    )
    values: NDArray[np.float32] = sitk.GetArrayFromImage(found)
    return values


def _as_itk(volume: Volume) -> Any:
    """With RAS taken for ITK's own axes: both volumes lie in the same."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.voxels))
    image.SetSpacing([float(mm) for mm in volume.spacing[::-1]])
    image.SetDirection(volume.grid.directions.ravel().tolist())
    image.SetOrigin(volume.grid.to_ras((0, 0, 0)).tolist())
    return image
