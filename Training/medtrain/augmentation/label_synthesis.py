"""Images from label maps by domain randomisation, in the manner of SynthSeg (Billot et al., MedIA 86 (2023) 102789).

    labels -> a random value a tissue -> means of pool³ voxels (partial volume) -> texture -> bias and drift
           -> contrast -> blur -> slices -> noise -> the image's own grid again

A network that has seen every contrast, sharpness and noise within wide bounds does not learn one scanner's. Every step
keeps landmarks where they are: voxel p of the image lies at p · pool + (pool − 1) / 2 of the label map.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Range = tuple[float, float]


@dataclass(frozen=True)
class IntensityTable:
    """The brightness of each tissue; entry t belongs to the value t of the label map.

    mean: the middle of the tissue's brightness over patients and scanners (HU for CT).
    jitter: how far an image's own mean may lie from it, either way (uniform).
    spread: standard deviation of the texture within the tissue.
    """

    mean: tuple[float, ...]
    jitter: tuple[float, ...]
    spread: tuple[float, ...]

    def __post_init__(self) -> None:
        if not len(self.mean) == len(self.jitter) == len(self.spread) > 0:
            raise ValueError(
                f"a table needs one mean, jitter and spread per tissue, not {len(self.mean)}, "
                f"{len(self.jitter)} and {len(self.spread)} of them"
            )


def random_table(values: int, low: float = -1000.0, high: float = 1000.0, spread: float = 20.0) -> IntensityTable:
    """A table for label values 0 … values − 1 without prior knowledge: every mean drawn between low and high."""
    middle, half = (low + high) / 2, (high - low) / 2
    return IntensityTable((middle,) * values, (half,) * values, (spread,) * values)


@dataclass(frozen=True)
class SynthesisPlan:
    """The ranges of variation. Values are drawn uniformly; lengths are in voxels of the image (after pooling).

    strange: the chance that an image's means are wholly random, between `limits`.
    jitter: times the table's jitter. grain: σ of the smoothing of a tissue's texture.
    bias: largest multiplicative change across the image (MR's coil sensitivity; cupping). drift: the additive one.
    bends: half waves of bias and drift along an axis, at most.
    contrast: the factor on all values (around 0: water in CT). gamma: logarithm, ± so much, of the exponent that bends
    values between the image's darkest and brightest; 0.03 moves soft tissue by up to 40 HU where bone is in view.
    blur: σ of the point spread. thickness: of the slices, along one random axis; thick: the chance of that.
    noise: standard deviation. coarse: the chance that noise is correlated, with a σ from `clump`.
    limits: what values are clipped to.
    """

    strange: float = 0.05
    jitter: Range = (0.5, 1.0)
    grain: Range = (0.4, 1.5)
    bias: Range = (0.0, 0.05)
    drift: Range = (0.0, 25.0)
    bends: int = 3
    contrast: Range = (0.95, 1.05)
    gamma: float = 0.03
    blur: Range = (0.0, 0.8)
    thickness: Range = (1.0, 3.0)
    thick: float = 0.4
    noise: Range = (2.0, 45.0)
    coarse: float = 0.5
    clump: Range = (0.4, 1.0)
    limits: Range = (-1024.0, 3071.0)


CT_PLAN = SynthesisPlan()
"""For CT at about 2 mm, in HU."""


def synthesise(
    labels: Tensor | NDArray[np.integer],
    table: IntensityTable,
    plan: SynthesisPlan = CT_PLAN,
    generator: torch.Generator | np.random.Generator | None = None,
    pool: int = 2,
) -> Tensor:
    """A float32 image `[k // pool, j // pool, i // pool]` of the label map `labels` `[k, j, i]`, on its device.

    table: brightness by label value. generator: all that is random comes from it (a torch one must live on the labels'
    device). pool: voxels of the label map along each side of the image's; what is left over at the far end is dropped.
    Raises ValueError where the map is not 3-D, is smaller than `pool`, or holds a value that the table does not.
    """
    labels = torch.as_tensor(labels)
    _check(labels, table, pool)
    dice = _Dice(generator, labels.device)
    if dice.chance(plan.strange):
        table = replace(random_table(len(table.mean), *plan.limits), spread=table.spread)
    image = _brightness(labels, table, plan, dice, pool)
    image += _texture(labels, table, plan, dice, pool)
    image *= 1 + _field(image.shape, plan.bends, dice) * dice.between(plan.bias)
    image += _field(image.shape, plan.bends, dice) * dice.between(plan.drift)
    image = _recoloured(image, plan, dice)
    image = smoothed(image, dice.between(plan.blur))
    return _scanned(image, plan, dice).clamp_(*plan.limits)


class _Dice:
    """Random numbers on one device, from one generator."""

    def __init__(self, generator: torch.Generator | np.random.Generator | None, device: torch.device) -> None:
        if not isinstance(generator, torch.Generator):
            seed = int((generator or np.random.default_rng()).integers(2**63))
            generator = torch.Generator(device).manual_seed(seed)
        self.generator, self.device = generator, device

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator, device=self.device)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, device=self.device)

    def between(self, bounds: Range) -> float:
        low, high = bounds
        return low + (high - low) * float(self.uniform())

    def chance(self, probability: float) -> bool:
        return float(self.uniform()) < probability


def _check(labels: Tensor, table: IntensityTable, pool: int) -> None:
    if labels.ndim != 3 or min(labels.shape) < pool or labels.is_floating_point():
        raise ValueError(
            f"labels must be whole numbers [k, j, i] with at least {pool} voxels per side, not {labels.dtype} "
            f"{list(labels.shape)}"
        )
    if int(labels.max()) >= len(table.mean) or int(labels.min()) < 0:
        raise ValueError(
            f"the label map has values from {int(labels.min())} to {int(labels.max())}, but the table only covers "
            f"0 to {len(table.mean) - 1}: give it an entry for each"
        )


def _brightness(labels: Tensor, table: IntensityTable, plan: SynthesisPlan, dice: _Dice, pool: int) -> Tensor:
    """The mean over pool³ voxels of each tissue's own value in this image."""
    own = torch.tensor(table.mean, device=labels.device) + (
        (2 * dice.uniform(len(table.mean)) - 1)
        * torch.tensor(table.jitter, device=labels.device) * dice.between(plan.jitter)
    )
    image = _looked_up(own, labels)
    for axis, size in enumerate(image.shape):
        whole = image.narrow(axis, 0, size // pool * pool)
        # Adding strided slices is several times as fast as torch's pooling on a CPU.
        parts = [whole[(slice(None),) * axis + (slice(start, None, pool),)] for start in range(pool)]
        image = sum(parts[1:], parts[0]) / pool
    return image


def _texture(labels: Tensor, table: IntensityTable, plan: SynthesisPlan, dice: _Dice, pool: int) -> Tensor:
    """Grain within the tissues; that of a voxel follows the label nearest to its centre."""
    middle = tuple(slice(pool // 2, size // pool * pool, pool) for size in labels.shape)
    spread = _looked_up(torch.tensor(table.spread, device=labels.device), labels[middle])
    return spread * _grain(spread.shape, dice.between(plan.grain), dice)


def _looked_up(entries: Tensor, labels: Tensor) -> Tensor:
    # index_select with 32-bit indices: a tenth of the time of entries[labels] on a CPU.
    return entries.float().index_select(0, labels.flatten().int()).view(labels.shape)


def _grain(shape: torch.Size, sigma: float, dice: _Dice) -> Tensor:
    """Noise of unit standard deviation, smoothed by a Gaussian."""
    # Along each of three axes, the sum of the kernel's squares is what is left of the variance.
    left = float((_kernel(sigma) ** 2).sum()) ** 3
    grain: Tensor = smoothed(dice.normal(*shape), sigma) / left**0.5
    return grain


def _field(shape: torch.Size, bends: int, dice: _Dice) -> Tensor:
    """A smooth field between −1 and 1 that reaches one of them: a few cosines along each axis, weaker by frequency."""
    order = torch.arange(bends + 1, device=dice.device, dtype=torch.float32)
    weights = dice.normal(bends + 1, bends + 1, bends + 1)
    weights = weights / (1 + order[:, None, None] + order[:, None] + order) ** 2
    for size in shape:
        place = (torch.arange(size, device=dice.device) + 0.5) * (torch.pi / size)
        # The first axis is used up and its voxels come last: three times round gives [k, j, i].
        weights = torch.tensordot(weights, torch.cos(order[:, None] * place), dims=([0], [0]))
    return weights / weights.abs().max()


def _recoloured(image: Tensor, plan: SynthesisPlan, dice: _Dice) -> Tensor:
    """Another window: values bent by a power between the image's darkest and brightest, then stretched."""
    low, high = image.min(), image.max()
    extent = (high - low).clamp_min(1e-6)
    power = float(np.exp(dice.between((-plan.gamma, plan.gamma))))
    bent = ((image - low) / extent).pow_(power) * extent + low
    return bent * dice.between(plan.contrast)


def _scanned(image: Tensor, plan: SynthesisPlan, dice: _Dice) -> Tensor:
    """Slices along a random axis, noise in them, and the way back to the image's grid."""
    size = list(image.shape)
    if dice.chance(plan.thick):
        axis = int(dice.between((0, 3)))
        size[axis] = max(1, round(size[axis] / dice.between(plan.thickness)))
    # A slice is the mean of what it covers; both ways keep the two ends of the image where they are.
    slices = F.interpolate(image[None, None], size=size, mode="area")[0, 0]
    sigma = dice.between(plan.clump) if dice.chance(plan.coarse) else 0.0
    slices = slices + _grain(slices.shape, sigma, dice) * dice.between(plan.noise)
    return F.interpolate(slices[None, None], size=list(image.shape), mode="trilinear")[0, 0]


def smoothed(image: Tensor, sigma: float) -> Tensor:
    """`image` `[k, j, i]` under a Gaussian of `sigma` voxels, its borders repeated outwards; itself where σ is tiny."""
    kernel = _kernel(sigma).to(image.device)
    reach = len(kernel) // 2
    if reach == 0:
        return image
    blurred = F.pad(image[None, None], (reach,) * 6, mode="replicate")
    for shape in ((1, 1, -1, 1, 1), (1, 1, 1, -1, 1), (1, 1, 1, 1, -1)):
        blurred = F.conv3d(blurred, kernel.view(shape))
    return blurred[0, 0]


def _kernel(sigma: float) -> Tensor:
    """A Gaussian of sum 1, out to 3 σ; one tap below a σ of 0.2 voxels, where it would change nothing."""
    reach = int(np.ceil(3 * sigma)) if sigma >= 0.2 else 0
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / max(sigma, 0.2)) ** 2)
    return weights / weights.sum()
