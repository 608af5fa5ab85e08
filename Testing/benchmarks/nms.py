"""Non-maximum suppression beside the plain definition and MONAI: milliseconds, ratios, and whether the answers agree.

    python Testing/benchmarks/nms.py              1,000, 10,000 and 100,000 cubes (MONAI and plain up to 10,000)
    python Testing/benchmarks/nms.py --quick      1,000 cubes, to see that it runs
    python Testing/benchmarks/nms.py --peer-at-most 100000   the peers too (minutes)

Two kinds of random cubes, the same for all methods; scores are normal, and the side of the space grows with the cube
root of their number, so that the density stays:

- sparse: centres even in 300 × 300 × 300 mm for 10,000, edges even in 3…30 mm. About half of them stay at IoU 0.05.
- crowded, as before suppression on a real scan: 40 cubes a place, places even in the same space, edges of the places
  log-even in 4…40 mm; centres spread by 0.15 edges and edges by 20 % about them. A few in a hundred stay.

The time of MONAI and of the plain loop goes with how many cubes stay, so the sparse kind is where they are slow.
Milliseconds are the best of the repeats: wall clock, and in brackets processor time, which other work on the machine
disturbs less. Threads: one, for all (`--threads` changes torch's; numpy uses one here anyway).
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medinfer.decoders.nms import nms_cubes

REPOSITORY = Path(__file__).resolve().parents[2]
Method = Callable[[np.ndarray, float], np.ndarray]


def sparse(n: int, rng: np.random.Generator) -> np.ndarray:
    return np.column_stack([rng.normal(size=n), rng.uniform(0, side(n), (n, 3)), rng.uniform(3, 30, n)])


def crowded(n: int, rng: np.random.Generator) -> np.ndarray:
    places = n // 40
    centers = rng.uniform(0, side(n), (places, 3))
    edges = np.exp(rng.uniform(np.log(4), np.log(40), places))
    of = rng.integers(0, places, n)
    near = centers[of] + rng.normal(size=(n, 3)) * edges[of, None] * 0.15
    return np.column_stack([rng.normal(size=n), near, edges[of] * np.exp(rng.normal(size=n) * 0.2)])


def side(n: int) -> float:
    """Edge in mm of the space for `n` cubes."""
    return float(300 * (n / 10_000) ** (1 / 3))


def plain(cubes: np.ndarray, iou: float) -> np.ndarray:
    """The definition in numpy: from the best down, drop all that overlap a kept cube by `iou` or more."""
    low, high = cubes[:, 1:4] - cubes[:, 4:] / 2, cubes[:, 1:4] + cubes[:, 4:] / 2
    volume = np.prod(high - low, axis=1)
    kept, left = [], np.argsort(-cubes[:, 0], kind="stable")
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        edges = np.clip(np.minimum(high[best], high[left]) - np.maximum(low[best], low[left]), 0, None)
        common = edges[:, 0] * edges[:, 1] * edges[:, 2]
        left = left[common / (volume[best] + volume[left] - common) < iou]
    return np.array(kept)


def monai(threads: int) -> Method | None:
    """MONAI's `non_max_suppression` on the same cubes in float64, or None where it is not installed."""
    try:
        import torch
        from monai.data.box_utils import non_max_suppression
    except ImportError:
        return None
    torch.set_num_threads(threads)

    def run(cubes: np.ndarray, iou: float) -> np.ndarray:
        half = cubes[:, 4:] / 2
        corners = torch.from_numpy(np.hstack([cubes[:, 1:4] - half, cubes[:, 1:4] + half]))
        return np.asarray(non_max_suppression(corners, torch.from_numpy(cubes[:, 0].copy()), iou))

    return run


@dataclass(frozen=True)
class Timing:
    """Best of the repeats, in ms."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.wall:9.1f} ({self.cpu:9.1f})"


def timed(method: Method, cubes: np.ndarray, iou: float, repeats: int) -> tuple[Timing, np.ndarray]:
    walls, cpus = [], []
    kept = np.empty(0)
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        kept = method(cubes, iou)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return Timing(min(walls) * 1000, min(cpus) * 1000), kept


def compare(sizes: list[int], peers: dict[str, Method], peer_at_most: int, iou: float, repeats: int) -> None:
    for kind in (sparse, crowded):
        print(f"\n{kind.__name__} cubes, IoU {iou:g}: ms wall (processor)")
        for n in sizes:
            cubes = kind(n, np.random.default_rng(n))
            ours, kept = timed(nms_cubes, cubes, iou, repeats)
            print(f"  {n:7,d}  medinfer {ours}           {len(kept):6,d} stay")
            for name, peer in peers.items():
                if n > peer_at_most:
                    continue
                theirs, others = timed(peer, cubes, iou, 1 if n > 1000 else repeats)
                same = "the same" if np.array_equal(kept, others) else "OTHERS"
                ratio = f"× {theirs.wall / ours.wall:6.1f} (× {theirs.cpu / ours.cpu:6.1f})"
                print(f"           {name:8s} {theirs}  {ratio}  {same} stay")


def check_real_candidates(folder: Path) -> None:
    files = sorted(folder.glob("*_pbb.npy"))
    print(f"\nreal candidates: {len(files)} files in {folder}" if files else f"\nreal candidates: none in {folder}")
    for file in files:
        cubes = np.load(file).astype(np.float64)
        agree = [np.array_equal(nms_cubes(cubes, iou), plain(cubes, iou)) for iou in (0.05, 0.1, 0.25, 0.5)]
        timing, kept = timed(nms_cubes, cubes, 0.05, 3)
        verdict = "as the definition at IoU 0.05, 0.1, 0.25, 0.5" if all(agree) else "NOT AS THE DEFINITION"
        print(f"  {len(cubes):5d} -> {len(kept):4d}  {timing}  {verdict}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--peer-at-most", type=int, default=10_000)
    parser.add_argument("--iou", type=float, default=0.05)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    peers: dict[str, Method] = {"plain": plain}
    peer = monai(arguments.threads)
    if peer is None:
        print("MONAI is not installed: pip install monai torch to compare with it")
    else:
        peers["MONAI"] = peer
    sizes = [1000] if arguments.quick else [1000, 10_000, 100_000]
    compare(sizes, peers, arguments.peer_at_most, arguments.iou, arguments.repeats)
    check_real_candidates(
        Path(os.environ.get("MEDINFER_TEST_DATA", REPOSITORY.parent / "shared" / "data")) / "boxes"
    )


if __name__ == "__main__":
    main()
