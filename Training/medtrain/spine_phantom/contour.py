"""The contour of the body at each height: skin, fat, muscle, the cavities of chest and belly; neck, head and limbs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from ..chest_phantom.lattice import Floats, Mask
from .canvas import Canvas
from .measures import Physique
from .ribcage import Cage
from .spec import Tissue
from .spine_curve import Spine


@dataclass(frozen=True, eq=False)
class Contour:
    """Rounded boxes at heights z (rising): middle, half widths, back and front of the muscles, mm; fat around them."""

    z: Floats
    x: Floats
    width: Floats
    back: Floats
    front: Floats
    fat: Floats
    fat_front: Floats
    fat_back: Floats
    wall: Floats  # thickness of the wall of the cavity; negative: no cavity

    def at(self, z: Floats) -> Contour:
        """The same at other heights."""
        rows = [PchipInterpolator(self.z, one, extrapolate=False)(np.clip(z, self.z[0], self.z[-1]))
                for one in (self.x, self.width, self.back, self.front, self.fat, self.fat_front, self.fat_back, self.wall)]
        return Contour(z, *rows)  # fmt: skip


def draw_contour(rng: np.random.Generator, physique: Physique, spine: Spine, cage: Cage) -> Contour:
    """From the pelvic floor to the base of the skull."""
    s, g, f, m = physique.size, physique.girth, physique.fat, physique.muscle
    rows: list[tuple[float, ...]] = []  # z, x, width, back, front, fat at side, front, back, wall
    floor, hips = -172 * s, (1.06 if physique.female else 1.0)
    y0 = 0.0
    for z, width, back, front, wall in (
        (-172, 150, -60, 92, -50), (-130, 162, -92, 98, -50), (-90, 160, -100, 100, 62), (-45, 154, -96, 96, 30), (0, 143, -76, 92, 16),
    ):  # fmt: skip
        rows.append((z * s, 0, width * s * hips, y0 + back * s, y0 + front * s + 0.3 * physique.belly, f * 1.1, f * 0.8, f * 1.5, wall * s))
    for place, width, front, back in ((22.0, 130, 88, -66), (20.5, 127, 93, -66), (19.0, 130, 104, -64)):
        x, y, z = spine.level(place)
        middle = 0.5 * y
        rows.append((z, x, width * s * (0.5 + 0.5 * g), y + back * s * (0.85 + 0.15 * m), middle + front * s + physique.belly, f, f, f * 0.9, 13 * s))
    for place in (17.5, 16, 14, 12, 10.5, 9.2):
        x, y, z = spine.level(place)
        width, back, front = (float(np.interp(z, cage.z, one)) for one in (cage.width, cage.back, cage.front))
        wide = {17.5: 8, 16: 14, 14: 22, 12: 32, 10.5: 45, 9.2: 60}[place] * s * m
        rows.append((z, x, width + wide, back - (14 + 6 * m) * s, front + (10 if place > 13 else 18) * s, 0.8 * f, 0.7 * f, 0.7 * f, 9 * s))
    for place, width, front, back, fat in ((8.2, 140, 55, -72, 0.6), (7.2, 105, 50, -66, 0.5), (5.8, 64, 50, -60, 0.4), (3.5, 58, 54, -58, 0.35), (1.5, 60, 54, -62, 0.3), (-0.6, 58, 30, -66, 0.3)):
        x, y, z = spine.level(place) + (np.array([0, 0, 26 * s]) if place < 0 else 0)
        thick = (0.8 + 0.2 * m) * s
        rows.append((z, x, width * thick, y + back * thick, y + front * s, fat * f, fat * f * 0.6, fat * f * 1.2, 9 * s if place > 5 else -50))
    table = np.array(sorted(rows)).T
    table[1:8] *= 1.0
    assert floor <= table[0, 0] + 1e-6
    return Contour(*table)


def _rounded(x: Floats, y: Floats, width: float, back: float, front: float) -> Mask:
    """Inside a rounded box whose widest place is in its middle; x `[1, i]` from the midline, y `[j, 1]`."""
    if width <= 0 or front <= back:
        return np.zeros((y.shape[0], x.shape[1]), bool)
    a, b = (x / width) ** 2, ((y - (front + back) / 2) / ((front - back) / 2)) ** 2
    inside: Mask = a + b - 0.55 * a * b < 1
    return inside & (a < 1) & (b < 1)


def paint_trunk(canvas: Canvas, physique: Physique, contour: Contour, cage: Cage) -> None:
    """Skin, fat, muscle and cavity, slice by slice, from the pelvic floor to the neck."""
    lattice = canvas.lattice
    low_rib = float(cage.z[5])  # cage.z rises from the third lumbar vertebra
    chosen = np.flatnonzero((lattice.z >= contour.z[0]) & (lattice.z <= contour.z[-1]))
    c = contour.at(lattice.z[chosen])
    skin, furrow = 2.0, 9.0 * physique.size  # the muscles of the back leave a furrow over the spinous processes
    for n, k in enumerate(chosen):
        x, y = lattice.x[None, :] - c.x[n], lattice.y[:, None]
        image = canvas.tissues[k]
        w, b, f = c.width[n], c.back[n], c.front[n]
        side, ahead, behind = c.fat[n], c.fat_front[n], c.fat_back[n]
        image[_rounded(x, y, w + side + skin, b - behind - skin, f + ahead + skin)] = Tissue.SKIN
        image[_rounded(x, y, w + side, b - behind, f + ahead)] = Tissue.FAT
        groove = y > b + furrow * np.exp(-((x / (20 * physique.size)) ** 2))
        image[_rounded(x, y, w, b, f) & groove] = Tissue.MUSCLE
        z = float(c.z[n])
        if c.wall[n] <= 0:
            continue
        if z > cage.z[0] and z < cage.z[-1]:
            # below the twelfth rib the muscles of the back reach forward to the transverse processes
            loin = np.clip((low_rib - z) / (40 * physique.size), 0, 1) * 36 * physique.size
            floor = float(np.interp(z, cage.z, cage.back)) + loin
            flank = 0.7 * loin * np.minimum((x / (80 * physique.size)) ** 2, 1)
            cavity = _cage_slice(lattice.x[None, :], y, cage, z, 4.0) & _rounded(x, y, w - 7, b + 5, f - 9)
            image[cavity & (y > floor - flank)] = Tissue.VISCERAL_FAT
        if z < cage.z[4]:
            t = c.wall[n]
            spine_side = b + (54 if z > 0 else 60) * physique.size
            image[_rounded(x, y, w - t, min(spine_side, f - 20), f - min(0.8 * t, 14))] = Tissue.VISCERAL_FAT


def _cage_slice(x: Floats, y: Floats, cage: Cage, z: float, margin: float) -> Mask:
    """Inside the cage, `margin` mm from the middle of the ribs."""
    mid, width, middle, back, front = (
        float(np.interp(z, cage.z, one)) for one in (cage.x, cage.width, cage.middle, cage.back, cage.front)
    )
    if width <= margin or middle - back <= margin:
        return np.zeros((y.shape[0], x.shape[1]), bool)
    depth = np.where(y > middle, front - middle, middle - back) - margin
    a, b = ((x - mid) / (width - margin)) ** 2, ((y - middle) / depth) ** 2
    inside: Mask = a + b - 0.3 * a * b < 1
    return inside & (a < 1) & (b < 1)


def paint_lungs(canvas: Canvas, rng: np.random.Generator, physique: Physique, spine: Spine, cage: Cage) -> None:
    """Two lungs over the domes of the diaphragm, apart from the mediastinum; under the domes the belly."""
    s, lattice = physique.size, canvas.lattice
    breath = rng.normal(0, 12) * s
    tops = {1.0: float(spine.level(15.7)[2]) + breath, -1.0: float(spine.level(16.2)[2]) + breath + rng.normal(0, 5)}
    apex = float(spine.level(6.9)[2])
    lowest = float(spine.level(19.3)[2])
    for k in np.flatnonzero((lattice.z > lowest) & (lattice.z < apex)):
        z = float(lattice.z[k])
        x, y = lattice.x[None, :], lattice.y[:, None]
        mid_x, mid_y = spine.line(z)
        inside = _cage_slice(x, y, cage, z, 9.0 * s)
        width, middle = np.interp(z, cage.z, cage.width), np.interp(z, cage.z, cage.middle)
        dx = x - float(mid_x)
        for side, top in tops.items():
            ahead = y - middle - 28 * s  # the dome's top lies in front: its slope behind is long
            round_y = (ahead / np.where(ahead > 0, 90 * s, 85 * s)) ** 2
            dome = top - 55 * s * (((side * dx - 0.5 * width) / (0.55 * width)) ** 2 + round_y)
            gap = np.where(y > mid_y, 24 * s, 14 * s)
            gap = np.where(y > middle + 30 * s, 16 * s, gap)
            lung = inside & (side * dx > gap) & (z > dome)
            canvas.tissues[k][lung & (canvas.tissues[k] == Tissue.VISCERAL_FAT)] = Tissue.LUNG


def paint_limb(canvas: Canvas, points: Floats, skin: Floats, fat: float, bone: float) -> None:
    """An arm or a leg: skin, fat, muscle, and a long bone in its middle (radii, mm)."""
    over = (Tissue.AIR, Tissue.SKIN, Tissue.FAT)
    canvas.tube(points, skin, Tissue.SKIN, (Tissue.AIR,))
    canvas.tube(points, skin - 2.0, Tissue.FAT, over[:2])
    canvas.tube(points, np.maximum(skin - 2.0 - fat, bone + 4), Tissue.MUSCLE, over)
    box, distance = canvas.tube_distance(points, bone)
    canvas.shell(box, distance, 0.42 * bone)
