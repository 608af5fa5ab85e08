"""A run without mirrored tiles: faster by as many times as there are ways to mirror, and a little less accurate."""

from __future__ import annotations

from dataclasses import replace

from ..library.package import ModelPackage


def with_mirroring(package: ModelPackage, wanted: bool) -> ModelPackage:
    """`package`, or with `wanted` False the same without mirrored tiles in any pass (nnU-Net's `--disable_tta`)."""
    if wanted or not mirrors(package):
        return package
    passes = tuple(
        one.model_copy(update={"network": one.network.model_copy(update={"mirror": ()})})
        for one in package.manifest.passes
    )
    return replace(package, manifest=package.manifest.model_copy(update={"passes": passes}))


def mirrors(package: ModelPackage) -> bool:
    """Whether a pass sees mirrored tiles."""
    return any(one.network.mirror for one in package.manifest.passes)
