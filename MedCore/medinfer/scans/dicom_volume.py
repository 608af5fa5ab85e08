"""A DICOM series as one volume: sorted by position, gaps filled, gantry tilt straightened."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ScanError
from ..volume import Floats, Volume
from .dicom import Series, Slice
from .dicom_pixels import slice_values
from .geometry import orthogonal, scan_grid
from .interleaving import check_neighbours
from .padding import aired, without_padding
from .voxel_values import check_size, finite, smallest_int

# Headers are rounded to 0.1 mm, so a slice may lie half of that, or 2 % of the spacing, from its even place.
_POSITION_MM = 0.06
_POSITION_SHARE = 0.02
_NAMED_GAPS = 3


@dataclass(frozen=True)
class Stacking:
    """How sorted slices become evenly spaced ones.

    below, weight: for every slice of the result the index of the slice below it and the share (0…1) of the next.
    start, step: mm along the normal.
    """

    below: NDArray[np.intp]
    weight: Floats
    start: float
    step: float
    notes: tuple[str, ...]


def read_series(series: Series, where: Path, max_voxels: int) -> Volume:
    """Read a series into one volume with its HU (or the modality's values), by position and not by name.

    Duplicate positions are left out, missing slices and unequal gaps are filled by linear interpolation,
    a gantry tilt is resampled to right angles; each is recorded in `notes`. `where` is the folder, for messages.
    Raises ScanError: colour, a damaged slice (by name), impossible geometry, too many gaps, too large.
    """
    slices, notes = _sorted(series)
    first = slices[0]
    name = f"{where}, {series.words}"
    if series.problem:
        raise ScanError(f"{name} {series.problem}.")
    if first.colour:
        raise ScanError(f"{name} is a series of colour images; give the scan itself, with one value per pixel.")
    if min(first.spacing) < 0:
        raise ScanError(f"{name} says that its pixels lie {min(first.spacing):g} mm apart; "
                        "correct the spacing in the files, or export the scan again.")
    plane = np.array([first.row, first.column]).T * first.spacing
    # Spacing and directions are checked in the plane first: the heights are worth nothing without them.
    across = first.normal if np.any(first.normal) else np.array(first.row)
    scan_grid(name, (1, first.rows, first.columns), _matrix(plane, across, first.position))
    heights = np.array([np.dot(image.position, first.normal) for image in slices])
    drift = _drift(name, slices, heights, first.normal)
    stacking = _stacking(name, heights, first)
    shape = (len(stacking.below), first.rows, first.columns)
    dtype = np.int16 if all(float(s.slope).is_integer() for s in slices) else np.float32
    check_size(name, shape, dtype, max_voxels)
    origin = np.array(first.position) + drift * (stacking.start - heights[0])
    grid = scan_grid(name, shape, _matrix(plane, drift * stacking.step, origin))
    planes, padding = without_padding(*slice_values(slices), hounsfield=_hounsfield(series))
    check_neighbours(name, planes, series.modality)
    voxels = _stacked(planes, stacking)
    if first.inverted:
        notes += ("the images are stored for inverted display (MONOCHROME1); their values are kept unchanged",)
    volume = Volume(
        voxels, grid, name, series.modality or None, (*series.notes, *notes, *padding, *stacking.notes),
        series=series.uid, slice_numbers=_numbers(slices, stacking),
    )
    return orthogonal(aired(finite(volume), _hounsfield(series)), "gantry tilt", max_voxels)


def _numbers(slices: list[Slice], stacking: Stacking) -> tuple[int, ...]:
    """The InstanceNumber of the image nearest to each slice; none where an image has none, or shares it."""
    numbers = [image.number for image in slices if image.number is not None]
    if len(set(numbers)) < len(slices):
        return ()
    nearest = stacking.below + (stacking.weight > 0.5)
    return tuple(numbers[int(index)] for index in nearest)


def _hounsfield(series: Series) -> bool:
    """Whether the values are a CT's that its header rescales to HU."""
    return series.modality == "CT" and any((image.intercept or 0) <= -900 for image in series.slices)


def _matrix(plane: Floats, across: Floats, origin: Iterable[float]) -> Floats:
    matrix = np.eye(4)
    matrix[:3, :2], matrix[:3, 2], matrix[:3, 3] = plane, across, list(origin)
    return matrix


def _sorted(series: Series) -> tuple[list[Slice], tuple[str, ...]]:
    """Slices by height along the normal, one at each height."""
    normal = series.slices[0].normal
    by_height = sorted(series.slices, key=lambda image: (float(np.dot(image.position, normal)), str(image.path)))
    kept = by_height[:1]
    for image in by_height[1:]:
        if abs(float(np.dot(image.position, normal) - np.dot(kept[-1].position, normal))) > 0.01:
            kept.append(image)
    left_out = len(by_height) - len(kept)
    if not left_out:
        return kept, ()
    lie, were = ("image lies", "was") if left_out == 1 else ("images lie", "were")
    return kept, (f"{left_out} {lie} at the position of another one and {were} left out",)


def _drift(name: str, slices: list[Slice], heights: Floats, normal: Floats) -> Floats:
    """The RAS way of the slices' first pixel for each mm along the normal; not parallel to it under a gantry tilt."""
    if len(slices) == 1:
        return normal
    positions = np.array([image.position for image in slices])
    rise = heights - heights.mean()
    drift: Floats = (rise @ (positions - positions.mean(axis=0))) / (rise @ rise)
    off = np.abs(positions - positions.mean(axis=0) - rise[:, None] * drift).max()
    if off > max(0.5, min(slices[0].spacing)):
        raise ScanError(f"{name}: its slices are shifted sideways relative to each other by up to {off:.1f} mm, "
                        "so they do not form a volume; export the scan again.")
    # The rounding of positions to 0.1 mm is no tilt.
    return normal if np.linalg.norm(drift - normal) * np.ptp(heights) < 0.2 else drift


def _stacking(name: str, heights: Floats, first: Slice) -> Stacking:
    """Evenly spaced heights over the same range, and which slices make each of them."""
    count = len(heights)
    if count == 1:
        step, notes = (first.thickness, ()) if first.thickness > 0 else (
            1.0, ("the only slice gives no slice thickness; 1 mm is assumed",))
        return Stacking(np.zeros(1, np.intp), np.zeros(1), float(heights[0]), step, notes)
    gaps = np.diff(heights)
    for share in (10, 50):
        # The finest gap that a tenth (else half) of the slices have.
        base = float(np.percentile(gaps, share, method="inverted_cdf"))
        base = float(gaps[np.abs(gaps / base - 1) < 0.4].mean())
        total = max(1, round(float(np.ptp(heights)) / base))
        if total + 1 <= 2 * count:
            break
    else:
        raise ScanError(f"{name}: {total + 1 - count} of {total + 1} slices are missing, more than are present; "
                        "export the complete series again.")
    start, step = float(heights[0]), float(np.ptp(heights)) / total
    places = np.rint((heights - start) / step)
    fitted_step, fitted_start = np.polyfit(places, heights, 1)
    if (np.diff(places) > 0).all() and np.abs(heights - fitted_start - fitted_step * places).max() <= _tolerance(step):
        start, step = float(fitted_start), float(fitted_step)
    targets = start + step * np.arange(total + 1)
    below = np.clip(np.searchsorted(heights, targets, side="right") - 1, 0, count - 2)
    nearest = below + (targets - heights[below] > heights[below + 1] - targets)
    taken = np.abs(heights[nearest] - targets) <= _tolerance(step)
    weight = np.clip((targets - heights[below]) / gaps[below], 0.0, 1.0)
    below, weight = np.where(taken, nearest, below), np.where(taken, 0.0, weight)
    return Stacking(below, weight, start, step, _gap_notes(heights, gaps, step, set(nearest[taken].tolist()), first))


def _tolerance(step: float) -> float:
    """How far (mm) a slice may lie from its even place and still be taken as it is."""
    return max(_POSITION_MM, _POSITION_SHARE * step)


def _gap_notes(heights: Floats, gaps: Floats, step: float, used: set[int], first: Slice) -> tuple[str, ...]:
    if len(used) < len(heights):
        return (f"the slices are unevenly spaced, {gaps.min():.2f} to {gaps.max():.2f} mm; "
                f"resampled to {step:.2f} mm",)
    axis = int(np.abs(first.normal).argmax())
    places, missing = [], 0
    for index in np.flatnonzero(np.round(gaps / step) > 1):
        missing += round(float(gaps[index]) / step) - 1
        ends = first.position[axis] + (heights[index:index + 2] - heights[0]) * first.normal[axis]
        places.append(f"{'RAS'[axis]} {ends[0]:.1f} and {ends[1]:.1f} mm")
    if not missing:
        return ()
    more = f" and at {len(places) - _NAMED_GAPS} other places" if len(places) > _NAMED_GAPS else ""
    verb = "slice is" if missing == 1 else "slices are"
    return (f"{missing} {verb} missing, between {'; '.join(places[:_NAMED_GAPS])}{more}; filled in by interpolation",)


def _stacked(pixels: list[NDArray[np.generic]], stacking: Stacking) -> NDArray[np.generic]:
    """The slices `[j, i]` as evenly spaced ones in one array `[k, j, i]`."""
    dtype: np.dtype[Any] = np.dtype(np.float32)
    if all(plane.dtype.kind in "iu" for plane in pixels):
        dtype = np.dtype(smallest_int(min(int(p.min()) for p in pixels), max(int(p.max()) for p in pixels)) or dtype)
    voxels: NDArray[np.generic] = np.empty((len(stacking.below), *pixels[0].shape), dtype)
    for k, (below, weight) in enumerate(zip(stacking.below, stacking.weight, strict=True)):
        if weight == 0:
            voxels[k] = pixels[below]
            continue
        between = pixels[below] * (1 - weight) + pixels[below + 1] * weight
        voxels[k] = np.rint(between) if dtype.kind in "iu" else between
    return voxels
