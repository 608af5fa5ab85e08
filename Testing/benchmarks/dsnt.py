"""DSNT of 26 heatmaps of 96³: the document's way beside marginals, dsntnn and float64; milliseconds and errors.

    python Testing/benchmarks/dsnt.py             26 landmarks, 96³
    python Testing/benchmarks/dsnt.py --quick     4 landmarks, 32³, to see that it runs

The document's `DSNT_f` makes a volume of products for each mean and each variance; `medtrain.losses.dsnt` sums the
volume twice, down to its three marginals. dsntnn has the means only. All take turns on the same heatmaps, softmax not
counted; milliseconds are medians: wall clock, and in brackets processor time of all threads, which other work on the
machine disturbs less. Errors are the largest of all means and deviations, in voxels, from float64.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping

import dsntnn
import torch
from torch import Tensor

from medtrain.losses.dsnt import deviation_in_voxels, flat_softmax, moments, to_voxels
from medtrain.targets.gaussian_targets import gaussian_heatmaps

Found = tuple[Tensor, Tensor | None]
"""Means and variances `[B, C, 3]`, x, y, z between −1 and 1 at the borders' centres."""


def as_the_document(h: Tensor) -> Found:
    """`DSNT_f` of the seed document 001: products with the whole volume."""
    channels, (z, y, x) = h.shape[1], (torch.linspace(-1, 1, n, dtype=h.dtype) for n in h.shape[2:])
    places = x.view(1, 1, 1, 1, -1), y.view(1, 1, 1, -1, 1), z.view(1, 1, -1, 1, 1)
    means = [(h * place).sum(dim=(2, 3, 4)) for place in places]
    variances = [
        (h * (place - mean.view(1, channels, 1, 1, 1)) ** 2).sum(dim=(2, 3, 4))
        for place, mean in zip(places, means, strict=True)
    ]
    return torch.stack(means, dim=-1), torch.stack(variances, dim=-1)


def by_marginals(h: Tensor) -> Found:
    return moments(h, "borders")


def by_dsntnn(h: Tensor) -> Found:
    return dsntnn.linear_expectation(h, [torch.linspace(-1, 1, n) for n in h.shape[2:]]).flip(-1), None


def take_turns(
    ways: Mapping[str, Callable[[Tensor], Found]], heatmaps: Tensor, repeats: int
) -> dict[str, list[tuple[float, float]]]:
    """Seconds on the clock and of the processor of every call; the first round warms up and does not count."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for turn in range(repeats + 1):
        for name, way in ways.items():
            wall, work = time.perf_counter(), time.process_time()
            way(heatmaps)
            if turn:
                times[name].append((time.perf_counter() - wall, time.process_time() - work))
    return times


def draw(landmarks: int, side: int) -> Tensor:
    """Softmax of noisy peaks at random places, as of a trained network, `[1, landmarks, side, side, side]`."""
    torch.manual_seed(0)
    points = torch.rand(1, landmarks, 3) * (side - 1)
    logits = 12 * gaussian_heatmaps(points, (side,) * 3, side / 24)
    return flat_softmax(logits + torch.randn_like(logits))


def worst_error(found: Found, exact: Found, side: int) -> float:
    """In voxels, over means and, where given, standard deviations."""
    shape = (side,) * 3
    (mean, variance), (true_mean, true_variance) = found, exact
    errors = [to_voxels(mean.double(), shape, "borders") - to_voxels(true_mean, shape, "borders")]
    if variance is not None and true_variance is not None:
        deviations = (deviation_in_voxels(v.double(), shape, "borders") for v in (variance, true_variance))
        errors.append(next(deviations) - next(deviations))
    return max(float(error.abs().max()) for error in errors)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    landmarks, side = (4, 32) if options.quick else (26, 96)
    torch.set_num_threads(options.threads)
    ways = {"the document": as_the_document, "dsntnn, means only": by_dsntnn, "marginals": by_marginals}
    with torch.inference_mode():
        heatmaps = draw(landmarks, side)
        exact = as_the_document(heatmaps.double())
        times = take_turns(ways, heatmaps, options.repeats)
        errors = {name: worst_error(way(heatmaps), exact, side) for name, way in ways.items()}
    print(f"{landmarks} heatmaps of {side}³, {options.threads} threads, medians of {options.repeats}:")
    walls = {name: statistics.median(wall for wall, _ in each) for name, each in times.items()}
    works = {name: statistics.median(work for _, work in each) for name, each in times.items()}
    for name in ways:
        print(f"  {name:20} {walls[name] * 1e3:7.1f} ms ({works[name] * 1e3:7.1f}): "
              f"{walls['the document'] / walls[name]:5.1f} × the document "
              f"({works['the document'] / works[name]:5.1f} ×); error at most {errors[name]:.1e} voxel")


if __name__ == "__main__":
    main()
