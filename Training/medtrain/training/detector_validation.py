"""Validation of a detector on prepared cases during training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from medinfer.decoders.nms import nms_cubes
from medinfer.scoring.froc import froc, match_all
from medinfer.scoring.luna16 import Candidate, Nodule, Scan

from ..datasets.detection_data import FILL, Case, coordinate_grid
from ..networks.anchor_net import MULTIPLE, STRIDE, AnchorNet
from ..targets.anchor_targets import SISTER_TARGETS, decode

MERGE_IOU = 0.05
"""Of two cubes that overlap so much the better stays (grt123's, and the bundled package's)."""

Floats = NDArray[np.float64]


def answer(net: AnchorNet, image: NDArray[np.uint8], slab: int = 96, margin: int = 32) -> NDArray[np.float32]:
    """The network's answers `[z/4, y/4, x/4, anchors, 5]` for a whole luminance image, slab by slab along z.

    Each slab of `slab` planes is seen with `margin` planes on both sides, of which the answers are dropped.
    """
    shape = [-(-n // MULTIPLE) * MULTIPLE for n in image.shape]
    padded = np.full(shape, FILL, np.uint8)
    padded[: image.shape[0], : image.shape[1], : image.shape[2]] = image
    coordinates = coordinate_grid(shape, STRIDE)
    parts = []
    for start in range(0, shape[0], slab):
        low, high = max(start - margin, 0), min(start + slab + margin, shape[0])
        voxels = (torch.from_numpy(padded[None, None, low:high].astype(np.float32)) - 128) / 128
        cells = torch.from_numpy(coordinates[None, :, low // STRIDE : high // STRIDE])
        with torch.inference_mode():
            out = net(voxels.to(memory_format=torch.channels_last_3d), cells)[0].numpy()
        first = (start - low) // STRIDE
        parts.append(out[first : first + min(slab, shape[0] - start) // STRIDE])
    return np.concatenate(parts)


def find(
    net: AnchorNet,
    case: Case,
    anchors: tuple[float, ...] = SISTER_TARGETS.anchors,
    threshold: float = -4.0,
    most: int = 400,
) -> Floats:
    """Candidates `[n, 5]` of a case, highest first, at most `most` before suppression."""
    candidates = decode(answer(net, case.image), anchors, STRIDE, threshold)[:most]
    return candidates[nms_cubes(candidates, MERGE_IOU)]


def as_scan(case: Case, candidates: Floats) -> Scan:
    """A case and its candidates in the form that FROC needs; voxels of 1 mm serve as world coordinates."""

    def nodules(cubes: Floats) -> tuple[Nodule, ...]:
        return tuple(Nodule((float(z), float(y), float(x)), float(d)) for z, y, x, d in cubes)

    found = tuple(Candidate((float(z), float(y), float(x)), float(logit)) for logit, z, y, x, _ in candidates)
    return Scan(case.name, nodules(case.nodules), found, nodules(case.ignored))


def validation_cpm(net: AnchorNet, cases: Sequence[Case], anchors: tuple[float, ...]) -> float:
    """The CPM of a network over cases."""
    return froc(match_all(as_scan(case, find(net, case, anchors)) for case in cases)).cpm
