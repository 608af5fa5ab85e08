"""The seed document 001's tooth data set (system T4): crops of 192³ voxels of 0.5 mm from dental CT, with targets.

Two kinds of scans are in it. In a small field of view (80 mm) the crop lies around the scan's middle; in a larger one
it lies 24 mm in front of the middle, half-way between the lowest and the highest voxel of a tooth. Turned crops are
turned about the left-right axis, as heads are nodded, and shifted.

Three things of the document's are different. Scans are brought to LPS axes first, and to 0.5 mm whatever their own
spacing is. Its `augment_prob` is the share of crops left alone: here `turned` is the share of those that aren't. And
its ranges leave out 0° and + 2.5 mm, as `randint` leaves out its end: here both ends count.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from medinfer.errors import ScanError

from ..targets.offset_targets import offset_targets
from .label_centroids import label_centroids
from .spine_cases import ScanPair

AIR = -1024
"""HU of what lies outside of the scan."""

MOST_TEETH = 64
"""Rows of a crop's centroids: 32 permanent teeth, 20 deciduous ones and some that are too many."""

Labels = NDArray[np.uint8]
Target = Callable[[Labels], tuple[Tensor, ...]]
"""From a crop's label map `[k, j, i]`, FDI numbers, to what is learnt."""


@dataclass(frozen=True)
class ToothCropPlan:
    """shape: voxels along k, j, i, of `spacing` mm.

    small_field_mm: a scan no longer than this along any axis is taken around its middle; another `forward_mm` in front
        of it.
    turned: the share of crops that are turned by whole degrees between `degrees` and shifted along each axis by
        multiples of `shift_step_mm` up to `shift_steps` of them.
    """

    shape: tuple[int, int, int] = (192, 192, 192)
    spacing: float = 0.5
    small_field_mm: float = 80.0
    forward_mm: float = 24.0
    turned: float = 0.5
    degrees: tuple[int, int] = (-10, 0)
    shift_steps: int = 5
    shift_step_mm: float = 0.5


@dataclass(frozen=True)
class Turn:
    """degrees: about the left-right axis; negative ones tip the top of the head backwards.
    shift_mm: along left, posterior, superior: how far from its place the crop looks."""

    degrees: float = 0.0
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True, eq=False)
class ToothScan:
    """A scan and its label map on one grid with LPS axes."""

    image: sitk.Image
    teeth: sitk.Image


def find_tooth_pairs(folder: Path) -> list[ScanPair]:
    """The files of `folder`/image and those of the same name in `folder`/label, in the order of their names.

    Raises ScanError where there are none, or where one has no label map.
    """
    pairs = [ScanPair(path.name.split(".")[0], path, folder / "label" / path.name)
             for path in sorted((folder / "image").glob("*.nii*"))]
    if not pairs:
        raise ScanError(f"{folder} contains no scans: it needs image/NAME.nii.gz and label/NAME.nii.gz.")
    for pair in pairs:
        if not pair.truth.is_file():
            raise ScanError(f"{pair.image} has no label map: put it at {pair.truth} or leave the scan out.")
    return pairs


def read_tooth_scan(pair: ScanPair) -> ToothScan:
    """Both files, with LPS axes. Raises ScanError if one cannot be read or their grids differ."""
    try:
        image = sitk.DICOMOrient(sitk.ReadImage(str(pair.image), sitk.sitkFloat32), "LPS")
        teeth = sitk.DICOMOrient(sitk.ReadImage(str(pair.truth), sitk.sitkUInt8), "LPS")
    except RuntimeError as error:
        raise ScanError(f"{pair.image} or {pair.truth} cannot be read as a volume: {error}") from error
    if image.GetSize() != teeth.GetSize() or not np.allclose(_placing(image), _placing(teeth), atol=1e-3):
        raise ScanError(f"{pair.truth} and {pair.image} have different grids: resample one to the other.")
    return ToothScan(image, teeth)


def _placing(image: sitk.Image) -> list[float]:
    return [*image.GetOrigin(), *image.GetSpacing(), *image.GetDirection()]


def crop_middle(teeth: sitk.Image, plan: ToothCropPlan) -> NDArray[np.float64]:
    """Where a crop's voxel shape // 2 lies: a voxel (i, j, k) of the scan. Raises ScanError where there is no tooth."""
    size, spacing = np.array(teeth.GetSize()), np.array(teeth.GetSpacing())
    middle = (size // 2).astype(np.float64)
    if (size * spacing > plan.small_field_mm + spacing / 2).any():
        slices = np.flatnonzero(sitk.GetArrayViewFromImage(teeth).any(axis=(1, 2)))
        if len(slices) == 0:
            raise ScanError("a label map contains no tooth, so its scan cannot be cropped: leave it out.")
        middle[1] -= plan.forward_mm / spacing[1]
        middle[2] = (slices[0] + slices[-1]) // 2
    return middle


def draw_turn(plan: ToothCropPlan, rng: np.random.Generator) -> Turn:
    """A turn of the plan, or none."""
    if rng.random() >= plan.turned:
        return Turn()
    degrees = int(rng.integers(plan.degrees[0], plan.degrees[1] + 1))
    left, posterior, superior = rng.integers(-plan.shift_steps, plan.shift_steps + 1, 3) * plan.shift_step_mm
    return Turn(degrees, (float(left), float(posterior), float(superior)))


def crop(
    scan: ToothScan, plan: ToothCropPlan = ToothCropPlan(), turn: Turn = Turn()
) -> tuple[NDArray[np.float32], Labels]:
    """Image (HU, linear, `AIR` outside) and label map (nearest voxel, 0 outside) of a crop, both `[k, j, i]`.

    Raises ScanError where the label map is needed to place the crop and holds no tooth.
    """
    transform = sitk.AffineTransform(3)
    transform.SetCenter(scan.image.TransformContinuousIndexToPhysicalPoint([n // 2 for n in scan.image.GetSize()]))
    transform.Rotate(1, 2, math.radians(turn.degrees))
    transform.Translate(turn.shift_mm)
    size = plan.shape[::-1]
    back = np.array([n // 2 for n in size]) * plan.spacing / np.array(scan.image.GetSpacing())
    grid = {
        "size": size,
        "outputOrigin": scan.image.TransformContinuousIndexToPhysicalPoint(crop_middle(scan.teeth, plan) - back),
        "outputSpacing": (plan.spacing,) * 3,
        "outputDirection": scan.image.GetDirection(),
        "transform": transform,
    }
    image = sitk.Resample(scan.image, interpolator=sitk.sitkLinear, defaultPixelValue=AIR, **grid)
    teeth = sitk.Resample(scan.teeth, interpolator=sitk.sitkNearestNeighbor, defaultPixelValue=0, **grid)
    return sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(teeth)


def number_target(teeth: Labels) -> tuple[Tensor, ...]:
    """The label map itself, uint8 `[1, k, j, i]`."""
    return (torch.from_numpy(teeth)[None],)


def centroid_target(teeth: Labels) -> tuple[Tensor, ...]:
    """The teeth's centroids, float32 `[MOST_TEETH, 3]`: k, j, i in voxels, NaN for those that aren't there.

    The document rounds them to voxels; a Gaussian may as well lie between them.
    """
    points = torch.full((MOST_TEETH, 3), torch.nan)
    for row, found in zip(points, label_centroids(teeth).values(), strict=False):
        row.copy_(torch.tensor(found.centroid))
    return (points,)


def instance_target(teeth: Labels) -> tuple[Tensor, ...]:
    """Where teeth are, uint8 `[1, k, j, i]`, and the way to each one's centroid, int16 voxels `[3, k, j, i]`."""
    return torch.from_numpy((teeth > 0).astype(np.uint8))[None], torch.from_numpy(offset_targets(teeth).offsets)


class ToothSet(Dataset[tuple[Tensor, ...]]):
    """One crop per scan: the image, float32 HU `[1, k, j, i]`, and the target that `target` makes of its label map.

    Crop n is of scan n, and a function of `seed`, `epoch` and n alone; another epoch is another set.
    """

    def __init__(
        self, pairs: Sequence[ScanPair], plan: ToothCropPlan = ToothCropPlan(), target: Target = instance_target, *,
        seed: int = 0, epoch: int = 0,
    ) -> None:
        """Reading an item raises ScanError for a scan that can't be used."""
        self.pairs, self.plan, self.target, self.seed, self.epoch = pairs, plan, target, seed, epoch

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        turn = draw_turn(self.plan, np.random.default_rng([self.seed, self.epoch, index]))
        image, teeth = crop(read_tooth_scan(self.pairs[index]), self.plan, turn)
        return torch.from_numpy(image)[None], *self.target(teeth)
