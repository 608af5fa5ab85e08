"""`make demo`: MedDetect on a generated chest CT, MedLandmark on a spine CT, MedToothSeg on a dental CBCT.

Beside each the truth is printed. The phantoms are drawn from fixed seeds that no training saw; results and pictures go
to demo/.
Another scan can be shown instead: `make demo SCAN=scan.nii.gz` runs all three on it.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np

from medinfer.command.cli import main
from medinfer.findings import Findings

SEED = 9001
FOLDER = Path("demo")
CHEST, SPINE, JAWS = FOLDER / "phantom.nii.gz", FOLDER / "spine.nii.gz", FOLDER / "jaws.nii.gz"


def draw_chest() -> list[tuple[np.ndarray, float, str]]:
    """Write demo/phantom.nii.gz; returns the nodules drawn into it: centre (RAS mm), diameter (mm), kind."""
    from medinfer.scans.writing import write_volume
    from medtrain.phantoms.chest import make_chest

    begin = time.perf_counter()
    phantom = make_chest(SEED)
    write_volume(phantom.volume, CHEST)
    print(f"generated a chest CT with {len(phantom.nodules)} nodules in {time.perf_counter() - begin:.1f} s")
    return [(np.array(n.center_ras), n.diameter_mm, f"{n.kind}, {n.place}") for n in phantom.nodules]


def draw_spine() -> dict[str, np.ndarray]:
    """Write demo/spine.nii.gz; returns the centroids (RAS mm) of the vertebrae that are wholly in view."""
    from medinfer.scans.writing import write_volume
    from medtrain.phantoms.spine import ScanSpec, draw_patient, scan_patient

    begin = time.perf_counter()
    scan = scan_patient(draw_patient(SEED), SEED, ScanSpec(view="trunk", spacing_mm=2.0, contrast=False))
    write_volume(scan.volume, SPINE)
    print(f"generated a CT of the trunk with {len(scan.truth)} vertebrae in {time.perf_counter() - begin:.1f} s")
    return {name: np.array(place) for name, place in scan.truth.items()}


def draw_jaws() -> tuple[np.ndarray, tuple[int, ...]]:
    """Write demo/jaws.nii.gz; returns the teeth drawn into it, by FDI number [k, j, i], and those wholly in view."""
    from medinfer.scans.writing import write_volume
    from medtrain.phantoms.jaw import CbctSpec, JawSpec, draw_jaws, scan_jaws

    begin = time.perf_counter()
    jaws = draw_jaws(SEED, JawSpec(dentition="gaps", implants=1, restored=0.2), spacing=0.4)
    scan = scan_jaws(jaws, SEED, CbctSpec(field="both jaws", eight_bit=False))
    write_volume(scan.volume, JAWS)
    print(f"generated a dental CBCT with {len(scan.whole)} teeth in {time.perf_counter() - begin:.1f} s")
    return scan.teeth, scan.whole


def findings_of(scan: Path) -> Findings:
    folder = FOLDER / scan.name.removesuffix(".nii.gz")
    return Findings.from_json((folder / "findings.json").read_text(encoding="utf-8"))


def compare_nodules(truth: list[tuple[np.ndarray, float, str]]) -> None:
    """Print for each nodule that was drawn whether a box hit it (its centre within the radius, LUNA16's rule)."""
    findings = findings_of(CHEST)
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


def compare_vertebrae(truth: dict[str, np.ndarray]) -> None:
    """Print how far each vertebra's centroid was found from where it was drawn."""
    found = {landmark.label: landmark.position_ras for landmark in findings_of(SPINE).landmarks}
    errors = {
        name: float(np.linalg.norm(np.subtract(found[name], place)))
        for name, place in truth.items() if found[name] is not None
    }
    print("what was drawn, and how far from it it was found:")
    words = [f"{name} {errors[name]:.1f} mm" if name in errors else f"{name} missed" for name in truth]
    for start in range(0, len(words), 8):
        print("  " + ", ".join(words[start : start + 8]))
    if errors:
        print(f"  mean error {np.mean(list(errors.values())):.2f} mm")
    extra = [name for name, place in found.items() if place is not None and name not in truth]
    print("  found besides, cut off or out of view: " + (", ".join(extra) if extra else "none"))


def compare_teeth(teeth: np.ndarray, whole: tuple[int, ...]) -> None:
    """Print how much of each tooth was found under its number (Dice), and all other findings."""
    from medinfer.scans.reading import read_volume

    found = read_volume(FOLDER / "jaws" / "teeth.nii.gz").voxels
    both = np.bincount(teeth[teeth == found], minlength=256)
    sizes = np.bincount(teeth.ravel(), minlength=256) + np.bincount(found.ravel(), minlength=256)
    dice = {number: 2 * both[number] / sizes[number] for number in whole}
    print("what was drawn, and how much of it was found under its number (Dice):")
    words = [f"{number} {share:.2f}" if share else f"{number} missed" for number, share in dice.items()]
    for start in range(0, len(words), 8):
        print("  " + ", ".join(words[start : start + 8]))
    print(f"  mean {np.mean(list(dice.values())):.3f}")
    names = [segment.label for segment in findings_of(JAWS).segments]
    extra = [name for name in names if not (name.isdecimal() and int(name) in whole)]
    print("  found besides: " + (", ".join(extra) if extra else "none"))


def show_own(scan: str) -> int:
    """All tasks on the user's scan; those that its anatomy doesn't suit say so."""
    tasks = ("detect", "landmark", "teeth")
    codes = [main([task, scan, "-o", str(FOLDER / task), "--overwrite"]) for task in tasks]
    return min(codes)


def show_phantoms() -> int:
    nodules = draw_chest()
    if code := main(["detect", str(CHEST), "-o", str(FOLDER), "--overwrite"]):
        return code
    compare_nodules(nodules)
    vertebrae = draw_spine()
    if code := main(["landmark", str(SPINE), "-o", str(FOLDER), "--overwrite"]):
        return code
    compare_vertebrae(vertebrae)
    teeth, whole = draw_jaws()
    if code := main(["teeth", str(JAWS), "-o", str(FOLDER), "--overwrite"]):
        return code
    compare_teeth(teeth, whole)
    return 0


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    own = os.environ.get("SCAN")
    sys.exit(show_own(own) if own else show_phantoms())
