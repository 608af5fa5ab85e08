"""The same labels as nnU-Net's own predictor, and how long each takes.

    python Testing/benchmarks/nnunet.py FOLDER [CASE …] [--precision float32]

FOLDER is what `nnunet_peer.py` has filled: each result folder is added as `medinfer add` does, run on the scans that it
was not trained on, and compared label by label.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from agreement import dice

from medinfer.command.image_sets import read_further
from medinfer.importers.nnunet import import_nnunet
from medinfer.inference.mirroring import with_mirroring
from medinfer.inference.pipeline import open_package, run
from medinfer.library.package import ModelPackage, load_package
from medinfer.preparation.images import with_further
from medinfer.scans.reading import read_volume


def labels_by(package: ModelPackage, scan: Path, precision: str) -> tuple[np.ndarray, float]:
    """The label map on the scan's grid, and the seconds it took."""
    images = package.manifest.images
    volume = with_further(read_volume(scan), images, read_further(scan, images, {}))
    begin = time.perf_counter()
    with open_package(package, precision=precision) as session:
        findings = run(volume, package, session)
    seconds = time.perf_counter() - begin
    if findings.label_map is None:
        return np.zeros(volume.shape, np.uint8), seconds
    return findings.label_map.whole(volume).voxels, seconds


def compare(folder: Path, name: str, precision: str) -> float:
    """The lowest Dice of any label."""
    lowest = 1.0
    with tempfile.TemporaryDirectory() as place:
        package = load_package(import_nnunet(folder / "models" / name, Path(place) / "package"))
        for mirrored in (False, True):
            one = with_mirroring(package, mirrored)
            home = folder / "home" / (f"{name}-mirrored" if mirrored else name)
            for scan in sorted((folder / "scans" / name).glob("*_0000.nii.gz")):
                theirs = read_volume(home / scan.name.replace("_0000", "")).voxels
                ours, seconds = labels_by(one, scan, precision)
                values = [label.value for label in package.manifest.labels]
                scores = [dice(ours == value, theirs == value) for value in values]
                lowest = min(lowest, *scores)
                print(f"{name:9} {'mirrored' if mirrored else 'plain':8} {scan.name[:6]}  Dice "
                      f"{'  '.join(f'{value:.5f}' for value in scores)}  voxels that differ {np.sum(ours != theirs)} "
                      f"of {int((theirs > 0).sum())}  {seconds:.1f} s", flush=True)
    return lowest


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("cases", nargs="*")
    parser.add_argument("--precision", default="float32")
    asked = parser.parse_args()
    cases = asked.cases or sorted(path.name for path in (asked.folder / "models").iterdir())
    lowest = min(compare(asked.folder, name, asked.precision) for name in cases)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"lowest Dice {lowest:.5f}; peak memory {peak:.2f} GiB")
    return 0 if lowest >= 0.999 else 1


if __name__ == "__main__":
    sys.exit(main())
