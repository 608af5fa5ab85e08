"""Samples for a network that finds the centres of the vertebrae: 2 mm CT in crops, with their landmarks.

A crop drops the vertebrae that it cuts, because an incomplete vertebra's centre is not to be learnt; VerSe leaves such
ones unannotated for the same reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from .spine_cases import CaseFolder, SpineCase, cut_block

AIR = -1024
"""HU of what lies outside of the scan."""

Target = Callable[[Tensor, tuple[int, int, int]], Tensor]
"""From points `[n, 3]` (k, j, i; NaN absent) and a shape to what the network is to answer, `[channels, k, j, i]`."""


class SpineSample(NamedTuple):
    """One item of the data set; a loader batches each field.

    image: float32 `[1, k, j, i]`, −1 … 1. vertebrae: uint8 `[1, k, j, i]`, n + 1 for label n.
    target: `[channels, k, j, i]`. points: float32 `[labels, 3]`, voxels (k, j, i), NaN for absent ones.
    """

    image: Tensor
    vertebrae: Tensor
    target: Tensor
    points: Tensor


@dataclass(frozen=True)
class SpineCropPlan:
    """How crops are drawn.

    shape: voxels along k, j, i. whole: a vertebra counts with at least this share of its voxels inside.
    jitter: how far, in voxels along j and i, a crop's middle may lie from the middle of its vertebrae.
    """

    shape: tuple[int, int, int] = (128, 96, 96)
    whole: float = 1.0
    jitter: float = 12.0


def normalised(hu: NDArray[np.generic]) -> NDArray[np.float32]:
    """HU / 2048, clipped to ±1."""
    scaled: NDArray[np.float32] = np.clip(np.asarray(hu, dtype=np.float32) / np.float32(2048), -1, 1)
    return scaled


def one_hot(points: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """A float32 volume `[n, k, j, i]` of zeros with a 1 at the voxel nearest to each of `points`."""
    volume = torch.zeros((len(points), *shape))
    present = ~points.isnan().any(dim=1)
    k, j, i = points[present].round().long().T
    volume[present.nonzero()[:, 0], k, j, i] = 1
    return volume


def one_channel(points: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """All landmarks of `one_hot` in one channel `[1, k, j, i]`."""
    return one_hot(points, shape).amax(dim=0, keepdim=True)


class SpineCentroids(Dataset[SpineSample]):
    """Crops of the scans of a folder, or, without a plan, each scan whole.

    Crop n is of scan n modulo the number of scans, and a function of `seed` and n alone.
    """

    def __init__(
        self, cases: CaseFolder, plan: SpineCropPlan | None = None, *, crops: int | None = None, seed: int = 0,
        target: Target = one_hot,
    ) -> None:
        """crops: the length of the set with a plan; default one per scan.

        target: `one_hot`, `one_channel`, or e.g. `partial(gaussian_heatmaps, sigma=2)`.
        """
        self.cases, self.plan, self.seed, self.target = cases, plan, seed, target
        self.crops = len(cases) if crops is None or plan is None else crops

    def __len__(self) -> int:
        return self.crops

    def __getitem__(self, index: int) -> SpineSample:
        if not 0 <= index < self.crops:
            raise IndexError(f"there is no sample {index}; the set has {self.crops}")
        case = self.cases[index % len(self.cases)]
        if self.plan is not None:
            case = draw_crop(case, self.plan, np.random.default_rng([self.seed, index]))
        points = torch.from_numpy(case.points.astype(np.float32))
        return SpineSample(
            torch.from_numpy(normalised(case.image))[None],
            torch.from_numpy(case.vertebrae)[None],
            self.target(points, case.grid.shape),
            points,
        )


def draw_crop(case: SpineCase, plan: SpineCropPlan, rng: np.random.Generator) -> SpineCase:
    """A crop with at least one whole vertebra, anywhere along the spine, where the scan has one.

    Along k every position is as likely as another; along j and i the crop lies around its vertebrae. A scan that is
    smaller than the crop lies anywhere in it.
    """
    shape = np.array(plan.shape)
    for _ in range(20):
        start = _place(case, plan, _random_start(case.image.shape[0], int(shape[0]), rng), rng)
        crop = cut_crop(case, start, plan)
        if not np.isnan(crop.points).all():
            return crop
    # Nothing whole so far (a small scan, or few vertebrae): around one of them.
    present = np.flatnonzero(~np.isnan(case.points[:, 0]))
    if len(present) == 0:
        return crop
    middle = case.points[rng.choice(present)]
    return cut_crop(case, np.rint(middle - (shape - 1) / 2).astype(int), plan)


def cut_crop(case: SpineCase, start: NDArray[np.int_], plan: SpineCropPlan) -> SpineCase:
    """The block of `plan.shape` voxels from `start` (k, j, i; may lie outside), without the vertebrae that it cuts."""
    image = cut_block(case.image, start, plan.shape, AIR)
    vertebrae = cut_block(case.vertebrae, start, plan.shape, 0)
    labels = len(case.points)
    inside = np.bincount(vertebrae.ravel(), minlength=labels + 1)
    every = np.bincount(case.vertebrae.ravel(), minlength=labels + 1)
    points = case.points - start
    centred = ((points >= 0) & (points <= np.array(plan.shape) - 1)).all(axis=1)
    counts = centred & (every[1:] > 0) & (inside[1:] >= plan.whole * every[1:])
    points[~counts] = np.nan
    kept = np.concatenate([[0], np.where(counts, np.arange(1, labels + 1), 0)]).astype(np.uint8)
    k, j, i = (int(value) for value in start)
    return SpineCase(case.name, image, kept[vertebrae], points, case.grid.cropped((k, j, i), plan.shape))


def _random_start(size: int, length: int, rng: np.random.Generator) -> int:
    """Where a crop of `length` begins in `size` voxels: anywhere that keeps the shorter of them within the longer."""
    low, high = sorted((0, size - length))
    return int(rng.integers(low, high + 1))


def _place(case: SpineCase, plan: SpineCropPlan, low: int, rng: np.random.Generator) -> NDArray[np.int_]:
    """The start of the crop from plane `low` on, around the vertebrae in it."""
    k = case.points[:, 0]
    within = (k >= low) & (k < low + plan.shape[0])
    middle = case.points[within, 1:].mean(axis=0) if within.any() else np.array(case.image.shape[1:]) / 2
    middle = middle + rng.uniform(-plan.jitter, plan.jitter, 2)
    return np.array([low, *np.rint(middle - (np.array(plan.shape[1:]) - 1) / 2).astype(int)])
