"""Decoder `instances` beside other ways to part touching teeth: time, peak added memory, F1 and Dice.

    python Testing/benchmarks/tooth_votes.py            32 teeth in 320³ voxels of 0.5 mm: 33 million, 1 of foreground
    python Testing/benchmarks/tooth_votes.py --quick    4 teeth in a small volume, to see that it runs

Teeth are ellipsoids along two arches, cut where they meet the next: most of an arch touch, some the other arch too.
What a network would say of them is drawn in three ways:
  exact      foreground and offsets as they are
  noisy      Gaussian noise of 1 mm on each offset, independent in each voxel; 1 % of the foreground lost
  as learnt  foreground and offsets smoothed together (sigma 0.75 mm), so that gaps close and offsets change gradually
             from a tooth to the next; offsets 15 % short; errors of 1 mm that keep their sign over about 4 mm
Every method runs in a process of its own, over the same 4 channels (neither timed nor counted); the decoder takes them
in blocks of 80³. F1 counts a tooth as found at an IoU of 0.5; Dice is the mean over found ones.
DBSCAN is scikit-learn's (where it is installed; no dependency) on 30,000 of the votes, eps 1 mm, at least 20
neighbours; every other voxel goes to the cluster of the nearest vote. The watershed is SimpleITK's, from markers, on
the smoothed (scipy's) distance to the background, whose maxima are the markers, in the foreground's box. Components are
cc3d's, of the foreground alone.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import cc3d
import numpy as np
import scipy.ndimage
import SimpleITK
from scipy.spatial import KDTree

from medinfer.decoders.instances import InstancesDecoding
from medinfer.manifest import InstancesDecoder

SPACING = 0.5
DECODER = InstancesDecoder(kind="instances")
BLOCK = 80
Labels = np.ndarray


@dataclass(frozen=True)
class Case:
    """`teeth` of each of two arches in a volume of `side`³ voxels; what the network says of them."""

    side: int
    teeth: int
    network: str


def draw_teeth(case: Case) -> Labels:
    """The true teeth, `[k, j, i]`, values 1…"""
    random = np.random.default_rng(0)
    shape = (case.side,) * 3
    labels = np.zeros(shape, np.uint8)
    middle, scale = case.side / 2, case.side / 320
    value = 0
    for height in (-37, 37):
        for n in range(case.teeth):
            angle = np.pi * (n + 0.5) / case.teeth
            away = np.array([height + random.uniform(-4, 4), (105 - 165 * np.sin(angle)), -100 * np.cos(angle)])
            if case.teeth < 16:
                away = np.array([height, 0, (n - (case.teeth - 1) / 2) * 26]) / scale
            center = middle + away * scale
            radii = random.uniform([36, 11, 13], [42, 15, 16])
            low = np.clip(np.floor(center - radii), 0, case.side).astype(int)
            high = np.clip(np.ceil(center + radii) + 1, 0, case.side).astype(int)
            box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
            grid = np.ogrid[box]
            inside = sum(((g - c) / r) ** 2 for g, c, r in zip(grid, center, radii, strict=True)) < 1
            value += 1
            labels[box][inside & (labels[box] == 0)] = value
    return labels


def network(labels: Labels, kind: str) -> np.ndarray:
    """The four channels `[4, k, j, i]`, float32, offsets in voxels."""
    random = np.random.default_rng(1)
    values = np.zeros((4, *labels.shape), np.float32)
    values[0] = labels > 0
    for value, box in enumerate(scipy.ndimage.find_objects(labels), start=1):
        places = np.argwhere(labels[box] == value) + [side.start for side in box]
        values[(slice(1, None), *places.T)] = (places.mean(axis=0) - places).T
    if kind == "noisy":
        values[1:] += random.normal(0, 1 / SPACING, values[1:].shape).astype(np.float32)
        turned = random.random(labels.shape, dtype=np.float32) < 0.01
        values[0] = np.where((labels > 0) & turned, 0.2, values[0] * 0.95)
    if kind == "as learnt":
        sigma = 0.75 / SPACING
        weight = scipy.ndimage.gaussian_filter(values[0], sigma)
        for offsets in values[1:]:
            offsets[...] = 0.85 * scipy.ndimage.gaussian_filter(offsets, sigma) / np.maximum(weight, 1e-3)
            rough = random.normal(0, 1, [-(-n // 8) for n in labels.shape]).astype(np.float32)
            # Linear interpolation between nodes leaves 0.55 of the nodes' standard deviation.
            smooth = scipy.ndimage.zoom(rough, 8, order=1)[tuple(slice(n) for n in labels.shape)]
            np.add(offsets, 1 / SPACING / 0.55 * smooth, out=offsets)
        values[0] = weight
    return values


def blocks(values: np.ndarray) -> Iterator[tuple[tuple[int, int, int], np.ndarray]]:
    for start in product(*(range(0, n, BLOCK) for n in values.shape[1:])):
        yield start, values[(slice(None), *(slice(a, a + BLOCK) for a in start))]


def by_decoder(values: np.ndarray) -> Labels:
    decoding = InstancesDecoding(DECODER, values.shape[1:], 1, (SPACING,) * 3)
    for start, part in blocks(values):
        decoding.feed(start, part)
    return decoding.finish().labels


def by_dbscan(values: np.ndarray) -> Labels:
    from sklearn.cluster import DBSCAN

    places = np.argwhere(values[0] > DECODER.foreground)
    votes = (places + values[(slice(1, None), *places.T)].T) * SPACING
    some = np.random.default_rng(0).permutation(len(votes))[:30000]
    clusters = DBSCAN(eps=1.0, min_samples=20).fit_predict(votes[some])
    _, nearest = KDTree(votes[some[clusters >= 0]]).query(votes)
    labels = np.zeros(values.shape[1:], np.int32)
    labels[tuple(places.T)] = clusters[clusters >= 0][nearest] + 1
    return labels


def by_watershed(values: np.ndarray) -> Labels:
    mask = values[0] > DECODER.foreground
    (box,) = scipy.ndimage.find_objects(mask.astype(np.uint8))
    depth = scipy.ndimage.gaussian_filter(scipy.ndimage.distance_transform_edt(mask[box]), 2)
    size = int(DECODER.separation_mm / SPACING) | 1
    maxima = (scipy.ndimage.maximum_filter(depth, size=size) == depth) & mask[box]
    markers, _ = scipy.ndimage.label(maxima, np.ones((3, 3, 3)))
    parted = SimpleITK.MorphologicalWatershedFromMarkers(
        SimpleITK.GetImageFromArray(-depth.astype(np.float32)), SimpleITK.GetImageFromArray(markers.astype(np.uint32)),
        markWatershedLine=False, fullyConnected=False,
    )
    labels = np.zeros(values.shape[1:], np.int32)
    labels[box] = np.where(mask[box], SimpleITK.GetArrayFromImage(parted), 0)
    return labels


def by_components(values: np.ndarray) -> Labels:
    return cc3d.connected_components(values[0] > DECODER.foreground, connectivity=6)


METHODS: dict[str, Callable[[np.ndarray], Labels]] = {
    "decoder": by_decoder, "DBSCAN": by_dbscan, "watershed": by_watershed, "components": by_components,
}


def memory(field: str) -> int:
    """This process's memory by its name in /proc: VmRSS (now) or VmHWM (the most), bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":"))


def forget_peak() -> None:
    """Let VmHWM begin at what is held now (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


@dataclass(frozen=True)
class Measured:
    """Seconds by the clock and of the processor (all threads); added bytes at the peak; objects found; F1 at IoU 0.5;
    mean Dice of the matched."""

    seconds: float
    processor: float
    added: int
    found: int
    f1: float
    dice: float

    def __str__(self) -> str:
        return (
            f"{self.seconds:7.2f} s ({self.processor:5.2f} s CPU)  {self.added / 2**20:5.0f} MiB  "
            f"{self.found:4d} objects  F1 {self.f1:.3f}  Dice {self.dice:.3f}"
        )


def scores(found: Labels, true: Labels) -> tuple[int, float, float]:
    """Objects, F1 at IoU 0.5, mean Dice of the matched."""
    joint = np.stack([found.ravel(), true.ravel()])[:, (found.ravel() > 0) | (true.ravel() > 0)].astype(np.int64)
    table = np.zeros((joint[0].max(initial=0) + 1, joint[1].max(initial=0) + 1), np.int64)
    np.add.at(table, tuple(joint), 1)
    sizes, sizes_true = table.sum(axis=1, keepdims=True), table.sum(axis=0, keepdims=True)
    with np.errstate(invalid="ignore"):
        iou = (table / (sizes + sizes_true - table))[1:, 1:]
    matched = iou[iou > 0.5]
    objects = int(np.count_nonzero(sizes[1:]))
    f1 = 2 * len(matched) / (objects + np.count_nonzero(sizes_true[0, 1:]))
    dice = float(np.mean(2 * matched / (1 + matched))) if len(matched) else 0.0
    return objects, f1, dice


def measure(method: str, case: Case) -> Measured:
    true = draw_teeth(case)
    values = network(true, case.network)
    # Once on little, so that libraries are loaded.
    METHODS[method](np.ascontiguousarray(values[:, 40:60, 40:60, 40:60] * 0 + 0.9))
    forget_peak()
    before, begin, processor = memory("VmRSS"), time.perf_counter(), time.process_time()
    found = METHODS[method](values)
    seconds, processor = time.perf_counter() - begin, time.process_time() - processor
    return Measured(seconds, processor, memory("VmHWM") - before, *scores(found, true))


def apart(*arguments: object) -> Measured:
    """In a process of its own, so that peaks of memory are its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, *arguments).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    side, teeth = (160, 2) if quick else (320, 16)
    for kind in ("exact", "noisy", "as learnt"):
        print(f"{2 * teeth} teeth in {side}³ voxels of {SPACING} mm, {kind}")
        for method in METHODS:
            if method == "DBSCAN" and importlib.util.find_spec("sklearn") is None:
                print("  DBSCAN      scikit-learn is not installed")
                continue
            print(f"  {method:11s} {apart(method, Case(side, teeth, kind))}", flush=True)


if __name__ == "__main__":
    main()
