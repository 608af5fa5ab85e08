"""Several images of one patient for one model: brought to the voxels of the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ScanError
from ..manifest.images import Image
from ..volume import Floats, Grid, Volume

# Two grids are one where their corners differ by less than this share of a voxel.
_ALIKE = 0.01
# Places along an axis at which it is looked whether an image shows them too; and the share of them that is all.
_PLACES, _ALL = 24, 0.995
# What SimpleITK takes as it is.
_TAKEN = ("int16", "uint8", "uint16", "int32", "float32", "float64")


def with_further(volume: Volume, images: Sequence[Image], further: Mapping[str, Volume]) -> Volume:
    """`volume`, which is the first of a model's `images`, with the others on its voxels.

    An image with other voxels is interpolated linearly at the same places in the world (RAS); outside of it, its lowest
    value counts. Notes say so. Memory: the image as it is, or four bytes per voxel of `volume` for each that is
    interpolated. Raises ScanError for one that is missing, not wanted, of another modality, or lies elsewhere.
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
        _check_modality(image, further[image.name])
    notes, arrays = [], {}
    for name in wanted:
        same = _is_same(further[name].grid, volume.grid)
        arrays[name] = further[name].voxels if same else _on(volume, further[name], name)
        if not same:
            notes.append(f"{name} has other voxels than the scan and was interpolated at its places")
            notes += _partly(volume.grid, further[name].grid, name)
        notes += [f"{name}: {note}" for note in further[name].notes]
    return replace(volume, further=arrays, notes=(*volume.notes, *notes))


def _check_modality(image: Image, given: Volume) -> None:
    if image.modality and given.modality not in (None, *image.modality):
        raise ScanError(
            f"{image.name} ({given.name}) is {given.modality}, but this model was made for "
            f"{' or '.join(image.modality)} there: give another image."
        )


def _is_same(one: Grid, other: Grid) -> bool:
    if one.shape != other.shape:
        return False
    # All of them: of a cube whose axes change places, two stay where they are.
    corners = _lattice(one, 2)
    return bool(np.allclose(one.to_index(other.to_ras(corners)), corners, atol=_ALIKE))


def _lattice(grid: Grid, places: int) -> Floats:
    """Index points `[n, 3]` (k, j, i) from corner to corner, at most so many along an axis."""
    axes = [np.linspace(0, size - 1, min(size, places)) for size in grid.shape]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


def _share(grid: Grid, of: Grid) -> float:
    """The share of the places of `of` that lie within the voxels of `grid`."""
    index = grid.to_index(of.to_ras(_lattice(of, _PLACES)))
    inside = (index >= -0.5 - _ALIKE) & (index <= np.array(grid.shape) - 0.5 + _ALIKE)
    return float(inside.all(axis=1).mean())


def _partly(scan: Grid, image: Grid, name: str) -> list[str]:
    """A note where the image does not show all of the scan."""
    share = _share(image, scan)
    if share >= _ALL:
        return []
    return [f"{name} shows {max(share, 0.01):.0%} of the scan; elsewhere its lowest value was taken"]


def _on(volume: Volume, image: Volume, name: str) -> NDArray[np.float32]:
    """The image's values at the voxels of `volume`."""
    import SimpleITK as sitk

    # Looked at from both sides: a small image may lie between the places of a large one.
    if not (_share(image.grid, volume.grid) or _share(volume.grid, image.grid)):
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

    voxels = volume.voxels
    if voxels.dtype.name not in _TAKEN or not voxels.dtype.isnative:
        voxels = voxels.astype(np.float32)
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels))
    image.SetSpacing([float(mm) for mm in volume.spacing[::-1]])
    image.SetDirection(volume.grid.directions.ravel().tolist())
    image.SetOrigin(volume.grid.to_ras((0, 0, 0)).tolist())
    return image
