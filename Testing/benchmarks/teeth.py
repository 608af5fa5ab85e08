"""The whole teeth run by stage, beside the same networks through MONAI's sliding window and scipy: seconds and memory.

    python Testing/benchmarks/teeth.py                       a phantom's scan, and it at 600×600×450 voxels of 0.3 mm
    python Testing/benchmarks/teeth.py SCAN                  a scan of your own
    python Testing/benchmarks/teeth.py --only large          one of the two phantom scans (ordinary, large)
    python Testing/benchmarks/teeth.py --package FOLDER      another package than the bundled `teeth`

The peer (`teeth_peer`) runs the package's own ONNX files in ONNX Runtime. MedInfer runs twice: in the runtime and
precision that it chooses by itself, and in ONNX Runtime in float32, as the peer does.

Each run is a process of its own with `--threads` threads; its peak memory is the operating system's figure, with the
libraries and the scan in it. Reading the scan and opening the networks stand apart. Where the truth is known (a
phantom), the last line says how many of its teeth were found (centroids within 4 mm), and how many of these have the
right number.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage

from medinfer.library.library import find_package
from medinfer.library.package import ModelPackage, load_package
from medinfer.volume import Grid, Volume

METHODS = {
    "medinfer": "MedInfer", "medinfer-onnx": "MedInfer, ONNX Runtime float32", "peer": "MONAI + scipy, ONNX Runtime",
}
LARGE, LARGE_MM = (450, 600, 600), 0.3
NEAR_MM = 4.0


# MedInfer.


def run_medinfer(scan: Volume, package: ModelPackage, threads: int, onnx: bool) -> dict[str, Any]:
    from medinfer.inference.pipeline import open_package, run

    begin = time.perf_counter()
    how = {"backend": "onnxruntime", "precision": "float32"} if onnx else {}
    with open_package(package, device="cpu", threads=threads, **how) as session:
        opened = time.perf_counter() - begin
        findings = run(scan, package, session)
    canal = package.manifest.pass_named("canal").labels or ()
    return {
        "seconds": findings.run["seconds"], "opened": opened,
        "how": f"{findings.run['runtime']} in {findings.run['precision']}",
        "teeth": [
            {"name": segment.label, "ras": list(segment.center_ras), "volume": segment.volume_mm3}
            for segment in findings.segments if segment.label not in canal
        ],
    }


# Each in its own process, on one scan.


def measure(method: str, scan_path: Path, package_path: Path, threads: int) -> dict[str, Any]:
    """In this process."""
    from medinfer.orientation import reorient
    from medinfer.scans.reading import read_volume

    begin = time.perf_counter()
    scan, package = read_volume(scan_path), load_package(package_path)
    reading = time.perf_counter() - begin
    begin = time.perf_counter()
    if method == "peer":
        from teeth_peer import run_peer

        # The peer sees the scan as the package wants it; MedInfer turns it by itself.
        found = run_peer(reorient(scan, package.manifest.leading.prepare.orientation), package, threads)
    else:
        found = run_medinfer(scan, package, threads, onnx=method == "medinfer-onnx")
    whole = time.perf_counter() - begin - found["opened"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {**found, "reading": reading, "whole": whole, "peak": peak}


def in_own_process(method: str, scan: Path, package: Path, threads: int) -> dict[str, Any] | str:
    """What `measure` gives, or why it failed."""
    command = [sys.executable, __file__, str(scan), "--one", method, "--package", str(package)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(
        [*command, "--threads", str(threads)], capture_output=True, text=True, check=False, env=environment,
    )
    if done.returncode:
        return f"failed: {(done.stderr.strip().splitlines() or [f'exit code {done.returncode}'])[-1]}"
    return dict(json.loads(done.stdout.splitlines()[-1]))


def show(results: dict[str, dict[str, Any] | str], truth: dict[str, list[float]]) -> None:
    measured = {method: found for method, found in results.items() if not isinstance(found, str)}
    for method, found in results.items():
        if isinstance(found, str):
            print(f"  {METHODS[method]}: {found}")
    stages = list(dict.fromkeys(stage for found in measured.values() for stage in found["seconds"]))
    passes = ["centroids", "instances", "votes", "naming", "canal"]
    stages.sort(key=lambda stage: passes.index(stage.split()[0]) if stage.split()[0] in passes else len(passes))
    print(" " * 20 + "".join(f"{METHODS[method]:>34}" for method in measured))
    rows = [(stage, [found["seconds"].get(stage) for found in measured.values()]) for stage in stages]
    rows += [(name, [found[key] for found in measured.values()]) for name, key in (
        ("all but the next", "whole"), ("opening networks", "opened"), ("reading the scan", "reading"))]
    for name, values in rows:
        cells = "".join(f"{'–' if value is None else f'{value:.2f} s':>34}" for value in values)
        print(f"  {name:18}{cells}")
    print(f"  {'peak memory':18}" + "".join(f"{found['peak'] / 2**30:>30.2f} GiB" for found in measured.values()))
    print(f"  {'runtime':18}" + "".join(f"{found.get('how', 'onnxruntime'):>34}" for found in measured.values()))
    print(f"  {'teeth':18}" + "".join(f"{agreement(found['teeth'], truth):>34}" for found in measured.values()))
    sys.stdout.flush()


def agreement(teeth: Sequence[dict[str, Any]], truth: dict[str, list[float]]) -> str:
    """"30, found 29 of 30, 28 right"."""
    if not truth:
        return str(len(teeth))
    found = right = 0
    for name, place in truth.items():
        apart = [float(np.linalg.norm(np.subtract(tooth["ras"], place))) for tooth in teeth]
        if apart and min(apart) <= NEAR_MM:
            found += 1
            right += teeth[int(np.argmin(apart))]["name"] == name
    return f"{len(teeth)}, found {found} of {len(truth)}, {right} right"


def phantom(seed: int, spacing: float) -> tuple[Volume, dict[str, list[float]]]:
    """A scan of both jaws, and the centroids (RAS mm) of the teeth that are wholly in it."""
    from medtrain.phantoms.jaw import CbctSpec, JawSpec, draw_jaws, scan_jaws

    scan = scan_jaws(draw_jaws(seed, JawSpec(dentition="full"), spacing), seed, CbctSpec(field="both jaws"))
    centers = scipy.ndimage.center_of_mass(scan.teeth > 0, scan.teeth, scan.whole)
    places = scan.volume.grid.to_ras(np.array(centers).reshape(-1, 3))
    return scan.volume, {str(name): place.tolist() for name, place in zip(scan.whole, places, strict=True)}


def enlarged(scan: Volume) -> Volume:
    """The scan at 600×600×450 voxels of 0.3 mm, its border repeated around it."""
    step = LARGE_MM / np.array(scan.spacing)
    middle = (np.array(scan.shape) - 1) / 2
    start = middle - (np.array(LARGE) - 1) / 2 * step
    voxels = scipy.ndimage.affine_transform(
        scan.voxels, step, start, output_shape=LARGE, order=1, mode="nearest", output=np.int16
    )
    turn = np.eye(4)
    turn[:3, :3] = np.diag(step[::-1])
    turn[:3, 3] = start[::-1]
    return Volume(voxels, Grid(LARGE, scan.grid.ijk_to_ras @ turn), f"{scan.name}, enlarged", scan.modality)


def write(scan: Volume, path: Path) -> Path:
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(scan.voxels)
    to_lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ scan.grid.ijk_to_ras
    spacing = np.linalg.norm(to_lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((to_lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(to_lps[:3, 3].tolist())
    sitk.WriteImage(image, str(path))
    return path


def scans(chosen: Path | None, only: str | None, seed: int, folder: Path) -> Iterator[tuple[str, Path, dict[str, Any]]]:
    """What to run on: a title, the file, and the truth where it is known."""
    if chosen is not None:
        yield chosen.name, chosen, {}
        return
    scan, truth = phantom(seed, 0.4)
    if only != "large":
        k, j, i = scan.shape
        yield f"{scan.name}, {i}×{j}×{k} at 0.4 mm", write(scan, folder / "ordinary.nii"), truth
    if only != "ordinary":
        path = write(enlarged(scan), folder / "large.nii")
        yield f"{scan.name}, 600×600×450 at {LARGE_MM} mm", path, truth


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scan", nargs="?", type=Path)
    parser.add_argument("--package", type=Path, help="a package's folder instead of the library's `teeth`")
    parser.add_argument("--only", choices=("ordinary", "large"), help="one of the two phantom scans")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seed", type=int, default=1, help="of the phantom")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", choices=METHODS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    package = options.package or find_package("teeth").folder
    if options.one:
        print(json.dumps(measure(options.one, options.scan, package, options.threads)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        for title, path, truth in scans(options.scan, options.only, options.seed, Path(folder)):
            print(f"\n{title}, {options.threads} threads")
            results = {method: in_own_process(method, path, package, options.threads) for method in options.methods}
            show(results, truth)
    return 0


if __name__ == "__main__":
    sys.exit(main())
