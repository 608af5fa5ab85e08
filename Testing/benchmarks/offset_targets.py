"""Offset targets of a jaw's 32 teeth, numpy in one pass beside the loops of the documents: milliseconds.

    python Testing/benchmarks/offset_targets.py            192³ voxels
    python Testing/benchmarks/offset_targets.py --quick    64³, to see that it runs

Teeth are ellipsoids along two arches. Beside it: the seed document 001's loop over the classes, in numpy and, where
Numba is installed, compiled; a compiled loop in one pass; and scipy's centres of mass with the whole volume's places.
All must give the same numbers. Medians of 5 runs on one thread, compilation left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable

import numpy as np
from scipy import ndimage

from medtrain.datasets.tooth_names import PERMANENT
from medtrain.targets.offset_targets import offset_targets


def jaw(size: int) -> np.ndarray:
    """uint8 `[k, j, i]`, FDI numbers."""
    labels = np.zeros((size,) * 3, np.uint8)
    k, j, i = np.ogrid[:size, :size, :size]
    for number, fdi in enumerate(PERMANENT):
        angle = number % 16 / 15 * np.pi
        middle = (0.62 if fdi < 30 else 0.38, 0.5 - 0.25 * np.sin(angle), 0.5 + 0.25 * np.cos(angle))
        along = [(place - size * c) / (size * radius)
                 for place, c, radius in zip((k, j, i), middle, (0.11, 0.045, 0.04), strict=True)]
        labels[along[0] ** 2 + along[1] ** 2 + along[2] ** 2 < 1] = fdi
    return labels


def by_class(labels: np.ndarray) -> np.ndarray:
    """The document's loop."""
    offsets = np.zeros((3, *labels.shape), np.int16)
    for value in np.unique(labels)[1:]:
        z, y, x = np.where(labels == value)
        mid_z, mid_y, mid_x = np.round(z.mean()), np.round(y.mean()), np.round(x.mean())
        for n in range(len(z)):
            offsets[0, z[n], y[n], x[n]] = mid_z - z[n]
            offsets[1, z[n], y[n], x[n]] = mid_y - y[n]
            offsets[2, z[n], y[n], x[n]] = mid_x - x[n]
    return offsets


def in_one_pass(labels: np.ndarray) -> np.ndarray:
    """Two sweeps over the volume, for a compiler."""
    sums, counts = np.zeros((256, 3)), np.zeros(256)
    for k in range(labels.shape[0]):
        for j in range(labels.shape[1]):
            for i in range(labels.shape[2]):
                value = labels[k, j, i]
                if value:
                    counts[value] += 1
                    sums[value, 0] += k
                    sums[value, 1] += j
                    sums[value, 2] += i
    offsets = np.zeros((3, *labels.shape), np.int16)
    for k in range(labels.shape[0]):
        for j in range(labels.shape[1]):
            for i in range(labels.shape[2]):
                value = labels[k, j, i]
                if value:
                    offsets[0, k, j, i] = np.round(sums[value, 0] / counts[value]) - k
                    offsets[1, k, j, i] = np.round(sums[value, 1] / counts[value]) - j
                    offsets[2, k, j, i] = np.round(sums[value, 2] / counts[value]) - i
    return offsets


def by_scipy(labels: np.ndarray) -> np.ndarray:
    """Centres of mass by scipy, a table of them, and every voxel's place."""
    values = np.unique(labels)[1:]
    table = np.zeros((256, 3), np.int16)
    table[values] = np.round(ndimage.center_of_mass(np.ones_like(labels), labels, values))
    ways = np.moveaxis(table[labels], -1, 0) - np.indices(labels.shape, dtype=np.int16)
    return np.where(labels > 0, ways, 0)


def median_ms(run: Callable[[], object]) -> float:
    """Of 5 runs, after one that does not count."""
    run()
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return sorted(seconds)[2] * 1e3


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true")
    labels = jaw(64 if parser.parse_args().quick else 192)
    methods: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "numpy, one pass (medtrain)": lambda volume: offset_targets(volume).offsets,
        "scipy and places": by_scipy,
        "the document's loop, plain": by_class,
    }
    if importlib.util.find_spec("numba"):
        from numba import njit  # not needed by the project

        methods["the document's loop, Numba"] = njit(by_class)
        methods["one pass, Numba"] = njit(in_one_pass)
    expected = offset_targets(labels).offsets
    print(f"{labels.shape}, {np.count_nonzero(labels):,} voxels of {len(np.unique(labels)) - 1} teeth")
    for name, method in methods.items():
        if not np.array_equal(method(labels), expected):
            raise SystemExit(f"{name} gives other offsets")
        print(f"{name:30} {median_ms(lambda run=method: run(labels)):9.1f} ms")


if __name__ == "__main__":
    main()
