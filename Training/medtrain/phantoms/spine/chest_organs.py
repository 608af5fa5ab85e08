"""Soft organs of neck and chest, hung on the spine: heart, great vessels, airways, gullet, thyroid."""

from __future__ import annotations

import numpy as np

from ..bending import bend
from .canvas import Canvas
from .measures import Physique
from .spec import Tissue
from .spine_curve import Spine

CHEST = (Tissue.VISCERAL_FAT, Tissue.LUNG, Tissue.CONNECTIVE)
SIDES = (1.0, -1.0)  # the patient's right, left


def paint_chest_organs(canvas: Canvas, rng: np.random.Generator, physique: Physique, spine: Spine) -> None:
    """From the thyroid to the diaphragm; the order decides what lies over what."""
    _heart(canvas, rng, spine)
    _great_vessels(canvas, rng, physique, spine)
    _lung_vessels(canvas, rng, spine)
    _gullet(canvas, rng, spine)
    _airways(canvas, spine)
    _neck(canvas, spine)


def _heart(canvas: Canvas, rng: np.random.Generator, spine: Spine) -> None:
    """Muscle around three chambers of blood."""
    s, big = spine.size, rng.uniform(0.9, 1.2)
    heart = spine.beside(14.3, -22, 72)
    canvas.ellipsoid(heart, np.array([56, 44, 50]) * s * big, Tissue.HEART, CHEST)
    for offset, radii in (((-30, 4, -8), (26, 22, 32)), ((24, 0, 2), (20, 20, 28)), ((0, -18, 14), (32, 18, 22))):
        canvas.ellipsoid(heart + np.array(offset) * s, np.array(radii) * s * big, Tissue.ARTERY, (Tissue.HEART,))


def _great_vessels(canvas: Canvas, rng: np.random.Generator, physique: Physique, spine: Spine) -> None:
    """Aorta (wider with age), upper caval vein, trunk of the pulmonary artery."""
    s, at, over = spine.size, spine.beside, (*CHEST, Tissue.HEART)
    wide = rng.uniform(10.5, 14) * s * (1 + max(0.0, physique.age - 50) * 0.004)
    arch = [at(12.8, 4, 70), at(11, 14, 66), at(10.2, 2, 48), at(10.6, -17, 20), at(11.6, -22, 2)]
    down = [at(11.6, -22, 2), at(13, -22, 2), at(15, -18, 8), at(17, -10, 20)]
    canvas.tube(bend(arch, 24), wide * 1.15, Tissue.ARTERY, over)
    canvas.tube(bend(down, 24), wide, Tissue.ARTERY, over)
    canvas.tube(bend([at(13.2, 24, 60), at(11, 26, 52), at(9, 22, 46)], 10), 9 * s, Tissue.VEIN, CHEST)
    canvas.tube(bend([at(11.6, -4, 62), at(12, -22, 40)], 8), 13 * s, Tissue.VEIN, over)


def _lung_vessels(canvas: Canvas, rng: np.random.Generator, spine: Spine) -> None:
    """A hilum on each side, and vessels from it outward."""
    s, at = spine.size, spine.beside
    for side in SIDES:
        hilum = [at(12.0, side * 12, 42), at(12.4, side * 36, 36), at(14, side * 52, 24)]
        canvas.tube(bend(hilum, 12), np.linspace(10, 5, 12) * s, Tissue.VEIN, CHEST)
        for _ in range(34):
            start = at(rng.uniform(11.5, 14), side * rng.uniform(30, 46), rng.uniform(22, 52))
            end = at(rng.uniform(8, 18), side * rng.uniform(50, 115), rng.uniform(-40, 95))
            course = bend([start, 0.5 * (start + end) + rng.normal(0, 6, 3), end], 8)
            canvas.tube(course, np.linspace(3.4, 1.1, 8) * s, Tissue.LUNG_VESSEL, (Tissue.LUNG,))


def _gullet(canvas: Canvas, rng: np.random.Generator, spine: Spine) -> None:
    """With a little air in some."""
    s, at = spine.size, spine.beside
    course = bend([at(5, 0, 15), at(9, -4, 20), at(13, -4, 26), at(16, -10, 34), at(17, -18, 44)], 24)
    canvas.tube(course, 7 * s, Tissue.OESOPHAGUS, (*CHEST, Tissue.MUSCLE, Tissue.HEART))
    if rng.random() < 0.4:
        canvas.tube(course[6:16], 2.5 * s, Tissue.GAS, (Tissue.OESOPHAGUS,))


def _airways(canvas: Canvas, spine: Spine) -> None:
    """Windpipe and main bronchi with their walls."""
    s, at = spine.size, spine.beside
    carina = at(11.2, 2, 34)
    windpipe = bend([at(2.6, 0, 24), at(4.5, 0, 27), at(6, 0, 30), at(8, 1, 32), carina], 24)
    for radius, tissue in ((9.5, Tissue.CONNECTIVE), (7.8, Tissue.AIRWAY)):
        canvas.tube(windpipe, radius * s, tissue)
        for side in SIDES:
            ways = np.array([[0, 0, 0], [side * 20, -3, -24], [side * 40, -9, -44]])
            canvas.tube(bend(carina + ways * s, 8), radius * 0.72 * s, tissue)


def _neck(canvas: Canvas, spine: Spine) -> None:
    """Thyroid, carotid arteries, jugular veins, fat of the posterior triangle."""
    s, at = spine.size, spine.beside
    for side in SIDES:
        canvas.ellipsoid(at(5.6, side * 17, 30), np.array([9, 10, 20]) * s, Tissue.THYROID, (Tissue.MUSCLE,))
        carotid = [at(9.3, side * 12, 48), at(6, side * 24, 24), at(1, side * 26, 16)]
        jugular = [at(8.6, side * 22, 46), at(6, side * 31, 26), at(1, side * 32, 12)]
        triangle = [at(8.2, side * 60, 22), at(7, side * 40, 0), at(4, side * 36, -20)]
        canvas.tube(bend(carotid, 12), 3.8 * s, Tissue.ARTERY)
        canvas.tube(bend(jugular, 12), 5.5 * s, Tissue.VEIN)
        canvas.tube(bend(triangle, 8), 7 * s, Tissue.FAT, (Tissue.MUSCLE,))
