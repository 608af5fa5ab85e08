"""Coordinates out of heatmaps, differentiably (system L4, DSNT): the mean of each heatmap read as a probability.

Nibali, He, Morgan, Prendergast, "Numerical coordinate regression with convolutional neural networks", arXiv
1801.07372. The mean along x of a probability on a volume is that of its marginal on x, and so is the variance: two
sums over the volume give all three marginals, and the volumes x·p, (x − x̄)²·p … of the seed document 001 (`DSNT_f`)
are never made.

Coordinates are normalised, in the order x, y, z, as in the package dsntnn and the document. They come in two kinds:

- `"centres"` (dsntnn): −1 and 1 are the volume's faces, and the first of n voxels has its centre at −1 + 1/n.
- `"borders"` (the document's `linspace(-1, 1, n)`): −1 and 1 are the centres of the first and the last voxel.

`to_voxels` turns them into k, j, i.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from ..targets.gaussian_targets import gaussian_heatmaps

OUTPUTS = ("position", "variance", "heatmap")
"""The outputs of a network that ends in `DSNT`, exported."""

Convention = Literal["centres", "borders"]

TINY = 1e-24
"""Added before dividing and taking logarithms, as dsntnn does."""


class Moments(NamedTuple):
    """Mean and variance of each heatmap, `[B, C, 3]`: x, y, z in normalised coordinates, and their squares."""

    mean: Tensor
    variance: Tensor


def coordinates(length: int, convention: Convention = "centres", like: Tensor | None = None) -> Tensor:
    """The normalised coordinates of `length` voxels along an axis, in dtype and device of `like`."""
    dtype, device = (like.dtype, like.device) if like is not None else (torch.float32, None)
    steps = torch.arange(length, dtype=dtype, device=device)
    first, step = _first_and_step(length, convention)
    return steps * step + first


def _first_and_step(length: int, convention: Convention) -> tuple[float, float]:
    if convention == "centres":
        return -(length - 1.0) / length, 2.0 / length
    if convention == "borders":
        return -1.0, 2.0 / (length - 1 + (length == 1))  # a single voxel lies at −1, as in linspace
    raise ValueError(f"convention {convention!r} is neither 'centres' nor 'borders'")


def flat_softmax(logits: Tensor) -> Tensor:
    """Softmax over all voxels of each channel of `[B, C, ...]`."""
    return torch.softmax(logits.flatten(2), dim=-1).view_as(logits)


def moments(heatmaps: Tensor, convention: Convention = "centres") -> Moments:
    """Mean and variance of heatmaps `[B, C, k, j, i]`, each of which sums to 1."""
    columns = heatmaps.sum(dim=2)
    marginals = columns.sum(dim=2), columns.sum(dim=3), heatmaps.sum(dim=(3, 4))
    along = [_moments_along_axis(marginal, convention) for marginal in marginals]
    mean, variance = (torch.stack(values, dim=-1) for values in zip(*along, strict=True))
    return Moments(mean, variance)


def _moments_along_axis(marginal: Tensor, convention: Convention) -> tuple[Tensor, Tensor]:
    places = coordinates(marginal.shape[-1], convention, like=marginal)
    mean = (marginal * places).sum(dim=-1)
    return mean, (marginal * (places - mean[..., None]).square()).sum(dim=-1)


class DSNT(nn.Module):
    """The last layer of a network that regresses coordinates: from logits to positions, variances and heatmaps."""

    def __init__(self, convention: Convention = "centres") -> None:
        super().__init__()
        self.convention = convention

    def forward(self, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`[B, C, k, j, i]` to mean `[B, C, 3]`, variance `[B, C, 3]` and heatmaps `[B, C, k, j, i]` of sum 1."""
        heatmaps = flat_softmax(logits)
        return *moments(heatmaps, self.convention), heatmaps


def to_voxels(points: Tensor, shape: Sequence[int], convention: Convention = "centres") -> Tensor:
    """Normalised x, y, z `[..., 3]` as k, j, i in voxels, centres on integers, of a volume of `shape` k, j, i."""
    first, step = _scale(points, shape, convention)
    return (points.flip(-1) - first) / step


def from_voxels(points: Tensor, shape: Sequence[int], convention: Convention = "centres") -> Tensor:
    """The inverse of `to_voxels`."""
    first, step = _scale(points, shape, convention)
    return (points * step + first).flip(-1)


def deviation_in_voxels(variance: Tensor, shape: Sequence[int], convention: Convention = "centres") -> Tensor:
    """Variances of normalised x, y, z `[..., 3]` as standard deviations along k, j, i in voxels."""
    return variance.flip(-1).sqrt() / _scale(variance, shape, convention)[1]


def _scale(like: Tensor, shape: Sequence[int], convention: Convention) -> tuple[Tensor, Tensor]:
    first, step = zip(*(_first_and_step(length, convention) for length in shape), strict=True)
    return like.new_tensor(first), like.new_tensor(step)


def gaussians(points: Tensor, shape: Sequence[int], sigma: float, convention: Convention = "centres") -> Tensor:
    """Gaussians of sum 1, `[B, C, k, j, i]`, around normalised x, y, z `[B, C, 3]`; sigma in voxels."""
    drawn = gaussian_heatmaps(to_voxels(points, shape, convention), shape, sigma, dtype=points.dtype)
    return drawn / (drawn.sum(dim=(2, 3, 4), keepdim=True) + TINY)


def euclidean_losses(found: Tensor, truth: Tensor) -> Tensor:
    """Distances `[B, C]` of points `[B, C, 3]`, in normalised coordinates."""
    distances: Tensor = torch.linalg.vector_norm(found - truth, dim=-1)
    return distances


def jensen_shannon_losses(
    heatmaps: Tensor, truth: Tensor, sigma: float, convention: Convention = "centres"
) -> Tensor:
    """Jensen–Shannon divergences `[B, C]` of heatmaps `[B, C, k, j, i]` from Gaussians around `truth` `[B, C, 3]`."""
    target = gaussians(truth, heatmaps.shape[2:], sigma, convention)
    middle = ((heatmaps + target) / 2 + TINY).log()
    terms = heatmaps * ((heatmaps + TINY).log() - middle) + target * ((target + TINY).log() - middle)
    return terms.sum(dim=(2, 3, 4)) / 2


def average_loss(losses: Tensor, known: Tensor | None = None) -> Tensor:
    """The mean of losses `[B, C]` over the landmarks whose truth is known `[B, C]`; 0 where there is none."""
    if known is None:
        return losses.mean()
    return torch.where(known.bool(), losses, 0).sum() / known.sum().clamp(min=1)
