"""Head: soft parts, skull with its base, face, jaw, teeth, air spaces, brain; the throat, hyoid and larynx."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..bending import bend, moved
from ..lattice import Floats
from .canvas import Canvas
from .measures import Physique
from .spec import Tissue
from .spine_curve import Spine

BONE = (Tissue.CORTICAL, Tissue.CANCELLOUS)
SIDES = (1.0, -1.0)


def head_scale(physique: Physique) -> float:
    """A child's head is nearly grown."""
    return 0.35 + 0.65 * physique.size if physique.size < 1 else physique.size**0.5


@dataclass(frozen=True, eq=False)
class Head:
    """A frame for the head's shapes: base is the middle of the atlas (RAS mm), nod a turn forward (radians)."""

    base: Floats
    nod: float
    scale: float

    def at(self, right: float, front: float, up: float) -> Floats:
        """A point given in mm of a grown head from the atlas, RAS mm."""
        y = front * np.cos(self.nod) + up * np.sin(self.nod)
        z = up * np.cos(self.nod) - front * np.sin(self.nod)
        point: Floats = self.base + np.array([right, y, z]) * self.scale
        return point

    def line(self, *points: tuple[float, float, float]) -> Floats:
        """Several such points, `[n, 3]`."""
        return np.array([self.at(*point) for point in points])


def paint_head(canvas: Canvas, rng: np.random.Generator, physique: Physique, spine: Spine) -> None:
    """Everything above the first vertebra, and the throat before the upper ones."""
    head = Head(spine.of("C1").center, np.radians(rng.normal(0, 6)), head_scale(physique))
    shape = np.array([72, 90, 68]) * np.clip(rng.normal(1, 0.04, 3), 0.9, 1.1) * head.scale
    _soft_parts(canvas, head, shape)
    _cranium(canvas, head, shape, spine)
    _air_spaces(canvas, rng, head)
    palate = head.line((30, 50, -4), (22, 82, -6), (0, 92, -6), (-22, 82, -6), (-30, 50, -4))
    canvas.bone(bend(palate, 20), 6 * head.scale, shell=1.6)
    _jaw(canvas, physique, head)
    _throat(canvas, head, spine)


def _soft_parts(canvas: Canvas, head: Head, shape: Floats) -> None:
    """Skin, fat and muscle around cranium and face."""
    s = head.scale
    cranium, face = head.at(0, 8, 86), head.at(0, 50, 14)
    outer = (Tissue.AIR, Tissue.SKIN, Tissue.FAT)
    for grow, tissue in ((9.0, Tissue.SKIN), (7.0, Tissue.FAT), (3.5, Tissue.MUSCLE)):
        canvas.ellipsoid(cranium, shape + grow * s, tissue, (*outer, Tissue.MUSCLE))
        canvas.ellipsoid(face, np.array([60, 48, 74]) * s + grow * s, tissue, outer)
    canvas.tube(head.line((0, 96, 24), (0, 112, 12)), 10 * s, Tissue.SKIN, (Tissue.AIR,))
    for side in SIDES:
        cheek = head.line((side * 50, 40, 20), (side * 46, 30, -20))
        canvas.tube(cheek, 14 * s, Tissue.FAT, (Tissue.MUSCLE,))


def _cranium(canvas: Canvas, head: Head, shape: Floats, spine: Spine) -> None:
    """A shell of two tables, the base with petrous bones, condyles and clivus, the cheeks; the brain inside."""
    s, cranium = head.scale, head.at(0, 8, 86)
    canvas.ellipsoid(cranium, shape, Tissue.CORTICAL)
    canvas.ellipsoid(cranium, shape - 2.0 * s, Tissue.CANCELLOUS, BONE)
    canvas.ellipsoid(cranium, shape - 4.2 * s, Tissue.CORTICAL, BONE)
    for side in SIDES:
        petrous = head.line((side * 16, 4, 18), (side * 56, -4, 22))
        condyle = head.line((side * 18, -8, 8), (side * 20, -6, 16))
        mastoid = head.line((side * 54, -10, 16), (side * 50, -6, 0))
        cheek = head.line((side * 28, 86, 34), (side * 56, 70, 34), (side * 66, 34, 32))
        maxilla = head.line((side * 30, 62, 34), (side * 26, 72, 8))
        canvas.bone(petrous, np.array([12, 13]) * s, shell=2.0)
        canvas.bone(condyle, 8 * s, shell=1.6)
        canvas.bone(mastoid, np.array([12, 6]) * s, shell=1.6)
        canvas.bone(bend(cheek, 8), 4.5 * s, shell=1.4)
        canvas.bone(maxilla, np.array([16, 18]) * s, shell=1.6)
    clivus = head.line((0, -8, 14), (0, 10, 24), (0, 42, 32))
    canvas.bone(bend(clivus, 8), np.linspace(6, 13, 8) * s, shell=1.8)
    canvas.ellipsoid(moved(cranium, 0, 0, 4 * s), shape - np.array([6, 6, 9]) * s, Tissue.BRAIN)
    stem = [head.at(0, -12, 34), spine.of("C1").at(0, -14 * spine.size, 0)]
    canvas.tube(bend(stem, 6), 12 * s, Tissue.BRAIN)


def _air_spaces(canvas: Canvas, rng: np.random.Generator, head: Head) -> None:
    """Frontal, maxillary and sphenoid sinuses, mastoid cells, the nose; and the eyes among them."""
    s = head.scale
    canvas.bone(head.line((0, 84, 76), (0, 88, 62)), 10 * s, shell=1.6, flat=(0.5, 1, 1))
    canvas.tube(head.line((0, 86, 76), (0, 89, 64)), 6 * s, Tissue.AIRWAY, flat=(0.4, 1, 1))
    for side in SIDES:
        canvas.ellipsoid(head.at(side * 31, 84, 44), np.full(3, 16 * s), Tissue.FAT)
        canvas.ellipsoid(head.at(side * 31, 88, 44), np.full(3, 12 * s), Tissue.EYE)
        filled = Tissue.AIRWAY if rng.random() < 0.85 else Tissue.MUSCLE  # or swollen
        canvas.ellipsoid(head.at(side * 27, 70, 18), np.array([13, 16, 16]) * s, filled)
        for _ in range(7):
            cell = head.at(side * rng.uniform(48, 58), rng.uniform(-14, -2), rng.uniform(2, 22))
            canvas.ellipsoid(cell, np.full(3, 3.2 * s), Tissue.AIRWAY)
    canvas.ellipsoid(head.at(0, 44, 34), np.array([12, 12, 9]) * s, Tissue.AIRWAY)
    for side in SIDES:
        canvas.tube(head.line((side * 7, 44, 20), (side * 7, 92, 18)), 9 * s, Tissue.AIRWAY, flat=(2.2, 1, 0.6))


def _jaw(canvas: Canvas, physique: Physique, head: Head) -> None:
    """Lower jaw and, save in the oldest, both rows of teeth."""
    s = head.scale
    for side in SIDES:
        branch = head.line((side * 48, 14, 20), (side * 46, 20, -14), (side * 44, 28, -32))
        body = head.line((side * 44, 28, -32), (side * 30, 66, -42), (0, 88, -46))
        canvas.bone(bend(branch, 8), 7 * s, shell=1.6, flat=(1.5, 0.7, 1))
        canvas.bone(bend(body, 14), 6.5 * s, shell=1.8, flat=(1, 1, 0.55))
    if physique.age < 85:
        for up in (-15.0, -25.0):
            row = bend(head.line((26, 54, up), (20, 80, up), (0, 89, up), (-20, 80, up), (-26, 54, up)), 29)
            for tooth in row[::2]:
                canvas.ellipsoid(tooth, np.array([3.2, 3.6, 6.5]) * s, Tissue.TOOTH)


def _throat(canvas: Canvas, head: Head, spine: Spine) -> None:
    """The air before the upper vertebrae, hyoid bone, cartilages of the larynx."""
    s = head.scale
    front = spine.of("C2").depth / 2 + 8 * s
    before = [spine.of(name).at(0, front + gap, 0) for name, gap in (("C1", 4), ("C3", 5), ("C4", 6))]
    soft = (Tissue.MUSCLE, Tissue.FAT, Tissue.CONNECTIVE)
    canvas.tube(bend([head.at(0, 32, 20), *before], 12), 8 * s, Tissue.AIRWAY, soft, flat=(0.6, 1, 1))
    hyoid = spine.of("C3").center + np.array([0, 0, -8]) * s
    arc = np.array([[20, 22, 4], [14, 40, 0], [0, 46, -2], [-14, 40, 0], [-20, 22, 4]])
    canvas.bone(bend(hyoid + arc * s, 12), 3.2 * s, shell=1.5)
    larynx = spine.of("C5").center
    for side in SIDES:
        plate = larynx + np.array([[side * 18, 24, 8], [0, 46, 2]]) * s
        canvas.tube(plate, 4 * s, Tissue.CARTILAGE, flat=(1, 1, 0.35))
