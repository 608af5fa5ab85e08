"""Pulmonary arteries, veins and airways of both lungs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..lattice import Array, Floats, Ints, Lattice, Mask
from .physique import Physique
from .strokes import paint_capsules, splat
from .trees import Tree, curve, grow

THICK = 0.55  # mm: vessels of a larger radius are drawn as capsules, thinner ones as threads of grains


@dataclass(frozen=True, eq=False)
class Strands:
    """Pieces of tubes: `[n, 3]` ends in mm and radii there."""

    start: Floats
    end: Floats
    first: Floats
    last: Floats

    def join(self, other: Strands) -> Strands:
        return Strands(*(np.concatenate([getattr(self, f), getattr(other, f)]) for f in self.__dataclass_fields__))


EMPTY = Strands(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0), np.zeros(0))


@dataclass(frozen=True, eq=False)
class Vasculature:
    """vessels: arteries and veins thicker than `THICK`. grains, grain_mm3: the thin ones.

    lumen, walls: airways in the lungs. trachea, trachea_walls: with the main bronchi.
    """

    vessels: Strands
    grains: Floats
    grain_mm3: Floats
    lumen: Strands
    walls: Strands
    trachea: Strands
    trachea_walls: Strands


def strands_of(tree: Tree, radius: Floats, chosen: Mask, rng: np.random.Generator, bow: float) -> Strands:
    """The chosen branches cut into straight pieces; more pieces for long branches."""
    length = np.linalg.norm(tree.end - tree.start, axis=1)
    result = EMPTY
    parent = np.maximum(tree.parent, 0)
    begin = np.where(tree.parent >= 0, np.minimum(radius[parent], 1.25 * radius), radius)
    for pieces, low, high in ((2, 0.0, 5.0), (4, 5.0, 12.0), (8, 12.0, np.inf)):
        picked = np.flatnonzero(chosen & (length >= low) & (length < high))
        if not len(picked):
            continue
        line = curve(tree, picked, pieces, bow, rng)
        t = np.linspace(0, 1, pieces + 1)[None, :]
        width = begin[picked, None] * (1 - t) + 0.95 * radius[picked, None] * t
        width = width * (1 + 0.05 * rng.standard_normal(width.shape))
        flat = (line[:, :-1].reshape(-1, 3), line[:, 1:].reshape(-1, 3), width[:, :-1].ravel(), width[:, 1:].ravel())
        result = result.join(Strands(*flat))
    return result


def threads_of(strands: Strands, spacing: float) -> tuple[Floats, Floats]:
    """Grains along thin strands: places `[n, 3]` and volumes mm³."""
    length = np.linalg.norm(strands.end - strands.start, axis=1)
    count = np.maximum(np.ceil(length / spacing).astype(int), 1)
    owner = np.repeat(np.arange(len(count)), count)
    t = (np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count) + 0.5) / count[owner]
    points = strands.start[owner] + t[:, None] * (strands.end - strands.start)[owner]
    radius = strands.first[owner] + t * (strands.last - strands.first)[owner]
    return points, np.pi * radius**2 * (length / count)[owner]


def airway_strands(tree: Tree, radius: Floats, rng: np.random.Generator) -> tuple[Strands, Strands]:
    """Airways beside the arteries: lumen and outer wall."""
    chosen = radius > 1.5
    way = tree.end - tree.start
    side = np.cross(way, np.array([0.3, 0.2, 1.0]))
    side /= np.linalg.norm(side, axis=1, keepdims=True) + 1e-9
    bore = 0.72 * radius
    wall = 0.25 + 0.14 * radius
    far = (radius + bore + wall)[:, None] * side
    parent = np.maximum(tree.parent, 0)
    near = np.where(tree.parent[:, None] >= 0, far[parent], far)
    beside = Tree(tree.start + near, tree.end + far, tree.parent, tree.leaves)
    line = strands_of(beside, bore, chosen, rng, 0.05)
    thickness = 0.25 + 0.14 * line.first
    return line, Strands(line.start, line.end, line.first + thickness, line.last + thickness)


def main_airways(physique: Physique, hila: dict[int, Floats]) -> tuple[Strands, Strands]:
    """Trachea and main bronchi."""
    height = physique.height
    carina = np.array([2.0, -12.0, 0.60 * height])
    top = np.array([3.0, 4.0, 1.6 * height])
    ends = [top, hila[2] + [-6, 4, 2], hila[1] + [6, 4, 0]]
    start = np.array([carina] * 3)
    bore = np.array([8.5, 6.5, 6.0])
    lumen = Strands(start, np.array(ends), np.array([8.0, 6.5, 6.0]), bore * [1, 0.8, 0.8])
    return lumen, Strands(start, np.array(ends), lumen.first + 1.4, lumen.last + 1.3)


def make_vasculature(
    points: dict[int, list[tuple[Floats, Ints]]],
    physique: Physique,
    rng: np.random.Generator,
    spacing: float,
) -> Vasculature:
    """Grow three trees a lung.

    points: for lung 1 (left) and 2 (right): [(places to reach, lobe of each)] for arteries and for veins.
    spacing: distance of the grains of thin vessels, mm.
    """
    reach, height = 0.27 * physique.half_width, physique.height
    hila = {2: np.array([reach, -8.0, 0.51 * height]), 1: np.array([-reach, -10.0, 0.53 * height])}
    vessels, thin, lumen, walls = EMPTY, EMPTY, EMPTY, EMPTY
    leaf, exponent = rng.uniform(0.30, 0.40), rng.uniform(2.8, 3.0)
    for lung, (artery_points, vein_points) in points.items():
        for vein, (places, lobe) in enumerate((artery_points, vein_points)):
            middle = np.stack([places[lobe == g].mean(axis=0) if np.any(lobe == g) else hila[lung] for g in range(3)])
            root = hila[lung] + (np.array([0, -4, -0.10 * height]) if vein else 0.0)
            tree = grow(root + 0.06 * (middle - root), places, lobe, rng)
            radius = tree.radius(leaf * (1.05 if vein else 1.0), exponent)
            vessels = vessels.join(strands_of(tree, radius, radius > THICK, rng, 0.07))
            thin = thin.join(strands_of(tree, radius, radius <= THICK, rng, 0.09))
            if not vein:
                inner, outer = airway_strands(tree, radius, rng)
                lumen, walls = lumen.join(inner), walls.join(outer)
    grains, volume = threads_of(thin, spacing)
    return Vasculature(vessels, grains, volume, lumen, walls, *main_airways(physique, hila))


def paint_tubes(lattice: Lattice, strands: Strands) -> Array:
    """Coverage 0–1 of a set of tubes."""
    cover = np.zeros(lattice.shape, np.float32)
    paint_capsules(cover, lattice, strands.start, strands.end, strands.first, strands.last)
    return cover


def paint_vessels(lattice: Lattice, tree: Vasculature) -> Array:
    """Coverage 0–1 by blood."""
    cover = paint_tubes(lattice, tree.vessels)
    splat(cover, lattice, tree.grains, tree.grain_mm3)
    return np.minimum(cover, 1, out=cover)
