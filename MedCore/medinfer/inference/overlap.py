"""A tile overlap other than the package's: more overlap is slower, but more reliable where tiles meet."""

from __future__ import annotations

import math
from dataclasses import replace

from ..errors import PackageError
from ..library.package import ModelPackage
from ..manifest import Pass
from ..manifest.tilings import BlendTiling, CropTiling


def with_overlap(package: ModelPackage, share: float | None) -> ModelPackage:
    """`package` with tiles that overlap the next one by `share` (0 … < 1) of a patch; None: as declared.

    Blended tiles overlap by `share`. Cropped tiles get a margin of half of it on both sides, rounded up to whole
    output voxels: no less than declared, which the network needs, and no more than leaves a core. Patches keep their
    size, which the network was trained on. Padded crops (their network may return the core alone), slabs, and patches
    around points stay as they are. Raises PackageError for a share out of range.
    """
    if share is None:
        return package
    if not 0 <= share < 1:
        raise PackageError(f"A tile overlap must be at least 0 and less than 1, not {share}.")
    passes = tuple(_overlapping(one, share) for one in package.manifest.passes)
    return replace(package, manifest=package.manifest.model_copy(update={"passes": passes}))


def _overlapping(one: Pass, share: float) -> Pass:
    tiling = one.tiling
    if tiling.join == "blend":
        return one.model_copy(update={"tiling": BlendTiling(**{**tiling.model_dump(), "overlap": share})})
    if tiling.join == "crop" and tiling.border == "inside":
        margin = [_margin(tiling, axis, share) for axis in range(3)]
        return one.model_copy(update={"tiling": CropTiling(**{**tiling.model_dump(), "margin": margin})})
    return one


def _margin(tiling: CropTiling, axis: int, share: float) -> int:
    """The voxels to drop on both sides of an axis."""
    patch, stride = tiling.patch[axis], tiling.stride
    # 0.6 · 80 / 2 is 24.000…3: rounded first, or the margin would be a voxel wider.
    wanted = math.ceil(round(share * patch / 2 / stride, 6)) * stride
    # Tiles start on multiples of this: a core must be at least so wide.
    step = math.lcm(stride, tiling.multiple)
    most = (patch - step) // 2 // stride * stride
    return max(tiling.margin[axis], min(wanted, most))
