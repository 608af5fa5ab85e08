"""Soft organs of belly and pelvis, hung on the spine; each takes only the place of fat or of what lies below it."""

from __future__ import annotations

import numpy as np

from ..bending import bend, moved
from ..lattice import Floats
from .canvas import Canvas
from .measures import Physique
from .ribcage import Cage
from .spec import Tissue
from .spine_curve import Spine

INSIDE = (Tissue.VISCERAL_FAT, Tissue.BOWEL, Tissue.FAECES, Tissue.GAS, Tissue.ORAL_CONTRAST)
SIDES = (1.0, -1.0)  # the patient's right, left


def paint_belly_organs(canvas: Canvas, rng: np.random.Generator, physique: Physique, spine: Spine, cage: Cage) -> None:
    """Bowel, liver, stomach, spleen, pancreas, kidneys, great vessels, psoas and its neighbours."""
    _bowel(canvas, rng, spine)
    inner = float(np.interp(spine.level(18)[2], cage.z, cage.width)) / spine.size - 12  # half width under the ribs
    _liver(canvas, rng, spine, inner)
    _stomach_and_spleen(canvas, rng, spine, inner)
    _kidneys(canvas, rng, spine)
    aorta, cava = _great_vessels(canvas, rng, spine)
    for side in SIDES:
        _leg_vessels(canvas, spine, aorta, cava, side)
        _muscles(canvas, physique, spine, side)


def _liver(canvas: Canvas, rng: np.random.Generator, spine: Spine, inner: float) -> None:
    """A right lobe under the dome, its lower part, the left lobe in front; the gall bladder below."""
    s, at = spine.size, spine.beside
    middle = at(17.6, 0.55 * inner, 30, rng.uniform(-8, 8))
    size = rng.uniform(0.9, 1.12)
    for center, radii in (
        (at(17.4, -0.1 * inner, 74), (70, 36, 32)),
        (middle, (0.44 * inner, 72, 76)),
        (middle + np.array([4, 0, -45]) * s, (0.36 * inner, 56, 56)),
    ):
        canvas.ellipsoid(center, np.array(radii) * s * size, Tissue.LIVER, INSIDE)
    over = (*INSIDE, Tissue.LIVER)
    canvas.ellipsoid(at(19.6, 40, 76), np.array([15, 22, 20]) * s, Tissue.GALLBLADDER, over)


def _stomach_and_spleen(canvas: Canvas, rng: np.random.Generator, spine: Spine, inner: float) -> None:
    """The stomach, mostly with gas on top, the spleen behind it, the pancreas across."""
    s, at = spine.size, spine.beside
    stomach = bend([at(16.8, -52, 42), at(18, -62, 62), at(19.5, -36, 80), at(19.8, 2, 72)], 16)
    canvas.tube(stomach, np.linspace(33, 16, 16) * s * rng.uniform(0.5, 1.1), Tissue.STOMACH, INSIDE)
    if rng.random() < 0.75:
        gas = stomach[rng.integers(2, 8)] + np.array([0, 14, 4]) * s
        canvas.ellipsoid(gas, np.array([22, 12, 24]) * s * rng.uniform(0.5, 1.2), Tissue.GAS, (Tissue.STOMACH,))
    spleen = at(17.6, -0.72 * inner, -8, rng.uniform(-8, 8))
    radii = np.array([28, 42, 50]) * s * rng.uniform(0.8, 1.2)
    canvas.ellipsoid(spleen, radii, Tissue.SPLEEN, (*INSIDE, Tissue.STOMACH))
    canvas.tube(bend([at(19.8, 30, 34), at(19.0, -5, 46), at(18.4, -70, 20)], 14), 12 * s, Tissue.PANCREAS, INSIDE)


def _kidneys(canvas: Canvas, rng: np.random.Generator, spine: Spine) -> None:
    """Along the psoas, the right one lower, with fat and a little urine in their sinus."""
    s = spine.size
    over = (*INSIDE, Tissue.LIVER, Tissue.SPLEEN, Tissue.STOMACH, Tissue.PANCREAS)
    for side in SIDES:
        middle = spine.beside(19.6 if side > 0 else 19.2, side * rng.uniform(56, 66), -8)
        tip = np.array([side * 12, 4, -46]) * s * rng.uniform(0.85, 1.1)
        ends = np.stack([middle - 0.6 * tip, middle + 0.6 * tip])
        canvas.tube(ends, 27 * s * rng.uniform(0.9, 1.1), Tissue.KIDNEY, over)
        sinus = moved(np.stack([middle - 0.3 * tip, middle + 0.3 * tip]), -side * 9 * s, 5 * s, 0)
        canvas.tube(sinus, 10 * s, Tissue.VISCERAL_FAT, (Tissue.KIDNEY,))
        basin = middle + np.array([-side * 10, 4, 0]) * s
        canvas.ellipsoid(basin, np.array([8, 6, 12]) * s, Tissue.URINE, (Tissue.KIDNEY, Tissue.VISCERAL_FAT))


_BEFORE_VESSELS = (*INSIDE, Tissue.LIVER, Tissue.PANCREAS, Tissue.STOMACH, Tissue.MUSCLE, Tissue.LUNG)


def _great_vessels(canvas: Canvas, rng: np.random.Generator, spine: Spine) -> tuple[Floats, Floats]:
    """Aorta and lower caval vein in front of the spine down to their forks; returns their courses."""
    s, at = spine.size, spine.beside
    aorta = bend([at(16.6, -12, 20), at(18, -8, 27), at(20, -10, 29), at(22, -6, 29)], 20)
    canvas.tube(aorta, rng.uniform(8, 11) * s, Tissue.ARTERY, _BEFORE_VESSELS)
    cava = bend([at(15.5, 24, 46), at(17, 24, 36), at(19, 20, 29), at(22.3, 16, 27)], 20)
    canvas.tube(cava, 11 * s, Tissue.VEIN, (*_BEFORE_VESSELS, Tissue.HEART))
    return aorta, cava


def _leg_vessels(canvas: Canvas, spine: Spine, aorta: Floats, cava: Floats, side: float) -> None:
    """Iliac and femoral artery and vein of one side."""
    s = spine.size
    hip = np.array([side * 88, 40, -86]) * s
    fork_vein = moved(cava[-1], 0, -4, 0)
    for start, radius, tissue in ((aorta[-1], 5.5, Tissue.ARTERY), (fork_vein, 7.0, Tissue.VEIN)):
        course = [
            start,
            start + np.array([side * 26, 0, -30]) * s,
            np.array([side * 66, 46, -50]) * s,
            hip + np.array([-side * 8, 30, 5]) * s,
            hip + np.array([-side * 6, 22, -90]) * s,
        ]
        canvas.tube(bend(course, 20), radius * s, tissue, (*_BEFORE_VESSELS, Tissue.FAT))


def _muscles(canvas: Canvas, physique: Physique, spine: Spine, side: float) -> None:
    """Psoas, crus of the diaphragm, quadratus lumborum, and the fat between the muscles of the back."""
    s, at, thick = spine.size, spine.beside, physique.muscle * spine.size
    low = [np.array(point) * s for point in ((side * 72, 48, -40), (side * 92, 30, -130))]
    psoas = bend([at(19, side * 24, -8), at(21, side * 38, 0), at(22.6, side * 48, 8), *low], 24)
    wide = np.interp(np.linspace(0, 1, 24), [0, 0.4, 0.7, 1], [8, 22, 20, 9])
    canvas.tube(psoas, wide * thick, Tissue.MUSCLE, INSIDE)
    crus = bend([at(15.8, side * 12, 30), at(18, side * 10, 22), at(20.5, side * 12, 20)], 10)
    canvas.tube(crus, np.linspace(4, 6, 10) * thick, Tissue.MUSCLE, (*INSIDE, Tissue.LUNG), flat=(1, 0.8, 1))
    canvas.tube(bend([at(19, side * 38, -30), at(22, side * 66, -26)], 8), 14 * thick, Tissue.MUSCLE, INSIDE)
    seam = [at(18, side * 26, -46), at(21, side * 40, -50), np.array([side * 46, -56, -6]) * s]
    canvas.tube(bend(seam, 10), 3.5 * s, Tissue.FAT, (Tissue.MUSCLE,))


def _bowel(canvas: Canvas, rng: np.random.Generator, spine: Spine) -> None:
    """Small bowel as loops of fluid, the colon as a frame of gas and faeces, oral contrast in some patients."""
    s = spine.size
    oral = bool(rng.random() < 0.25)
    low, high = np.array([0, 40, -40]) * s, spine.beside(20, 0, 60)
    for _ in range(26):
        center = low + (high - low) * rng.random() + rng.normal(0, 1, 3) * np.array([48, 22, 14]) * s
        turns = bend(center + np.cumsum(rng.normal(0, 15, (5, 3)), axis=0) * s, 12)
        canvas.tube(turns, rng.uniform(9, 14) * s, Tissue.BOWEL, (Tissue.VISCERAL_FAT,))
        draw = rng.random()
        if draw < 0.4:
            plain = Tissue.GAS if draw < 0.12 else Tissue.BOWEL
            canvas.tube(turns, rng.uniform(4, 8) * s, Tissue.ORAL_CONTRAST if oral else plain, (Tissue.BOWEL,))
    _colon(canvas, rng, spine, oral)


def _colon(canvas: Canvas, rng: np.random.Generator, spine: Spine, oral: bool) -> None:
    """Up on the right, across, down on the left, to the rectum before the sacrum."""
    s, at = spine.size, spine.beside
    upper = [
        *(at(21.5, 96, 30), at(20, 92, 34), at(20.3, 50, 86), at(20.6, 0, 92), at(19.5, -60, 78)),
        *(at(18.6, -94, 24), at(20.5, -98, 12), at(22, -98, 20)),
    ]
    lower = np.array([[-84, 40, -20], [-40, 30, -50], [-14, 0, -70], [0, -38, -90], [0, -38, -140]]) * s
    course = bend([np.array([82, 46, -20]) * s, *upper, *lower], 90)
    course += rng.normal(0, 4, course.shape) * s
    canvas.tube(course, rng.uniform(15, 23, 90) * s, Tissue.BOWEL, (Tissue.VISCERAL_FAT, Tissue.BOWEL))
    for start in range(0, 90, 6):
        draw = rng.random()
        rest = Tissue.ORAL_CONTRAST if oral else Tissue.BOWEL
        content = Tissue.GAS if draw < 0.4 else (Tissue.FAECES if draw < 0.85 else rest)
        canvas.tube(course[start : start + 6], rng.uniform(9, 17) * s, content, (Tissue.BOWEL,))


def paint_pelvic_organs(canvas: Canvas, rng: np.random.Generator, physique: Physique) -> None:
    """Bladder, uterus or prostate, and the fat between the gluteal muscles."""
    s = physique.size
    full = rng.uniform(0.5, 1.25)
    bladder = np.array([0, 50, -82 + 18 * full]) * s
    canvas.ellipsoid(bladder, np.array([42, 36, 34]) * s * full, Tissue.URINE, INSIDE)
    if physique.female:
        uterus = np.array([rng.normal(0, 8), 12, -60]) * s
        canvas.ellipsoid(uterus, np.array([26, 24, 34]) * s, Tissue.GONAD, INSIDE)
    else:
        prostate = np.array([0, 36, -116]) * s
        canvas.ellipsoid(prostate, np.array([24, 18, 18]) * s, Tissue.GONAD, (*INSIDE, Tissue.MUSCLE))
    for side in SIDES:
        seam = np.array([[side * 70, -62, -10], [side * 112, -30, -90]]) * s
        cleft = np.array([[side * 6, -78, 20], [side * 6, -95, -90], [side * 5, -110, -170]]) * s
        fossa = np.array([side * 30, -50, -138]) * s
        canvas.tube(seam, 5 * s, Tissue.FAT, (Tissue.MUSCLE,))
        canvas.ellipsoid(fossa, np.array([18, 26, 28]) * s, Tissue.FAT, (Tissue.MUSCLE,))
        canvas.tube(cleft, 5 * s, Tissue.FAT, (Tissue.MUSCLE,))
