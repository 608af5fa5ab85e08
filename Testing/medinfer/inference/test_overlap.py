"""Another overlap of tiles: as many tiles as it should take, and the same findings."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medinfer.errors import PackageError
from medinfer.inference.network_run import plan_tiles
from medinfer.inference.overlap import with_overlap
from medinfer.inference.pipeline import open_package, run
from medinfer.library.package import ModelPackage, load_package

Make = Callable[..., Path]


def package_of(make: Make, **tiling: Any) -> ModelPackage:
    return load_package(make(lambda manifest: manifest.update(tiling=tiling)))


def least_tiles(length: int, patch: int, advance: int) -> int:
    """By counting: put patches down one after the other until the axis is covered."""
    count, reach = 1, patch
    while reach < length:
        count, reach = count + 1, reach + advance
    return count


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.6, 0.75])
def test_blended_tiles_overlap_by_the_share(blob_package: Make, share: float) -> None:
    package = with_overlap(package_of(blob_package, join="blend", patch=[20, 20, 20], overlap=0.5), share)
    plan = plan_tiles((100, 61, 20), package.manifest.leading)
    advance = round(20 * (1 - share))
    assert plan.counts == tuple(least_tiles(n, 20, advance) for n in (100, 61, 20))
    starts = [span.start for span in plan.axes[0]]
    assert all(after - before <= advance for before, after in pairwise(starts))


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.6, 0.9, 0.99])
def test_cropped_tiles_keep_a_core_and_their_patch(blob_package: Make, share: float) -> None:
    declared = {"join": "crop", "patch": [32, 48, 64], "margin": [4, 8, 8], "stride": 4, "multiple": 8}
    package = with_overlap(package_of(blob_package, **declared), share)
    tiling = package.manifest.leading.tiling
    assert tiling.join == "crop"
    assert tiling.patch == (32, 48, 64)
    for patch, margin, least in zip(tiling.patch, tiling.margin, (4, 8, 8), strict=True):
        # By trying every margin: the first that is wide enough, or the widest that leaves a core of 8.
        able = [size for size in range(least, patch, 4) if patch - 2 * size >= 8]
        assert margin == next((size for size in able if 2 * size >= share * patch - 1e-9), able[-1])
    plan = plan_tiles((200, 100, 90), package.manifest.leading)
    covered = np.zeros((200, 100, 90), int)
    for tile in plan.tiles:
        block = zip(tile.core_start, tile.core_shape, strict=True)
        covered[tuple(slice(begin, begin + size) for begin, size in block)] += 1
    assert (covered == 1).all()


def test_more_overlap_takes_as_many_more_tiles(blob_package: Make) -> None:
    package = package_of(blob_package, join="crop", patch=[16, 16, 16], margin=[2, 2, 2])
    assert len(plan_tiles((100, 100, 100), package.manifest.leading).tiles) == ceil((100 - 4) / 12) ** 3
    wider = with_overlap(package, 0.5)
    assert len(plan_tiles((100, 100, 100), wider.manifest.leading).tiles) == ceil((100 - 8) / 8) ** 3


@pytest.mark.parametrize(
    "tiling",
    [
        {"join": "crop", "patch": [16, 20, 24], "margin": [2, 2, 2]},
        {"join": "crop", "patch": [24, 24, 24], "margin": [2, 2, 2], "fit": True},
        {"join": "blend", "patch": [24, 24, 24], "overlap": 0.25},
    ],
)
def test_the_findings_stay_what_they_are(blob_package: Make, blob_scan: Any, tiling: dict[str, Any]) -> None:
    declared = package_of(blob_package, **tiling)
    found = []
    for package in (declared, with_overlap(declared, 0.6)):
        with open_package(package, backend="onnxruntime") as session:
            found.append(run(blob_scan[0], package, session))
    one, other = found
    assert other.run["tiles"] > one.run["tiles"]
    assert len(one.boxes) == len(other.boxes) == len(blob_scan[1])
    for a, b in zip(one.boxes, other.boxes, strict=True):
        np.testing.assert_allclose(a.center_ras, b.center_ras, atol=1e-6)


def test_every_pass_of_a_package_gets_it_and_patches_around_points_stay(
    dots_package: Make, peas_package: Make
) -> None:
    dots = with_overlap(load_package(dots_package()), 0.5).manifest
    coarse, fine = dots.passes
    assert (coarse.tiling.join, coarse.tiling.margin) == ("crop", (4, 4, 4))
    assert fine.tiling == load_package(dots_package()).manifest.leading.tiling
    peas = with_overlap(load_package(peas_package()), 0.5).manifest
    _, balls, naming, tube = peas.passes
    assert balls.tiling.margin == (5, 6, 6)
    assert tube.tiling.margin == (5, 6, 6)
    assert naming.tiling.join == "patches"


def test_padded_crops_and_slabs_stay(blob_package: Make) -> None:
    for tiling in (
        {"join": "crop", "patch": [16, 16, 16], "margin": [4, 4, 4], "border": "padded"},
        {"join": "slabs", "window": 3, "position": 1},
    ):
        package = package_of(blob_package, **tiling)
        assert with_overlap(package, 0.75).manifest == package.manifest


def test_nothing_asked_is_the_package_itself(blob_package: Make) -> None:
    package = load_package(blob_package())
    assert with_overlap(package, None) is package


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_out_of_range_is_refused(blob_package: Make, share: float) -> None:
    with pytest.raises(PackageError, match="overlap must be at least 0 and less than 1"):
        with_overlap(load_package(blob_package()), share)
