"""Run a detector over prepared cases and measure it: sensitivity against false positives a scan, and the CPM.

`python -m medtrain evaluate-detector --checkpoint FILE --cases FOLDER`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from medinfer.scoring.froc import froc, match_all
from medinfer.scoring.words import sensitivity_text

from ..datasets.detection_data import case_files, load_case
from ..training.detector_validation import as_scan, find
from ..training.train_detector import averaged_network


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m medtrain evaluate-detector", description=__doc__)
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
