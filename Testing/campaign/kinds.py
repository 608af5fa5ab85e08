"""What a kind of bad input is, and the small scan that every kind is made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from medinfer.scans.writing import write_volume
from medinfer.volume import Floats, Grid, Volume

OK, SCAN_FAILED, REFUSED = 0, 1, 2

SPACING = 2.0
SHAPE = (20, 22, 24)
AIR, BALL = -1000, 0
# (k, j, i) of the middle and the diameter in mm of each ball.
BALLS = (((6.0, 8.0, 8.0), 12.0), ((14.0, 14.0, 16.0), 14.0))
FIRST, SECOND = 0, 1
BOTH, NONE = (FIRST, SECOND), ()
# A note says why they lie elsewhere.
ELSEWHERE = None


@dataclass(frozen=True)
class Place:
    """Where a kind is tried. folder: its own, and empty; out: where results go; model: a sound package of blobs."""

    folder: Path
    out: Path
    model: Path


@dataclass(frozen=True)
class Kind:
    """A kind of bad input, and what is expected of it.

    make: makes the input in the place's folder and returns the words of the command.
    code: the exit code. says: for each error that is told a regular expression of its sentence; notes: the same for
    each note, of the results and of the run. No other error and no other note may be told.
    found: the folder of each result, and which of the balls are found in it (ELSEWHERE: anywhere). inside: names in the
    output folder that were there before, or that are no results.
    """

    name: str
    make: Callable[[Place], Sequence[object]]
    code: int = SCAN_FAILED
    says: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    found: Mapping[str, Sequence[int] | None] = field(default_factory=dict)
    inside: tuple[str, ...] = ()


def grid() -> Grid:
    """Axial slices, rows to the left and columns to the back, from feet to head."""
    matrix = np.diag([-SPACING, -SPACING, SPACING, 1.0])
    matrix[:3, 3] = 30.0, 40.0, -20.0
    return Grid(SHAPE, matrix)


def small_scan() -> Volume:
    """Two bright balls in air, with the noise that every scanner has."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij"), axis=-1)
    voxels = np.random.default_rng(1).normal(AIR, 8, SHAPE).astype(np.int16)
    for middle, diameter in BALLS:
        voxels[np.linalg.norm((index - middle) * SPACING, axis=-1) <= diameter / 2] += BALL - AIR
    return Volume(voxels, grid(), "chest")


def middles() -> list[Floats]:
    """The middle of each ball, RAS mm."""
    return [grid().to_ras(middle) for middle, _ in BALLS]


def saved(folder: Path, name: str = "chest.nii.gz", volume: Volume | None = None) -> Path:
    """The small scan, or another, as a file of that name."""
    path = folder / name
    write_volume(volume or small_scan(), path)
    return path


def detect(place: Place, *words: object) -> list[object]:
    """The command that looks for blobs, on the runtime that starts soonest; `words`: its scans and further options."""
    quick = ("--backend", "onnxruntime")
    return ["detect", "-o", place.out, "--model", place.model, "--no-scene", *quick, *words]


def of_scan(make: Callable[[Path], Path]) -> Callable[[Place], list[object]]:
    """A kind's `make` from one that makes a scan in a folder."""
    return lambda place: detect(place, make(place.folder))
