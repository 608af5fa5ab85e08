"""The bundled models on a graphics card: the same findings as on the processor, and how fast.

    python Testing/benchmarks/gpu_check.py [--device cuda] [--scans 3]        (or: make gpu-check)

Each bundled model runs on its sample scan, on the processor in float32 and on the device with each runtime in each
precision that it has. Printed: the largest distance between findings that belong together, the share of labels that
differ, scans a minute, and the share of the time in which the card computes (on the processor: the network). Then the
same for a U-Net of nnU-Net's usual size, beside MONAI's sliding window and nnU-Net's predictor: see `gpu_peers`.
Where the device is not there, one sentence says so and the exit code is 2. Results of a device in float32 must lie
within 0.1 mm and 0.1 % of the labels, and the U-Net's must be MONAI's; else the exit code is 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import gpu_peers
import numpy as np
from gpu_time import timed

from medinfer.backends import Available, available
from medinfer.errors import DeviceError
from medinfer.findings import Findings
from medinfer.inference.package_session import open_package
from medinfer.inference.pipeline import run
from medinfer.library.library import find_package
from medinfer.scans.reading import read_volume
from medinfer.volume import Volume
from medslicer.sample_scans import SAMPLE_SCANS

MODELS = {"chest-nodules": "MedDetect", "vertebrae": "MedLandmark", "teeth": "MedToothSeg"}
MOST_MM, MOST_SHARE = 0.1, 0.001


@dataclass(frozen=True)
class Measured:
    """share: of the time in which the device computes."""

    findings: Findings
    seconds: float
    share: float


def measured(model: str, volume: Volume, place: Available, precision: str, device: str, times: int) -> Measured:
    """The mean of `times` runs after a first one that counts nothing. Raises DeviceError."""
    package = find_package(model)
    with open_package(package, backend=place.backend, device=device, precision=precision) as session:
        for one in session.passes.values():
            one.joins_on_device = True
        found = timed(lambda: run(volume, package, session), device, times)
    spent: dict[str, float] = found.result.run["seconds"]
    network = sum(value for stage, value in spent.items() if stage.endswith("network")) / sum(spent.values())
    return Measured(found.result, found.seconds, network if found.computing is None else found.computing)


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


def check_models(place: Available, device: str, times: int) -> bool:
    held = True
    processor = Available("onnxruntime", "cpu", ("float32",), "")
    for model, module in MODELS.items():
        volume = read_volume(SAMPLE_SCANS[module].file)
        expected = measured(model, volume, processor, "float32", "cpu", 1)
        for precision in place.precisions:
            if precision == "int8":
                continue
            try:
                found = measured(model, volume, place, precision, device, times)
            except DeviceError as error:
                print(f"{model:14} {place.backend:11} {device} {precision:9} {error}", flush=True)
                break
            distance = furthest(found.findings, expected.findings)
            share = unlike(found.findings, expected.findings, volume)
            print(
                f"{model:14} {place.backend:11} {device} {precision:9} {distance:8.3f} mm  {share:.3%} labels  "
                f"{60 / found.seconds:6.1f} scans a minute (processor {60 / expected.seconds:.1f})  computing "
                f"{found.share:.0%} of the time", flush=True,
            )
            for note in set(found.findings.notes) - set(expected.findings.notes):
                print(f"{'':14} {note}", flush=True)
            held = held and (precision != "float32" or (distance <= MOST_MM and share <= MOST_SHARE))
    return held


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, …; cpu: to try this script")
    parser.add_argument("--scans", type=int, default=3, help="runs of each model that are timed")
    parser.add_argument("--size", type=int, nargs=3, default=[300, 512, 512], help="voxels that the U-Net sees")
    parser.add_argument("--patch", type=int, default=128, help="edge of the U-Net's tile")
    parser.add_argument("--classes", type=int, nargs="+", default=[5, 33])
    parser.add_argument("--features", type=int, nargs="+", default=gpu_peers.FEATURES, help="of its stages")
    asked = parser.parse_args()
    places = [place for place in available() if place.usable and place.device == asked.device.partition(":")[0]]
    if not places:
        print(f"There is no device {asked.device} that a runtime can use here: `medinfer devices` says why.")
        return 2
    held = [check_models(place, asked.device, asked.scans) for place in places]
    if gpu_peers.precisions_on(asked.device):
        held += [
            gpu_peers.compare(asked.device, asked.size, asked.patch, classes, asked.features, asked.scans)
            for classes in asked.classes
        ]
    else:
        print(f"torch does not reach {asked.device}: the U-Net and its peers were left out")
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
