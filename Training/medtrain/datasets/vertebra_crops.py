"""Crops of phantom patients for the two stages of the vertebra package: network inputs and targets.

A patient is kept as its tissue map (uint8, 2 mm, axes LPS). Every crop is a new scan of it: another field of view,
scale, tilt and side (mirrored), and other intensities by domain randomisation (`label_synthesis`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..augmentation.label_synthesis import CT_PLAN, IntensityTable, SynthesisPlan, synthesise
from ..augmentation.turning import rotation

Floats = NDArray[np.float64]
PATIENT_MM = 2.0
COARSE_POOL = 2  # voxels of the patient along each side of a voxel that the coarse network sees (4 mm)

# The label map's own voxels are the fine stage's: what pooling blurs in the coarse one, blur must here.
FINE_SYNTHESIS = replace(CT_PLAN, blur=(0.4, 1.1))

# A vertebra counts as whole from this share of its box on; below, a crop says nothing about it.
_WHOLE = 0.97


@dataclass(frozen=True, eq=False)
class PatientMap:
    """tissues: `[k, j, i]`. points: `[25, 3]`, centroid of each level in voxels k, j, i; NaN where there is none.
    low, high: `[25, 3]`, the box of each level in voxels, half-open."""

    tissues: NDArray[np.uint8]
    points: Floats
    low: Floats
    high: Floats

    def save(self, path: Path) -> None:
        """Write to `path` (.npz) atomically."""
        partial = path.with_suffix(".partial.npz")
        np.savez_compressed(partial, tissues=self.tissues, points=self.points, low=self.low, high=self.high)
        partial.replace(path)

    @staticmethod
    def load(path: Path) -> PatientMap:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            return PatientMap(file["tissues"], file["points"], file["low"], file["high"])


@dataclass(frozen=True, eq=False)
class LandmarkSample:
    """image: `[inputs, k, j, i]`, prepared as `model.json` says. points: `[n, 3]` in voxels of the image, NaN where
    absent. known: `[n]`, 0 for a landmark about which the crop says nothing (a vertebra that is cut)."""

    image: Tensor
    points: Tensor
    known: Tensor


@dataclass(frozen=True, eq=False)
class View:
    """How a crop lies in the patient: the patient's voxel (fractional, rising) that each voxel along k, j, i shows;
    mirrored along i."""

    axes: tuple[Floats, Floats, Floats]
    mirrored: bool

    @property
    def size(self) -> tuple[int, int, int]:
        """Voxels along k, j, i."""
        k, j, i = (len(axis) for axis in self.axes)
        return k, j, i

    def tissues(self, patient: PatientMap) -> NDArray[np.uint8]:
        """The patient's tissues in view, air outside; nearest voxel."""
        index = [np.rint(axis).astype(int) for axis in self.axes]
        shape = patient.tissues.shape
        outside = [(at < 0) | (at >= size) for at, size in zip(index, shape, strict=True)]
        seen = patient.tissues[np.ix_(*(np.clip(at, 0, size - 1) for at, size in zip(index, shape, strict=True)))]
        seen[outside[0]] = 0
        seen[:, outside[1]] = 0
        seen[:, :, outside[2]] = 0
        return np.ascontiguousarray(seen[:, :, ::-1]) if self.mirrored else seen

    def place(self, index: Floats) -> Floats:
        """Points `[n, 3]` of the patient in voxels of the view; what lies before or behind it is a voxel outside."""
        placed = np.stack([
            np.interp(index[:, a], axis, np.arange(len(axis)), left=-1, right=len(axis))
            for a, axis in enumerate(self.axes)
        ], axis=1)
        placed[np.isnan(index)] = np.nan
        if self.mirrored:
            placed[:, 2] = self.size[2] - 1 - placed[:, 2]
        return placed

    def share(self, patient: PatientMap) -> Floats:
        """The share `[n]` of each level's box that is in view."""
        first = np.array([axis[0] for axis in self.axes])
        last = np.array([axis[-1] for axis in self.axes])
        inside = np.minimum(patient.high - 1, last) - np.maximum(patient.low, first)
        whole = np.maximum(patient.high - 1 - patient.low, 1)
        share: Floats = np.prod(np.clip(inside / whole, 0, 1), axis=1)
        return np.nan_to_num(share)


def even_view(start: Floats, scale: Floats, size: tuple[int, int, int], mirrored: bool) -> View:
    """A view that shows the patient's voxel start + scale · n."""
    k, j, i = (first + step * np.arange(n) for first, step, n in zip(start, scale, size, strict=True))
    return View((k, j, i), mirrored)


def stretched(axis: Floats, most: float, rng: np.random.Generator) -> Floats:
    """`axis` with steps that grow and shrink along it by up to `most` (a share), in one to four waves.

    No two vertebrae of a patient keep their usual distances then: a network must look where they are.
    """
    place = np.arange(len(axis)) / len(axis)
    wave = np.sin(2 * np.pi * (rng.uniform(1, 4) * place + rng.uniform()))
    steps = np.gradient(axis) * (1 + rng.uniform(0, most) * wave)
    result: Floats = axis[0] + np.concatenate([[0], np.cumsum(steps[:-1])])
    middle: float = axis[len(axis) // 2] - result[len(axis) // 2]
    return result + middle


@dataclass(frozen=True)
class CoarsePlan:
    """smallest, largest: voxels (4 mm) of a view along k, j, i, in steps of 8; voxels: most in all.
    stretch: see `stretched`."""

    smallest: tuple[int, int, int] = (32, 32, 40)
    largest: tuple[int, int, int] = (144, 72, 96)
    voxels: int = 560_000
    tilt: float = 0.2  # radians, at most, about each axis
    stretch: float = 0.2
    synthesis: SynthesisPlan = CT_PLAN


def coarse_size(plan: CoarsePlan, rng: np.random.Generator) -> tuple[int, int, int]:
    """A field of view: its size is the batch's, so that crops can be stacked."""
    while True:
        k, j, i = (int(rng.integers(a // 8, b // 8 + 1)) * 8 for a, b in zip(plan.smallest, plan.largest, strict=True))
        if k * j * i <= plan.voxels:
            return k, j, i


def coarse_sample(
    patient: PatientMap, size: tuple[int, int, int], table: IntensityTable, plan: CoarsePlan, rng: np.random.Generator
) -> LandmarkSample:
    """A scan of `size` voxels (4 mm) somewhere on the patient."""
    pooled = np.array(size) * COARSE_POOL
    scale = rng.uniform(0.82, 1.18) * rng.uniform(0.92, 1.08, 3)
    reach, shape = pooled * scale, np.array(patient.tissues.shape)
    # Along the body anywhere, also past its ends; across it around the body's middle or the spine's.
    along = rng.uniform(-0.15 * reach[0], max(shape[0] - 0.85 * reach[0], 0))
    middle = shape[1:] / 2 if rng.random() < 0.6 else np.nanmean(patient.points[:, 1:], axis=0)
    across = middle + rng.normal(0, 12, 2) - reach[1:] / 2
    whole = (int(pooled[0]), int(pooled[1]), int(pooled[2]))
    even = even_view(np.array([along, *across]), scale, whole, bool(rng.integers(2)))
    view = View((stretched(even.axes[0], plan.stretch, rng), *even.axes[1:]), even.mirrored)
    image = synthesise(view.tissues(patient), table, plan.synthesis, rng, pool=COARSE_POOL)
    points = (view.place(patient.points) - (COARSE_POOL - 1) / 2) / COARSE_POOL
    if rng.random() < 0.3:
        image = _round_field(image)
    image, points = _tilted(image, points, rng.uniform(-plan.tilt, plan.tilt, 3) * (rng.random() < 0.6))
    share = view.share(patient)
    inside = ((points >= -0.5) & (points <= np.array(size) - 0.5)).all(axis=1)
    present = (share >= _WHOLE) & inside
    points[~present] = np.nan
    known = present | (share <= 0)
    return LandmarkSample(
        scaled(image)[None], torch.from_numpy(points).float(), torch.from_numpy(known.astype(np.float32))
    )


@dataclass(frozen=True)
class FinePlan:
    """size: voxels (2 mm) of a patch. jitter: σ (mm) of the patch's middle around the centroid, at most
    `most` (mm) along each axis, as the coarse stage errs."""

    size: tuple[int, int, int] = (48, 56, 56)
    jitter: float = 5.0
    most: float = 14.0
    tilt: float = 0.25
    sigma: float = 2.0
    synthesis: SynthesisPlan = FINE_SYNTHESIS


def fine_sample(
    patient: PatientMap, table: IntensityTable, plan: FinePlan, rng: np.random.Generator
) -> LandmarkSample:
    """A patch around a vertebra, with the Gaussian at its middle as second input and one landmark to find."""
    level = int(rng.choice(np.flatnonzero(~np.isnan(patient.points[:, 0]))))
    scale = rng.uniform(0.85, 1.15) * rng.uniform(0.95, 1.05, 3)
    # In the neck the next vertebra is near: the coarse stage has to be, too.
    near = _next_distance(patient.points, level) * 0.4
    off = np.clip(rng.normal(0, plan.jitter, 3), -plan.most, plan.most) / PATIENT_MM
    off *= min(1.0, near / max(float(np.linalg.norm(off)), 1e-6))
    middle = np.array(plan.size) // 2
    view = even_view(patient.points[level] - off - middle * scale, scale, plan.size, bool(rng.integers(2)))
    image = synthesise(view.tissues(patient), table, plan.synthesis, rng, pool=1)
    corners = view.place(np.stack([patient.low[level], patient.high[level] - 1]))
    _end_of_scan(image, np.sort(corners, axis=0), rng)
    points = view.place(patient.points[level : level + 1])
    image, points = _tilted(image, points, rng.uniform(-plan.tilt, plan.tilt, 3) * (rng.random() < 0.6))
    pair = torch.stack([scaled(image), middle_gaussian(plan.size, plan.sigma)])
    return LandmarkSample(pair, torch.from_numpy(points).float(), torch.ones(1))


def _end_of_scan(image: Tensor, box: Floats, rng: np.random.Generator) -> None:
    """Now and then the scan ends soon behind the vertebra's box `[2, 3]`: its last voxels are repeated, in place."""
    for axis, chance in enumerate((0.3, 0.05, 0.05)):
        size = image.shape[axis]
        if rng.random() < chance:
            first = int(np.floor(box[0, axis])) - int(rng.integers(8))
            last = int(np.ceil(box[1, axis])) + int(rng.integers(8))
            if rng.integers(2) and 0 < first < size:
                image.narrow(axis, 0, first).copy_(image.narrow(axis, first, 1).clone())
            elif 0 <= last < size - 1:
                image.narrow(axis, last + 1, size - last - 1).copy_(image.narrow(axis, last, 1).clone())


def _next_distance(points: Floats, level: int) -> float:
    """Voxels from a level to the nearest other one."""
    away = np.linalg.norm(points - points[level], axis=1)
    away[level] = np.nan
    return float(np.nanmin(away)) if np.isfinite(away).any() else np.inf


def scaled(image: Tensor) -> Tensor:
    """HU to what the networks see; `prepare.intensity` of both stages says the same."""
    return (image.clamp(-1000, 1500) - 250) / 1250


def middle_gaussian(size: tuple[int, int, int], sigma: float) -> Tensor:
    """The input `point` of a patch: a Gaussian of height 1 on its middle voxel (size // 2)."""
    k, j, i = (torch.exp(-0.5 * ((torch.arange(n) - n // 2) / sigma) ** 2) for n in size)
    return k[:, None, None] * j[:, None] * i


def _round_field(image: Tensor) -> Tensor:
    """Air outside the circular field of view that scanners reconstruct."""
    _, rows, columns = image.shape
    y = torch.arange(rows)[:, None] - (rows - 1) / 2
    x = torch.arange(columns) - (columns - 1) / 2
    outside = y**2 + x**2 > (max(rows, columns) / 2) ** 2
    return image.masked_fill(outside, -1000.0)


def _tilted(image: Tensor, points: Floats, angles: Floats) -> tuple[Tensor, Floats]:
    """Image and points turned together about the image's middle; angles (radians) about k, j and i."""
    if not angles.any():
        return image, points
    turn = rotation(angles)
    middle = (np.array(image.shape) - 1) / 2
    # grid_sample counts x, y, z in halves of the image's extent (align_corners): the matrix is scaled to that.
    half = middle[::-1]
    matrix = turn[::-1, ::-1] * half[None, :] / half[:, None]
    theta = torch.from_numpy(np.column_stack([matrix, np.zeros(3)]).astype(np.float32))[None]
    grid = F.affine_grid(theta, [1, 1, *image.shape], align_corners=True)
    turned = F.grid_sample(image[None, None], grid, padding_mode="border", align_corners=True)[0, 0]
    # The image at q shows what lay at middle + turn · (q − middle): a point p goes to the q of which that is true.
    return turned, (points - middle) @ turn + middle


def patient_files(folder: Path) -> Sequence[Path]:
    """The patients of a folder, in order, half-written ones left out."""
    return sorted(path for path in folder.glob("*.npz") if not path.name.endswith(".partial.npz"))
