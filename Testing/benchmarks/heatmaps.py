"""The heatmap decoder beside the whole volume at once: seconds, peak added memory, and the error of the places.

    python Testing/benchmarks/heatmaps.py            26 landmarks on 600×512×512, peaks of a 300×512×512 heatmap
    python Testing/benchmarks/heatmaps.py --quick    small volumes, to see that it runs

Landmarks are Gaussians (sigma 3 voxels) at random places on noise of ±0.02 (a probability: of 10⁻¹² at most, all above
0, so that no voxel may be left out). The network's part is taken by one buffer that is drawn anew for each slab of 4
slices (or tile of 128³ with a core of 96³), and is neither timed nor counted.
Every method runs in a process of its own. The naive version holds all channels and takes `numpy.argmax`, or DSNT as
written in its paper (float32, whole-volume products); its memory at the full size is computed, not tried.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import scipy.ndimage

from medinfer.decoders.heatmap import HeatmapDecoding
from medinfer.manifest import Chain, HeatmapDecoder, Label

LANDMARKS, SIGMA = 26, 3.0
DECODERS = {
    "arg-max": HeatmapDecoder(kind="heatmap"),
    "arg-max, chain": HeatmapDecoder(kind="heatmap", chain=Chain(spacing_mm=(12, 45))),
    "expectation": HeatmapDecoder(kind="heatmap", position="expectation"),
    "expectation of softmax": HeatmapDecoder(
        kind="heatmap", position="expectation", activation="softmax", peak=1e-3
    ),
}


@dataclass(frozen=True)
class Case:
    """A volume `shape` (k, j, i) that comes in blocks of `block`, views of buffers larger by `margin` on each side."""

    shape: tuple[int, int, int]
    block: tuple[int, int, int]
    margin: int = 0
    channels_last: bool = False

    @property
    def centers(self) -> np.ndarray:
        """`[landmarks, 3]`: down the volume, a few voxels off a straight line."""
        random = np.random.default_rng(1)
        along = np.linspace(12, self.shape[0] - 13, LANDMARKS)
        j, i = (n / 2 + random.uniform(-5, 5, LANDMARKS) for n in self.shape[1:])
        return np.column_stack([along, j, i])

    @property
    def spacing(self) -> tuple[float, float, float]:
        return 25 * (LANDMARKS - 1) / (self.shape[0] - 25), 1.0, 1.0


def spot(center: np.ndarray, start: tuple[int, ...], shape: tuple[int, ...]) -> tuple[tuple[slice, ...], np.ndarray]:
    """What of a Gaussian at `center` lies in the block, and where in it."""
    axes, where = [], []
    for c, a, n in zip(center, start, shape, strict=True):
        low, high = (int(np.clip(x, a, a + n)) for x in (c - 5 * SIGMA, c + 5 * SIGMA))
        axes.append(np.exp(-0.5 * ((np.arange(low, high) - c) / SIGMA) ** 2))
        where.append(slice(low - a, high - a))
    return tuple(where), np.einsum("k,j,i->kji", *axes).astype(np.float32)


def noise(shape: tuple[int, ...], method: str = "arg-max") -> np.ndarray:
    values = np.random.default_rng(0).random(shape, dtype=np.float32)
    if method == "expectation":
        values *= 1e-12
    else:
        values -= 0.5
        values *= 0.04
    return values


def blocks(method: str, case: Case) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """The finished blocks in the tiling's order, all in one buffer."""
    # A softmax makes a spot of what is 30 above its surroundings; the others take heights for probabilities.
    height = 30.0 if "softmax" in method else 1.0
    sides = tuple(n + 2 * case.margin for n in case.block)
    buffer = noise((*sides, LANDMARKS) if case.channels_last else (LANDMARKS, *sides), method)
    if case.channels_last:
        buffer = np.moveaxis(buffer, -1, 0)
    core = tuple(slice(case.margin, case.margin + n) for n in case.block)
    view = buffer[(slice(None), *core)]
    for start in product(*(range(0, n, b) for n, b in zip(case.shape, case.block, strict=True))):
        inside = tuple(min(b, n - a) for a, b, n in zip(start, case.block, case.shape, strict=True))
        part = view[(slice(None), *(slice(n) for n in inside))]
        drawn = []
        for channel, center in zip(part, case.centers, strict=True):
            where, gaussian = spot(center, start, inside)
            drawn.append((channel[where], channel[where].copy()))
            channel[where] += height * gaussian
        yield start, part
        for here, before in drawn:
            here[...] = before


def memory(field: str) -> int:
    """This process's memory by its name in /proc: VmRSS (now) or VmHWM (the most), bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":"))


@dataclass(frozen=True)
class Measured:
    """seconds of the decoder alone; added bytes at the peak; the largest error of a place in voxels."""

    seconds: float
    added: int
    error: float

    def __str__(self) -> str:
        return f"{self.seconds:8.2f} s  {self.added / 2**20:8.1f} MiB  {self.error:8.4f} voxel"


def decode(method: str, case: Case) -> Measured:
    labels = [Label(value=n + 1, name=f"P{n + 1}") for n in range(LANDMARKS)]
    decoder = DECODERS[method]
    # Once on little, so that libraries are loaded and the buffers of the first block stand.
    warm = HeatmapDecoding(decoder, labels, (4, 4, 4), 1, (1, 1, 1))
    warm.feed((0, 0, 0), np.ones((LANDMARKS, 4, 4, 4), np.float32))
    warm.finish()
    stream = blocks(method, case)
    first = next(stream)
    before, seconds = memory("VmRSS"), 0.0
    decoding = HeatmapDecoding(decoder, labels, case.shape, 1, case.spacing)
    while first is not None:
        begin = time.perf_counter()
        decoding.feed(*first)
        seconds += time.perf_counter() - begin
        first = next(stream, None)
    begin = time.perf_counter()
    points = decoding.finish()
    seconds += time.perf_counter() - begin
    places = np.array([point.position or (np.inf,) * 3 for point in points])
    return Measured(seconds, memory("VmHWM") - before, float(np.abs(places - case.centers).max()))


def naive(method: str, case: Case) -> Measured:
    whole = np.empty((LANDMARKS, *case.shape), np.float32)
    before = memory("VmRSS")
    for start, part in blocks(method, case):
        whole[(slice(None), *(slice(a, a + n) for a, n in zip(start, part.shape[1:], strict=True)))] = part
    begin = time.perf_counter()
    if method.startswith("arg-max"):
        flat = whole.reshape(LANDMARKS, -1).argmax(axis=1)
        places = np.stack(np.unravel_index(flat, case.shape), axis=1)
    else:
        if "softmax" in method:
            whole = np.exp(whole - whole.max(axis=(1, 2, 3), keepdims=True))
        else:
            whole = np.maximum(whole, 0)
        whole = whole / whole.sum(axis=(1, 2, 3), keepdims=True)
        axes = [np.arange(n, dtype=np.float32).reshape([-1 if a == b else 1 for b in range(3)])
                for a, n in enumerate(case.shape)]
        places = np.stack([(whole * axis).sum(axis=(1, 2, 3)) for axis in axes], axis=1)
        for n, axis in enumerate(axes):
            (whole * (axis - places[:, n, None, None, None]) ** 2).sum(axis=(1, 2, 3))
    seconds = time.perf_counter() - begin
    return Measured(seconds, memory("VmHWM") - before, float(np.abs(places - case.centers).max()))


def peaks(method: str, shape: tuple[int, int, int]) -> Measured:
    """At most 40 spots of one channel, by the decoder in slabs of 8 slices or by scipy's maximum filter (21 voxels)."""
    random = np.random.default_rng(2)
    grid = [np.arange(20, n - 20, 40) for n in shape]
    centers = random.permutation(np.stack(np.meshgrid(*grid), axis=-1).reshape(-1, 3))[:40]
    centers = centers + random.uniform(-5, 5, centers.shape)
    values = noise(shape)
    for center in centers:
        where, gaussian = spot(center, (0, 0, 0), shape)
        values[where] += gaussian
    before, begin = memory("VmRSS"), time.perf_counter()
    if method == "decoder":
        decoder = HeatmapDecoder(kind="heatmap", peaks=100, separation_mm=10)
        decoding = HeatmapDecoding(decoder, [Label(value=1, name="Tooth")], shape, 1, (1, 1, 1))
        for k in range(0, shape[0], 8):
            decoding.feed((k, 0, 0), values[None, k : k + 8])
        places = np.array([point.position for point in decoding.finish()])
    else:
        highest = scipy.ndimage.maximum_filter(values, size=21)
        places = np.argwhere((values == highest) & (values >= 0.5)).astype(float)
    seconds = time.perf_counter() - begin
    distance = np.abs(places[:, None] - centers[None]).max(axis=2)
    error = float(distance.min(axis=1).max()) if len(places) == len(centers) else float("inf")
    return Measured(seconds, memory("VmHWM") - before, error)


def apart(work: Callable[..., Measured], *arguments: object) -> Measured:
    """`work` in a process of its own, so that peaks of memory are its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    shape = (60, 96, 96) if quick else (600, 512, 512)
    small = (60, 96, 96) if quick else (96, 96, 96)
    tile = 24 if quick else 96
    slabs, tiles = Case(shape, (4, *shape[1:])), Case(shape, (tile,) * 3, margin=tile // 6)
    last = Case(shape, (tile,) * 3, margin=tile // 6, channels_last=True)

    print(f"{LANDMARKS} landmarks on {'×'.join(map(str, shape))}: the decoder beyond the network")
    for method in DECODERS:
        for name, case in (("slabs", slabs), ("tiles", tiles), ("tiles, channels last", last)):
            print(f"  {method:24s} {name:22s} {apart(decode, method, case)}", flush=True)
    print(f"  (all channels at once would take {4 * LANDMARKS * np.prod(shape) / 2**30:.1f} GiB before any step)")

    print(f"\n{LANDMARKS} landmarks on {'×'.join(map(str, small))}: beside the whole volume at once")
    whole = Case(small, small)
    for method in ("arg-max", "expectation", "expectation of softmax"):
        print(f"  {method:24s} decoder, one block     {apart(decode, method, whole)}", flush=True)
        print(f"  {method:24s} naive, its own copy    {apart(naive, method, whole)}", flush=True)

    several = (120, 200, 200) if quick else (300, 512, 512)
    print(f"\nPeaks of one channel, {'×'.join(map(str, several))}")
    for method in ("decoder", "scipy"):
        print(f"  {method:47s} {apart(peaks, method, several)}", flush=True)


if __name__ == "__main__":
    main()
