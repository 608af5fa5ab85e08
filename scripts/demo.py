"""`make demo`: MedDetect on a generated chest CT, beside the truth that is known of it.

The phantom is drawn from a fixed seed that no training saw; results and pictures go to demo/.
Another scan can be shown instead: `make demo SCAN=chest.nii.gz`.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np

from medinfer.cli import main
from medinfer.findings import Findings

SEED = 9001
FOLDER = Path("demo")


def draw_phantom() -> list[tuple[np.ndarray, float, str]]:
    """Write demo/phantom.nii.gz; returns the nodules drawn into it: centre (RAS mm), diameter (mm), kind."""
    from medinfer.writing import write_volume
    from medtrain.chest_phantom import make_chest

    begin = time.perf_counter()
    phantom = make_chest(SEED)
    write_volume(phantom.volume, FOLDER / "phantom.nii.gz")
    print(f"generated a chest CT with {len(phantom.nodules)} nodules in {time.perf_counter() - begin:.1f} s")
    return [(np.array(n.center_ras), n.diameter_mm, f"{n.kind}, {n.place}") for n in phantom.nodules]


def compare(truth: list[tuple[np.ndarray, float, str]]) -> None:
    """Print for each nodule that was drawn whether a box hit it (its centre within the radius, LUNA16's rule)."""
    findings = Findings.from_json((FOLDER / "phantom" / "findings.json").read_text(encoding="utf-8"))
    print("what was drawn, and what was found:")
    hit = set()
    for center, diameter, kind in truth:
        near = [
            (rank, box) for rank, box in enumerate(findings.boxes, start=1)
            if np.linalg.norm(np.array(box.center_ras) - center) <= diameter / 2
        ]
        hit |= {rank for rank, _ in near}
        found = f"found, rank {near[0][0]}, score {near[0][1].score:.2f}" if near else "missed"
        print(f"  {diameter:5.1f} mm {kind:<28} {found}")
    print(f"  and {len(findings.boxes) - len(hit)} boxes where nothing was drawn")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    scan = os.environ.get("SCAN")
    drawn = [] if scan else draw_phantom()
    code = main(["detect", scan or str(FOLDER / "phantom.nii.gz"), "-o", str(FOLDER), "--overwrite"])
    if drawn and code == 0:
        compare(drawn)
    sys.exit(code)
