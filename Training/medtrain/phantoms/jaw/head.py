"""What surrounds the jaws: skin, fat, muscles, tongue, the air of mouth and pharynx, and the spine behind."""

from __future__ import annotations

import numpy as np

from ..bending import bend, moved
from .canvas import Canvas
from .jaw_bones import SIDES, Skeleton, ramus_middle
from .person import Person
from .spec import Tissue


def paint_outline(canvas: Canvas, rng: np.random.Generator, person: Person, skeleton: Skeleton) -> None:
    """Skin, fat and soft tissue, slice by slice: cheeks, lips and chin in front, the neck narrower below."""
    g, (x8, y8) = skeleton.growth, skeleton.back
    lattice = canvas.lattice
    x, y = lattice.x[None, :].astype(np.float32), lattice.y[:, None].astype(np.float32)
    front = float(skeleton.upper.arch.at(0)[1]) + rng.uniform(11, 15) * g
    low = -skeleton.base
    fat = rng.uniform(3, 9)
    heights = np.array([low - 25, low - 4, low + 6, -12, 0, 12, 24, 36, 60]) * 1.0
    nose = rng.uniform(1.0, 1.4) * g
    reach = front + np.array([-35, -9, -4, -5, 0, -1, 4, 14, 4]) * nose
    wide = (x8 + np.array([14, 20, 27, 33, 36, 38, 39, 39, 38]) * g) + 0.6 * fat
    middle = y8 - 18 * g
    for k, z in enumerate(lattice.z):
        tip, half = np.interp(z, heights, reach), np.interp(z, heights, wide)
        ahead = np.where(y > middle, (y - middle) / (tip - middle), (y - middle) / (75 * g))
        q = ((np.abs(x) / half) ** 2.2 + np.abs(ahead) ** 2.2) ** (1 / 2.2)
        deep = (1 - q) * half
        layer = canvas.tissues[k]
        layer[deep > 0] = Tissue.SKIN
        layer[deep > 1.6] = Tissue.FAT
        layer[deep > 1.6 + fat * (1 - 0.8 * np.clip(1.6 * ahead - 0.5, 0, 1))] = Tissue.SOFT  # lips have little fat


def paint_mouth(canvas: Canvas, rng: np.random.Generator, person: Person, skeleton: Skeleton) -> None:
    """Tongue, the air over it, pharynx, and the muscles that chew."""
    g, (x8, y8), vault = skeleton.growth, skeleton.back, skeleton.vault
    half = np.array([x8 - 5.5 * g, 0.5 * abs(y8) + 6 * g, 0.5 * (vault + 14 * g)])
    center = np.array([0, 0.52 * y8, 0.0])
    canvas.ellipsoid(
        moved(center, 0, 0, 2 * g),
        half * (1.0, 1.0, 1.05),
        Tissue.AIRWAY if rng.random() < 0.7 else Tissue.SOFT,
        (Tissue.SOFT,),
    )
    drop = rng.uniform(0, 7) * g + 4 * np.sin(np.radians(person.open_deg)) * 10
    canvas.ellipsoid(
        moved(center, 0, -5 * g, -3 * g - drop), half * (1.0, 1.05, 1.15), Tissue.TONGUE, (Tissue.SOFT, Tissue.AIRWAY)
    )
    canvas.tube(
        [[0, 0.35 * y8, -0.6 * skeleton.base], [0, 1.2 * y8, -0.75 * skeleton.base]],
        14 * g,
        Tissue.TONGUE,
        (Tissue.SOFT, Tissue.AIRWAY),
        (0.8, 1, 1),
    )
    back = y8 - rng.uniform(22, 27) * g
    wide, deep = rng.uniform(8, 14) * g, rng.uniform(0.4, 0.8)
    throat = bend([[0, back + 2, vault + 24 * g], [0, back, 8], [0, back + 1, -20], [0, back + 4, -70]], 14)
    canvas.tube(throat, wide, Tissue.AIRWAY, (Tissue.SOFT, Tissue.TONGUE), (1, 1 / deep, 1))
    velum = bend([[0, y8 - 10 * g, vault], [0, y8 - 18 * g, vault - 7 * g], [0, y8 - 22 * g, vault - 18 * g]], 8)
    canvas.tube(velum, 4.0 * g, Tissue.SOFT, (Tissue.AIRWAY,), (0.35, 1, 1))
    for side in SIDES:
        for out, y_top, y_low, thick in (
            (10.0, 5.0, 14.0, 9.0),
            (-10.0, 14.0, 20.0, 7.0),
        ):  # masseter, medial pterygoid
            z_top = (22 if out > 0 else 25) * g
            ends = []
            for y, z in ((y8 - y_top * g, z_top), (y8 - y_low * g, -0.7 * skeleton.base)):
                ends.append([side * (ramus_middle(skeleton, y, z) + out * g), y, z])
            canvas.tube(ends, thick * g, Tissue.MUSCLE, (Tissue.SOFT, Tissue.FAT), (1.3, 0.75, 1))
        cheek = np.array([side * (x8 + 14 * g), 0.55 * y8, 4 * g])
        canvas.ellipsoid(cheek, np.array([6, 13, 16]) * g, Tissue.FAT, (Tissue.SOFT,))
        canvas.tube(
            [[side * (x8 + 5.5 * g), 0.35 * y8, 0], [side * (x8 + 9.5 * g), 1.0 * y8, 0]],
            2.2 * g,
            Tissue.MUSCLE,
            (Tissue.SOFT, Tissue.FAT),
            (1, 1, 0.15),
        )


def paint_spine(canvas: Canvas, rng: np.random.Generator, skeleton: Skeleton) -> None:
    """The upper cervical vertebrae: bodies with discs, the dens, arches, the cord in its canal."""
    g, (_, y8), vault = skeleton.growth, skeleton.back, skeleton.vault
    y = y8 - rng.uniform(44, 50) * g
    lean = rng.uniform(-0.15, 0.25)
    top, tall = vault + rng.uniform(-4, 6) * g, 19.0 * g
    skin = (Tissue.SOFT, Tissue.FAT, Tissue.MUSCLE)

    def at(x: float, back: float, down: float) -> list[float]:
        return [x, y - back + lean * down * 0.5, top - down]

    canvas.tube([at(0, 22 * g, -40), at(0, 22 * g, 90)], 9 * g, Tissue.CORD, skin, (0.8, 1, 1))
    for n in range(5):
        down = 22 * g + n * tall
        _bone(canvas, [at(-7 * g, 5 * g, down), at(7 * g, 5 * g, down)], 8.0 * g, (1, 1, 1.15))
        canvas.tube(
            [at(-6 * g, 5 * g, down + tall / 2), at(6 * g, 5 * g, down + tall / 2)],
            7.6 * g,
            Tissue.DISC,
            skin,
            (1, 1, 2.6),
        )
        for side in SIDES:
            _bone(canvas, [at(side * 15 * g, 10 * g, down - 5), at(side * 14 * g, 12 * g, down + 7)], 5.2 * g)
            _bone(
                canvas, [at(side * 14 * g, 18 * g, down + 2), at(side * 3 * g, 33 * g, down + 6)], 2.8 * g, (1, 1, 0.6)
            )
    _bone(canvas, [at(0, 5 * g, 16 * g), at(0, 4 * g, -6 * g)], 5.2 * g)  # dens
    ring = [at(12 * g * np.sin(a) * 1.6, 14 * g - 19 * g * np.cos(a), 0) for a in np.linspace(-2.6, 2.6, 15)]
    _bone(canvas, ring, 4.2 * g)
    for side in SIDES:
        _bone(canvas, [at(side * 19 * g, 10 * g, -5), at(side * 20 * g, 10 * g, 6)], 7.0 * g)


def _bone(
    canvas: Canvas, points: list[list[float]], radius: float, flat: tuple[float, float, float] = (1, 1, 1)
) -> None:
    over = (Tissue.SOFT, Tissue.FAT, Tissue.MUSCLE, Tissue.CORD, Tissue.DISC)
    canvas.tube(points, radius, Tissue.SPINE_CORTICAL, over, flat)
    canvas.tube(points, max(radius - 1.5, 0.5), Tissue.SPINE_CANCELLOUS, (Tissue.SPINE_CORTICAL,), flat)
