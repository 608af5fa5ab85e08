"""Cases and crops for training the nodule detector.

A case is a scan as the network sees it (lungs found, the rest painted over, 1 mm, luminance 0–255) with
the nodules' cubes on that grid. Cases are made once and kept as `.npz` files; crops are cut from them
with fresh augmentation, each drawn from a generator of its own, so that crop n of a run is the same
crop however often the run was interrupted.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medinfer.manifest import LungsRegion, Prepare

from ..targets.anchor_targets import AnchorTargets, make_label

FILL = 170
"""Luminance of what lies outside the lungs (0 HU), and of padding."""

PREPARE = Prepare(spacing=(1, 1, 1), region=LungsRegion(kind="lungs", margin_mm=(5, 10), clean=True))
"""How a scan is brought to the case's grid, in HU: what the bundled package's model.json declares (grt123's recipe)."""


@dataclass(frozen=True, eq=False)
class Case:
    """One scan, ready to be cut into crops.

    image: uint8 `[k, j, i]`, voxels of 1 mm, luminance (HU + 1200) / 1800 · 255, `FILL` outside the lungs.
    nodules: `[n, 4]` true cubes (z, y, x, d) in voxels of `image`.
    ignored: `[m, 4]` cubes excluded from the loss.
    """

    name: str
    image: NDArray[np.uint8]
    nodules: NDArray[np.float64]
    ignored: NDArray[np.float64]


def luminance(hu: NDArray[np.generic]) -> NDArray[np.uint8]:
    """HU to grt123's 8 bits: −1200 … 600 HU to 0 … 255."""
    scaled = (np.asarray(hu, dtype=np.float32) + np.float32(1200)) * np.float32(255 / 1800)
    eight_bits: NDArray[np.uint8] = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return eight_bits


def save_case(case: Case, path: Path) -> None:
    """Write a case atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial.npz")
    np.savez_compressed(partial, image=case.image, nodules=case.nodules, ignored=case.ignored)
    partial.replace(path)


def load_case(path: Path) -> Case:
    """Read what `save_case` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        return Case(path.stem, stored["image"], stored["nodules"], stored["ignored"])


def case_files(folder: Path) -> list[Path]:
    """The cases of a folder, by name; half-written ones are left out."""
    return sorted(path for path in folder.glob("*.npz") if ".partial" not in path.name)


@dataclass(frozen=True)
class CropPlan:
    """How crops are drawn from cases.

    size: side of a crop, voxels; a multiple of 16.
    nodule_share: the share of crops drawn around a nodule; the others lie anywhere in the lungs.
    bound: a chosen nodule's centre keeps at least this many voxels from the crop's faces (grt123: 12).
    oversample: (diameter, times): a nodule at least so large is drawn so many times as often as one below.
    scale: the range of magnification.
    """

    size: int = 64
    nodule_share: float = 0.7
    bound: int = 12
    oversample: tuple[tuple[float, float], ...] = ((6.0, 1.0), (30.0, 3.0), (40.0, 7.0))
    scale: tuple[float, float] = (0.8, 1.25)
    flip: bool = True
    appearance: bool = True


SISTER_CROPS = CropPlan(oversample=((0.0, 2.0), (6.0, 1.0)))
"""For the bundled network: what it misses is smaller than 6 mm, so those are drawn twice as often."""


@dataclass(frozen=True, eq=False)
class Crop:
    """image: float32 `[size]³`, luminance; coordinates: float32 `[3, size/4, …]`; nodules, ignored: `[n, 4]`."""

    image: NDArray[np.float32]
    coordinates: NDArray[np.float32]
    nodules: NDArray[np.float64]
    ignored: NDArray[np.float64]


def coordinate_grid(
    shape: Sequence[int],
    stride: int = 4,
    start: Iterable[float] = (-0.5, -0.5, -0.5),
    span: Iterable[float] = (1.0, 1.0, 1.0),
) -> NDArray[np.float32]:
    """The cells' places in the scan, `[3, z/stride, y/stride, x/stride]`, from `start` to start + span (grt123)."""
    axes = [np.linspace(a, a + s, n // stride, dtype=np.float64) for a, s, n in zip(start, span, shape, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)


def cut(image: NDArray[np.uint8], low: Sequence[int], high: Sequence[int]) -> NDArray[np.uint8]:
    """The block low … high (exclusive) of `image`; what lies outside is `FILL`."""
    block = np.full([b - a for a, b in zip(low, high, strict=True)], FILL, np.uint8)
    inner = [(max(a, 0), min(b, n)) for a, b, n in zip(low, high, image.shape, strict=True)]
    if all(a < b for a, b in inner):
        here = tuple(slice(a - c, b - c) for (a, b), c in zip(inner, low, strict=True))
        block[here] = image[tuple(slice(a, b) for a, b in inner)]
    return block


def draw_crop(cases: Sequence[Case], plan: CropPlan, rng: np.random.Generator) -> Crop:
    """One augmented crop: around a nodule, or anywhere in the lungs."""
    case = cases[int(rng.integers(len(cases)))]
    factor = float(np.exp(rng.uniform(*np.log(plan.scale))))
    if len(case.nodules) and rng.random() < plan.nodule_share:
        centre = _around_nodule(case, plan, factor, rng)
    else:
        centre = _in_lungs(case, rng)
    mirrored = rng.random(3) < 0.5 if plan.flip else np.zeros(3, bool)
    crop = cut_crop(case, centre, plan.size, factor, mirrored)
    if plan.appearance:
        crop = replace(crop, image=change_appearance(crop.image, rng))
    return crop


def cut_crop(
    case: Case, centre: NDArray[np.float64], size: int, factor: float, mirrored: NDArray[np.bool_]
) -> Crop:
    """The cube of `size` voxels around `centre` of a case, magnified by `factor` and mirrored along chosen axes.

    Crop voxel c lies at centre + s · (c − (size − 1) / 2) / factor, s = −1 where mirrored.
    """
    middle = (size - 1) / 2
    reach = middle / factor + 2
    low, high = np.floor(centre - reach).astype(int), np.ceil(centre + reach).astype(int) + 1
    block = cut(case.image, [int(v) for v in low], [int(v) for v in high]).astype(np.float32)
    turned = block[tuple(slice(None, None, -1) if m else slice(None) for m in mirrored)]
    # Where the crop's centre lies in the block, after mirroring it.
    place = np.where(mirrored, high - 1 - centre, centre - low)
    image = ndimage.affine_transform(
        turned, np.full(3, 1 / factor), place - middle / factor, (size, size, size), order=1, mode="nearest"
    )
    sign = np.where(mirrored, -1.0, 1.0)
    extent = np.array(case.image.shape, dtype=np.float64)
    span = sign * size / factor / extent
    start = centre / extent - 0.5 - span / 2
    return Crop(
        image,
        coordinate_grid((size, size, size), 4, start, span),
        _moved(case.nodules, centre, sign, factor, middle),
        _moved(case.ignored, centre, sign, factor, middle),
    )


def _moved(
    boxes: NDArray[np.float64], centre: NDArray[np.float64], sign: NDArray[np.float64], factor: float, middle: float
) -> NDArray[np.float64]:
    moved = np.empty((len(boxes), 4))
    moved[:, :3] = (boxes[:, :3] - centre) * sign * factor + middle
    moved[:, 3] = boxes[:, 3] * factor
    reaches = np.all(np.abs(moved[:, :3] - middle) < middle + moved[:, 3:] + 16, axis=1)
    return np.asarray(moved[reaches])


def _around_nodule(case: Case, plan: CropPlan, factor: float, rng: np.random.Generator) -> NDArray[np.float64]:
    weights = np.ones(len(case.nodules))
    for diameter, times in plan.oversample:
        weights[case.nodules[:, 3] >= diameter] = times
    chosen = case.nodules[rng.choice(len(weights), p=weights / weights.sum())]
    room = (plan.size / 2 - plan.bound) / factor
    return np.asarray(chosen[:3] + rng.uniform(-room, room, 3))


def _in_lungs(case: Case, rng: np.random.Generator) -> NDArray[np.float64]:
    shape = np.array(case.image.shape)
    for _ in range(50):
        point = rng.integers(shape)
        if case.image[tuple(point)] != FILL:
            break
    return np.asarray(point, dtype=np.float64)


def change_appearance(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Another scanner's rendering of a crop: slice thickness, sharpness, contrast, noise. `FILL` stays as it is."""
    painted = np.abs(image - FILL) < 0.5
    out = image
    if rng.random() < 0.4:
        # Thicker slices: a mean over neighbouring planes.
        out = ndimage.gaussian_filter1d(out, rng.uniform(0.4, 1.2), axis=0, mode="nearest", truncate=2.5)
    kind = rng.random()
    if kind < 0.15:
        out = ndimage.gaussian_filter(out, (0, s := rng.uniform(0.3, 0.8), s), mode="nearest", truncate=2.5)
    elif kind < 0.3:
        soft = ndimage.gaussian_filter(out, (0, 0.8, 0.8), mode="nearest", truncate=2.5)
        out = out + (out - soft) * np.float32(rng.uniform(0.2, 0.8))
    noise = rng.standard_normal(image.shape, dtype=np.float32) * np.float32(rng.uniform(0, 7))
    if rng.random() < 0.5:
        noise = ndimage.uniform_filter1d(noise, 3, axis=0, mode="nearest") * np.float32(3**0.5)
    # Lung at −850 HU is about 50: contrast turns around it, so that its density stays plausible.
    out = (out - 50) * np.float32(rng.uniform(0.9, 1.1)) + np.float32(50 + rng.uniform(-6, 6)) + noise
    return np.where(painted, np.float32(FILL), np.clip(out, 0, 255)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Batch:
    """images `[B, 1, s, s, s]` in −1 … 1, coordinates `[B, 3, s/4, …]`, labels `[B, s/4, …, anchors, 5]`; float32."""

    images: NDArray[np.float32]
    coordinates: NDArray[np.float32]
    labels: NDArray[np.float32]


def draw_batch(
    cases: Sequence[Case], plan: CropPlan, targets: AnchorTargets, crops: int, seed: int, step: int
) -> Batch:
    """Batch number `step` of a run with `seed`: a function of its arguments alone."""
    shape = (plan.size, plan.size, plan.size)
    images, coordinates, labels = [], [], []
    for index in range(crops):
        rng = np.random.default_rng([seed, step, index])
        crop = draw_crop(cases, plan, rng)
        images.append((crop.image[None] - np.float32(128)) / np.float32(128))
        coordinates.append(crop.coordinates)
        labels.append(make_label(crop.nodules, shape, targets, rng, crop.ignored))
    return Batch(np.stack(images), np.stack(coordinates), np.stack(labels))
