"""What age and illness add to a spine: osteophytes, chalk in the aorta, lesions in the bone, screws."""

from __future__ import annotations

import numpy as np

from .canvas import Canvas
from .measures import Physique
from .spec import EXTRA, LEVELS, Tissue
from .spine_curve import Spine


def paint_osteophytes(canvas: Canvas, rng: np.random.Generator, physique: Physique, spine: Spine) -> None:
    """Spurs on the rims of the bodies of some of the older, part of their vertebra's label."""
    if physique.age < 45 or rng.random() > 0.012 * (physique.age - 40):
        return
    for v in spine.vertebrae[2:-1]:
        if rng.random() > 0.35:
            continue
        for _ in range(int(rng.integers(1, 4))):
            angle, end = rng.uniform(-2.0, 2.0), rng.choice([-0.5, 0.5])
            right, front = v.width / 2 * np.sin(angle), v.depth / 2 * np.cos(angle)
            base = v.at(0.88 * right, 0.88 * front, 0.85 * end * v.height)
            tip = v.at(1.1 * right, 1.1 * front, 1.12 * end * v.height)
            box, distance = canvas.tube_distance(np.stack([base, tip]), [4.0, 2.0])
            free = (distance < 0) & (canvas.vertebrae[box] == 0)
            canvas.vertebrae[box][free] = LEVELS.index(v.name) + 1 if v.name in LEVELS else EXTRA
            canvas.fill(box, free, Tissue.CORTICAL)


def paint_chalk(canvas: Canvas, rng: np.random.Generator, physique: Physique) -> None:
    """Calcified plaques in arteries of the older."""
    if physique.age < 50 or rng.random() > 0.015 * (physique.age - 40):
        return
    artery = np.argwhere(canvas.tissues == Tissue.ARTERY)
    lattice = canvas.lattice
    for k, j, i in artery[rng.integers(0, len(artery), int(rng.integers(5, 40)))]:
        spot = np.array([lattice.x[i], lattice.y[j], lattice.z[k]])
        canvas.ellipsoid(spot, rng.uniform(1.5, 4, 3), Tissue.CORTICAL, (Tissue.ARTERY,))


def paint_lesions(canvas: Canvas, rng: np.random.Generator, spine: Spine) -> None:
    """In one patient of fifteen: lytic or dense places in some bodies."""
    if rng.random() > 0.07:
        return
    for n in rng.integers(3, len(spine.vertebrae), int(rng.integers(1, 7))):
        v = spine.vertebrae[n]
        spot = v.at(*(rng.uniform(-0.3, 0.3, 3) * np.array([v.width, v.depth, v.height])))
        radii = rng.uniform(0.12, 0.4, 3) * v.height
        canvas.ellipsoid(spot, radii, Tissue.LESION, (Tissue.CANCELLOUS, Tissue.ENDPLATE))


def paint_screws(canvas: Canvas, rng: np.random.Generator, physique: Physique, spine: Spine) -> None:
    """Pedicle screws and rods over two to four neighbouring vertebrae of some of those with metal."""
    if not physique.metal or rng.random() > 0.7:
        return
    first = int(rng.integers(14, len(spine.vertebrae) - 3))
    chosen = spine.vertebrae[first : first + int(rng.integers(2, 5))]
    for side in (1.0, -1.0):
        heads = []
        for v in chosen:
            root = side * (v.canal_width + v.pedicle_width) / 2
            head = v.at(root * 1.15, -v.depth / 2 - v.canal_depth - 12, 0.25 * v.height)
            canvas.tube(np.stack([v.at(root * 0.75, 0.2 * v.depth, 0.15 * v.height), head]), 2.6, Tissue.METAL)
            heads.append(head)
        canvas.tube(np.stack(heads), 2.8, Tissue.METAL)
