"""Slices whose header has positions and no orientation: which way their rows and columns run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .dicom import Slice

Direction = tuple[float, float, float]

# By the axis that the positions follow: what such slices are called, and their usual rows and columns in RAS.
_USUAL: tuple[tuple[str, Direction, Direction], ...] = (
    ("sagittal", (0.0, -1.0, 0.0), (0.0, 0.0, -1.0)),
    ("coronal", (-1.0, 0.0, 0.0), (0.0, 0.0, -1.0)),
    ("axial", (-1.0, 0.0, 0.0), (0.0, -1.0, 0.0)),
)
_TOWARDS = ("left", "right")


def oriented(slices: Sequence[Slice]) -> list[Slice]:
    """The slices of one series, each with an orientation, and in `assumed` where it was taken from.

    From the other slices where some have one; else from the way the positions run: up the body they are axial, with
    rows to the left and columns to the back, or turned by half a turn where only that lays the image around the middle
    of the scanner (x = 0), as for a patient who lies on the stomach.
    """
    known = Counter((image.row, image.column) for image in slices if image.oriented)
    if sum(known.values()) == len(slices):
        return list(slices)
    if known:
        row, column = known.most_common(1)[0][0]
        how = "have no ImageOrientationPatient, for which that of the other slices was taken"
    else:
        row, column, name = _assumed(slices)
        how = f"have no ImageOrientationPatient and were taken as {name} by their positions"
    return [
        image if image.oriented
        else replace(image, row=row, column=column, oriented=True, assumed=(*image.assumed, how))
        for image in slices
    ]


def _assumed(slices: Sequence[Slice]) -> tuple[Direction, Direction, str]:
    reach = np.ptp([image.position for image in slices], axis=0)
    name, row, column = _USUAL[int(reach.argmax()) if reach.any() else 2]
    if name != "axial":
        return row, column, name
    first = slices[0]
    half = first.spacing[0] * (first.columns - 1) / 2
    to_left, to_right = abs(first.position[0] - half), abs(first.position[0] + half)
    turned = to_right < 0.5 * to_left
    if turned:
        row, column = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)
    return row, column, f"axial with rows to the {_TOWARDS[turned]}"
