"""Skip connections for images of any size: the up-sampled tensor is cropped to the size of the skip it joins.

With poolings that round up, an odd side of n voxels goes down to (n + 1) / 2 and comes back as n + 1: one voxel too
many at the far end. Where every side can be halved evenly the cut takes nothing away and the numbers are those of a
network without it. In an ONNX graph it is a `Slice` whose ends are read from the skip, so the axes stay free.
"""

from __future__ import annotations

from torch import Tensor


def crop_to(x: Tensor, like: Tensor) -> Tensor:
    """The near corner of `x` `[B, C, k, j, i]`, as large as `like` along k, j, i; `x` must not be smaller."""
    k, j, i = like.shape[2:]
    return x[:, :, :k, :j, :i]
