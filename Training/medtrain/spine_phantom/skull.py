"""Head: soft parts, skull with its base, face, jaw, teeth, air spaces, brain, hyoid."""

from __future__ import annotations

import numpy as np

from ..chest_phantom.lattice import Floats
from .canvas import Canvas, bend
from .measures import Physique
from .spec import Tissue
from .spine_curve import Spine

EDGE = (Tissue.CORTICAL, Tissue.CANCELLOUS)


def head_scale(physique: Physique) -> float:
    """A child's head is nearly grown."""
    return 0.35 + 0.65 * physique.size if physique.size < 1 else physique.size**0.5


def paint_head(canvas: Canvas, rng: np.random.Generator, physique: Physique, spine: Spine) -> None:
    """Everything above the first vertebra; shapes are placed from the middle of its ring."""
    s = head_scale(physique)
    nod = np.radians(rng.normal(0, 6))
    base = spine.of("C1").center

    def at(right: float, front: float, up: float) -> Floats:
        y, z = front * np.cos(nod) + up * np.sin(nod), up * np.cos(nod) - front * np.sin(nod)
        point: Floats = base + np.array([right, y, z]) * s
        return point

    cranium, face = at(0, 8, 86), at(0, 50, 14)
    shape = np.array([72, 90, 68]) * np.clip(rng.normal(1, 0.04, 3), 0.9, 1.1) * s
    for grow, tissue in ((9.0, Tissue.SKIN), (7.0, Tissue.FAT), (3.5, Tissue.MUSCLE)):
        canvas.ellipsoid(cranium, shape + grow * s, tissue, (Tissue.AIR, Tissue.SKIN, Tissue.FAT, Tissue.MUSCLE))
        canvas.ellipsoid(face, np.array([60, 48, 74]) * s + grow * s, tissue, (Tissue.AIR, Tissue.SKIN, Tissue.FAT))
    canvas.tube(np.array([at(0, 96, 24), at(0, 112, 12)]), 10 * s, Tissue.SKIN, (Tissue.AIR,))
    for side in (1.0, -1.0):
        canvas.tube(np.array([at(side * 50, 40, 20), at(side * 46, 30, -20)]), 14 * s, Tissue.FAT, (Tissue.MUSCLE,))
    # skull: a shell, thicker at the base; the face is a block hollowed by its air spaces
    canvas.ellipsoid(cranium, shape, Tissue.CORTICAL)
    canvas.ellipsoid(cranium, shape - 2.0 * s, Tissue.CANCELLOUS, EDGE)
    canvas.ellipsoid(cranium, shape - 4.2 * s, Tissue.CORTICAL, EDGE)
    for side in (1.0, -1.0):
        canvas.bone(np.array([at(side * 16, 4, 18), at(side * 56, -4, 22)]), np.array([12, 13]) * s, shell=2.0)  # petrous
        canvas.bone(np.array([at(side * 18, -8, 8), at(side * 20, -6, 16)]), 8 * s, shell=1.6)  # condyle
        canvas.bone(np.array([at(side * 54, -10, 16), at(side * 50, -6, 0)]), np.array([12, 6]) * s, shell=1.6)  # mastoid
        canvas.bone(bend([at(side * 28, 86, 34), at(side * 56, 70, 34), at(side * 66, 34, 32)], 8), 4.5 * s, shell=1.4)  # cheek
        canvas.bone(np.array([at(side * 30, 62, 34), at(side * 26, 72, 8)]), np.array([16, 18]) * s, shell=1.6)
    canvas.bone(bend([at(0, -8, 14), at(0, 10, 24), at(0, 42, 32)], 8), np.linspace(6, 13, 8) * s, shell=1.8)  # clivus
    canvas.ellipsoid(cranium + (0, 0, 4 * s), shape - np.array([6, 6, 9]) * s, Tissue.BRAIN)
    canvas.tube(bend([at(0, -12, 34), spine.of("C1").at(0, -14 * physique.size, 0)], 6), 12 * s, Tissue.BRAIN)
    canvas.bone(np.array([at(0, 84, 76), at(0, 88, 62)]), 10 * s, shell=1.6, flat=(0.5, 1, 1))
    canvas.tube(np.array([at(0, 86, 76), at(0, 89, 64)]), 6 * s, Tissue.AIRWAY, flat=(0.4, 1, 1))
    for side in (1.0, -1.0):
        canvas.ellipsoid(at(side * 31, 84, 44), np.full(3, 16 * s), Tissue.FAT)
        canvas.ellipsoid(at(side * 31, 88, 44), np.full(3, 12 * s), Tissue.EYE)
        canvas.ellipsoid(at(side * 27, 70, 18), np.array([13, 16, 16]) * s, Tissue.AIRWAY if rng.random() < 0.85 else Tissue.MUSCLE)
        for _ in range(7):
            canvas.ellipsoid(at(side * rng.uniform(48, 58), rng.uniform(-14, -2), rng.uniform(2, 22)), np.full(3, 3.2 * s), Tissue.AIRWAY)
    canvas.ellipsoid(at(0, 44, 34), np.array([12, 12, 9]) * s, Tissue.AIRWAY)
    for side in (1.0, -1.0):
        canvas.tube(np.array([at(side * 7, 44, 20), at(side * 7, 92, 18)]), 9 * s, Tissue.AIRWAY, flat=(2.2, 1, 0.6))
    canvas.bone(bend([at(30, 50, -4), at(22, 82, -6), at(0, 92, -6), at(-22, 82, -6), at(-30, 50, -4)], 20), 6 * s, shell=1.6)  # palate
    _jaw(canvas, physique, at, s)
    front = spine.of("C2").depth / 2 + 8 * s
    throat = bend([at(0, 32, 20), spine.of("C1").at(0, front + 4, 0), spine.of("C3").at(0, front + 5, 0), spine.of("C4").at(0, front + 6, 0)], 12)
    canvas.tube(throat, 8 * s, Tissue.AIRWAY, (Tissue.MUSCLE, Tissue.FAT, Tissue.CONNECTIVE), flat=(0.6, 1, 1))
    hyoid = spine.of("C3").center + np.array([0, 0, -8]) * s
    arc = [hyoid + np.array(p) * s for p in ((20, 22, 4), (14, 40, 0), (0, 46, -2), (-14, 40, 0), (-20, 22, 4))]
    canvas.bone(bend(arc, 12), 3.2 * s, shell=1.5)
    larynx = spine.of("C5").center
    for side in (1.0, -1.0):
        canvas.tube(np.stack([larynx + np.array([side * 18, 24, 8]) * s, larynx + np.array([0, 46, 2]) * s]), 4 * s, Tissue.CARTILAGE, flat=(1, 1, 0.35))


def _jaw(canvas: Canvas, physique: Physique, at, s: float) -> None:  # type: ignore[no-untyped-def]
    """Lower jaw and both rows of teeth."""
    for side in (1.0, -1.0):
        canvas.bone(bend([at(side * 48, 14, 20), at(side * 46, 20, -14), at(side * 44, 28, -32)], 8), 7 * s, shell=1.6, flat=(1.5, 0.7, 1))
        canvas.bone(bend([at(side * 44, 28, -32), at(side * 30, 66, -42), at(0, 88, -46)], 14), 6.5 * s, shell=1.8, flat=(1, 1, 0.55))
    if physique.age < 85:
        for up in (-15.0, -25.0):
            row = bend([at(26, 54, up), at(20, 80, up), at(0, 89, up), at(-20, 80, up), at(-26, 54, up)], 29)
            for tooth in row[::2]:
                canvas.ellipsoid(tooth, np.array([3.2, 3.6, 6.5]) * s, Tissue.TOOTH)
