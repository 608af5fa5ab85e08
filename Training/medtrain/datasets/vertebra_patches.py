"""Samples for a network that outlines one vertebra at a time: a patch around its centre, with the centre as a cue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from medinfer.errors import ScanError

from ..augmentation.elastic import ALPHA, SIGMA, deformed, deformed_mask, displacement
from .spine_cases import CaseFolder, SpineCase, cut_block
from .spine_data import normalised

FILL = -1023
"""HU of what lies outside of the scan."""


class PatchSample(NamedTuple):
    """What one item holds; a loader batches each field.

    image: float32 `[1, k, j, i]`, −1 … 1. mask: uint8 `[1, k, j, i]`, 1 in the vertebra in the middle.
    landmark: float32 `[1, k, j, i]`, 1 at voxel shape // 2, where the vertebra's centre lies. label: its number.
    """

    image: Tensor
    mask: Tensor
    landmark: Tensor
    label: int


@dataclass(frozen=True)
class PatchPlan:
    """How patches are cut.

    shape: voxels along k, j, i (often written the other way round, as 128 × 128 × 96).
    alpha, sigma: of the elastic deformation; alpha 0 leaves it out.
    """

    shape: tuple[int, int, int] = (96, 128, 128)
    alpha: float = ALPHA
    sigma: float = SIGMA


VERTEBRA_PATCH = PatchPlan()


@dataclass(frozen=True, eq=False)
class Patch:
    """image: int16 HU; mask: uint8, 1 in the vertebra; both `[k, j, i]`."""

    image: NDArray[np.int16]
    mask: NDArray[np.uint8]


def cut_patch(case: SpineCase, label: int, shape: Sequence[int]) -> Patch:
    """The patch whose voxel shape // 2 is the one nearest to the centre of the vertebra number `label` (from 0)."""
    start = np.rint(case.points[label]).astype(int) - np.array(shape) // 2
    mask = cut_block(case.vertebrae, start, shape, 0) == label + 1
    return Patch(cut_block(case.image, start, shape, FILL), mask.astype(np.uint8))


def elastic_patch(patch: Patch, plan: PatchPlan, rng: np.random.Generator) -> Patch:
    """Image (cubic splines) and mask moved by one and the same displacement."""
    shift = displacement(patch.image.shape, rng, plan.alpha, plan.sigma)
    image = np.clip(np.rint(deformed(patch.image, shift)), -32768, 32767)
    return Patch(image.astype(np.int16), deformed_mask(patch.mask, shift))


def landmark_channel(shape: Sequence[int]) -> NDArray[np.float32]:
    """Zeros `[k, j, i]` with a 1 at voxel shape // 2."""
    channel = np.zeros(shape, np.float32)
    channel[tuple(size // 2 for size in shape)] = 1
    return channel


def every_patch(case: SpineCase, plan: PatchPlan = VERTEBRA_PATCH) -> list[PatchSample]:
    """A patch as it is around each vertebra of `case`, head first."""
    return [_sample(cut_patch(case, label, plan.shape), label) for label in _present(case)]


class VertebraPatches(Dataset[PatchSample]):
    """Patches around random vertebrae of the scans of a folder.

    Patch n is of scan n modulo the number of scans, and a function of `seed` and n alone.
    """

    def __init__(
        self, cases: CaseFolder, plan: PatchPlan = VERTEBRA_PATCH, *, patches: int | None = None, seed: int = 0
    ) -> None:
        """cases: at the patches' spacing (1 mm suits 128 × 128 × 96). patches: the length of the set; default one a
        scan. Reading an item raises ScanError for a scan without a whole vertebra."""
        self.cases, self.plan, self.seed = cases, plan, seed
        self.patches = len(cases) if patches is None else patches

    def __len__(self) -> int:
        return self.patches

    def __getitem__(self, index: int) -> PatchSample:
        if not 0 <= index < self.patches:
            raise IndexError(f"there is no sample {index}; the set has {self.patches}")
        case, rng = self.cases[index % len(self.cases)], np.random.default_rng([self.seed, index])
        present = _present(case)
        if not present:
            raise ScanError(f"{case.name} has no complete vertebra with a requested label: leave it out.")
        label = int(rng.choice(present))
        patch = cut_patch(case, label, self.plan.shape)
        return _sample(elastic_patch(patch, self.plan, rng) if self.plan.alpha else patch, label)


def _present(case: SpineCase) -> list[int]:
    return [int(label) for label in np.flatnonzero(~np.isnan(case.points).any(axis=1))]


def _sample(patch: Patch, label: int) -> PatchSample:
    return PatchSample(
        torch.from_numpy(normalised(patch.image))[None],
        torch.from_numpy(patch.mask)[None],
        torch.from_numpy(landmark_channel(patch.image.shape))[None],
        label,
    )
