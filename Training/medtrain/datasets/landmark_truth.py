"""The true landmarks of a scan, from a label map or a file of points; RAS mm.

- `NAME_seg.nii.gz`: centres of mass of its labels; a label that touches the map's outer faces is cut, not true.
- `NAME.mrk.json`: control points of Slicer's markups.
- `NAME.csv`: columns label, r_mm, a_mm, s_mm (as MedInfer writes them) or label, x_lps_mm, y_lps_mm, z_lps_mm.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from medinfer.errors import ScanError
from medinfer.findings import Vector

from .label_centroids import label_centroids
from .spine_cases import LABEL_FILES, read_labels

TRUTH_FILES = (".mrk.json", ".csv", *LABEL_FILES)
"""What follows NAME in the name of a scan's truth."""

_RAS = ("r_mm", "a_mm", "s_mm")
_LPS = ("x_lps_mm", "y_lps_mm", "z_lps_mm")


@dataclass(frozen=True)
class LandmarkTruth:
    """points: the landmarks in view, by label. cut: those partly in view, which are not evaluated."""

    points: Mapping[str, Vector]
    cut: Mapping[str, Vector] = field(default_factory=dict)


def read_truth(path: Path, names: Mapping[int, str]) -> LandmarkTruth:
    """The truth in one of the files above. names: what a label map's values mean. Raises ScanError."""
    if path.name.endswith(LABEL_FILES):
        return _of_labels(path, names)
    try:
        text = path.read_text(encoding="utf-8")
        points = _of_markups(json.loads(text)) if path.name.endswith(".mrk.json") else _of_table(text)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ScanError(f"{path} contains no readable landmarks ({type(error).__name__}: {error}).") from error
    return LandmarkTruth(points)


def _of_labels(path: Path, names: Mapping[int, str]) -> LandmarkTruth:
    volume = read_labels(path)
    points: dict[str, Vector] = {}
    cut: dict[str, Vector] = {}
    for value, found in label_centroids(np.asarray(volume.voxels)).items():
        if value in names:
            (cut if found.at_border else points)[names[value]] = _vector(volume.grid.to_ras(found.centroid))
    if not points and not cut:
        raise ScanError(f"{path} contains none of the given label names; check --label-names.")
    return LandmarkTruth(points, cut)


def _of_markups(data: Any) -> dict[str, Vector]:
    points: dict[str, Vector] = {}
    for markup in data["markups"]:
        # Slicer writes "LPS" or "RAS"; versions before 4.13 the numbers of its enumeration (0 RAS, 1 LPS).
        flip = -1 if str(markup.get("coordinateSystem", "LPS")) in ("LPS", "1") else 1
        for point in markup["controlPoints"]:
            if point.get("positionStatus", "defined") == "defined":
                x, y, z = point["position"]
                points[str(point["label"])] = _vector((flip * x, flip * y, z))
    return points


def _of_table(text: str) -> dict[str, Vector]:
    rows = list(csv.DictReader(text.splitlines()))
    columns, flip = (_LPS, -1) if rows and _LPS[0] in rows[0] else (_RAS, 1)
    points: dict[str, Vector] = {}
    for row in rows:
        if any(row[column] for column in columns):
            x, y, z = (float(row[column]) for column in columns)
            points[row["label"]] = (flip * x, flip * y, z)
    return points


def _vector(values: Sequence[float] | Any) -> Vector:
    x, y, z = (float(value) for value in values)
    return x, y, z
