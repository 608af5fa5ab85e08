"""Joining tiles beside MONAI and TorchIO: seconds beyond the network, and peak added memory.

    python Testing/benchmarks/joining.py            512×512×300, 5 and 33 classes (some 12 GiB free memory)
    python Testing/benchmarks/joining.py --quick    a small volume, to see that it runs

Wall-clock seconds mean what they say on a quiet machine only: where other work runs, torch's threads wait
for each other. The seconds of processor time beside them say how much of it was work; `--threads 1`
makes them alike for all.

Every method runs in a process of its own on the same volume with the same patches. The network is a
1×1×1 convolution (each class an affine map of the voxel) into one reused buffer, and its time is
taken off. MedInfer's figures include the label map; for the peers, whose users must still take the
arg-max, its seconds stand in a column of their own and are not counted against them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

PEERS = ("monai", "torchio-crop", "torchio-hann")
METHODS = ("crop", "blend", *PEERS)
TITLES = {
    "crop": "MedInfer crop, labels included", "blend": "MedInfer blend, labels included",
    "monai": "MONAI sliding window, Gaussian", "torchio-crop": "TorchIO, crop", "torchio-hann": "TorchIO, hann",
}
GIB = 2**30
WIDTHS = (20, 12, 15, 15, 15)


@dataclass(frozen=True)
class Case:
    """A volume `shape` (k, j, i), a network of `classes`, and how it is tiled."""

    shape: tuple[int, int, int]
    classes: int
    patch: int
    overlap: float

    @property
    def output_bytes(self) -> int:
        return 4 * self.classes * int(np.prod(self.shape))


def cases(quick: bool) -> list[Case]:
    if quick:
        return [Case((60, 96, 96), 5, 32, 0.5), Case((60, 96, 96), 33, 32, 0.25)]
    shape = (300, 512, 512)
    return [Case(shape, 5, 96, 0.5), Case(shape, 5, 128, 0.25), Case(shape, 33, 128, 0.25)]


class Network:
    """Class c of a voxel x is slope[c] · x + offset[c]. Counts its own seconds."""

    def __init__(self, case: Case) -> None:
        random = np.random.default_rng(1)
        self.slope, self.offset = (random.normal(size=(case.classes, 1, 1, 1)).astype(np.float32) for _ in range(2))
        self.seconds = self.processor = 0.0
        self._out: Any = np.zeros((case.classes, *(case.patch,) * 3), dtype=np.float32)

    def __call__(self, patch: np.ndarray) -> np.ndarray:
        begin, work = time.perf_counter(), time.process_time()
        np.multiply(self.slope, patch, out=self._out)
        self._out += self.offset
        self._count(begin, work)
        return self._out

    def _count(self, begin: float, work: float) -> None:
        self.seconds += time.perf_counter() - begin
        self.processor += time.process_time() - work

    def on_tensor(self, patch: Any) -> Any:
        """The same on a torch tensor `[k, j, i]`."""
        import torch

        begin, work = time.perf_counter(), time.process_time()
        out = torch.from_numpy(self._out)
        torch.mul(torch.from_numpy(self.slope), patch, out=out)
        out += torch.from_numpy(self.offset)
        self._count(begin, work)
        return out


def run_medinfer(join: str, case: Case, volume: np.ndarray, network: Network) -> np.ndarray:
    from medinfer.tiles.highest import labels_of
    from medinfer.tiles.joining import open_joiner
    from medinfer.tiles.tiling import cut_tile, plan_blend, plan_crop

    if join == "crop":
        margin = int(case.patch * case.overlap) // 2
        plan = plan_crop(case.shape, patch=case.patch, margin=margin, fit=False)
    else:
        plan = plan_blend(case.shape, patch=case.patch, overlap=case.overlap)
    joiner, labels = open_joiner(plan), np.zeros(case.shape, dtype=np.uint8)
    buffer = np.empty(plan.patch, dtype=np.float32)
    for tile in plan.tiles:
        for part in joiner.add(tile, network(cut_tile(volume, tile, out=buffer))):
            k, j, i = (slice(a, a + n) for a, n in zip(part.start, part.values.shape[1:], strict=True))
            labels[k, j, i] = labels_of(part.values)
    return labels


def run_monai(case: Case, volume: np.ndarray, network: Network) -> Any:
    import torch
    from monai.inferers import sliding_window_inference

    with torch.inference_mode():
        return sliding_window_inference(
            torch.from_numpy(volume)[None, None], (case.patch,) * 3, 1,
            lambda patch: network.on_tensor(patch[0, 0])[None], overlap=case.overlap, mode="gaussian",
        )[0]


def run_torchio(mode: str, case: Case, volume: np.ndarray, network: Network) -> Any:
    import torch
    import torchio

    subject = torchio.Subject(image=torchio.ScalarImage(tensor=torch.from_numpy(volume)[None]))
    sampler = torchio.GridSampler(subject, case.patch, int(case.patch * case.overlap))
    aggregator = torchio.GridAggregator(sampler, overlap_mode=mode)
    with torch.inference_mode():
        for patch in sampler:
            result = network.on_tensor(patch["image"].data[0])
            aggregator.add_batch(result[None], torch.as_tensor(patch[torchio.LOCATION])[None])
        return aggregator.get_output_tensor()


def joined(method: str, case: Case, volume: np.ndarray, network: Network) -> Any:
    if method == "monai":
        return run_monai(case, volume, network)
    if method.startswith("torchio-"):
        return run_torchio(method.removeprefix("torchio-"), case, volume, network)
    return run_medinfer(method, case, volume, network)


def status_bytes(field: str) -> int:
    """This process's memory by its name in /proc: VmRSS (now) or VmHWM (the most)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":"))


def measure(method: str, case: Case) -> dict[str, float]:
    """One method on one case, in this process: seconds beyond the network, added memory, wrong labels."""
    small = Case((40, 40, 40), 2, 32, 0.5)
    joined(method, small, np.zeros(small.shape, dtype=np.float32), Network(small))  # imports and first calls
    volume = np.random.default_rng(0).normal(size=case.shape).astype(np.float32)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before, begin, work = status_bytes("VmRSS"), time.perf_counter(), time.process_time()
    network = Network(case)
    result = joined(method, case, volume, network)
    seconds, processor = time.perf_counter() - begin - network.seconds, time.process_time() - work - network.processor
    added = status_bytes("VmHWM") - before
    begin = time.perf_counter()
    if method in PEERS:
        result = arg_max(result)
    then = time.perf_counter() - begin
    slices = range(0, case.shape[0], 16)
    truth = ((network.slope[:, 0] * volume[k] + network.offset[:, 0]).argmax(axis=0) for k in slices)
    wrong = float(np.mean([np.mean(result[k] != expected) for k, expected in zip(slices, truth, strict=True)]))
    return {"seconds": seconds, "processor": processor, "argmax": then, "added": added, "wrong": wrong}


def arg_max(result: Any) -> np.ndarray:
    """The label map as a peer's user makes it."""
    import torch

    labels: np.ndarray = torch.argmax(result, dim=0).to(torch.uint8).numpy()
    return labels


def in_own_process(method: str, case: Case) -> dict[str, float] | str:
    """What `measure` gives, or why it was not run."""
    need = 1.5 * GIB + {"monai": 1.1, "torchio-crop": 1.1, "torchio-hann": 2.2}.get(method, 0.3) * case.output_bytes
    free = next(int(x.split()[1]) * 1024 for x in Path("/proc/meminfo").read_text().splitlines() if "MemAvailable" in x)
    if need > free:
        return f"not run: needs about {need / GIB:.0f} GiB, {free / GIB:.0f} GiB are free"
    command = [sys.executable, __file__, "--one", method, json.dumps(asdict(case))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"failed: {(done.stderr.strip().splitlines() or [f'exit code {done.returncode}'])[-1]}"
    return dict(json.loads(done.stdout.splitlines()[-1]))


def show(case: Case, results: dict[str, dict[str, float] | str]) -> None:
    k, j, i = case.shape
    print(f"\n{i}×{j}×{k}, {case.classes} classes, {case.patch}³, overlap {case.overlap}")
    heads = ("beyond the network", "processor", "added memory", "then arg-max", "labels wrong")
    print(" " * 34 + "".join(f"{head:>{width}}" for head, width in zip(heads, WIDTHS, strict=True)))
    for method, found in results.items():
        if isinstance(found, str):
            print(f"  {TITLES[method]:32}  {found}")
            continue
        cells = (
            f"{found['seconds']:.2f} s", f"{found['processor']:.2f} s", f"{found['added'] / 2**20:.0f} MiB",
            f"{found['argmax']:.2f} s" if method in PEERS else "–", f"{found['wrong']:.0e}",
        )
        line = "".join(f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS, strict=True))
        print(f"  {TITLES[method]:32}{line}", flush=True)


def marks(case: Case, results: dict[str, dict[str, float] | str]) -> list[bool]:
    """Print whether crop is no slower than the fastest peer, and within a tenth of MONAI's memory (33 classes)."""
    measured = {method: found for method, found in results.items() if not isinstance(found, str)}
    peers = {method: found["seconds"] for method, found in measured.items() if method in PEERS}
    if "crop" not in measured or not peers:
        print("  no peer was measured")
        return [False]
    own, fastest = measured["crop"], min(peers, key=lambda method: peers[method])
    held = [own["seconds"] <= peers[fastest]]
    work = own["processor"] / measured[fastest]["processor"]
    print(
        f"  crop takes {own['seconds'] / peers[fastest]:.2f} of the time of the fastest peer ({TITLES[fastest]}), and "
        f"{work:.2f} of its processor time{'' if held[0] else ': TOO SLOW'}"
    )
    if "monai" in measured:
        part = own["added"] / measured["monai"]["added"]
        held.append(part <= 0.1 or case.classes < 33)
        print(f"  crop takes {part:.3f} of MONAI's memory{'' if held[1] else ': TOO MUCH'}")
    return held


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small volume; the marks are shown but not judged")
    parser.add_argument("--one", nargs=2, metavar=("METHOD", "CASE"), help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="for torch; MedInfer joins in one")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    if options.one:
        print(json.dumps(measure(options.one[0], Case(**json.loads(options.one[1])))))
        return 0
    held = []
    for case in cases(options.quick):
        results = {method: in_own_process(method, case) for method in METHODS}
        show(case, results)
        held += marks(case, results)
    return 0 if options.quick or all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
