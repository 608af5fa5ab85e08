"""Border refinement against an image: Dice and the border's distance (95th percentile) before and after; its time.

    python Testing/benchmarks/refinement.py            32 ellipsoids, and a jaw phantom's scan, 0.5 mm
    python Testing/benchmarks/refinement.py --quick    4 ellipsoids, to see that it runs

Ellipsoids touch, the upper half of each in air and the lower in bone, blurred (sigma 0.4 mm) and with Gaussian noise:
dentin 1800, bone 900, air −1000; noise 60 (clear) or 250 (noisy). The phantom is `medtrain.phantoms.jaw`'s, with
enamel, pulp, ligament, metal, streaks and noise as its scan draws them. The labels given are the true ones and what
networks make of them: too thin by 0.5 mm, too thick by 0.5 mm, a border that wanders (by 0.4 mm standard deviation,
keeping its sign over about 2 mm), and shifted by 0.5 mm. Figures are means over the teeth. Where refinement makes
things worse, it is printed as it is. Seconds are the processor's.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np
import scipy.ndimage

from medinfer.decoders.label_cleanup import boxes_of, widened
from medinfer.inference.refinement import refine_labels

SPACING = (0.5, 0.5, 0.5)
NOISE = {"clear image": 60.0, "noisy image": 250.0}
PHANTOMS = (1, 3)


def draw_teeth(rows: int, columns: int) -> np.ndarray:
    """Ellipsoids in rows along i, `[k, j, i]` uint8; neighbours touch."""
    random = np.random.default_rng(0)
    pitch = np.array([60, 26, 22])
    shape = pitch * (1, rows, columns) + 24
    depth = np.full(shape, np.inf, np.float32)
    labels = np.zeros(shape, np.uint8)
    for value, (row, column) in enumerate(np.ndindex(rows, columns), start=1):
        center = 12 + pitch * (0.5, row + 0.5, column + 0.5) + random.uniform(-2, 2, 3)
        radii = random.uniform((24, 9, 10.5), (28, 12, 12.5))
        grid = np.ogrid[tuple(slice(n) for n in shape)]
        own = sum(((g - c) / r) ** 2 for g, c, r in zip(grid, center, radii, strict=True)).astype(np.float32)
        labels[(own < 1) & (own < depth)] = value
        depth = np.minimum(depth, own)
    return labels


def draw_image(labels: np.ndarray, noise: float) -> np.ndarray:
    image = np.full(labels.shape, -1000, np.float32)
    image[labels.shape[0] // 2 :] = 900
    image[labels > 0] = 1800
    image = scipy.ndimage.gaussian_filter(image, 0.4 / SPACING[0])
    return image + np.random.default_rng(1).normal(0, noise, labels.shape).astype(np.float32)


def signed_distances(labels: np.ndarray):
    """Of each tooth a box around it and the distance to its border there, mm, positive inside."""
    for value, tight in boxes_of(labels).items():
        box = widened(tight, (8, 8, 8), labels.shape)
        own = labels[box] == value
        inside, outside = (scipy.ndimage.distance_transform_edt(m, sampling=SPACING) for m in (own, ~own))
        yield value, box, np.where(own, inside - SPACING[0] / 2, SPACING[0] / 2 - outside)


def disturbed(labels: np.ndarray, how: str) -> np.ndarray:
    if how == "exact":
        return labels.copy()
    if how == "shifted":
        return np.roll(labels, 1, axis=2)
    rough = np.random.default_rng(2).normal(0, 1, labels.shape).astype(np.float32)
    rough = scipy.ndimage.gaussian_filter(rough, 2 / SPACING[0] / 2)
    move = {"too thin": -0.5, "too thick": 0.5, "wandering": 0.4 * rough / rough.std()}[how]
    best, moved = np.zeros(labels.shape, np.float32), np.zeros_like(labels)
    for value, box, distance in signed_distances(labels):
        here = distance + (move if np.isscalar(move) else move[box])
        more = here > best[box]
        moved[box][more], best[box][more] = value, here[more]
    return moved


@dataclass(frozen=True)
class Quality:
    """Means over the teeth: Dice, and the 95th percentile of the distance of found border voxels, mm."""

    dice: float
    hd95: float

    def __str__(self) -> str:
        return f"Dice {self.dice:.4f}  HD95 {self.hd95:.2f} mm"


def quality(found: np.ndarray, true: np.ndarray) -> Quality:
    dice, far = [], []
    for value, box, distance in signed_distances(true):
        own, truth = found[box] == value, true[box] == value
        dice.append(2 * (own & truth).sum() / (own.sum() + truth.sum()))
        border = own ^ scipy.ndimage.binary_erosion(own)
        # The true border voxels lie half a voxel inside.
        away = np.abs(distance[border] - SPACING[0] / 2)
        far.append(np.percentile(away, 95) if border.any() else np.inf)
    return Quality(float(np.mean(dice)), float(np.mean(far)))


def phantom(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Image and true teeth of a scanned jaw phantom, cut to its teeth."""
    from medtrain.phantoms.jaw import draw_jaws, scan_jaws

    scan = scan_jaws(draw_jaws(seed, spacing=SPACING[0]), seed)
    tight = boxes_of((scan.teeth > 0).astype(np.uint8))[1]
    box = widened(tight, (12, 12, 12), scan.teeth.shape)
    return scan.volume.voxels[box].astype(np.float32), scan.teeth[box].copy()


def compare(name: str, image: np.ndarray, true: np.ndarray) -> None:
    print(f"{len(boxes_of(true))} teeth in {'×'.join(map(str, true.shape))} voxels, {name}")
    for how in ("exact", "too thin", "too thick", "wandering", "shifted"):
        given = disturbed(true, how)
        print(f"  {how:10s} as given     {quality(given, true)}")
        for method in ("geodesic", "watershed"):
            begin = time.process_time()
            refined = refine_labels(image, given, SPACING, method)
            seconds = time.process_time() - begin
            print(f"  {'':10s} {method:12s} {quality(refined, true)}  {seconds:6.2f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    true = draw_teeth(2, 2) if quick else draw_teeth(4, 8)
    for name, noise in NOISE.items():
        compare(name, draw_image(true, noise), true)
    if not quick:
        for seed in PHANTOMS:
            compare(f"jaw phantom {seed}", *phantom(seed))


if __name__ == "__main__":
    main()
