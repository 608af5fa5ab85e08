"""Optional refinement: moves the borders of a label map to edges in the image.

The documents name GeodisTK and SimpleCRF for it, which have not been kept since 2020 and 2021 (nor is FastGeodis, since
2024); what they do is done here with SimpleITK, which medinfer needs anyway. What lies in an object deeper than a band
stays its core, with its middle line where it is thinner; what is farther than the band from all objects stays
background; and between them the image decides: a voxel goes to the side that reaches it first.

Whether that helps depends on the labels and the image: `Testing/benchmarks/refinement.py` measures it.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from ..decoders.label_cleanup import Mask, boxes_of, fill_holes, keep_largest_components, largest_component, widened

_FREE, _OWN, _OTHER = 0, 1, 2
Method = Literal["geodesic", "watershed"]
Spacing = tuple[float, float, float]

# Edges are looked for at this width, in voxels (of the same volume): what is thinner is noise.
_SIGMA = 0.7
# A front is so many times slower where the image is as steep as the steepest tenth of the band.
_BRAKE = 30.0


def refine_labels(
    image: NDArray[np.floating],
    labels: NDArray[np.uint8],
    spacing: Spacing,
    method: Method = "geodesic",
    band_mm: float = 1.0,
) -> NDArray[np.uint8]:
    """A copy of `labels` [k, j, i] with borders moved to edges in `image` [k, j, i].

    spacing: mm along k, j, i. band_mm: how far a border may move. Objects that touch stay apart; each that was one
    piece ends as one (its largest), without holes. Takes 6 bytes per voxel, and some 60 per voxel of
    one object's box at a time.

    method: *geodesic*: fronts start from the object's core and from everything that is not it, slower the steeper the
    image (Sethian's fast marching; the geodesic time of Wang et al., DeepIGeoS, IEEE TPAMI 41(7), 2019).
    *watershed*: the steepness is flooded from the same markers (Meyer's watershed): only its ridges count, not the way
    between them.

    Raises ValueError where image and labels differ in shape, or band_mm is not above 0.
    """
    if image.shape != labels.shape:
        raise ValueError(f"The image has {image.shape} voxels and the labels {labels.shape}; they must share a grid.")
    if not band_mm > 0:
        raise ValueError(f"band_mm is {band_mm}; it must be above 0 mm.")
    cores, delays = _cores(labels, spacing, band_mm)
    refined = cores.copy()
    margin = [int(np.ceil(2 * band_mm / size)) + 1 for size in spacing]
    for value, tight in boxes_of(labels).items():
        box = widened(tight, margin, labels.shape)
        away = scipy.ndimage.distance_transform_edt(labels[box] == 0, sampling=spacing)
        markers = np.where(cores[box] == value, _OWN, np.where((cores[box] > 0) | (away > band_mm), _OTHER, _FREE))
        slope = _slope(np.asarray(image[box], np.float32), markers == _FREE, spacing)
        taken = _WAYS[method](slope, markers.astype(np.uint8), delays[box], spacing)
        refined[box][taken & (refined[box] == 0)] = value
    whole = _in_one_piece(labels)
    keep_largest_components(refined, {value: box for value, box in boxes_of(refined).items() if value in whole})
    fill_holes(refined)
    return refined


def _in_one_piece(labels: NDArray[np.uint8]) -> set[int]:
    """The values with one component; others (both canals under one) keep theirs."""
    masks = {value: labels[box] == value for value, box in boxes_of(labels).items()}
    return {value for value, mask in masks.items() if largest_component(mask) is mask}


def _cores(
    labels: NDArray[np.uint8], spacing: Spacing, band: float
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """What of each object no image moves: where it is deeper than the band, and its middle lines. And by how much a
    front (mm of flat image) starts later where the object is thinner, so that in a flat image it meets the front from
    outside at the border that there is."""
    cores, delays = np.zeros_like(labels), np.zeros(labels.shape, np.float32)
    for value, tight in boxes_of(labels).items():
        # Of what lies beyond the array nothing is known: no border there.
        box = widened(tight, (1, 1, 1), labels.shape)
        own = labels[box] == value
        depth = scipy.ndimage.distance_transform_edt(own, sampling=spacing)
        middle = own & (depth == scipy.ndimage.maximum_filter(depth, 3))
        core = (depth > band) | middle
        cores[box][core] = value
        delays[box][core] = np.maximum(0, band - depth[core])
    return cores, delays


def _slope(image: NDArray[np.float32], band: Mask, spacing: Spacing) -> NDArray[np.float32]:
    """How steep the image is at each voxel of a box `[k, j, i]`: 1 at the steepest tenth of the band."""
    width = _SIGMA * float(np.prod(spacing)) ** (1 / 3)
    squares = np.zeros(image.shape, np.float32)
    for axis, size in enumerate(spacing):
        order = [int(axis == other) for other in range(3)]
        sigma = [width / other for other in spacing]
        squares += (scipy.ndimage.gaussian_filter(image, sigma, order=order, mode="nearest") / np.float32(size)) ** 2
    slope: NDArray[np.float32] = np.sqrt(squares)
    steep = float(np.percentile(slope[band], 90)) if band.any() else 0.0
    return slope / np.float32(steep) if steep > 0 else np.zeros_like(slope)


def _by_geodesic_time(
    slope: NDArray[np.float32], markers: NDArray[np.uint8], delays: NDArray[np.float32], spacing: Spacing
) -> Mask:
    """Free voxels that the front from the object reaches first."""
    speed = np.where(markers == _FREE, 1 / (1 + _BRAKE * slope), 0).astype(np.float32)
    own, other = (_arrival(speed, markers == side, delays, spacing) for side in (_OWN, _OTHER))
    first: Mask = (own < other) & (markers == _FREE)
    return first


def _arrival(
    speed: NDArray[np.float32], seeds: Mask, delays: NDArray[np.float32], spacing: Spacing
) -> NDArray[np.float64]:
    """When a front from the seeds arrives at each voxel; far later than any where the speed is 0."""
    import SimpleITK as sitk

    # Only seeds beside a free voxel send anything.
    sending = seeds & scipy.ndimage.binary_dilation(speed > 0)
    places = np.argwhere(sending)
    if len(places) == 0:
        return np.full(speed.shape, np.inf)
    image = sitk.GetImageFromArray(speed)
    image.SetSpacing(spacing[::-1])
    front = sitk.FastMarchingImageFilter()
    front.SetTrialPoints(places[:, ::-1].tolist())
    front.SetInitialTrialValues(delays[sending].astype(float).tolist())
    arrival: NDArray[np.float64] = sitk.GetArrayFromImage(front.Execute(image))
    return arrival


def _by_watershed(
    slope: NDArray[np.float32], markers: NDArray[np.uint8], _: NDArray[np.float32], spacing: Spacing
) -> Mask:
    """Free voxels that the flood from the object reaches first."""
    import SimpleITK as sitk

    flooded = sitk.MorphologicalWatershedFromMarkers(
        sitk.GetImageFromArray(slope), sitk.GetImageFromArray(markers), markWatershedLine=False, fullyConnected=False
    )
    own: Mask = (sitk.GetArrayFromImage(flooded) == _OWN) & (markers == _FREE)
    return own


_WAYS = {"geodesic": _by_geodesic_time, "watershed": _by_watershed}
