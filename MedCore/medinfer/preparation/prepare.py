"""From a scan to a network's input, as the package declares: reorient, region, resample, intensity.

The way back needs no steps of its own: the prepared grid carries its `ijk_to_ras`, so an index on it
has an exact world position after any flipping, cropping and resampling.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..anatomy.lungs import Lungs, PlacedLungs, clean, lung_box, lung_mask
from ..errors import ScanError
from ..manifest import ImageInput, IntensityStep, Prepare
from ..orientation import reorient
from ..volume import Floats, Grid, Volume
from .focus import narrowed
from .intensity import apply_intensity
from .resample import Index, block_means, resample, respaced, respaced_as_monai
from .zoom import grid_of, resized, rounded_shape, thick_axis

# No patient is larger: such a scan's spacing is wrong, and its grid would take all memory.
_LARGEST_MM = 5000.0
# In voxels: far below what any geometry is exact to, far above what rounding makes.
_HAIR = 1e-4
# Threshold between the body and the air around it (HU).
_BODY_HU = -500


@dataclass(frozen=True, eq=False)
class Prepared:
    """voxels: float32 [k, j, i] as the network sees them; grid: where they lie; lungs: where they were looked for.

    scan: the voxels of the reoriented scan in the same place. further: of a network that sees several images, the
    others in their order, like `voxels`.
    """

    voxels: NDArray[np.float32]
    grid: Grid
    lungs: PlacedLungs | None = None
    scan: Grid | None = None
    further: tuple[NDArray[np.float32], ...] = ()

    @property
    def images(self) -> tuple[NDArray[np.float32], ...]:
        """All that the network sees, in their order."""
        return (self.voxels, *self.further)

    def upside_down(self) -> Prepared:
        """The same with its first axis turned round, on the same grid."""
        turned, *others = (np.ascontiguousarray(image[::-1]) for image in self.images)
        return replace(self, voxels=turned, further=tuple(others))


@dataclass(frozen=True, eq=False)
class _Image:
    """One image that a network sees: its values in the scan's orientation, and what happens to them."""

    voxels: NDArray[np.generic]
    steps: tuple[IntensityStep, ...]


@dataclass(frozen=True, eq=False)
class Around:
    """What a region of the kind `found` lies around, RAS mm.

    points: `[n, 3]`. solid: they are corners of what takes up space, and a voxel belongs to the region where its middle
    lies between them; else each point's own voxel and its neighbours do. reach_mm: how far around them (k, j, i) the
    network looks.
    """

    points: Floats
    solid: bool = False
    reach_mm: Sequence[float] | Floats = (0, 0, 0)


def prepare(
    volume: Volume, wanted: Prepare, cancel: Callable[[], bool] | None = None, *,
    lungs: Lungs | None = None, around: Around | None = None, images: Sequence[ImageInput] = (),
) -> Prepared:
    """Resample `volume` to the grid and values that a package requires.

    lungs: where they are already known (a phantom's truth), on the scan reoriented as `wanted` says.
    around: for the region `found`: what it lies around. images: the network's image inputs; none: the scan alone.

    Memory: the reoriented scan is a view; what is added is the region at the network's spacing (4 bytes per voxel and
    image), for lungs a mask of 1 byte per voxel of the scan, and where values change before they are sampled 4 bytes
    per voxel of the scan, or of the region where its edges are kept. Raises ScanError where the scan does not suit the
    model.
    """
    _check_suits(volume, wanted)
    scan = reorient(volume, wanted.orientation)
    seen = _seen(scan, wanted, images)
    if wanted.resampling.align == "edges":
        return _by_edges(volume, scan, wanted, around, seen)
    target = _target(scan.grid, wanted)
    source, source_start = seen[0].voxels, np.zeros(3)
    low, high = np.zeros(3, dtype=int), np.array(target.shape)
    if wanted.region.kind == "body":
        low, high = _body_box(scan, target, wanted.region.margin_mm)
    elif wanted.region.kind == "nonzero":
        low, high = _on(target, scan.grid, *_nonzero_box(scan))
    elif wanted.region.kind == "lungs":
        lungs = lungs or lung_mask(scan, cancel)
        low, high = map(np.array, lung_box(lungs, scan.spacing, target, wanted.region.margin_mm))
        if wanted.region.clean:
            # One voxel of `fill` all round, so that what lies further out repeats it.
            cleaned, start = clean(scan, lungs)
            source = np.pad(cleaned, 1, constant_values=0)
            source_start = np.array(start, dtype=float) - 1
    elif wanted.region.kind == "found":
        low, high = _box_around(around, target, wanted.region.margin_mm)
    if volume.focus is not None and wanted.region.kind != "found":
        low, high = map(np.array, narrowed(volume.focus, target, low, high, volume.name))
    grid = target.cropped(_index(low), _index(high - low))
    step = np.array(target.spacing) / np.array(scan.spacing)
    if wanted.resampling.align == "monai":
        source_start = source_start - scan.grid.to_index(target.to_ras((0, 0, 0)))
    start, first, prepared = low * step - source_start, wanted.intensity_on == "scan", []
    for n, image in enumerate(seen):
        voxels = source if n == 0 else image.voxels
        if first:
            voxels = apply_intensity(voxels.astype(np.float32), image.steps, image.voxels)
        voxels = _sampled(voxels, step, start, grid.shape, antialias=wanted.antialias)
        prepared.append(voxels if first else apply_intensity(voxels, image.steps, image.voxels))
    if wanted.region.kind == "positive":
        grid, prepared = _positive(grid, prepared)
    placed = PlacedLungs(lungs, scan.grid) if lungs else None
    return Prepared(prepared[0], grid, placed, _inside(scan.grid, grid), tuple(prepared[1:]))


def _seen(scan: Volume, wanted: Prepare, images: Sequence[ImageInput]) -> list[_Image]:
    """What the network's image inputs show, in their order."""
    if not images:
        return [_Image(scan.voxels, wanted.intensity)]
    return [
        _Image(
            scan.further.get(entry.image, scan.voxels),
            wanted.intensity if entry.intensity is None else entry.intensity,
        )
        for entry in images
    ]


def _target(scan: Grid, wanted: Prepare) -> Grid:
    """The whole scan's voxels at the network's spacing."""
    spacing, resampling = wanted.spacing_on(scan.spacing), wanted.resampling
    if resampling.align != "monai":
        return respaced(scan, spacing, nearest=resampling.rounding == "nearest")
    return scan if wanted.spacing is None else respaced_as_monai(scan, spacing)


def _by_edges(
    volume: Volume, scan: Volume, wanted: Prepare, around: Around | None, seen: Sequence[_Image]
) -> Prepared:
    """The region is a block of the scan's own voxels, and the prepared grid lies between its outer edges."""
    low, high = np.zeros(3, dtype=int), np.array(scan.shape)
    if wanted.region.kind == "nonzero":
        low, high = _nonzero_box(scan)
    elif wanted.region.kind == "found":
        low, high = _box_around(around, scan.grid, wanted.region.margin_mm)
    if volume.focus is not None and wanted.region.kind != "found":
        low, high = map(np.array, narrowed(volume.focus, scan.grid, low, high, volume.name))
    block = scan.grid.cropped(_index(low), _index(high - low))
    where = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    # Where any image shows something: so nnU-Net masks all of them.
    inside = _filled(scan, where) if len(seen) > 1 and _masked(seen) else None
    spacing, resampling = wanted.spacing_on(scan.spacing), wanted.resampling
    shape = wanted.shape or rounded_shape(block.shape, scan.spacing, spacing)
    thick = thick_axis(scan.spacing, spacing) if resampling.thick == "nearest" else None
    first, prepared = wanted.intensity_on == "scan", []
    for image in seen:
        voxels = image.voxels[where]
        if first:
            voxels = apply_intensity(voxels.astype(np.float32), image.steps, image.voxels, inside)
        voxels = resized(voxels, shape, resampling.interpolation, thick)
        if not first:
            voxels = apply_intensity(voxels, image.steps, image.voxels)
        prepared.append(voxels)
    return Prepared(prepared[0], grid_of(block, shape), None, block, tuple(prepared[1:]))


def _masked(seen: Sequence[_Image]) -> bool:
    return any(step.op == "zscore" and step.of == "nonzero" for image in seen for step in image.steps)


def _filled(scan: Volume, where: tuple[slice, ...] = ()) -> NDArray[np.bool_]:
    """Where any image of the scan is not 0; in a block of it, if `where` is given."""
    filled: NDArray[np.bool_] = scan.voxels[where] != 0
    for voxels in scan.further.values():
        filled |= voxels[where] != 0
    return filled


def _nonzero_box(scan: Volume) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """The box of the voxels that are not 0 in some image; the whole scan where all are."""
    return _box_of(_filled(scan))


def _positive(grid: Grid, images: Sequence[NDArray[np.float32]]) -> tuple[Grid, list[NDArray[np.float32]]]:
    """The box of what is above 0 in some image, as the network sees them."""
    above = images[0] > 0
    for image in images[1:]:
        above |= image > 0
    low, high = _box_of(above)
    where = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    return grid.cropped(_index(low), _index(high - low)), [np.ascontiguousarray(image[where]) for image in images]


def _box_of(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """The box of what is true; all of it where nothing is."""
    low, high = np.zeros(3, dtype=int), np.array(mask.shape)
    for axis in range(3):
        along = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        if len(along):
            low[axis], high[axis] = along[0], along[-1] + 1
    return low, high


def _on(
    target: Grid, grid: Grid, low: NDArray[np.int_], high: NDArray[np.int_]
) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """The box of `target` that covers the voxels [low, high) of `grid`; their axes are the same."""
    first, last = target.to_index(grid.to_ras(low)), target.to_index(grid.to_ras(high - 1))
    start = np.maximum(np.floor(first + _HAIR).astype(int), 0)
    return start, np.maximum(np.minimum(np.ceil(last - _HAIR).astype(int) + 1, target.shape), start + 1)


def _inside(scan: Grid, grid: Grid) -> Grid:
    """The scan's voxels whose middles lie within the voxels of `grid`, at its ends those beyond it too."""
    ends = scan.to_index(grid.to_ras([np.full(3, -0.5), np.array(grid.shape) - 0.5]))
    low = np.maximum(np.ceil(ends[0] - _HAIR).astype(int), 0)
    high = np.minimum(np.floor(ends[1] + _HAIR).astype(int) + 1, scan.shape)
    # Where the grid ends at the scan's end, so far as whole voxels go, nothing of the scan is left out.
    beyond = np.ceil(np.array(grid.spacing) / np.array(scan.spacing)).astype(int)
    low = np.where(low <= beyond, 0, low)
    high = np.where(high >= np.array(scan.shape) - beyond, scan.shape, high)
    return scan.cropped(_index(low), _index(np.maximum(high - low, 1)))


def _index(values: NDArray[np.int_]) -> Index:
    k, j, i = (int(value) for value in values)
    return k, j, i


def _check_suits(volume: Volume, wanted: Prepare) -> None:
    if volume.modality is not None and volume.modality not in wanted.modality:
        raise ScanError(
            f"{volume.name} is {volume.modality}, but this model was made for {' or '.join(wanted.modality)}: "
            "choose another scan or another model."
        )
    extent = np.array(volume.spacing) * volume.shape
    needed = np.array(wanted.minimum_mm)
    if (np.sort(extent) < np.sort(needed)).any() or min(volume.shape) < 2:
        size = " × ".join(f"{value:.0f}" for value in extent[::-1])
        raise ScanError(
            f"{volume.name} covers only {size} mm ({' × '.join(str(n) for n in volume.shape[::-1])} voxels), but this "
            f"model needs at least {' × '.join(f'{value:.0f}' for value in needed[::-1])} mm: choose a complete scan."
        )
    if extent.max() > _LARGEST_MM:
        raise ScanError(
            f"{volume.name} covers {' × '.join(f'{value / 1000:.0f}' for value in extent[::-1])} m, more than any "
            "patient: correct its spacing."
        )


def _body_box(scan: Volume, target: Grid, margin_mm: float) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """The body's box on `target`, found at quarter resolution."""
    import cc3d

    coarse = np.greater(scan.voxels[::4, ::4, ::4], _BODY_HU, casting="unsafe")
    if not coarse.any():
        raise ScanError(f"{scan.name} shows no body (nothing above {_BODY_HU} HU): choose another scan.")
    body = np.argwhere(cc3d.largest_k(np.ascontiguousarray(coarse), k=1))
    ratio = np.array(scan.spacing) / np.array(target.spacing)
    margin = margin_mm / np.array(target.spacing)
    # ± 4 voxels: what the coarse grid may have missed.
    low = np.floor((body.min(0) * 4 - 4) * ratio - margin).astype(int)
    high = np.ceil((body.max(0) * 4 + 4) * ratio + margin).astype(int) + 1
    return np.maximum(low, 0), np.minimum(high, target.shape)


def _box_around(around: Around | None, target: Grid, margin_mm: float) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """The box on `target` around what was found; at least one voxel, also where it lies outside."""
    if around is None or not len(around.points):
        raise ValueError("a region around findings needs findings")
    index = target.to_index(around.points)
    margin = (np.array(around.reach_mm) + margin_mm) / np.array(target.spacing)
    first, end = index.min(axis=0) - margin, index.max(axis=0) + margin
    if around.solid:
        # A hair's breadth: a face exactly on a voxel's middle must not hang on rounding.
        first, end = np.ceil(first - _HAIR), np.floor(end + _HAIR)
    last = np.array(target.shape) - 1
    low = np.clip(np.floor(first).astype(int), 0, last)
    high = np.clip(np.ceil(end).astype(int), low, last) + 1
    return low, high


def _sampled(
    source: NDArray[np.generic], step: NDArray[np.float64], start: NDArray[np.float64], shape: Index, *, antialias: bool
) -> NDArray[np.float32]:
    """`source` at start + n · step; a plain slice where that falls on voxels. Only the needed block is handed on.

    antialias: linear interpolation between means of as many voxels as fit into a step, not between single voxels.
    """
    stop = start + step * (np.array(shape) - 1)
    # min: the block never becomes empty, also where the region lies outside the source.
    first = np.minimum(np.maximum(np.floor(start).astype(int), 0), np.array(source.shape) - 1)
    last = np.maximum(np.minimum(np.ceil(stop).astype(int), np.array(source.shape) - 1), first)
    block = source[tuple(slice(a, b + 1) for a, b in zip(first, last, strict=True))]
    if np.allclose(step, 1) and np.allclose(start, first) and block.shape == shape:
        return block.astype(np.float32)
    start = start - first
    factors = np.maximum(np.floor(step + 1e-6).astype(int), 1) if antialias else np.ones(3, dtype=int)
    if (factors > 1).any():
        block = block_means(block, [int(factor) for factor in factors])
        start, step = (start - (factors - 1) / 2) / factors, step / factors
    return resample(block, step, start, shape)
