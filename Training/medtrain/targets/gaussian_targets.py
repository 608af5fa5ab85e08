"""Gaussian heatmaps around landmarks: the targets of a heatmap network.

    heatmap[n, k, j, i] = exp(−|(k, j, i) − point n|² / (2 σ²))        (Payer et al., MedIA 54 (2019) 207)

A Gaussian is the product of one along each axis, so a volume of them is an outer product of three short
vectors: one multiplication a voxel and no exponential.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def gaussian_heatmaps(
    points: Tensor, shape: Sequence[int], sigma: float | Tensor, *, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Heatmaps `[..., k, j, i]` of height 1 around `points` `[..., 3]`, on their device.

    points: k, j, i in voxels, fractional, centres on integers; NaN for an absent one, whose heatmap is 0.
    shape: voxels along k, j, i. sigma: voxels, one for all or one per landmark (broadcast to `points.shape[:-1]`).

    A landmark on a voxel's centre has exactly 1 there; one outside the volume leaves its tail inside. In `dtype`
    bfloat16 the exponentials are still taken in float32. Differentiable in sigma, which a network may learn
    (Payer et al.), and in the points. Raises ValueError for points or a shape that are not 3-D.
    """
    if points.shape[-1:] != (3,) or len(shape) != 3:
        raise ValueError(f"points must be [..., 3] and the shape three numbers, not {list(points.shape)} and {shape}")
    points = points if points.dtype == torch.float64 else points.float()
    absent = points.isnan().any(dim=-1, keepdim=True)
    # The absent ones are moved before exp and zeroed after it: their gradient is 0, not NaN.
    points = points.masked_fill(absent, 0)
    width = torch.as_tensor(sigma, dtype=points.dtype, device=points.device).expand(points.shape[:-1])
    along_k, along_j, along_i = (
        _profile(points[..., axis], width, int(size)) for axis, size in enumerate(shape)
    )
    along_k = along_k.masked_fill(absent, 0)
    plane = along_j.to(dtype)[..., :, None] * along_i.to(dtype)[..., None, :]
    return along_k.to(dtype)[..., :, None, None] * plane[..., None, :, :]


def _profile(place: Tensor, width: Tensor, size: int) -> Tensor:
    """exp(−(x − place)² / (2 width²)) at x = 0 … size − 1, `[..., size]`."""
    steps = torch.arange(size, dtype=place.dtype, device=place.device)
    return torch.exp(-0.5 * ((steps - place[..., None]) / width[..., None]) ** 2)
