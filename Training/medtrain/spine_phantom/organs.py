"""Soft organs of neck, chest, belly and pelvis: ellipsoids and tubes hung on the spine."""

from __future__ import annotations

import numpy as np

from ..chest_phantom.lattice import Floats
from .canvas import Canvas, bend
from .measures import Physique
from .ribcage import Cage
from .spec import Tissue
from .spine_curve import Spine

INSIDE = (Tissue.VISCERAL_FAT, Tissue.BOWEL, Tissue.FAECES, Tissue.GAS, Tissue.ORAL_CONTRAST)
CHEST = (Tissue.VISCERAL_FAT, Tissue.LUNG, Tissue.CONNECTIVE)


def paint_chest_organs(canvas: Canvas, rng: np.random.Generator, physique: Physique, spine: Spine) -> None:
    """Heart, great vessels, gullet, airways and the larger vessels of the lungs."""
    s = physique.size

    def at(place: float, right: float, front: float, up: float = 0.0) -> Floats:
        point: Floats = spine.level(place) + np.array([right, front, up]) * s
        return point

    big = rng.uniform(0.9, 1.2)
    heart = at(14.3, -22, 72)
    canvas.ellipsoid(heart, np.array([56, 44, 50]) * s * big, Tissue.HEART, CHEST)
    for offset, radii in (((-30, 4, -8), (26, 22, 32)), ((24, 0, 2), (20, 20, 28)), ((0, -18, 14), (32, 18, 22))):
        canvas.ellipsoid(heart + np.array(offset) * s, np.array(radii) * s * big, Tissue.ARTERY, (Tissue.HEART,))
    wide = rng.uniform(10.5, 14) * s * (1 + max(0.0, physique.age - 50) * 0.004)
    root = at(12.8, 4, 70)
    arch = bend([root, at(11, 14, 66), at(10.2, 2, 48), at(10.6, -17, 20), at(11.6, -22, 2)], 24)
    canvas.tube(arch, wide * 1.15, Tissue.ARTERY, (*CHEST, Tissue.HEART))
    down = [at(11.6, -22, 2), at(13, -22, 2), at(15, -18, 8), at(17, -10, 20)]
    canvas.tube(bend(down, 24), wide, Tissue.ARTERY, (*CHEST, Tissue.HEART))
    canvas.tube(bend([at(13.2, 24, 60), at(11, 26, 52), at(9, 22, 46)], 10), 9 * s, Tissue.VEIN, CHEST)
    canvas.tube(bend([at(11.6, -4, 62), at(12, -22, 40)], 8), 13 * s, Tissue.VEIN, (*CHEST, Tissue.HEART))
    for side in (1.0, -1.0):
        canvas.tube(bend([at(12.0, side * 12, 42), at(12.4, side * 36, 36), at(14, side * 52, 24)], 12), np.linspace(10, 5, 12) * s, Tissue.VEIN, CHEST)
        for _ in range(34):  # vessels of the lung
            start = at(rng.uniform(11.5, 14), side * rng.uniform(30, 46), rng.uniform(22, 52))
            end = at(rng.uniform(8, 18), side * rng.uniform(50, 115), rng.uniform(-40, 95))
            canvas.tube(bend([start, 0.5 * (start + end) + rng.normal(0, 6, 3), end], 8), np.linspace(3.4, 1.1, 8) * s, Tissue.LUNG_VESSEL, (Tissue.LUNG,))
    gullet = bend([at(5, 0, 15), at(9, -4, 20), at(13, -4, 26), at(16, -10, 34), at(17, -18, 44)], 24)
    canvas.tube(gullet, 7 * s, Tissue.OESOPHAGUS, (*CHEST, Tissue.MUSCLE, Tissue.HEART))
    if rng.random() < 0.4:
        canvas.tube(gullet[6:16], 2.5 * s, Tissue.GAS, (Tissue.OESOPHAGUS,))
    carina = at(11.2, 2, 34)
    wind = bend([at(2.6, 0, 24), at(4.5, 0, 27), at(6, 0, 30), at(8, 1, 32), carina], 24)
    for radii, tissue in ((9.5, Tissue.CONNECTIVE), (7.8, Tissue.AIRWAY)):
        canvas.tube(wind, radii * s, tissue)
        for side in (1.0, -1.0):
            canvas.tube(bend([carina, carina + np.array([side * 20, -3, -24]) * s, carina + np.array([side * 40, -9, -44]) * s], 8), radii * 0.72 * s, tissue)
    for side in (1.0, -1.0):  # neck: thyroid, carotids, jugulars
        canvas.ellipsoid(at(5.6, side * 17, 30), np.array([9, 10, 20]) * s, Tissue.THYROID, (Tissue.MUSCLE,))
        canvas.tube(bend([at(9.3, side * 12, 48), at(6, side * 24, 24), at(1, side * 26, 16)], 12), 3.8 * s, Tissue.ARTERY)
        canvas.tube(bend([at(8.6, side * 22, 46), at(6, side * 31, 26), at(1, side * 32, 12)], 12), 5.5 * s, Tissue.VEIN)
        canvas.tube(bend([at(8.2, side * 60, 22), at(7, side * 40, 0), at(4, side * 36, -20)], 8), 7 * s, Tissue.FAT, (Tissue.MUSCLE,))


def paint_belly_organs(canvas: Canvas, rng: np.random.Generator, physique: Physique, spine: Spine, cage: Cage) -> None:
    """Liver, spleen, kidneys, stomach, pancreas, great vessels, bowel, psoas."""
    s = physique.size

    def at(place: float, right: float, front: float, up: float = 0.0) -> Floats:
        point: Floats = spine.level(place) + np.array([right, front, up]) * s
        return point

    paint_bowel(canvas, rng, physique, spine)
    inside = INSIDE
    wide = float(np.interp(spine.level(18)[2], cage.z, cage.width)) / s - 12
    liver = at(17.6, 0.55 * wide, 30, rng.uniform(-8, 8))
    size = rng.uniform(0.9, 1.12)
    canvas.ellipsoid(at(17.4, -0.1 * wide, 74), np.array([70, 36, 32]) * s * size, Tissue.LIVER, inside)
    canvas.ellipsoid(liver, np.array([0.44 * wide, 72, 76]) * s * size, Tissue.LIVER, inside)
    canvas.ellipsoid(liver + np.array([4, 0, -45]) * s, np.array([0.36 * wide, 56, 56]) * s * size, Tissue.LIVER, inside)
    canvas.ellipsoid(at(19.6, 40, 76), np.array([15, 22, 20]) * s, Tissue.GALLBLADDER, (*inside, Tissue.LIVER))
    stomach = bend([at(16.8, -52, 42), at(18, -62, 62), at(19.5, -36, 80), at(19.8, 2, 72)], 16)
    canvas.tube(stomach, np.linspace(33, 16, 16) * s * rng.uniform(0.5, 1.1), Tissue.STOMACH, inside)
    if rng.random() < 0.75:
        gas = stomach[rng.integers(2, 8)] + np.array([0, 14, 4]) * s
        canvas.ellipsoid(gas, np.array([22, 12, 24]) * s * rng.uniform(0.5, 1.2), Tissue.GAS, (Tissue.STOMACH,))
    canvas.ellipsoid(at(17.6, -0.72 * wide, -8, rng.uniform(-8, 8)), np.array([28, 42, 50]) * s * rng.uniform(0.8, 1.2), Tissue.SPLEEN, (*inside, Tissue.STOMACH))
    canvas.tube(bend([at(19.8, 30, 34), at(19.0, -5, 46), at(18.4, -70, 20)], 14), 12 * s, Tissue.PANCREAS, inside)
    for side in (1.0, -1.0):  # kidneys lie along the psoas, the right one lower
        middle = at(19.6 if side > 0 else 19.2, side * rng.uniform(56, 66), -8)
        tip = np.array([side * 12, 4, -46]) * s * rng.uniform(0.85, 1.1)
        canvas.tube(np.stack([middle - 0.6 * tip, middle + 0.6 * tip]), 27 * s * rng.uniform(0.9, 1.1), Tissue.KIDNEY, (*inside, Tissue.LIVER, Tissue.SPLEEN, Tissue.STOMACH, Tissue.PANCREAS))
        canvas.tube(np.stack([middle - 0.3 * tip, middle + 0.3 * tip]) + (-side * 9 * s, 5 * s, 0), 10 * s, Tissue.VISCERAL_FAT, (Tissue.KIDNEY,))
        canvas.ellipsoid(middle + np.array([-side * 10, 4, 0]) * s, np.array([8, 6, 12]) * s, Tissue.URINE, (Tissue.KIDNEY, Tissue.VISCERAL_FAT))
    soft = (*inside, Tissue.LIVER, Tissue.PANCREAS, Tissue.STOMACH, Tissue.MUSCLE, Tissue.LUNG)
    aorta = bend([at(16.6, -12, 20), at(18, -8, 27), at(20, -10, 29), at(22, -6, 29)], 20)
    canvas.tube(aorta, rng.uniform(8, 11) * s, Tissue.ARTERY, soft)
    cava = bend([at(15.5, 24, 46), at(17, 24, 36), at(19, 20, 29), at(22.3, 16, 27)], 20)
    canvas.tube(cava, 11 * s, Tissue.VEIN, (*soft, Tissue.HEART))
    for side in (1.0, -1.0):
        hip = np.array([side * 88, 40, -86]) * s
        for start, radius, tissue in ((aorta[-1], 5.5, Tissue.ARTERY), (cava[-1] + (0, -4, 0), 7, Tissue.VEIN)):
            canvas.tube(bend([start, start + np.array([side * 26, 0, -30]) * s, np.array([side * 66, 46, -50]) * s, hip + np.array([-side * 8, 30, 5]) * s, hip + np.array([-side * 6, 22, -90]) * s], 20), radius * s, tissue, (*soft, Tissue.FAT))
        thick = physique.muscle * s
        psoas = bend([at(19, side * 24, -8), at(21, side * 38, 0), at(22.6, side * 48, 8), np.array([side * 72, 48, -40]) * s, np.array([side * 92, 30, -130]) * s], 24)
        canvas.tube(psoas, np.interp(np.linspace(0, 1, 24), [0, 0.4, 0.7, 1], [8, 22, 20, 9]) * thick, Tissue.MUSCLE, inside)
        crus = bend([at(15.8, side * 12, 30), at(18, side * 10, 22), at(20.5, side * 12, 20)], 10)
        canvas.tube(crus, np.linspace(4, 6, 10) * thick, Tissue.MUSCLE, (*inside, Tissue.LUNG), flat=(1, 0.8, 1))
        quadratus = bend([at(19, side * 38, -30), at(22, side * 66, -26)], 8)
        canvas.tube(quadratus, 14 * thick, Tissue.MUSCLE, inside)
        canvas.tube(bend([at(18, side * 26, -46), at(21, side * 40, -50), np.array([side * 46, -56, -6]) * s], 10), 3.5 * s, Tissue.FAT, (Tissue.MUSCLE,))


def paint_bowel(canvas: Canvas, rng: np.random.Generator, physique: Physique, spine: Spine) -> None:
    """Small bowel as loops of fluid, the colon as a frame of gas and faeces, oral contrast in some."""
    s = physique.size
    oral = rng.random() < 0.25
    low, high = np.array([0, 40, -40]) * s, spine.level(20) + np.array([0, 60, 0]) * s
    for _ in range(26):
        center = low + (high - low) * rng.random() + rng.normal(0, 1, 3) * np.array([48, 22, 14]) * s
        turns = center + np.cumsum(rng.normal(0, 15, (5, 3)), axis=0) * s
        canvas.tube(bend(turns, 12), rng.uniform(9, 14) * s, Tissue.BOWEL, (Tissue.VISCERAL_FAT,))
        draw = rng.random()
        if draw < 0.4:
            inner = Tissue.ORAL_CONTRAST if oral else (Tissue.GAS if draw < 0.12 else Tissue.BOWEL)
            canvas.tube(bend(turns, 12), rng.uniform(4, 8) * s, inner, (Tissue.BOWEL,))

    def at(place: float, right: float, front: float) -> Floats:
        point: Floats = spine.level(place) + np.array([right, front, 0]) * s
        return point

    colon = bend([
        np.array([82, 46, -20]) * s, at(21.5, 96, 30), at(20, 92, 34), at(20.3, 50, 86), at(20.6, 0, 92), at(19.5, -60, 78),
        at(18.6, -94, 24), at(20.5, -98, 12), at(22, -98, 20), np.array([-84, 40, -20]) * s, np.array([-40, 30, -50]) * s,
        np.array([-14, 0, -70]) * s, np.array([0, -38, -90]) * s, np.array([0, -38, -140]) * s,
    ], 90)  # fmt: skip
    colon += rng.normal(0, 4, colon.shape) * s
    canvas.tube(colon, rng.uniform(15, 23, 90) * s, Tissue.BOWEL, (Tissue.VISCERAL_FAT, Tissue.BOWEL))
    for start in range(0, 90, 6):
        draw = rng.random()
        inner = Tissue.GAS if draw < 0.4 else (Tissue.FAECES if draw < 0.85 else Tissue.ORAL_CONTRAST if oral else Tissue.BOWEL)
        canvas.tube(colon[start : start + 6], rng.uniform(9, 17) * s, inner, (Tissue.BOWEL,))


def paint_pelvic_organs(canvas: Canvas, rng: np.random.Generator, physique: Physique) -> None:
    """Bladder, uterus or prostate, and the muscles' fat planes."""
    s = physique.size
    full = rng.uniform(0.5, 1.25)
    canvas.ellipsoid(np.array([0, 50, -82 + 18 * full]) * s, np.array([42, 36, 34]) * s * full, Tissue.URINE, INSIDE)
    if physique.female:
        canvas.ellipsoid(np.array([rng.normal(0, 8), 12, -60]) * s, np.array([26, 24, 34]) * s, Tissue.GONAD, INSIDE)
    else:
        canvas.ellipsoid(np.array([0, 36, -116]) * s, np.array([24, 18, 18]) * s, Tissue.GONAD, (*INSIDE, Tissue.MUSCLE))
    for side in (1.0, -1.0):  # fat between the gluteal muscles and in the ischiorectal fossa
        canvas.tube(np.array([[side * 70, -62, -10], [side * 112, -30, -90]]) * s, 5 * s, Tissue.FAT, (Tissue.MUSCLE,))
        canvas.ellipsoid(np.array([side * 30, -50, -138]) * s, np.array([18, 26, 28]) * s, Tissue.FAT, (Tissue.MUSCLE,))
        canvas.tube(np.array([[side * 6, -78, 20], [side * 6, -95, -90], [side * 5, -110, -170]]) * s, 5 * s, Tissue.FAT, (Tissue.MUSCLE,))
