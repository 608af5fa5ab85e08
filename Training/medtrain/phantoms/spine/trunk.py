"""Skin, fat, muscles and cavities of the trunk, slice by slice; the lungs; limbs, breasts."""

from __future__ import annotations

import numpy as np

from ..bending import bend, moved
from ..lattice import Floats, Mask
from .canvas import Canvas
from .contour import Contour
from .measures import Physique
from .ribcage import Cage
from .spec import Tissue
from .spine_curve import Spine

SKIN_MM = 2.0
FURROW_MM = 9.0  # the muscles of the back leave a furrow over the spinous processes


def _rounded(x: Floats, y: Floats, width: float, back: float, front: float) -> Mask:
    """Inside a rounded box whose widest place is in its middle; x `[1, i]` from the midline, y `[j, 1]`."""
    if width <= 0 or front <= back:
        return np.zeros((y.shape[0], x.shape[1]), bool)
    a, b = (x / width) ** 2, ((y - (front + back) / 2) / ((front - back) / 2)) ** 2
    inside: Mask = (a + b - 0.55 * a * b < 1) & (a < 1) & (b < 1)
    return inside


def _within_cage(x: Floats, y: Floats, cage: Cage, z: float, margin: float) -> Mask:
    """Inside the cage, `margin` mm from the middle of the ribs; x `[1, i]`, y `[j, 1]`."""
    of = (cage.x, cage.width, cage.middle, cage.back, cage.front)
    mid, width, middle, back, front = (float(np.interp(z, cage.z, one)) for one in of)
    if width <= margin or middle - back <= margin:
        return np.zeros((y.shape[0], x.shape[1]), bool)
    depth = np.where(y > middle, front - middle, middle - back) - margin
    a, b = ((x - mid) / (width - margin)) ** 2, ((y - middle) / depth) ** 2
    inside: Mask = (a + b - 0.3 * a * b < 1) & (a < 1) & (b < 1)
    return inside


def paint_trunk(canvas: Canvas, physique: Physique, contour: Contour, cage: Cage) -> None:
    """Skin, fat, muscle and cavity from the pelvic floor to the neck."""
    lattice, s = canvas.lattice, physique.size
    chosen = np.flatnonzero((lattice.z >= contour.z[0]) & (lattice.z <= contour.z[-1]))
    c = contour.at(lattice.z[chosen])
    y = lattice.y[:, None]
    for n, k in enumerate(chosen):
        x, image = lattice.x[None, :] - c.x[n], canvas.tissues[k]
        width, back, front = c.width[n], c.back[n], c.front[n]
        outer = width + c.fat[n], back - c.fat_back[n], front + c.fat_front[n]
        image[_rounded(x, y, outer[0] + SKIN_MM, outer[1] - SKIN_MM, outer[2] + SKIN_MM)] = Tissue.SKIN
        image[_rounded(x, y, *outer)] = Tissue.FAT
        furrow = back + FURROW_MM * s * np.exp(-((x / (20 * s)) ** 2))
        image[_rounded(x, y, width, back, front) & (y > furrow)] = Tissue.MUSCLE
        z, wall = float(c.z[n]), c.wall[n]
        if wall <= 0:
            continue
        if cage.z[0] < z < cage.z[-1]:
            inside = _rounded(x, y, width - 7, back + 5, front - 9) & (y > _back_muscles(x, cage, z, s))
            image[inside & _within_cage(lattice.x[None, :], y, cage, z, 4.0)] = Tissue.VISCERAL_FAT
        if z < cage.z[4]:
            behind = back + (54 if z > 0 else 60) * s
            belly = _rounded(x, y, width - wall, min(behind, front - 20), front - min(0.8 * wall, 14))
            image[belly] = Tissue.VISCERAL_FAT


def _back_muscles(x: Floats, cage: Cage, z: float, s: float) -> Floats:
    """y of the front of the muscles of the back: the cage's back, below its ribs the transverse processes."""
    low_rib = float(cage.z[5])  # cage.z rises from the third lumbar vertebra
    loin = np.clip((low_rib - z) / (40 * s), 0, 1) * 36 * s
    flank = 0.7 * loin * np.minimum((x / (80 * s)) ** 2, 1)
    front: Floats = float(np.interp(z, cage.z, cage.back)) + loin - flank
    return front


def paint_lungs(canvas: Canvas, rng: np.random.Generator, physique: Physique, spine: Spine, cage: Cage) -> None:
    """Two lungs over the domes of the diaphragm, apart from the mediastinum."""
    s, lattice = physique.size, canvas.lattice
    breath = rng.normal(0, 12) * s
    right = float(spine.level(15.7)[2]) + breath
    tops = {1.0: right, -1.0: float(spine.level(16.2)[2]) + breath + rng.normal(0, 5)}
    apex, lowest = float(spine.level(6.9)[2]), float(spine.level(19.3)[2])
    x, y = lattice.x[None, :], lattice.y[:, None]
    for k in np.flatnonzero((lattice.z > lowest) & (lattice.z < apex)):
        z, image = float(lattice.z[k]), canvas.tissues[k]
        mid_x, mid_y = spine.line(z)
        inside = _within_cage(x, y, cage, z, 9.0 * s) & (image == Tissue.VISCERAL_FAT)
        width, middle = np.interp(z, cage.z, cage.width), np.interp(z, cage.z, cage.middle)
        ahead = y - middle - 28 * s  # the dome's top lies in front: its slope behind is long
        slope = (ahead / np.where(ahead > 0, 90 * s, 85 * s)) ** 2
        gap = np.where(y > middle + 30 * s, 16 * s, np.where(y > mid_y, 24 * s, 14 * s))
        for side, top in tops.items():
            out = side * (x - float(mid_x))
            dome = top - 55 * s * (((out - 0.5 * width) / (0.55 * width)) ** 2 + slope)
            image[inside & (out > gap) & (z > dome)] = Tissue.LUNG


def paint_breasts(canvas: Canvas, rng: np.random.Generator, physique: Physique, spine: Spine, contour: Contour) -> None:
    """Fat and gland in front of the ribs of grown women; the trunk is drawn over them."""
    if not physique.female or physique.age < 14:
        return
    s, size = physique.size, rng.uniform(0.6, 1.3)
    middle = spine.level(13.2 + rng.uniform(-0.8, 1.2))
    front = float(np.interp(middle[2], contour.z, contour.front + contour.fat_front))
    radii = np.array([62, 44, 58]) * s * size
    for side in (1.0, -1.0):
        center = np.array([middle[0] + side * 78 * s, front - 14 * s, middle[2]])
        canvas.ellipsoid(center, radii + SKIN_MM, Tissue.SKIN, (Tissue.AIR,))
        canvas.ellipsoid(center, radii, Tissue.FAT)
        canvas.ellipsoid(moved(center, 0, 0.3 * radii[1], 0), 0.55 * radii, Tissue.CONNECTIVE, (Tissue.FAT,))


def paint_arms(canvas: Canvas, physique: Physique, heads: dict[float, Floats]) -> None:
    """Upper arms up beside the head or down beside the trunk, from the humeral heads (by side, RAS mm)."""
    s = physique.size
    girth = (34 + 10 * physique.muscle) * s + 0.35 * physique.fat
    up = ((0, 0, 0), (20, 20, 120), (10, 40, 300))
    down = ((0, 0, 0), (42, -14, -120), (58, 0, -290), (56, 30, -520))
    for side, head in heads.items():
        way = [head + np.array([side * x, y, z]) * s for x, y, z in (up if physique.arms_up else down)]
        _limb(canvas, bend(way, 16), np.linspace(1.15, 0.75, 16) * girth, 0.3 * physique.fat + 3, 11 * s)
        shoulder = np.stack([head, moved(head, -side * 60 * s, 0, 0)])
        canvas.tube(shoulder, 46 * s + 0.4 * physique.fat, Tissue.FAT, (Tissue.AIR, Tissue.SKIN))
        canvas.tube(shoulder, 44 * s, Tissue.MUSCLE, (Tissue.AIR, Tissue.SKIN, Tissue.FAT))


def paint_legs(canvas: Canvas, physique: Physique) -> None:
    """Thighs with the shafts of the femora."""
    s = physique.size
    for side in (1.0, -1.0):
        points = np.array([[side * 88, 0, -130], [side * 92, 4, -200], [side * 88, 6, -300]]) * s
        thick = np.array([86, 84, 76]) * s * (0.85 + 0.15 * physique.muscle) + 0.6 * physique.fat
        _limb(canvas, points, thick, 0.9 * physique.fat, 14 * s)


def _limb(canvas: Canvas, points: Floats, skin: Floats, fat: float, bone: float) -> None:
    """Skin, fat, muscle, and a long bone in the middle (radii, mm)."""
    over = (Tissue.AIR, Tissue.SKIN, Tissue.FAT)
    canvas.tube(points, skin, Tissue.SKIN, over[:1])
    canvas.tube(points, skin - SKIN_MM, Tissue.FAT, over[:2])
    canvas.tube(points, np.maximum(skin - SKIN_MM - fat, bone + 4), Tissue.MUSCLE, over)
    canvas.bone(points, bone, shell=0.42 * bone)
