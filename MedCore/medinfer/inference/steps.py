"""The steps of a run, known in advance for a progress bar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..manifest import Manifest, Pass

# How long the steps take beside each other, roughly. Only their order and the pace of tiles are certain.
_PREPARE, _NETWORK, _FINDINGS, _NAMES, _BORDERS, _MEASURES = 3.0, 15.0, 0.2, 0.2, 1.0, 0.3
# The least share of the finest pass's work: patches around a few points, or an overview at low resolution.
_LEAST = 0.2


@dataclass(frozen=True)
class Step:
    """name: as `progress` calls it ("teeth network"). weight: how long it takes beside the others, roughly."""

    name: str
    weight: float


def steps_of(manifest: Manifest) -> list[Step]:
    """The steps of a run with a model, in their order; a pass with nothing to look at leaves its own out."""
    steps = []
    several = len(manifest.passes) > 1
    finest = min(_voxel_mm3(one) for one in manifest.passes)
    for one in manifest.passes:
        share = _LEAST if one.tiling.join == "patches" else max(_LEAST, min(1.0, finest / _voxel_mm3(one)))
        last = Step("names", _NAMES) if one.finds is None else Step("findings", _FINDINGS)
        before = f"{one.name} " if several else ""
        steps += [
            Step(f"{before}{step.name}", step.weight * share)
            for step in (Step("prepare", _PREPARE), Step("network", _NETWORK), last)
        ]
    drawn = [entry.of for entry in manifest.result if entry.kind == "objects"]
    steps += [Step(f"{name} borders" if several else "borders", _BORDERS) for name in drawn]
    measured = drawn or any(entry.measure for entry in manifest.result)
    return [*steps, *([Step("measures", _MEASURES)] if measured else [])]


def _voxel_mm3(one: Pass) -> float:
    """Of the network's grid; 1 mm³ where that is the scan's own."""
    return float(np.prod(one.prepare.spacing_on((1.0, 1.0, 1.0))))
