"""Crops of phantom jaws for the stages of the tooth package: network inputs and targets.

A patient is kept as its tissues and its numbered teeth (0.5 mm, axes LPS). Every crop is a new scan of it: turned,
stretched, perhaps mirrored (a mirrored tooth has the other side's number), with other intensities by domain
randomisation (`label_synthesis`), metal streaks and an unknown grey scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import affine_transform
from torch import Tensor

from ..augmentation.label_synthesis import CT_PLAN, IntensityTable, SynthesisPlan, synthesise
from ..augmentation.turning import rotation
from ..phantoms.jaw import METALS, Jaws, add_streaks
from .label_centroids import label_centroids
from .tooth_names import FDI, mirrored

Floats = NDArray[np.float64]
Size = tuple[int, int, int]

JAW_MM = 0.5
"""Voxels of the jaws' maps."""

# The number on the other side, by number; what has none (supernumerary teeth) keeps its own.
_MIRRORED = np.arange(256, dtype=np.uint8)
_MIRRORED[list(FDI)] = [mirrored(number) for number in FDI]

CBCT_PLAN = replace(
    CT_PLAN, strange=0.02, jitter=(0.3, 1.0), bias=(0.0, 0.12), drift=(0.0, 120.0), blur=(0.15, 0.9),
    noise=(5.0, 140.0), thick=0.06, contrast=(0.85, 1.15), gamma=0.08, limits=(-1100.0, 9000.0),
)
"""Cone-beam CT: more noise, cupping and drift than in CT."""


@dataclass(frozen=True, eq=False)
class JawMap:
    """The maps of a patient that training keeps.

    voxels: `[k, j, i]` uint16, the tissue in the low byte and the tooth's number in the high one.
    teeth: the numbers that are there; centroids: `[n, 3]`, theirs in voxels k, j, i. spacing: mm of the voxels.
    """

    voxels: NDArray[np.uint16]
    teeth: NDArray[np.uint8]
    centroids: Floats
    spacing: float = JAW_MM

    def save(self, path: Path) -> None:
        """Write to `path` (.npz) atomically."""
        partial = path.with_suffix(".partial.npz")
        np.savez_compressed(
            partial, voxels=self.voxels, teeth=self.teeth, centroids=self.centroids, spacing=self.spacing
        )
        partial.replace(path)

    @staticmethod
    def load(path: Path) -> JawMap:
        """The inverse of `save`."""
        with np.load(path) as data:
            return JawMap(data["voxels"], data["teeth"], data["centroids"], float(data.get("spacing", JAW_MM)))


def jaw_map(jaws: Jaws) -> JawMap:
    """The maps of a phantom that training keeps; voxels of its canals have the tissue CANAL."""
    teeth = label_centroids(jaws.teeth)
    centroids = np.array([tooth.centroid for tooth in teeth.values()]).reshape(-1, 3)
    voxels = jaws.tissues.astype(np.uint16) | (jaws.teeth.astype(np.uint16) << np.uint16(8))
    return JawMap(voxels, np.array(list(teeth), np.uint8), centroids)


@dataclass(frozen=True, eq=False)
class JawView:
    """How a crop lies in a map: voxel o of the view shows voxel matrix · o + offset of the map (k, j, i), and is
    mirrored along i after that."""

    size: Size
    matrix: Floats
    offset: Floats
    mirrored: bool

    def sampled(self, jaw: JawMap) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Tissues and teeth in view, nearest voxel, air outside."""
        seen = affine_transform(jaw.voxels, self.matrix, self.offset, self.size, order=0, mode="constant", cval=0)
        tissues, teeth = (seen & 255).astype(np.uint8), (seen >> 8).astype(np.uint8)
        if self.mirrored:
            tissues, teeth = tissues[:, :, ::-1], _MIRRORED[teeth[:, :, ::-1]]
        return np.ascontiguousarray(tissues), np.ascontiguousarray(teeth)

    def place(self, points: Floats) -> Floats:
        """Points `[n, 3]` of the map in voxels of the view."""
        placed = np.asarray(np.linalg.solve(self.matrix, (points - self.offset).T).T, np.float64)
        if self.mirrored:
            placed[:, 2] = self.size[2] - 1 - placed[:, 2]
        return placed

    def numbers(self, jaw: JawMap) -> NDArray[np.uint8]:
        """The numbers of the teeth of `jaw.teeth` in this view."""
        return _MIRRORED[jaw.teeth] if self.mirrored else jaw.teeth


@dataclass(frozen=True)
class CropPlan:
    """size: voxels that the network sees, of `spacing` mm; pool: voxels of the view along a side of each of them.
    tilt: radians, at most, about each axis. scale: how far (a share) patients are shrunk or stretched.
    ends: the chance that the scan ends within the crop. own: the chance that the crop's own percentiles become 0 and 1,
    as those of a scan that shows no more than it."""

    size: Size
    spacing: float
    pool: int = 1
    tilt: float = 0.25
    scale: float = 0.15
    ends: float = 0.25
    own: float = 0.2
    synthesis: SynthesisPlan = CBCT_PLAN


def draw_view(plan: CropPlan, middle: Floats, rng: np.random.Generator, spacing: float = JAW_MM) -> JawView:
    """A view of `plan.size` · `plan.pool` voxels around the voxel `middle` of a map with voxels of `spacing` mm."""
    k, j, i = (n * plan.pool for n in plan.size)
    step = plan.spacing / plan.pool / spacing
    stretch = step * rng.uniform(1 - plan.scale, 1 + plan.scale) * rng.uniform(0.95, 1.05, 3)
    angles = rng.uniform(-plan.tilt, plan.tilt, 3) * (rng.random() < 0.8)
    matrix = rotation(angles) * stretch[None, :]
    offset = middle - matrix @ ((np.array([k, j, i]) - 1) / 2)
    return JawView((k, j, i), matrix, offset, bool(rng.integers(2)))


def draw_image(
    tissues: NDArray[np.uint8], table: IntensityTable, plan: CropPlan, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """A cone-beam image `[k, j, i]` of tissues at the view's voxels, as the networks see it (about 0…1); and where it
    lies in the scan, 1 or 0: now and then a crop reaches beyond the scan's end, whose last voxels are repeated."""
    image = synthesise(tissues, table, plan.synthesis, rng, pool=plan.pool)
    metal = np.isin(tissues[:: plan.pool, :: plan.pool, :: plan.pool], METALS)[tuple(map(slice, image.shape))]
    if metal.any() and rng.random() < 0.8:
        image = torch.from_numpy(add_streaks(image.numpy(), metal, rng, voxel_mm=plan.spacing))
    seen = torch.ones_like(image)
    if rng.random() < plan.ends:
        _end_of_scan(image, seen, rng)
    if rng.random() < 0.12:
        _round_field(image, seen, plan.spacing, rng)
    return _grey_values(image, plan.own, rng), seen


def _grey_values(image: Tensor, own: float, rng: np.random.Generator) -> Tensor:
    """An unknown scale: what the scan's percentiles (`Percentiles` of the stages) make 0 and 1 is drawn."""
    low = rng.uniform(-1100, -850) if rng.random() < 0.85 else rng.uniform(-850, -100)
    high = rng.uniform(1100, 3300)
    if rng.random() < 0.3:  # stored in eight bits, with a window
        image = image.clamp(rng.uniform(-1000, -400), rng.uniform(1500, 3300))
    if rng.random() < own:
        low, high = np.percentile(image[::2, ::2, ::2].numpy(), (0.5, rng.uniform(95, 99.5)))
        high = max(high, low + 1)
    return ((image - low) / (high - low)).clamp_(-0.5, 1.5)


def _end_of_scan(image: Tensor, seen: Tensor, rng: np.random.Generator) -> None:
    """The scan ends within the crop: its last voxels are repeated and no longer seen, in place."""
    axis = int(rng.integers(3))
    size = image.shape[axis]
    at = int(rng.integers(1, max(2, size // 3)))
    if rng.integers(2):
        image.narrow(axis, 0, at).copy_(image.narrow(axis, at, 1).clone())
        seen.narrow(axis, 0, at).zero_()
    else:
        image.narrow(axis, size - at, at).copy_(image.narrow(axis, size - at - 1, 1).clone())
        seen.narrow(axis, size - at, at).zero_()


def _round_field(image: Tensor, seen: Tensor, spacing: float, rng: np.random.Generator) -> None:
    """The round field of view of a turning detector ends within the crop: air outside, in place."""
    _, rows, columns = image.shape
    radius = rng.uniform(40, 80) / spacing
    middle, angle = np.array([rows, columns]) / 2, rng.uniform(0, 2 * np.pi)
    # Its rim passes between the crop's middle and its border.
    away = radius - rng.uniform(0.1, 0.45) * min(rows, columns)
    y, x = middle + away * np.array([np.sin(angle), np.cos(angle)])
    place = (torch.arange(rows)[:, None] - y) ** 2 + (torch.arange(columns) - x) ** 2
    outside = place > radius**2
    image.masked_fill_(outside, -1000.0 if rng.random() < 0.7 else float(rng.uniform(-1000, 0)))
    seen.masked_fill_(outside, 0.0)


def jaw_files(folder: Path) -> Sequence[Path]:
    """The maps of a folder, in order, half-written ones left out."""
    return sorted(path for path in folder.glob("*.npz") if not path.name.endswith(".partial.npz"))
