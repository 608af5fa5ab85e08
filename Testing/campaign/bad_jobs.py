"""Jobs for the worker that Slicer starts: a file that says what to run, and voxels that are handed over beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .kinds import REFUSED, Kind, Place, grid, small_scan

JOB = "job of the worker"


def job(change: Callable[[dict[str, Any]], object], spoil: Callable[[Path], object] = lambda voxels: None) -> Any:
    """A job whose fields `change` alters; `spoil` alters the file of its voxels."""

    def make(place: Place) -> list[object]:
        voxels, path = place.folder / "chest.npy", place.folder / "job.json"
        np.save(voxels, small_scan().voxels)
        spoil(voxels)
        fields: dict[str, Any] = {
            "scan": str(voxels), "model": str(place.model), "result": str(place.out / "findings.json"),
            "name": "CHEST 1", "ijk_to_ras": grid().ijk_to_ras.tolist(), "backend": "onnxruntime",
        }
        change(fields)
        path.write_text(json.dumps(fields))
        return [JOB, path]

    return make


def setting(**fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda job: job.update(fields)


KINDS = (
    Kind("a region outside the scan", job(setting(focus=[[900, 0, 0], [901, 1, 1]])), REFUSED,
         says=(r"^The region of interest lies outside CHEST 1; move it into the scan",)),
    Kind("a job with an unknown field", job(setting(thresold=0.5)), REFUSED,
         says=(r"job\.json: the field thresold is unknown; see medinfer\.command\.worker",)),
    Kind("handed-over voxels that are cut short", job(
        lambda fields: None, lambda voxels: voxels.write_bytes(voxels.read_bytes()[:900])), REFUSED,
        says=(r"^The voxels of CHEST 1 arrived incomplete \(.*\); run it again",)),
    Kind("handed-over voxels on a grid without depth", job(setting(ijk_to_ras=np.diag([2, 2, 0, 1]).tolist())), REFUSED,
         says=(r"^CHEST 1 gives a voxel spacing of 0 mm along k; correct the spacing",)),
)
