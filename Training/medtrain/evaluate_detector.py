"""Run a detector over prepared cases and measure it: sensitivity against false positives a scan, and the CPM.

`python -m medtrain.evaluate_detector --checkpoint FILE --cases FOLDER`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from .anchor_net import MULTIPLE, STRIDE, AnchorNet
from .anchor_targets import SISTER_TARGETS, decode
from .detection_data import FILL, Case, case_files, coordinate_grid, load_case

CPM_RATES = (1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0, 8.0)
"""False positives a scan at which LUNA16 takes the sensitivity; their mean is the CPM."""

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


def suppress(candidates: Floats, iou: float = 0.1) -> Floats:
    """Non-maximum suppression of `[logit, z, y, x, d]` cubes, highest first (plain O(n²))."""
    kept: list[int] = []
    half = candidates[:, 4:] / 2
    low, high = candidates[:, 1:4] - half, candidates[:, 1:4] + half
    volume = candidates[:, 4] ** 3
    for index in range(len(candidates)):
        overlap = np.minimum(high[kept], high[index]) - np.maximum(low[kept], low[index])
        shared = np.prod(np.clip(overlap, 0, None), axis=1)
        if not (shared / (volume[kept] + volume[index] - shared) >= iou).any():
            kept.append(index)
    return candidates[kept]


def find(
    net: AnchorNet,
    case: Case,
    anchors: tuple[float, ...] = SISTER_TARGETS.anchors,
    threshold: float = -4.0,
    most: int = 400,
) -> Floats:
    """Candidates `[n, 5]` of a case, highest first, at most `most` before suppression."""
    return suppress(decode(answer(net, case.image), anchors, STRIDE, threshold)[:most])


@dataclass(frozen=True, eq=False)
class Scored:
    """A case's candidates beside its truth: each nodule's best score (−∞ where missed), each false positive's."""

    nodules: Floats
    false_positives: Floats


def score(case: Case, candidates: Floats) -> Scored:
    """A candidate hits a nodule where its centre lies within the nodule's radius (LUNA16). Further hits don't count.

    Candidates whose centre lies in an ignored cube's sphere count neither way.
    """
    best = np.full(len(case.nodules), -np.inf)
    wrong = []
    for row in candidates:
        hit = np.linalg.norm(case.nodules[:, :3] - row[1:4], axis=1) <= case.nodules[:, 3] / 2
        best[hit] = np.maximum(best[hit], row[0])
        ignored = np.linalg.norm(case.ignored[:, :3] - row[1:4], axis=1) <= case.ignored[:, 3] / 2
        if not hit.any() and not ignored.any():
            wrong.append(row[0])
    return Scored(best, np.array(wrong))


def sensitivities(scored: Iterable[Scored], rates: Sequence[float] = CPM_RATES) -> Floats:
    """Sensitivity at each number of false positives a scan."""
    cases = list(scored)
    nodules = np.concatenate([case.nodules for case in cases])
    wrong = np.sort(np.concatenate([case.false_positives for case in cases]))[::-1]
    found = []
    for rate in rates:
        allowed = int(np.floor(rate * len(cases) + 1e-9))
        threshold = wrong[allowed] if allowed < len(wrong) else -np.inf
        found.append(float((nodules > threshold).mean()))
    return np.array(found)


def validation_cpm(net: AnchorNet, cases: Sequence[Case]) -> float:
    """The CPM of a network over cases."""
    return float(sensitivities(score(case, find(net, case)) for case in cases).mean())


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    from .train_detector import averaged_network

    parser = argparse.ArgumentParser(prog="python -m medtrain.evaluate_detector", description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--cases", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    net = averaged_network(chosen.checkpoint)
    results: list[Scored] = []
    count = 0
    for path in case_files(chosen.cases):
        case = load_case(path)
        results.append(score(case, find(net, case)))
        count += len(case.nodules)
        best = zip(case.nodules[:, 3], results[-1].nodules, strict=True)
        nodules = ", ".join(f"Ø {diameter:.1f}: {logit:.2f}" for diameter, logit in best)
        print(f"{case.name}: {len(results[-1].false_positives)} false candidates; {nodules}", flush=True)
    found = sensitivities(results)
    for rate, value in zip(CPM_RATES, found, strict=True):
        print(f"{rate:6.3f} false positives a scan: sensitivity {value:.3f}")
    print(f"CPM {found.mean():.4f} on {len(results)} scans, {count} nodules")


if __name__ == "__main__":
    main()
