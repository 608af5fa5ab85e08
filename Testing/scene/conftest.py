"""Scenes, grids of every kind and a run's findings for the tests of the Slicer side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medinfer.findings import Findings, Landmark, box_from_index
from medinfer.manifest import Code, Label, Terminology
from medinfer.volume import Grid, Volume
from medslicer.headless import HeadlessSlicer

pytest.importorskip("slicer", reason="slicer-core is not installed")

LOW, HIGH = (3, 5, 7), (8, 9, 17)


@pytest.fixture
def headless() -> Iterator[HeadlessSlicer]:
    with HeadlessSlicer() as opened:
        yield opened


@pytest.fixture
def scene(headless: HeadlessSlicer) -> Any:
    return headless.scene


def rotation(seed: int, *, right_handed: bool) -> NDArray[np.float64]:
    """A random rotation, mirrored where it is not to be right-handed."""
    axes, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    if (np.linalg.det(axes) > 0) != right_handed:
        axes[:, 0] *= -1
    return axes


def make_grid(axes: NDArray[np.float64], spacing_ijk: tuple[float, float, float]) -> Grid:
    matrix = np.eye(4)
    matrix[:3, :3] = axes * np.array(spacing_ijk)
    matrix[:3, 3] = 31.25, -212.5, 77.125
    return Grid((12, 16, 20), matrix)


GRIDS = {
    "as DICOM has it": make_grid(np.diag([-1.0, -1.0, 1.0]), (0.7, 0.7, 2.5)),
    "left-handed": make_grid(np.diag([-1.0, -1.0, -1.0]), (0.7, 0.8, 2.5)),
    "oblique": make_grid(rotation(1, right_handed=True), (0.7, 0.7, 2.5)),
    "oblique, anisotropic, left-handed": make_grid(rotation(2, right_handed=False), (0.6, 0.9, 3.1)),
}


@pytest.fixture(params=GRIDS.values(), ids=GRIDS.keys())
def grid(request: pytest.FixtureRequest) -> Grid:
    return request.param


@pytest.fixture
def volume() -> Volume:
    """Noise on the most awkward grid."""
    grid = GRIDS["oblique, anisotropic, left-handed"]
    noise = np.random.default_rng(0).integers(-1000, 400, grid.shape).astype(np.int16)
    return Volume(noise, grid, name="CHEST 1", modality="CT")


@pytest.fixture
def findings(volume: Volume) -> Findings:
    return Findings(
        boxes=(
            box_from_index(volume.grid, LOW, HIGH, label="nodule", score=0.9123456789, diameter_mm=7.125, side="left"),
            box_from_index(volume.grid, (1, 1, 1), (4, 6, 5), label="nodule", score=0.5, side="right"),
            box_from_index(volume.grid, (9, 10, 11), (10, 11, 12), label="nodule", score=1 / 3),
        ),
        scan="CHEST 1",
        model="tiny 1.0.0",
    )


@pytest.fixture
def label() -> Label:
    return Label(
        value=1,
        name="nodule",
        color=(0.2, 0.8, 0.4),
        terminology=Terminology(
            category=Code(scheme="SCT", value="49755003", meaning="Morphologically Altered Structure"),
            type=Code(scheme="SCT", value="27925004", meaning="Nodule"),
            region=Code(scheme="SCT", value="39607008", meaning="Lung"),
        ),
    )


@pytest.fixture
def landmarks(volume: Volume) -> tuple[Landmark, ...]:
    """T12 … L5 along the scan's k axis: one is missing in the middle and one at the end, one has two flags."""
    places = {"T12": (1, 8, 9), "L1": (3.25, 8.5, 9), "L2": None, "L3": (7, 9.125, 8.75), "L4": (9.5, 9, 8), "L5": None}
    flags = {"L3": ("above L1", "too near L4")}
    return tuple(
        Landmark(
            label, None if place is None else vector(volume.grid.to_ras(place)), confidence=0.9 / number,
            flags=flags.get(label, ()),
        )
        for number, (label, place) in enumerate(places.items(), start=1)
    )


def vector(values: NDArray[np.float64]) -> tuple[float, float, float]:
    r, a, s = (float(value) for value in values)
    return r, a, s
