"""CT scans with vertebra label maps from a folder, resampled to one spacing: the source of the spine data sets.

    find_pairs (files of a folder) -> read_case (both on one LPS grid, cut vertebrae dropped) -> SpineCase

`CaseFolder` does that for a whole folder and keeps what was read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medinfer.errors import ScanError
from medinfer.manifest import Prepare
from medinfer.preparation.prepare import prepare
from medinfer.scans.reading import read_volume
from medinfer.volume import Grid, Volume

from ..phantoms.spine.spec import LEVELS
from .label_centroids import label_centroids
from .vertebra_names import read_names

Voxel = TypeVar("Voxel", bound=np.generic)

LABEL_FILES = ("_seg.nii.gz", "_seg-vert_msk.nii.gz")
"""What follows NAME in the name of a scan's label map (the longer one is VerSe's)."""


@dataclass(frozen=True)
class ScanPair:
    """The files of a scan and of its truth: a label map, or points."""

    name: str
    image: Path
    truth: Path


@dataclass(frozen=True, eq=False)
class SpineCase:
    """One scan, ready to be cut into samples.

    image: int16 HU `[k, j, i]`, axes LPS. vertebrae: uint8 on the same grid; 0 none, n + 1 the vertebra `LEVELS[n]`
    (or of whatever labels were asked for); vertebrae that the scan cuts are left out.
    points: `[labels, 3]`, centre of mass of each vertebra in voxels of `grid` (k, j, i); NaN where there is none.
    """

    name: str
    image: NDArray[np.int16]
    vertebrae: NDArray[np.uint8]
    points: NDArray[np.float64]
    grid: Grid


def find_pairs(folder: Path, endings: Sequence[str] = LABEL_FILES) -> list[ScanPair]:
    """The scans `NAME.nii.gz` or `NAME_ct.nii.gz` of `folder` that have a truth, in the order of their names.

    endings: what follows NAME in the name of a truth's file; of several, the first one that is there counts.
    Raises ScanError where there is no pair.
    """
    pairs = []
    for image in sorted(folder.glob("*.nii.gz")):
        if image.name.endswith(LABEL_FILES):
            continue
        stem = image.name.removesuffix(".nii.gz")
        name = stem.removesuffix("_ct")
        files = (folder / f"{start}{ending}" for ending in endings for start in (name, stem))
        truth = next((file for file in files if file.is_file()), None)
        if truth is not None:
            pairs.append(ScanPair(name, image, truth))
    if not pairs:
        beside = " or ".join(f"NAME{ending}" for ending in endings)
        raise ScanError(f"{folder} contains no scan with its truth: it needs NAME.nii.gz next to {beside}.")
    return pairs


def read_labels(path: Path) -> Volume:
    """A label map with voxels of a whole-number type. Raises ScanError where values are fractions."""
    volume = read_volume(path)
    if np.issubdtype(volume.voxels.dtype, np.integer):
        return volume
    whole = np.rint(volume.voxels.astype(np.float64)).astype(np.int32)
    if not np.array_equal(whole, volume.voxels):
        raise ScanError(f"{path} is not a label map: it contains fractions.")
    return volume.with_voxels(whole)


def read_case(
    pair: ScanPair, names: Mapping[int, str], *, spacing: float = 2.0, labels: Sequence[str] = LEVELS
) -> SpineCase:
    """Read a pair onto an LPS grid of `spacing` mm; the image linearly, the label map by its nearest voxel.

    names: what the label map's values mean; those that `labels` does not hold are left out, and so are vertebrae that
    touch an outer face of the label map, because their centres are unknown. Points come from the label map's own grid.
    Raises ScanError.
    """
    image, stored = read_volume(pair.image), read_labels(pair.truth)
    prepared = prepare(image, Prepare(spacing=(spacing,) * 3, antialias=True))
    points = np.full((len(labels), 3), np.nan)
    numbers = np.zeros(int(stored.voxels.max(initial=0)) + 1, np.uint8)
    for value, found in label_centroids(np.asarray(stored.voxels)).items():
        if names.get(value) in labels and not found.at_border:
            number = labels.index(names[value])
            points[number] = prepared.grid.to_index(stored.grid.to_ras(found.centroid))
            numbers[value] = number + 1
    vertebrae = sample_labels(stored.with_voxels(numbers[np.maximum(stored.voxels, 0)]), prepared.grid)
    return SpineCase(pair.name, np.rint(prepared.voxels).astype(np.int16), vertebrae, points, prepared.grid)


def sample_labels(labels: Volume, grid: Grid) -> NDArray[np.uint8]:
    """The label map's nearest values at the voxels of `grid` (uint8); 0 outside of the map."""
    step = labels.grid.to_index(grid.to_ras(np.eye(3))) - (start := labels.grid.to_index(grid.to_ras(np.zeros(3))))
    sampled: NDArray[np.uint8] = ndimage.affine_transform(
        np.asarray(labels.voxels, np.uint8), step.T, start, grid.shape, order=0, mode="constant", cval=0
    )
    return sampled


def cut_block(
    volume: NDArray[Voxel], start: Sequence[int] | NDArray[np.int_], shape: Sequence[int], fill: int
) -> NDArray[Voxel]:
    """The block of `shape` voxels from `start` (k, j, i; may lie outside) of `volume`; `fill` where there is none."""
    block = np.full(shape, fill, volume.dtype)
    low = np.maximum(start, 0)
    high = np.minimum(np.add(start, shape), volume.shape)
    if (low < high).all():
        there = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        here = tuple(slice(a, b) for a, b in zip(low - start, high - start, strict=True))
        block[here] = volume[there]
    return block


class CaseFolder:
    """The cases of a folder, read when they are first asked for; the first `keep` that were stay in memory."""

    def __init__(
        self, folder: Path, names: str | Mapping[int, str] = "verse", *, labels: Sequence[str] = LEVELS,
        spacing: float = 2.0, keep: int = 64,
    ) -> None:
        """names: what the label maps' values mean (a scheme, a JSON file, or the names themselves).

        Raises ScanError where the folder has no pair, MedInferError for unknown names.
        """
        self.pairs = find_pairs(folder)
        self.names = read_names(names) if isinstance(names, str) else dict(names)
        self.labels, self.spacing, self.keep = tuple(labels), spacing, keep
        self._kept: dict[int, SpineCase] = {}

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, number: int) -> SpineCase:
        if number in self._kept:
            return self._kept[number]
        case = read_case(self.pairs[number], self.names, spacing=self.spacing, labels=self.labels)
        if len(self._kept) < self.keep:
            self._kept[number] = case
        return case
