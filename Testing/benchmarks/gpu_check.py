"""The bundled models on a graphics card: the same findings as on the processor, and how fast.

    python Testing/benchmarks/gpu_check.py [--device cuda] [--scans 3]        (or: make gpu-check)

Each bundled model runs on its sample scan, on the processor in float32 and on the device in each precision that it
has. Printed: the largest distance between findings that belong together, the share of labels that differ, scans a
minute, and the share of the time in which the network ran. Then a U-Net of nnU-Net's usual size with 5 and 33
classes, 128³ tiles: seconds of a tile in torch, as MONAI and nnU-Net run it.
Where the device is not there, one sentence says so and the exit code is 2. Results of a device in float32 must lie
within 0.1 mm and 0.1 % of the labels; else the exit code is 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from medinfer.backends import Available, available
from medinfer.findings import Findings
from medinfer.inference.package_session import open_package
from medinfer.inference.pipeline import run
from medinfer.library.library import find_package
from medinfer.scans.reading import read_volume
from medinfer.volume import Volume
from medslicer.sample_scans import SAMPLE_SCANS

MODELS = {"chest-nodules": "MedDetect", "vertebrae": "MedLandmark", "teeth": "MedToothSeg"}
MOST_MM, MOST_SHARE = 0.1, 0.001
CLASSES = (5, 33)


@dataclass(frozen=True)
class Measured:
    findings: Findings
    seconds: float
    network_seconds: float


def measured(model: str, volume: Volume, place: Available, precision: str, times: int) -> Measured:
    """The mean of `times` runs after a first one that counts nothing."""
    package = find_package(model)
    with open_package(package, backend=place.backend, device=place.device, precision=precision) as session:
        run(volume, package, session)
        begin = time.perf_counter()
        for _ in range(times):
            findings = run(volume, package, session)
        seconds = (time.perf_counter() - begin) / times
    network = sum(value for stage, value in findings.run["seconds"].items() if stage.endswith("network"))
    return Measured(findings, seconds, network)


def places_of(findings: Findings) -> Iterator[tuple[str, np.ndarray]]:
    for box in findings.boxes:
        yield "box", np.array(box.center_ras)
    for landmark in findings.landmarks:
        if landmark.position_ras is not None:
            yield landmark.label, np.array(landmark.position_ras)
    for segment in findings.segments:
        yield segment.label, np.array(segment.center_ras)


def furthest(one: Findings, other: Findings) -> float:
    """Of findings with one label, mm; infinite where they are not as many."""
    mine, theirs = list(places_of(one)), list(places_of(other))
    if sorted(label for label, _ in mine) != sorted(label for label, _ in theirs):
        return float("inf")
    distances = [
        min(float(np.linalg.norm(place - there)) for name, there in theirs if name == label) for label, place in mine
    ]
    return max(distances, default=0.0)


def unlike(one: Findings, other: Findings, volume: Volume) -> float:
    """The share of voxels of any label whose label differs."""
    if one.label_map is None or other.label_map is None:
        return 0.0 if one.label_map is other.label_map else 1.0
    mine, theirs = (entry.label_map.whole(volume).voxels for entry in (one, other))
    return float(np.sum(mine != theirs) / max(1, np.sum((mine > 0) | (theirs > 0))))


def check_models(place: Available, times: int) -> bool:
    held = True
    processor = Available("onnxruntime", "cpu", ("float32",), "")
    for model, module in MODELS.items():
        volume = read_volume(SAMPLE_SCANS[module].file)
        expected = measured(model, volume, processor, "float32", 1)
        for precision in place.precisions:
            if precision == "int8":
                continue
            found = measured(model, volume, place, precision, times)
            distance = furthest(found.findings, expected.findings)
            share = unlike(found.findings, expected.findings, volume)
            print(
                f"{model:14} {place.backend} {place.device} {precision:9} {distance:8.3f} mm  {share:.3%} labels  "
                f"{60 / found.seconds:6.1f} scans a minute (processor {60 / expected.seconds:.1f})  network "
                f"{found.network_seconds / found.seconds:.0%} of the time", flush=True,
            )
            held = held and (precision != "float32" or (distance <= MOST_MM and share <= MOST_SHARE))
    return held


def check_tiles(device: str, patch: int) -> None:
    """Seconds of a tile in torch, whose network MONAI's sliding window and nnU-Net's predictor call."""
    import torch
    from monai.networks.nets import DynUNet

    for classes in CLASSES:
        network = DynUNet(
            3, 1, classes, [3] * 6, [1, 2, 2, 2, 2, 2], [2] * 5, filters=[32, 64, 128, 256, 320, 320]
        ).eval().to(device)
        for kind in (torch.float32, torch.bfloat16):
            tile = torch.zeros(1, 1, patch, patch, patch, device=device)
            with torch.inference_mode(), torch.autocast(device.partition(":")[0], kind, enabled=kind != torch.float32):
                seconds = []
                for _ in range(3):
                    begin = time.perf_counter()
                    network(tile)
                    if device.startswith("cuda"):
                        torch.cuda.synchronize()
                    seconds.append(time.perf_counter() - begin)
            print(f"U-Net, {classes} classes, {patch}³, torch {kind}: {min(seconds):.3f} s a tile", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, …; cpu: to try this script")
    parser.add_argument("--scans", type=int, default=3, help="runs of each model that are timed")
    parser.add_argument("--patch", type=int, default=128, help="edge of the U-Net's tile")
    asked = parser.parse_args()
    places = [place for place in available() if place.usable and place.device == asked.device]
    if not places:
        print(f"There is no device {asked.device} that a runtime can use here: `medinfer devices` says why.")
        return 2
    held = [check_models(place, asked.scans) for place in places if place.backend != "torch"]
    check_tiles(asked.device, asked.patch)
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
