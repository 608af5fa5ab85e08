"""What is in real lungs and is no nodule: plaques, caps, scars, plate atelectasis, dependent density, tiny dots."""

from __future__ import annotations

import numpy as np

from ..lattice import Array, Floats, Lattice, transfer
from ..shapes import clouds
from .physique import Physique
from .strokes import paint_capsules, splat


def thicken_pleura(lungs: Array, lattice: Lattice, physique: Physique, rng: np.random.Generator) -> Array:
    """Distance field of the lungs with plaques, apical caps and osteophytes pressed into them."""
    surface = np.argwhere(np.abs(lungs) < abs(lattice.step[1]) * 0.6)
    result = lungs.copy()
    for _ in range(int(rng.integers(2, 9))):
        k, j, i = surface[rng.integers(len(surface))]
        wide = rng.uniform(5, 18)
        _press(result, lattice, (lattice.x[i], lattice.y[j], lattice.z[k]), (wide, wide, wide), rng.uniform(1, 4.5))
    apex = physique.height
    for side in (-1, 1):
        if rng.random() < 0.5:
            spot = (side * 0.3 * physique.half_width, -0.25 * physique.half_depth, apex)
            _press(result, lattice, spot, (24, 24, 10), rng.uniform(2, 7))
    for _ in range(int(rng.integers(0, 4))):  # osteophytes beside the spine
        back = -physique.half_depth + physique.spine_from_back
        spot = (float(rng.choice([-24.0, 24.0])), back, rng.uniform(0, 0.8) * physique.height)
        _press(result, lattice, spot, (9, 9, 5), rng.uniform(2, 5))
        if rng.random() < 0.6:  # the first rib's cartilage bulges into the front of the upper lobe
            height = rng.uniform(0.62, 0.82) * physique.height
            front = physique.half_depth * (0.93 - 0.45 * (height / physique.height) ** 2.4)
            _press(result, lattice, (side * rng.uniform(28, 42), front - 12, height), (8, 8, 7), rng.uniform(3, 9))
    roughness = clouds(rng, lattice, 9)
    return result + np.float32(0.45) * roughness


def _press(
    field: Array, lattice: Lattice, spot: tuple[float, float, float], wide: tuple[float, float, float], height: float
) -> None:
    """Move the surface inward by `height` at `spot`, falling off as a bell, in place."""
    reach = 3 * np.array(wide)
    box = lattice.box(np.array(spot) - reach, np.array(spot) + reach)
    z, y, x = lattice.part(box).open()
    bell = ((x - spot[0]) / wide[0]) ** 2 + ((y - spot[1]) / wide[1]) ** 2 + ((z - spot[2]) / wide[2]) ** 2
    field[box] += np.float32(height) * np.exp(-bell).astype(np.float32)


def _walk(rng: np.random.Generator, start: Floats, length: float, step: float, bend: float) -> Floats:
    """A crooked line of points `[n, 3]`."""
    heading = rng.standard_normal(3)
    points = [start]
    for _ in range(max(2, int(length / step))):
        heading = heading / np.linalg.norm(heading) + bend * rng.standard_normal(3)
        points.append(points[-1] + step * heading / np.linalg.norm(heading))
    return np.array(points)


def scars(lattice: Lattice, near_pleura: Floats, rng: np.random.Generator) -> Array:
    """Coverage by linear opacities: crooked bands, mostly near the pleura."""
    cover = np.zeros(lattice.shape, np.float32)
    for _ in range(int(rng.integers(3, 14))):
        seed = near_pleura[rng.integers(len(near_pleura))]
        line = _walk(rng, seed, float(rng.uniform(8, 40)), 3.0, 0.25)
        radius = rng.uniform(0.35, 1.3) * np.linspace(1.2, 0.4, len(line))
        paint_capsules(cover, lattice, line[:-1], line[1:], radius[:-1], radius[1:])
    return cover * np.float32(rng.uniform(0.5, 0.95))


def plates(lattice: Lattice, places: Floats, physique: Physique, rng: np.random.Generator) -> Array:
    """Coverage by discs of collapsed lung near the base."""
    cover = np.zeros(lattice.shape, np.float32)
    low = places[places[:, 2] < 0.35 * physique.height]
    for _ in range(int(rng.integers(0, 5)) if len(low) else 0):
        middle = low[rng.integers(len(low))]
        normal = np.array([0.0, 0.0, 1.0]) + 0.5 * rng.standard_normal(3)
        normal /= np.linalg.norm(normal)
        radius, thick = rng.uniform(8, 28), rng.uniform(0.6, 2.2)
        box = lattice.box(middle - radius, middle + radius)
        z, y, x = lattice.part(box).open()
        height = (x - middle[0]) * normal[0] + (y - middle[1]) * normal[1] + (z - middle[2]) * normal[2]
        away = np.sqrt((x - middle[0]) ** 2 + (y - middle[1]) ** 2 + (z - middle[2]) ** 2)
        height = height + 1.5 * np.sin(away / 5 + rng.uniform(0, 6))
        edge = abs(float(lattice.step[1]))
        part = np.clip(0.5 + (thick - np.abs(height)) / edge, 0, 1) * np.clip((radius - away) / 6, 0, 1)
        np.maximum(cover[box], 0.85 * part, out=cover[box])
    return cover


def dots(cover: Array, lattice: Lattice, places: Floats, rng: np.random.Generator) -> None:
    """Tiny opacities below 3 mm, added in place."""
    chosen = places[rng.integers(len(places), size=int(rng.integers(5, 40)))]
    splat(cover, lattice, chosen, np.pi / 6 * rng.uniform(0.8, 2.4, len(chosen)) ** 3)


def parenchyma(
    coarse: Lattice, fine: Lattice, physique: Physique, depth: Array, rng: np.random.Generator, *, rich: bool
) -> Array:
    """HU of lung tissue on the fine lattice: denser below (gravity) and uneven at several scales.

    depth: mm from the pleura, on the coarse lattice. rich: with dependent density and emphysema in some.
    """
    z, y, _ = coarse.open()
    gravity = -(y / physique.half_depth)
    hu = physique.lung_hu + rng.uniform(8, 30) * gravity + 14 * clouds(rng, coarse, 40) + 10 * clouds(rng, coarse, 9)
    if rich and rng.random() < 0.6:
        deep = np.clip((-y - 0.35 * physique.half_depth) / (0.6 * physique.half_depth), 0, 1)
        rim = np.exp(-depth / np.float32(rng.uniform(3, 9)))
        hu += rng.uniform(60, 260) * deep * rim * np.clip(0.7 + 0.5 * clouds(rng, coarse, 12), 0, 2)
    if rich and rng.random() < 0.3:
        holes = np.clip(clouds(rng, coarse, rng.uniform(7, 14)) - 1.0, 0, 1)
        hu += (-970 - hu) * holes * np.clip(z / physique.height, 0, 1) * 0.8
    tissue = transfer(np.asarray(hu, np.float32), coarse, fine)
    tissue += np.float32(rng.uniform(11, 25)) * clouds(rng, fine, rng.uniform(3.0, 4.5))
    return np.maximum(tissue, -985, out=tissue)
