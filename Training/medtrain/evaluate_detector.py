"""Run a detector over prepared cases and measure it: sensitivity against false positives a scan, and the CPM.

`python -m medtrain.evaluate_detector --checkpoint FILE --cases FOLDER`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from medinfer.nms import nms_cubes

from .anchor_net import MULTIPLE, STRIDE, AnchorNet
from .anchor_targets import SISTER_TARGETS, decode
from .detection_data import FILL, Case, case_files, coordinate_grid, load_case
from .froc import froc, match_all
from .froc_report import sensitivity_text
from .luna16 import Candidate, Nodule, Scan

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
    """A case and what was found in it, as FROC wants them; 1 mm voxels stand for the world."""

    def nodules(cubes: Floats) -> tuple[Nodule, ...]:
        return tuple(Nodule((float(z), float(y), float(x)), float(d)) for z, y, x, d in cubes)

    found = tuple(Candidate((float(z), float(y), float(x)), float(logit)) for logit, z, y, x, _ in candidates)
    return Scan(case.name, nodules(case.nodules), found, nodules(case.ignored))


def validation_cpm(net: AnchorNet, cases: Sequence[Case], anchors: tuple[float, ...]) -> float:
    """The CPM of a network over cases."""
    return froc(match_all(as_scan(case, find(net, case, anchors)) for case in cases)).cpm


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    from .train_detector import averaged_network

    parser = argparse.ArgumentParser(prog="python -m medtrain.evaluate_detector", description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--cases", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    net = averaged_network(chosen.checkpoint)
    matches = []
    for path in case_files(chosen.cases):
        case = load_case(path)
        matches += match_all([as_scan(case, find(net, case))])
        best = zip(case.nodules[:, 3], matches[-1].nodule_scores, strict=True)
        nodules = ", ".join(f"Ø {diameter:.1f}: {logit:.2f}" for diameter, logit in best)
        print(f"{case.name}: {len(matches[-1].false_positive_scores)} false candidates; {nodules}", flush=True)
    curve = froc(matches)
    print(f"{len(matches)} scans\n{sensitivity_text(curve)}")


if __name__ == "__main__":
    main()
