"""The numbered teeth of the only real jaw: held out for evaluation, never used for training.

    label map (tooth groups) -> basins of the depth (watershed) -> teeth, by seeds set by hand -> FDI numbers

The map is `PostDentalSurgery_Segmentation.nii.gz` of SlicerDentalSegmentator (Apache-2.0), 0.5 mm: a segmentation of
a real CBCT into groups, without the CBCT itself. It was looked at: 28 teeth, 7 in each quadrant, no third molar. Which
basin belongs to which tooth was decided by eye and is written down in `SEEDS`; left and right are as the file's header
says (the anatomy is too symmetric to tell). Doubtful: the border between 14 and 15, whose crowns are one basin, and a
thin hook of 5 mm³ at the root of 24 that may be bone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import cc3d
import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from medinfer.errors import ScanError
from medinfer.orientation import reorient
from medinfer.scans.reading import read_volume
from medinfer.volume import Grid

Labels = NDArray[np.uint8]
Mask = NDArray[np.bool_]

SHA256 = "e45128cb1d7356346166958149bed9becd873b950e5cdba31acc4749847d1b91"

MAXILLA, MANDIBLE, UPPER_TEETH, LOWER_TEETH, CANAL = 1, 2, 3, 4, 5
"""Values of the file; 1 is the whole upper skull."""

# Watershed: basins of the depth (mm, smoothed by a Gaussian of so many voxels) join where less deep a ridge parts them.
_SMOOTH_VOXELS, _RIDGE_MM = 0.7, 0.2

SEEDS: dict[int, tuple[tuple[int, int, int], ...]] = {
    11: ((125, 77, 176),),
    12: ((131, 83, 168),),
    13: ((123, 88, 154),),
    # The buccal cusps of 14 and 15 are one basin: their first seeds divide it.
    14: ((119, 100, 144), (120, 102, 152)),
    15: ((119, 112, 140), (123, 114, 148), (136, 111, 142)),
    16: ((127, 132, 143), (140, 129, 148)),
    17: ((143, 142, 143), (156, 139, 149)),
    21: ((125, 77, 191),),
    22: ((124, 80, 203),),
    23: ((122, 87, 215),),
    24: ((120, 99, 222), (157, 101, 221)),
    25: ((121, 111, 226),),
    26: ((123, 124, 231), (133, 122, 234), (137, 128, 221)),
    27: ((132, 143, 227), (145, 139, 219), (147, 142, 231)),
    31: ((100, 77, 189),),
    32: ((100, 79, 200),),
    33: ((100, 84, 209),),
    34: ((104, 95, 217),),
    35: ((92, 112, 225), (108, 107, 221)),
    36: ((106, 128, 230),),
    37: ((115, 147, 233),),
    41: ((100, 76, 179),),
    42: ((101, 78, 170),),
    43: ((101, 84, 159),),
    44: ((105, 95, 151),),
    45: ((94, 111, 145), (110, 108, 145)),
    46: ((110, 130, 143),),
    47: ((117, 147, 131), (95, 151, 123), (104, 143, 131), (106, 150, 127)),
}
"""Voxels (k, j, i) of the file's grid deep within each tooth, one or more a basin, by FDI number."""


@dataclass(frozen=True, eq=False)
class RealJaw:
    """groups: `[k, j, i]`, the file's values. teeth: the same voxels, FDI numbers or 0. grid: axes LPS, 0.5 mm."""

    groups: Labels
    teeth: Labels
    grid: Grid


def read_real_jaw(path: Path) -> RealJaw:
    """The jaw of that file. Raises ScanError for any other file: the seeds are this one's."""
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise ScanError(
            f"{path} is not the jaw whose teeth were separated by hand: give PostDentalSurgery_Segmentation.nii.gz "
            "of SlicerDentalSegmentator."
        )
    volume = reorient(read_volume(path), "LPS")
    groups = np.asarray(volume.voxels).astype(np.uint8)
    teeth = np.zeros_like(groups)
    for group, seeds in (
        (UPPER_TEETH, {number: at for number, at in SEEDS.items() if number < 30}),
        (LOWER_TEETH, {number: at for number, at in SEEDS.items() if number > 30}),
    ):
        teeth |= split_teeth(groups == group, seeds, volume.spacing[0])
    return RealJaw(groups, filled(teeth, groups == 0), volume.grid)


def split_teeth(mask: Mask, seeds: dict[int, tuple[tuple[int, int, int], ...]], spacing: float) -> Labels:
    """The teeth of `mask` `[k, j, i]` (isotropic voxels of `spacing` mm), numbered by the seeds that lie in them.

    The mask falls apart into basins of its depth. One with seeds of one tooth is that tooth's; one with several teeth's
    seeds is divided, each voxel to the nearest; one without joins the tooth it touches most. Every tooth is one piece:
    what is cut off goes to its neighbour, or is dropped where it has none.
    """
    box = ndimage.find_objects(mask.view(np.uint8))[0]
    inside = mask[box]
    corner = [part.start for part in box]
    basins = _basins(inside, spacing)
    places = np.array([np.subtract(at, corner) for points in seeds.values() for at in points])
    numbers = np.array([number for number, points in seeds.items() for _ in points], np.uint8)
    basin_of_seed = basins[tuple(places.T)]
    local = np.zeros(inside.shape, np.uint8)
    for basin in np.unique(basin_of_seed[basin_of_seed > 0]):
        voxels = np.nonzero(basins == basin)
        here = basin_of_seed == basin
        away = np.linalg.norm(np.stack(voxels, axis=1)[:, None] - places[here], axis=2)
        local[voxels] = numbers[here][away.argmin(axis=1)]
    teeth = np.zeros(mask.shape, np.uint8)
    teeth[box] = _in_one_piece(local, inside)
    return teeth


def filled(teeth: Labels, unlabelled: Mask) -> Labels:
    """Teeth with what is `unlabelled` and walled in by one of them in an axial slice: the file lacks some pulps."""
    whole = teeth.copy()
    boxes = ndimage.find_objects(teeth)
    for number in np.unique(teeth[teeth > 0]):
        box = boxes[number - 1]
        walled = [ndimage.binary_fill_holes(level) for level in teeth[box] == number]
        whole[box][np.stack(walled) & unlabelled[box]] = number
    return whole


def _basins(inside: Mask, spacing: float) -> NDArray[np.uint32]:
    depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(np.pad(inside, 1)) * spacing, _SMOOTH_VOXELS)
    hollow = sitk.GetImageFromArray(-depth[1:-1, 1:-1, 1:-1].astype(np.float32))
    basins = sitk.MorphologicalWatershed(hollow, level=_RIDGE_MM, markWatershedLine=False, fullyConnected=True)
    found: NDArray[np.uint32] = sitk.GetArrayFromImage(basins).astype(np.uint32) * inside
    return found


def _in_one_piece(teeth: Labels, inside: Mask) -> Labels:
    """Each tooth's largest piece; the rest of `inside` grows from what touches it, voxel layer by voxel layer."""
    whole = np.zeros_like(teeth)
    pieces = cc3d.connected_components(teeth, connectivity=6)
    counts = np.bincount(pieces.ravel())
    number_of = np.zeros(len(counts), np.uint8)
    number_of[pieces] = teeth
    for number in np.unique(teeth[teeth > 0]):
        its = np.flatnonzero(number_of == number)
        whole[pieces == its[counts[its].argmax()]] = number
    cross = ndimage.generate_binary_structure(3, 1)
    while True:
        # Of several neighbours the one with the higher number: a rule is needed, and layers are one voxel thick.
        grown = np.where(whole == 0, ndimage.grey_dilation(whole, footprint=cross), whole) * inside
        if np.array_equal(grown, whole):
            return whole
        whole = grown
